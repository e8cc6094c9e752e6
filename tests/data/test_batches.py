"""What takes the place of X in a batch, and mixtures of it."""

import numpy as np
import pytest
import torch

from crust_sklearn.data import MixedBatch, RowBatch, keep_batch, mix


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_mix_is_its_formula(dtype):
    rng = np.random.RandomState(0)
    x, partner = rng.standard_normal((2, 5, 3, 2))
    share = rng.uniform(size=5)
    out = mix(torch.tensor(x, dtype=dtype), torch.tensor(partner, dtype=dtype), torch.tensor(share))
    assert out.dtype == dtype
    expected = [s * a + (1 - s) * b for s, a, b in zip(share, x, partner, strict=True)]
    np.testing.assert_allclose(out, expected, atol=1e-2 if dtype == torch.float16 else 1e-6)


def test_mix_in_dicts_and_lists():
    one, two, share = torch.ones(2, 3), torch.zeros(2, 3), torch.tensor([0.25, 1.0])
    expected = torch.tensor([[0.25] * 3, [1.0] * 3])
    assert torch.equal(mix({"a": one}, {"a": two}, share)["a"], expected)
    for container in (list, tuple):
        out = mix(container([one, [one]]), container([two, [two]]), share)
        assert torch.equal(out[0], expected)
        assert torch.equal(out[1][0], expected)


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool])
def test_integers_are_mixed_as_float32(dtype):
    x, partner = torch.ones(2, 3).to(dtype), torch.zeros(2, 3).to(dtype)
    mixed = mix(x, partner, torch.tensor([0.25, 1.0]))
    assert mixed.dtype == torch.float32
    assert mixed.tolist() == [[0.25] * 3, [1.0] * 3]


def test_a_batch_is_kept_as_it_is():
    batch = (torch.ones(2), torch.zeros(2))
    assert keep_batch(batch) is batch


def test_a_mixed_batch_begins_as_a_plain_one():
    assert MixedBatch._fields[: len(RowBatch._fields)] == RowBatch._fields
