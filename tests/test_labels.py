from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.exceptions import DataConversionWarning

from crust_sklearn.labels import (
    LabelCodec,
    check_classes,
    check_labels,
    check_rows,
    check_several_classes,
    unite_labels,
)

CLASSES = {
    "codes": [0, 1, 2],
    "gapped": [-7, 3, 1000],
    "not sorted": [5, -1, 2],
    "floats": [0.5, 1.5, -2.0],
    "bools": [False, True],
    "strings": ["ham", "spam", "an owl"],
    "objects": np.array(["b", "a", "long label"], dtype=object),
}


@pytest.mark.parametrize("classes", CLASSES.values(), ids=CLASSES)
@given(data=st.data())
def test_codes_are_positions_and_back(classes, data):
    codec = LabelCodec(classes)
    position = data.draw(st.lists(st.integers(0, len(classes) - 1), max_size=20))
    y = np.array([classes[i] for i in position], dtype=np.asarray(classes).dtype)
    codes = codec.encode(y)
    assert codes.dtype == np.int64
    assert codes.tolist() == position
    assert codec.knows(y)
    assert codec.decode(codes).tolist() == y.tolist()
    assert codec.decode(codes).dtype == np.asarray(classes).dtype


@pytest.mark.parametrize(
    ("classes", "y", "unknown"),
    [
        ([0, 1], [0, 1, 2, 5], r"\[2, 5\]"),
        (["a", "b"], ["a", "c"], r"\['c'\]"),
        ([False, True], [0, 2], r"\[2\]"),
        ([2, 10], ["10"], r"\['10'\]"),
        ([0, 1], range(10, 20), r"\[10, 11, 12, 13, 14\]\."),
    ],
)
def test_unknown_labels_are_named(classes, y, unknown):
    codec = LabelCodec(classes)
    assert not codec.knows(y)
    with pytest.raises(ValueError, match=rf"not among the classes: {unknown}.*partial_fit"):
        codec.encode(y)


@pytest.mark.parametrize(
    ("classes", "identity"),
    [([0, 1, 2], True), (np.arange(3, dtype=np.uint8), True), ([1, 0], False), ([1, 2], False)]
    + [([0.0, 1.0], False), ([False, True], False), (["0", "1"], False)],
)
def test_is_identity(classes, identity):
    assert LabelCodec(classes).is_identity is identity


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        ([1, 0], np.array([1, 0])),
        (("a", "b"), np.array(["a", "b"])),
        (torch.tensor([1, 0]), np.array([1, 0])),
        (torch.tensor([True, False]), np.array([True, False])),
        (pd.Series([1, 0], index=[5, 9]), np.array([1, 0])),
        (pd.Series(["a", "b"], dtype="category"), np.array(["a", "b"], dtype=object)),
        (np.array([1.0, 2.0]), np.array([1.0, 2.0])),
    ],
)
def test_check_labels_returns_the_labels(y, expected):
    labels = check_labels(y)
    assert isinstance(labels, np.ndarray)
    assert labels.shape == expected.shape
    assert labels.dtype.kind == expected.dtype.kind
    assert labels.tolist() == expected.tolist()


def test_a_column_is_accepted_with_a_warning():
    with pytest.warns(DataConversionWarning, match="column-vector"):
        labels = check_labels(np.array([[1], [0]]))
    assert labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([0.0, np.nan], "Input y contains NaN"),
        ([0.0, np.inf], "Input y contains infinity"),
        (np.array(["a", None], dtype=object), "Input y contains NaN. Give every row a label"),
        (np.array(["a", np.nan], dtype=object), "Input y contains NaN. Give every row a label"),
        (pd.Series(["a", None]), "Input y contains NaN"),
        (pd.Series([1, None], dtype="Int64"), "Input y contains NaN"),
        (np.array(["a", pd.NA], dtype=object), "Input y contains NaN"),
        (torch.tensor([0.0, torch.nan]), "Input y contains NaN"),
        ([0.1, 0.7, 0.3], "continuous"),
        (np.eye(3, dtype=int), "1d array"),
        (torch.zeros(2, 2), "1d array"),
    ],
)
def test_bad_labels(y, message):
    with pytest.raises(ValueError, match=message):
        check_labels(y)


def test_several_classes():
    check_several_classes(np.array([0, 1]))
    with pytest.raises(ValueError, match=r"one class only, \['a'\].*at least two classes"):
        check_several_classes(np.array(["a"]))
    with pytest.raises(ValueError, match="y contains no labels.*at least two classes"):
        check_several_classes(np.array([]))


def test_rows_are_named_in_errors():
    assert check_rows("y_pred", ["b", "a"]).tolist() == ["b", "a"]
    with pytest.raises(ValueError, match="y_pred must hold one class label per row: .*NaN"):
        check_rows("y_pred", [0.0, np.nan])
    with pytest.raises(ValueError, match="y_pred holds no rows"):
        check_rows("y_pred", [])


def test_classes_are_the_ones_given_or_hold_them():
    given_labels = {"y_true": np.array([3, 1]), "y_pred": np.array([2, 3])}
    assert check_classes(None, given_labels).tolist() == [1, 2, 3]
    assert check_classes([9, 3, 2, 1], given_labels).tolist() == [9, 3, 2, 1]
    with pytest.raises(ValueError, match=r"y_pred holds labels .* \[2\]. Name all classes"):
        check_classes([3, 1], given_labels)
    with pytest.raises(ValueError, match="holds a label twice"):
        check_classes([1, 1], {})
    with pytest.raises(ValueError, match="expected .n_classes"):
        check_classes([[1, 2]], {})


def test_strings_are_not_united_with_numbers():
    assert unite_labels(np.array(["b"]), np.array([]), np.array(["a"])).tolist() == ["a", "b"]
    with pytest.raises(ValueError, match="Some labels are strings and some are numbers"):
        unite_labels(np.array(["1"]), np.array([1]))


def test_a_label_twice_is_refused():
    with pytest.raises(ValueError, match="holds a label twice"):
        LabelCodec([0, 1, 1])


@pytest.mark.parametrize(
    "make", [pd.Series, pd.array, lambda y, dtype: pd.DataFrame({"y": y}, dtype=dtype)]
)
@pytest.mark.filterwarnings("ignore:A column-vector y")
def test_booleans_of_pandas_are_booleans(make):
    labels = check_labels(make([True, False, True], dtype="boolean"))
    assert labels.dtype == bool
    assert labels.tolist() == [True, False, True]
    with pytest.raises(ValueError, match="y contains NaN"):
        check_labels(make([True, None], dtype="boolean"))


@pytest.mark.parametrize("kind", ["Series", "one column"])
@pytest.mark.parametrize(
    ("dtype", "values", "expected"),
    [
        ("Int64", [2**60 + 1, 2**60 + 2, 2**60 + 1], np.int64),
        ("UInt8", [1, 0, 1], np.uint8),
        ("int32", [1, 0, 1], np.int32),
    ],
)
def test_integers_of_pandas_stay_what_they_are(kind, dtype, values, expected):
    y = pd.Series(values, dtype=dtype)
    with pytest.warns(DataConversionWarning) if kind == "one column" else nullcontext():
        found = check_labels(y if kind == "Series" else y.to_frame())
    assert found.dtype == expected
    assert found.tolist() == values


def test_missing_integers():
    with pytest.raises(ValueError, match="Give every row a label"):
        check_labels(pd.Series([1, 0, None], dtype="Int64"))
