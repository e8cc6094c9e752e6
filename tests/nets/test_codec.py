"""Which labels are which columns: decided in the first call, kept in the others."""

import numpy as np
import pytest

from crust_sklearn.labels import LabelCodec
from crust_sklearn.nets.codec import check_classes, choose_codec, is_names

Y = np.array(["b", "a", "c", "a"])


def choose(labels=Y, declared=None, also=None, known=None):
    return choose_codec(labels, declared, also, known)


def test_classes_are_the_sorted_labels():
    codec = choose()
    assert codec.classes.tolist() == ["a", "b", "c"]
    assert codec.encode(Y).tolist() == [1, 0, 2, 0]


@pytest.mark.parametrize("name", ["declared", "also"])
def test_classes_may_be_more_than_the_labels(name):
    assert choose(**{name: ["a", "b", "c", "d"]}).classes.tolist() == ["a", "b", "c", "d"]


def test_declared_classes_keep_their_order_and_those_of_partial_fit_are_sorted():
    order = ["c", "a", "b"]
    assert choose(declared=order).classes.tolist() == order
    assert choose(also=order).classes.tolist() == ["a", "b", "c"]


@pytest.mark.parametrize("name", ["declared", "also"])
def test_labels_that_are_not_among_them(name):
    with pytest.raises(ValueError, match=r"not among the classes: \['c'\]"):
        choose(**{name: ["a", "b"]})


def test_labels_that_are_columns_of_named_classes():
    codec = choose(np.array([2, 0, 1]), ["x", "y", "z"])
    assert codec.classes.tolist() == [0, 1, 2]
    assert codec.is_identity


# F2
@pytest.mark.parametrize("declared", [[1, 2, 3], range(1, 4), [1.0, 2.0, 3.0]])
def test_numbers_are_never_taken_for_columns(declared):
    with pytest.raises(ValueError, match=r"not among the classes: \[0\]"):
        choose(np.array([0, 1, 2]), declared)
    known = choose(np.array([1, 2, 3]), declared)
    with pytest.raises(ValueError, match=r"not among the classes: \[0"):
        choose(np.array([0, 1, 2]), declared, known=known)


@pytest.mark.parametrize("labels", [Y, Y[:1], None])
@pytest.mark.parametrize("options", [{}, {"also": ["c", "b", "a"]}, {"declared": ["a", "b", "c"]}])
def test_later_calls_go_on_with_the_codec(labels, options):
    known = LabelCodec(["a", "b", "c"])
    assert choose(labels, known=known, **options) is known


def test_named_classes_go_on_with_columns():
    known = choose(np.array([0, 1]), ["x", "y"])
    assert choose(np.array([1, 0]), ["x", "y"], known=known) is known


@pytest.mark.parametrize("options", [{"also": ["a", "b"]}, {"declared": ["c", "b", "a"]}])
def test_later_calls_with_other_classes(options):
    with pytest.raises(ValueError, match="is not what the calls before had.*call fit"):
        choose(known=LabelCodec(["a", "b", "c"]), **options)


def test_without_labels_and_classes_nothing_is_known():
    assert choose(None) is None
    assert choose(None, declared=[4, 5]).classes.tolist() == [4, 5]


@pytest.mark.parametrize(
    ("classes", "match"),
    [
        (3, "classes=3 is not a list of labels.*Give one label per class"),
        ("ab", "classes='ab' is not a list"),
        ([[0, 1]], "is not a list"),
        ([0, 1, None], "holds what is no label"),
        ([0.5, 1.5], "holds what is no label.*continuous"),
    ],
)
def test_classes_that_are_none(classes, match):
    with pytest.raises(ValueError, match=match):
        check_classes("classes", classes)


def test_no_classes_at_all():
    assert check_classes("classes", None) is None
    assert check_classes("classes", []) is None


@pytest.mark.parametrize(
    ("classes", "expected"),
    [(["a", "b"], True), ([0, 1], False), ([1.0], False), ([False, True], False)],
)
def test_is_names(classes, expected):
    assert is_names(np.asarray(classes)) is expected
