"""The gradients that a selection by the current network would compare."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from ..data import read_labels
from ..label_noise import LabelQuality
from .row_outputs import compute_row_outputs


def loss_gradients(net: Any, X: Any, y: Any = None) -> np.ndarray:
    """Return the gradients that a selection by the current network would compare.

    Parameters
    ----------
    net : CRUSTClassifier
        Fitted.
    X : input data
        As in `fit`.
    y : array-like of shape (n_samples,), default=None
        The labels whose losses are differentiated; None only where X is a Dataset that holds
        them.

    Returns
    -------
    gradients : ndarray of shape (n_samples, n_gradient), dtype float32
        As the parameter `gradient` says. "last-layer": the whole matrix of each row, n_classes
        times n_features entries. "leave-one-out": predicted from these rows alone, without what
        earlier selections have found; of more than 32 classes, those that a row is least predicted
        as are zero.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the net has not learnt the classes yet.
    ValueError
        If there are no labels, or labels that are not among the classes.
    FloatingPointError
        If a gradient is not finite.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from crust_sklearn import CRUSTClassifier
    >>> from crust_sklearn.modules import MLP
    >>> from crust_sklearn.nets.loss_gradients import loss_gradients
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = CRUSTClassifier(MLP, gradient="logits", max_epochs=2, verbose=0).fit(X, y)
    >>> loss_gradients(clf, X, y).shape
    (150, 3)
    """
    check_is_fitted(
        net,
        ["module_", "classes_"],
        msg="This %(name)s is not fitted: gradients are those of a trained network. Call fit "
        "before.",
    )
    labels = net.get_labels(X, y)
    if labels is None:
        raise ValueError("y is None, and X holds no labels that can be read: give one per row.")
    dataset = net.get_dataset(X, labels)
    is_left_out = net.gradient == "leave-one-out"
    outputs = compute_row_outputs(
        net,
        dataset,
        gradient=None if is_left_out else net.gradient,
        gradient_layer=net.gradient_layer,
    )
    if is_left_out:
        codes = np.asarray(read_labels(dataset)).astype(np.int64)
        quality = LabelQuality.start(codes, len(net.classes_)).update(outputs.features)
        residuals = quality.residuals
        return residuals.toarray() if sparse.issparse(residuals) else residuals
    assert outputs.gradients is not None
    if outputs.metric is None:
        return outputs.gradients
    n_left = outputs.metric.n_left
    left, right = outputs.gradients[:, :n_left], outputs.gradients[:, n_left:]
    return (left[:, :, None] * right[:, None, :]).reshape(len(left), -1)
