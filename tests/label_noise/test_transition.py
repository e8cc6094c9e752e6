import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crust_sklearn import metrics
from crust_sklearn.label_noise import estimate_transition_matrix

SEEDS = st.integers(0, 2**32 - 1)
METHODS = pytest.mark.parametrize("method", ["confident-joint", "anchor"])


def slow_confident_joint(y, proba):
    """Northcutt et al. 2021, Eq. 1 to 3, row by row."""
    n_classes = proba.shape[1]
    thresholds = [
        np.mean([p[j] for p, given_ in zip(proba, y, strict=True) if given_ == j])
        for j in range(n_classes)
    ]
    C = np.zeros((n_classes, n_classes))
    for p, i in zip(proba, y, strict=True):
        above = [j for j in range(n_classes) if p[j] >= thresholds[j]]
        if above:
            C[i, max(above, key=lambda j: p[j])] += 1
    for i in range(n_classes):
        C[i, i] = max(C[i, i], 1)
    return np.array([C[i] / C[i].sum() * (y == i).sum() for i in range(n_classes)])


@given(st.integers(2, 5), st.integers(0, 60), st.sampled_from([0.2, 1.0, 5.0]), SEEDS)
@settings(max_examples=60)
def test_confident_joint_row_by_row(n_classes, n_more, spread, seed):
    rng = np.random.RandomState(seed)
    y = np.r_[np.arange(n_classes), rng.randint(0, n_classes, n_more)]
    proba = rng.dirichlet(np.full(n_classes, spread), len(y))
    joint = slow_confident_joint(y, proba)
    T = estimate_transition_matrix(y, proba)
    np.testing.assert_allclose(T, (joint / joint.sum(axis=0)).T)
    np.testing.assert_allclose(T.sum(axis=1), 1)
    # what is calibrated: the given labels keep their numbers
    np.testing.assert_allclose(joint.sum(axis=0) @ T, np.bincount(y))


@METHODS
@given(st.integers(2, 40), st.integers(0, 9), SEEDS)
@settings(max_examples=30)
def test_exact_probabilities_give_the_exact_matrix(method, n_classes, n_wrong, seed):
    # n_wrong of 20 labels of each class i go to i + 1; no model can know more than T[true class]
    rng = np.random.RandomState(seed)
    T = np.eye(n_classes) * (20 - n_wrong) + np.roll(np.eye(n_classes), 1, axis=1) * n_wrong
    true, y = np.nonzero(T)
    counts = T[true, y].astype(int)
    true, y = np.repeat(true, counts), np.repeat(y, counts)
    order = rng.permutation(len(y))
    T /= 20
    estimate = estimate_transition_matrix(y[order], T[true[order]], method=method)
    np.testing.assert_allclose(estimate, T, atol=1e-12)


def test_the_anchor_is_the_row_at_the_quantile():
    y = np.repeat([0, 1], 101)
    p = np.r_[np.random.RandomState(0).permutation(101) / 100, np.zeros(101)]
    proba = np.c_[p, 1 - p]
    for quantile, expected in ((1, 1.0), (0.97, 0.97), (0.5, 0.5), (0.001, 0.0)):
        T = estimate_transition_matrix(y, proba, method="anchor", quantile=quantile)
        np.testing.assert_allclose(T, [[expected, 1 - expected], [0, 1]])


def test_rounded_probabilities_give_rows_that_sum_to_one():
    proba = np.array([[0.9, 0.1005], [0.2, 0.7995]])
    T = estimate_transition_matrix([0, 1], proba, method="anchor")
    np.testing.assert_allclose(T.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(T, proba, atol=1e-3)


@METHODS
def test_transition_matrix_of_labels_in_any_order_and_type(method):
    rng = np.random.RandomState(0)
    codes, proba = rng.randint(0, 3, 80), rng.dirichlet([0.5] * 3, 80)
    T = estimate_transition_matrix(codes, proba, method=method)
    order = [2, 0, 1]
    permuted = estimate_transition_matrix(codes, proba[:, order], method=method, labels=order)
    np.testing.assert_allclose(permuted, T[np.ix_(order, order)])
    names = pd.Series(["ant", "bee", "cow"])[codes]
    tensor = torch.tensor(proba)
    np.testing.assert_allclose(estimate_transition_matrix(names, tensor, method=method), T)


@METHODS
def test_a_class_without_rows_is_left_alone(method):
    y = np.array([0, 0, 2, 2])
    proba = np.array([[0.8, 0.1, 0.1], [0.7, 0.1, 0.2], [0.1, 0.1, 0.8], [0.1, 0.0, 0.9]])
    T = estimate_transition_matrix(y, proba, method=method, labels=[0, 1, 2])
    np.testing.assert_allclose(T[1], [0, 1, 0])
    np.testing.assert_allclose(T.sum(axis=1), 1)
    if method == "confident-joint":
        np.testing.assert_allclose(T, np.eye(3))


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        (([0, 1], np.eye(2)), {"method": "anchors"}, "Did you mean 'anchor'"),
        (([0, 1], np.eye(2)), {"quantile": 0.0}, "quantile must be a number greater than 0"),
        (([0, 1], np.eye(2)), {"quantile": 1.1}, "at most 1"),
        (([0, 1, 1], np.eye(2)), {}, r"proba.shape == \(2, 2\), expected \(3, 2\)"),
        (([0, 1], [0.5, 0.5]), {}, r"proba.shape == \(2,\)"),
        (([0, 0], np.eye(2)), {}, "proba has 2 columns.*parameter labels"),
        (([0, 1], [[4.0, -1.0], [0.0, 1.0]]), {}, "logits need a softmax"),
        (([0, 3], np.eye(2)), {"labels": [0, 1]}, r"y holds labels .* \[3\]"),
        (([0, 1], [["a", "b"]]), {}, "proba must hold numbers"),
        (([0, 1], np.eye(2)), {"quantile": "all"}, "quantile must be a number"),
        (([], np.empty((0, 2))), {}, "y holds no rows"),
    ],
)
def test_bad_input_of_the_estimate(args, kwargs, message):
    with pytest.raises((ValueError, TypeError), match=message):
        estimate_transition_matrix(*args, **kwargs)


def test_metrics_has_it_too():
    assert metrics.estimate_transition_matrix is estimate_transition_matrix
