from fractions import Fraction
from numbers import Integral

import numpy as np
import pandas as pd
import pytest
import torch

from crust_sklearn._validation import (
    check_choice,
    check_coreset_size,
    check_number,
    check_sample_weight,
)


@pytest.mark.parametrize("value", ["lazy", "stochastic", None])
def test_choice(value):
    assert check_choice("mode", value, ["lazy", "stochastic", None]) == value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("lasy", r"^mode='lasy' is not valid. Choose one of 'lazy', None. Did you mean 'lazy'\?$"),
        ("something", r"^mode='something' is not valid. Choose one of 'lazy', None.$"),
        (3, r"^mode=3 is not valid. Choose one of 'lazy', None.$"),
        (np.zeros(2), "^mode=array"),
        ([], r"^mode=\[\] is not valid"),
    ],
)
def test_no_choice(value, message):
    with pytest.raises(ValueError, match=message):
        check_choice("mode", value, iter(["lazy", None]))


@pytest.mark.parametrize(
    ("value", "options"),
    [
        (0, {"low": 0}),
        (0.5, {"low": 0, "high": 1, "open_low": True}),
        (1, {"low": 0, "high": 1}),
        (np.float32(0.5), {"low": 0}),
        (np.int8(3), {"low": 1, "kind": Integral}),
    ],
)
def test_number(value, options):
    assert check_number("size", value, **options) is value


@pytest.mark.parametrize(
    ("value", "options", "error", "message"),
    [
        (-1, {"low": 0}, ValueError, "^size must be a number at least 0; got -1.$"),
        (0, {"low": 0, "open_low": True}, ValueError, "size must be a number greater than 0; got"),
        (2, {"low": 0, "high": 1}, ValueError, "at least 0 and at most 1; got 2"),
        (np.nan, {"low": 0}, ValueError, "got nan"),
        (np.inf, {"low": 0, "high": 9}, ValueError, "got inf"),
        (0, {"low": 1, "kind": Integral}, ValueError, "size must be an integer at least 1"),
        (1.0, {"low": 1, "kind": Integral}, TypeError, "size must be an integer .*got 1.0"),
        (True, {"low": 0}, TypeError, "got True"),
        (np.True_, {"low": 0}, TypeError, "size must be a number"),
        ("1", {"low": 0}, TypeError, "got '1'"),
        (None, {"low": 0}, TypeError, "got None"),
        (1j, {"low": 0}, TypeError, "size must be a number"),
    ],
)
def test_no_number(value, options, error, message):
    with pytest.raises(error, match=message):
        check_number("size", value, **options)


@pytest.mark.parametrize(
    "size", [1, 10, np.int64(3), 1.0, 0.5, 1e-9, np.float32(0.5), Fraction(1, 3)]
)
def test_coreset_size(size):
    assert check_coreset_size(size, 10) is size
    assert check_coreset_size(size) is size


@pytest.mark.parametrize(
    ("size", "error", "message"),
    [
        *((size, ValueError, f"coreset_size={size!r} is out of range. Give a float")
          for size in (0, -3, 0.0, -0.5, 1.0001, np.nan, np.inf, -np.inf)),
        (11, ValueError, "coreset_size=11 is more than the n_samples=10 rows to choose from. Give"),
        *((size, TypeError, "coreset_size=.* is not a number. Give a float")
          for size in (None, True, np.False_, "0.5", [0.5], 1j)),
    ],
)  # fmt: skip
def test_no_coreset_size(size, error, message):
    with pytest.raises(error, match=message):
        check_coreset_size(size, 10)


@pytest.mark.parametrize(
    "weights",
    [
        [1, 0, 2.5],
        (1, 0, 2.5),
        np.array([1, 0, 2.5], np.float32),
        pd.Series([1, 0, 2.5], index=[7, 8, 9]),
        torch.tensor([1, 0, 2.5], requires_grad=True),
        ["1", "0", "2.5"],
    ],
)
def test_sample_weight(weights):
    checked = check_sample_weight(weights, 3)
    assert checked.dtype == np.float64
    assert checked.tolist() == [1.0, 0.0, 2.5]


def test_no_sample_weight():
    assert check_sample_weight(None, 3) is None


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 2], r"sample_weight.shape == \(2,\), expected \(3,\): one weight per row"),
        (np.ones((3, 1)), r"sample_weight.shape == \(3, 1\), expected \(3,\)"),
        (1.0, r"sample_weight.shape == \(\), expected"),
        ([1, np.nan, 1], "sample_weight contains NaN or infinity. Give one finite"),
        ([1, np.inf, 1], "sample_weight contains NaN or infinity"),
        ([1, -1e-9, 1], "sample_weight contains negative values. Weights must be at least 0"),
        ([0, 0, 0], "sample_weight is zero for every row"),
        ([1e308] * 3, r"sample_weight is too large: of up to 1e\+308.*Divide it by its largest"),
        (["a", "b", "c"], "sample_weight must hold numbers: could not convert"),
        ([[1], [1, 2], 3], "sample_weight must hold numbers"),
        ([None, {}, 1], "sample_weight must hold numbers"),
    ],
)
def test_bad_sample_weight(weights, message):
    with pytest.raises(ValueError, match=message):
        check_sample_weight(weights, 3)
