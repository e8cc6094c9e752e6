"""Labels of any kind that scikit-learn takes, as codes 0..n_classes-1 and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

HAS_MISSING = "Input y contains NaN. Give every row a label, or leave it out."


class LabelCodec:
    """Encode labels as the columns of the module's output, and decode predictions.

    Parameters
    ----------
    classes : array-like of shape (n_classes,)
        The labels, in the order of the columns.

    Examples
    --------
    >>> from crust_sklearn.labels import LabelCodec
    >>> codec = LabelCodec(["ham", "spam"])
    >>> codec.encode(["spam", "ham"]), codec.decode([0, 1])
    (array([1, 0]), array(['ham', 'spam'], dtype='<U4'))
    """

    def __init__(self, classes: Any):
        self.classes = np.asarray(classes)
        if len(np.unique(self.classes)) < len(self.classes):
            raise ValueError(f"classes={classes!r} holds a label twice. Give each label once.")
        self._order = np.argsort(self.classes, kind="stable")

    @property
    def is_identity(self) -> bool:
        """Whether labels and codes are the same numbers."""
        return self.classes.dtype.kind in "iu" and np.array_equal(
            self.classes, np.arange(len(self.classes))
        )

    def knows(self, y: Any) -> bool:
        """Return whether every label of y is one of the classes."""
        return bool(np.isin(y, self.classes).all())

    def encode(self, y: Any) -> np.ndarray:
        """Return the codes of y, of shape (n_samples,) and dtype int64.

        Raises
        ------
        ValueError
            If y holds a label that is not among the classes.
        """
        y = np.asarray(y)
        if not self.knows(y):
            unknown = np.setdiff1d(y, self.classes)[:5].tolist()
            raise ValueError(
                f"y contains labels that are not among the classes: {unknown}. Pass all labels "
                "that will occur by the parameter `classes`, or to the first call of "
                "partial_fit."
            )
        position = np.searchsorted(self.classes, y, sorter=self._order)
        return self._order[position].astype(np.int64)

    def decode(self, codes: Any) -> np.ndarray:
        """Return the labels of the codes, of shape (n_samples,)."""
        return self.classes[np.asarray(codes)]


def check_labels(y: Any) -> np.ndarray:
    """Return labels as a 1-d array.

    Parameters
    ----------
    y : array-like or tensor of shape (n_samples,) or (n_samples, 1)

    Returns
    -------
    y : ndarray of shape (n_samples,)

    Raises
    ------
    ValueError
        If y is not one-dimensional, is continuous, or contains NaN.
    """
    if hasattr(y, "detach"):
        y = y.detach().cpu().numpy()
    elif hasattr(y, "isna") and (dtype := _find_numpy_dtype(y)) is not None:
        if np.any(y.isna()):
            raise ValueError(HAS_MISSING)
        y = y.to_numpy(dtype=dtype)
    y = column_or_1d(y, warn=True)
    if y.dtype.kind == "f":
        assert_all_finite(y, input_name="y")
    elif y.dtype.kind == "O" and any(map(_is_missing, y)):
        raise ValueError(HAS_MISSING)
    check_classification_targets(y)
    return y


def _find_numpy_dtype(y: Any) -> Any:
    """Return the dtype of pandas' booleans or integers, which scikit-learn makes floats of."""
    dtypes = [y.dtype] if hasattr(y, "dtype") else list(y.dtypes)
    kinds = {getattr(dtype, "kind", "O") for dtype in dtypes}
    if len(kinds) != 1 or not kinds <= set("biu"):
        return None
    return np.result_type(*(getattr(dtype, "numpy_dtype", dtype) for dtype in dtypes))


def get_label_classes(judge: Any) -> np.ndarray:
    """Return the classes as labels are given: not their names, where `classes` has given these.

    Parameters
    ----------
    judge : LabelAuditor or NoisyLabelClassifier
        Fitted.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
    """
    codec = getattr(judge, "codec_", None)
    return np.asarray(judge.classes_ if codec is None else codec.classes)


def _is_missing(label: Any) -> bool:
    # NaN does not equal itself, and pandas' NA does not say.
    equal = label == label
    return label is None or not isinstance(equal, bool | np.bool_) or not equal


def check_rows(name: str, y: Any) -> np.ndarray:
    """Return labels of at least one row as a 1-d array; errors say `name`."""
    try:
        y = check_labels(y)
    except ValueError as error:
        raise ValueError(f"{name} must hold one class label per row: {error}") from error
    if not len(y):
        raise ValueError(f"{name} holds no rows. Give at least one.")
    return y


def unite_labels(*parts: np.ndarray) -> np.ndarray:
    """Return all labels in sorted order, each once."""
    # Not sklearn's unique_labels: it takes a list of classes for continuous targets, and warns.
    if len({isinstance(part[0], str) for part in parts if len(part)}) > 1:
        raise ValueError(
            "Some labels are strings and some are numbers, which are never equal. Give all of "
            "them as one or the other."
        )
    return np.unique(np.concatenate(parts))


def check_classes(labels: Any, given: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return `labels`, which must hold all that are given, or without it the ones given."""
    if labels is None:
        return unite_labels(*given.values())
    classes = np.asarray(labels)
    if classes.ndim != 1:
        raise ValueError(f"labels.shape == {classes.shape}, expected (n_classes,).")
    if len(np.unique(classes)) < len(classes):
        raise ValueError(f"labels={labels!r} holds a label twice. Give each label once.")
    for name, y in given.items():
        unknown = np.setdiff1d(unite_labels(y, classes), classes)
        if len(unknown):
            raise ValueError(
                f"{name} holds labels that are not among labels={classes.tolist()}: "
                f"{unknown[:5].tolist()}. Name all classes in labels."
            )
    return classes


def check_several_classes(classes: np.ndarray) -> None:
    """Raise if there is nothing to tell apart."""
    if len(classes) < 2:
        found = f"one class only, {classes.tolist()}" if len(classes) else "no labels"
        raise ValueError(
            f"y contains {found}: there is nothing to tell apart. Give rows of at least two "
            "classes."
        )


def name_labels(labels: np.ndarray, class_names: Any, classes: np.ndarray) -> np.ndarray:
    """Return what each label is called where people look at it.

    Parameters
    ----------
    labels : ndarray of shape (n_labels,)
    class_names : sequence of shape (n_classes,), dict or None
        The names of the classes, in their order or by label; None: labels are called as they are.
    classes : ndarray of shape (n_classes,)

    Returns
    -------
    names : ndarray of shape (n_labels,), dtype object

    Raises
    ------
    ValueError
        If a class has no name.
    """
    if class_names is None:
        return np.array([str(label) for label in labels.tolist()], object)
    if not isinstance(class_names, Mapping):
        if len(class_names) != len(classes):
            raise ValueError(
                f"class_names has {len(class_names)} entries, and there are {len(classes)} "
                "classes. Give one name for each of classes_, in this order, or a dict by label."
            )
        class_names = dict(zip(np.asarray(classes).tolist(), class_names, strict=True))
    if missing := [label for label in np.unique(labels).tolist() if label not in class_names]:
        raise ValueError(f"class_names lacks the labels {missing[:5]}. Give a name for each.")
    return np.array([str(class_names[label]) for label in labels.tolist()], object)
