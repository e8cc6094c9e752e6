"""The matrix that both corrections take: what is refused, and the tensors made of it."""

import numpy as np
import pytest
import torch

from crust_sklearn.losses import BackwardCorrectedLoss, ForwardCorrectedLoss

T = np.array([[0.7, 0.3, 0.0], [0.0, 0.8, 0.2], [0.1, 0.1, 0.8]])
BOTH = pytest.mark.parametrize("cls", [ForwardCorrectedLoss, BackwardCorrectedLoss])


def changed(row, column, value):
    matrix = T.copy()
    matrix[row, column] = value
    return matrix


@BOTH
@pytest.mark.parametrize(
    ("matrix", "sentence"),
    [
        (T[0], r"shape == \(3,\)"),
        (T[:2], r"shape == \(2, 3\)"),
        (np.empty((0, 0)), r"shape == \(0, 0\)"),
        (0.5, r"shape == \(\)"),
        ([[1.0], [0.5, 0.5]], "rows of equal length"),
        ("identity", "hold numbers"),
        (changed(1, 1, np.nan), "NaN or infinity"),
        (changed(1, 1, np.inf), "NaN or infinity"),
        (changed(1, 1, 0.7), "row 1 sums to 0.9"),
        (changed(1, 1, 0.8003), "row 1 sums to 1.0003"),
        (T.T, "Its columns do: transpose it"),
        ([[1.2, -0.2], [0.0, 1.0]], "from -0.2 to 1.2"),
    ],
)
def test_what_is_no_transition_matrix(cls, matrix, sentence):
    with pytest.raises(ValueError, match=f"transition_matrix.*{sentence}"):
        cls(matrix)


@BOTH
def test_a_sum_that_is_off_by_less_than_the_tolerance(cls):
    assert cls(changed(1, 1, 0.80005)).transition_matrix[1, 1] == pytest.approx(0.80005)


@BOTH
@pytest.mark.parametrize(
    ("given", "dtype"),
    [
        (T, torch.float32),
        (T.astype(np.float32), torch.float32),
        (T.tolist(), torch.float32),
        (torch.as_tensor(T), torch.float64),
        (torch.eye(3, dtype=torch.int64), torch.float32),
    ],
    ids=["numpy", "numpy32", "list", "float64", "integers"],
)
def test_any_kind_of_array_is_copied_to_a_buffer(cls, given, dtype):
    before = np.array(given if isinstance(given, list) else np.asarray(given))
    criterion = cls(given)
    (buffer,) = [b for name, b in criterion.named_buffers() if name == "transition_matrix"]
    assert buffer.dtype == dtype
    np.testing.assert_allclose(buffer.double(), before, atol=1e-3)
    buffer.zero_()
    np.testing.assert_array_equal(np.asarray(given), before)


@BOTH
def test_dtype_is_that_of_the_logits(cls):
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        assert cls(T)(torch.zeros(2, 3, dtype=dtype), torch.tensor([0, 1])).dtype == dtype


@BOTH
def test_it_is_part_of_the_state(cls):
    z, y = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 3
    criterion, other = cls(T), cls(np.eye(3))
    assert criterion(z, y) != other(z, y)
    other.load_state_dict(criterion.state_dict())
    assert criterion(z, y) == other(z, y)


@BOTH
@pytest.mark.parametrize("shape", [(2, 4), (2, 2), (3,)])
def test_logits_of_another_number_of_classes(cls, shape):
    with pytest.raises(ValueError, match="transition_matrix is for 3 classes"):
        cls(T)(torch.zeros(shape), torch.tensor([0, 1]))
