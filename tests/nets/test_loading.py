"""Loaders: no row is lost, no batch is a single row where the module normalizes over it."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import DataLoader

from crust_sklearn.modules import MLP
from crust_sklearn.nets.loading import (
    check_sampler,
    check_single_row,
    check_whole,
    fit_batches,
    has_batch_norm,
)

NORMALIZED, PLAIN = nn.Sequential(nn.BatchNorm1d(2)), nn.Linear(2, 2)


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (nn.BatchNorm1d(2), True),
        (nn.Sequential(nn.Conv2d(1, 1, 1), nn.Sequential(nn.BatchNorm2d(1))), True),
        (nn.SyncBatchNorm(2), True),
        (nn.Sequential(nn.LayerNorm(2), nn.GroupNorm(1, 2)), False),
        (MLP(2, 2), False),
    ],
)
def test_has_batch_norm(module, expected):
    assert has_batch_norm(module) is expected


def get_sizes(kwargs, n_rows):
    loader = DataLoader(torch.arange(n_rows), **kwargs)
    return [len(batch) for batch in loader]


@given(st.integers(2, 200), st.integers(1, 60), st.sampled_from([NORMALIZED, PLAIN]))
def test_no_row_is_lost(n_rows, batch_size, module):
    sizes = get_sizes(fit_batches({"batch_size": batch_size}, n_rows, module), n_rows)
    assert sum(sizes) == n_rows
    if module is NORMALIZED and batch_size > 1:
        assert min(sizes) > 1
        # The next size that leaves no single row.
        fitting = (size for size in range(batch_size, n_rows + 1) if n_rows % size != 1)
        assert max(sizes) <= next(fitting, n_rows)
    else:
        assert max(sizes) <= batch_size


@given(
    st.integers(2, 200),
    st.integers(2, 60),
    st.integers(1, 60),
    st.sampled_from([NORMALIZED, PLAIN]),
)
def test_smaller_batches_so_that_fewer_rows_make_as_many(n_rows, batch_size, most, module):
    usual = get_sizes(fit_batches({"batch_size": batch_size}, n_rows, module), n_rows)
    sizes = get_sizes(fit_batches({"batch_size": batch_size}, n_rows, module, most=most), n_rows)
    assert sum(sizes) == n_rows and len(sizes) <= max(most, len(usual))
    assert max(sizes) <= max(usual)
    assert module is PLAIN or min(sizes) > 1
    if most >= len(usual) and n_rows % most == 0 and n_rows // most > 1:
        assert len(sizes) == most


@given(st.integers(1, 200), st.integers(1, 60))
def test_fewer_rows_than_a_batch_are_one_short_batch_and_more_are_whole_ones(n_rows, batch_size):
    kwargs = {"batch_size": batch_size, "drop_last": True}
    sizes = get_sizes(fit_batches(kwargs, n_rows, PLAIN), n_rows)
    assert sizes == ([batch_size] * (n_rows // batch_size) or [n_rows])
    assert kwargs == {"batch_size": batch_size, "drop_last": True}


def test_a_batch_sampler_decides_for_itself():
    kwargs = {"batch_sampler": [[0, 1]], "batch_size": 2}
    assert fit_batches(kwargs, 5, NORMALIZED) == kwargs


def test_batch_larger_than_all_rows():
    check_whole({"batch_size": 5, "drop_last": True}, 5)
    check_whole({"batch_size": 6}, 5)
    with pytest.raises(ValueError, match="5 training rows are fewer than batch_size=6.*drop_last"):
        check_whole({"batch_size": 6, "drop_last": True}, 5)


@pytest.mark.parametrize("name", ["sampler", "batch_sampler"])
def test_samplers_that_draw_from_all_rows(name):
    check_sampler({name: None, "shuffle": True})
    with pytest.raises(
        ValueError, match=f"iterator_train__{name} draws from all rows.*sample_weight"
    ):
        check_sampler({name: [[0]]})


def test_coreset_of_one_row():
    check_single_row(1, PLAIN)
    check_single_row(2, NORMALIZED)
    with pytest.raises(ValueError, match="one row.*BatchNorm.*Raise coreset_size"):
        check_single_row(1, NORMALIZED)
