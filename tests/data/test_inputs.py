"""What X may be, and what it tells of a module's sizes."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from torch import nn
from torch.utils.data import TensorDataset

from crust_sklearn.data.inputs import (
    check_finite,
    check_kind,
    get_parameters,
    get_row_shape,
    get_sizes,
    is_tensor,
    takes_names,
)


@pytest.mark.parametrize(
    "X, expected",
    [
        (torch.zeros(2), True),
        (nn.Parameter(torch.zeros(2)), True),
        (np.zeros(2), False),
        (pd.DataFrame([[1.0]]), False),
        ([1.0], False),
        (None, False),
    ],
)
def test_is_tensor(X, expected):
    assert is_tensor(X) is expected


NESTINGS = {
    "array": np.asarray,
    "3-d": lambda x: x.reshape(2, 2, 1),
    "float32": lambda x: x.astype(np.float32),
    "tensor": torch.tensor,
    "frame": pd.DataFrame,
    "mixed frame": lambda x: pd.DataFrame(x).assign(name=["a", "b"]),
    "dict": lambda x: {"ids": np.arange(2), "x": x},
    "nested": lambda x: {"a": [np.ones(2), torch.tensor(x)]},
    "tuple": lambda x: (np.ones(2), x),
    "list of rows": lambda x: x.tolist() and list(x),
}


@pytest.mark.parametrize("kind", NESTINGS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_found(kind, bad):
    good = NESTINGS[kind](np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert check_finite(good) is good
    with pytest.raises(ValueError, match="X contains (NaN|infinity)"):
        check_finite(NESTINGS[kind](np.array([[1.0, 2.0], [3.0, bad]])))


@pytest.mark.parametrize(
    "X",
    [
        np.arange(3),
        np.array(["a", "b"]),
        np.array([1, "b", None], dtype=object),
        torch.arange(3),
        torch.tensor([True]),
        {},
        [],
        pd.DataFrame({"a": ["x", None], "b": pd.Categorical(["u", "v"])}),
        sparse.csr_matrix(np.eye(2)),
        None,
    ],
    ids=str,
)
def test_what_holds_no_floats_passes(X):
    assert check_finite(X) is X


def takes_two(left, right=None):
    pass


def takes_any(X, **kwargs):
    pass


@pytest.mark.parametrize(
    "function, names, expected",
    [
        (takes_two, ["left", "right"], True),
        (takes_two, ["left"], True),
        (takes_two, ["left", "up"], False),
        (takes_two, [0, 1], False),
        (takes_any, ["left", "up"], True),
        (nn.Linear(2, 2).forward, ["input"], True),
        (nn.Linear(2, 2).forward, ["x"], False),
        (dict, ["x"], False),
    ],
)
def test_takes_names(function, names, expected):
    assert takes_names(function, names) is expected


def test_parameters_that_cannot_be_read():
    assert get_parameters(dict) == []
    assert get_parameters(3) == []
    assert [p.name for p in get_parameters(nn.Identity)] == ["args", "kwargs"]
    assert [p.name for p in get_parameters(takes_two)] == ["left", "right"]


@pytest.mark.parametrize(
    "shape, n_classes, expected",
    [
        ((4,), 3, {"num_classes": 3, "in_features": 4}),
        ((3, 8, 6), 2, {"num_classes": 2, "in_features": 144, "in_channels": 3}),
        ((1, 8), None, {"in_features": 8, "in_channels": 1}),
        ((), 5, {"num_classes": 5}),
        ((), None, {}),
    ],
)
def test_get_sizes(shape, n_classes, expected):
    assert get_sizes(shape, n_classes) == expected


@pytest.mark.parametrize(
    "X, expected",
    [
        (np.zeros((5, 4)), (4,)),
        (torch.zeros(5, 3, 8, 6), (3, 8, 6)),
        (sparse.csr_matrix(np.eye(5)), (5,)),
        (pd.DataFrame(np.zeros((5, 2))), (2,)),
        (TensorDataset(torch.zeros(5, 3, 2)), (3, 2)),
        ({"a": np.zeros((5, 4))}, ()),
        ([np.zeros((5, 4))], ()),
        (np.array(["a", "b"]), ()),
    ],
)
def test_get_row_shape(X, expected):
    assert get_row_shape(X) == expected


@pytest.mark.parametrize(
    "X, match",
    [
        (pd.Series([1.0, 2.0]), "to_frame"),
        (pd.DataFrame({"a": [1.0], "b": ["x"]}), r"columns \['b'\].*OneHotEncoder"),
        (pd.DataFrame({"b": pd.Categorical(["u"])}), r"columns \['b'\]"),
        (pd.DataFrame({"b": pd.to_datetime(["2020-01-01"])}), r"columns \['b'\].*dates"),
        (torch.zeros(2, 2, dtype=torch.complex64), "complex"),
        (np.zeros((2, 2), dtype="m8[s]"), "time spans"),
    ],
)
def test_rows_that_torch_cannot_take_are_refused(X, match):
    with pytest.raises(ValueError, match=match):
        check_kind(X)


@pytest.mark.parametrize("dtype", [">f4", ">f8", ">i4", np.longdouble])
def test_other_layouts_are_converted(dtype):
    X = np.arange(6, dtype=dtype).reshape(3, 2)
    found = check_kind(X)
    assert found.dtype.isnative
    assert found.dtype.itemsize <= 8
    assert found.tolist() == [[0, 1], [2, 3], [4, 5]]


@pytest.mark.parametrize(
    "X",
    [
        np.zeros((2, 2), np.float32),
        np.zeros((2, 2), np.uint8),
        torch.zeros(2),
        pd.DataFrame({"a": [1.0], "b": [True], "c": pd.Series([1], dtype="Int64")}),
        pd.DataFrame({"a": np.array([1, 2.5], dtype=object)}),
        ["a"],
        None,
    ],
    ids=str,
)
def test_what_torch_can_take_is_left_as_it_is(X):
    assert check_kind(X) is X
