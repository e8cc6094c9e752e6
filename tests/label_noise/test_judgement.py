"""Judgements of rows, against their definition."""

import numpy as np
import pytest

from crust_sklearn.label_noise import RowJudgement

RNG = np.random.default_rng(0)
PROBA = RNG.dirichlet(np.ones(4), size=50)
CODES = RNG.integers(4, size=50)
WEIGHTS = RNG.uniform(size=50)


def get_best_other(row, code):
    return max((k for k in range(4) if k != code), key=lambda k: row[k])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_are_the_probabilities_of_the_given_labels(dtype):
    judgement = RowJudgement.from_probabilities(PROBA.astype(dtype), CODES)
    own = np.array([row[code] for row, code in zip(PROBA, CODES, strict=True)])
    np.testing.assert_allclose(judgement.scores, own, rtol=1e-6)
    assert judgement.scores.dtype == np.float64
    assert judgement.noise_rate == pytest.approx(1 - own.mean())


def test_the_most_probable_other_label_is_suggested_below_one_half():
    judgement = RowJudgement.from_probabilities(PROBA, CODES)
    for row, code, score, suggested in zip(PROBA, CODES, *judgement[:2], strict=True):
        assert suggested == (get_best_other(row, code) if score < 0.5 else code)
    # Also where no other label is more probable than the given one.
    proba = np.array([[0.4, 0.3, 0.3], [0.5, 0.5, 0.0]])
    judgement = RowJudgement.from_probabilities(proba, np.array([0, 0]))
    assert judgement.suggested.tolist() == [1, 0]


def test_rows_count_by_their_weight_in_the_noise_rate():
    judgement = RowJudgement.from_probabilities(PROBA, CODES, WEIGHTS)
    wrong = 1 - PROBA[np.arange(50), CODES]
    assert judgement.noise_rate == pytest.approx((WEIGHTS * wrong).sum() / WEIGHTS.sum())


def test_scores_of_ones_own_decide():
    scores = RNG.uniform(size=50)
    judgement = RowJudgement.from_probabilities(PROBA, CODES, scores=scores)
    np.testing.assert_array_equal(judgement.scores, scores)
    for row, code, score, suggested in zip(PROBA, CODES, *judgement[:2], strict=True):
        assert suggested == (get_best_other(row, code) if score < 0.5 else code)
    assert judgement.noise_rate == pytest.approx(1 - scores.mean())


def test_scores_are_brought_to_the_unit_interval():
    proba = np.array([[1.0 + 1e-6, 0.0], [0.0, 1.0]])
    judgement = RowJudgement.from_probabilities(proba, np.array([0, 1]))
    assert judgement.scores.tolist() == [1.0, 1.0]
    assert judgement.noise_rate == 0
    scores = np.array([-1e-9, 2.0])
    judgement = RowJudgement.from_probabilities(proba, np.array([0, 1]), scores=scores)
    assert judgement.scores.tolist() == [0.0, 1.0]


def test_what_is_given_is_not_changed():
    before = PROBA.copy()
    RowJudgement.from_probabilities(PROBA, CODES)
    np.testing.assert_array_equal(PROBA, before)
