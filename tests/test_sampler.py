import pickle

import numpy as np
import pandas as pd
import pytest
from imblearn.base import is_sampler
from imblearn.pipeline import make_pipeline
from imblearn.under_sampling import RandomUnderSampler
from imblearn.utils.estimator_checks import estimator_checks_generator
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from crust_sklearn import CoresetSampler, CoresetSelector
from crust_sklearn.strategies import STRATEGIES, FacilityLocation


@parametrize_with_checks([CoresetSampler(name) for name in sorted(STRATEGIES)])
def test_scikit_learn(estimator, check):
    check(estimator)


NOT_FOR_CORESETS = {
    "check_samplers_one_label": "Nothing is balanced, so that one class will do.",
    "check_samplers_fit": "There is no sampling_strategy_: classes keep their shares.",
    "check_samplers_multiclass_ova": "Labels are one column, never a column per class.",
}


@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
@pytest.mark.parametrize(
    ("estimator", "check"),
    list(
        estimator_checks_generator(
            CoresetSampler(), expected_failed_checks=NOT_FOR_CORESETS, mark="xfail"
        )
    ),
    ids=lambda value: value.func.__name__ if callable(value) else "",
)
def test_imbalanced_learn(estimator, check):
    check(estimator)


def test_imbalanced_learn_knows_it_as_a_sampler():
    assert is_sampler(CoresetSampler())
    tags, theirs = get_tags(CoresetSampler()), get_tags(RandomUnderSampler())
    assert set(dir(theirs)) <= set(dir(tags))
    assert set(dir(theirs.input_tags)) <= set(dir(tags.input_tags))
    assert tags.sampler_tags.sample_indices
    # Distances need numbers.
    assert not tags.input_tags.string
    assert not tags.input_tags.allow_nan


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_keeps_what_the_selector_chooses(strategy):
    X, y = load_iris(return_X_y=True)
    sampler = CoresetSampler(strategy, coreset_size=0.2, random_state=0)
    X_kept, y_kept = sampler.fit_resample(X, y)
    selector = CoresetSelector(strategy, coreset_size=0.2, random_state=0).fit(X, y)
    np.testing.assert_array_equal(X_kept, X[selector.sample_indices_])
    np.testing.assert_array_equal(y_kept, y[selector.sample_indices_])
    for name in ("sample_indices_", "sample_weight_", "assignment_", "objective_"):
        np.testing.assert_array_equal(getattr(sampler, name), getattr(selector, name))


@pytest.mark.parametrize(
    "kind", [np.asarray, pd.DataFrame, sparse.csr_array, sparse.csc_array, np.ndarray.tolist]
)
def test_keeps_the_type_of_X(kind):
    X, y = load_iris(return_X_y=True)
    given = kind(X)
    X_kept, y_kept = CoresetSampler(coreset_size=12).fit_resample(given, pd.Series(y))
    assert type(X_kept) is type(given)
    dense = X_kept.toarray() if sparse.issparse(X_kept) else np.asarray(X_kept)
    sampler = CoresetSampler(coreset_size=12).fit(X, y)
    np.testing.assert_array_equal(dense, X[sampler.sample_indices_])
    assert isinstance(y_kept, pd.Series)
    assert y_kept.index.tolist() == sampler.sample_indices_.tolist()


@pytest.mark.parametrize("format", ["bsr", "coo", "csc", "csr", "dia", "dok", "lil"])
@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csr_matrix])
def test_every_sparse_format_is_resampled(format, kind):
    X, y = load_iris(return_X_y=True)
    X, y = X[::3], y[::3]
    X_kept, y_kept = CoresetSampler(coreset_size=12).fit_resample(kind(X).asformat(format), y)
    expected, _ = CoresetSampler(coreset_size=12).fit_resample(X, y)
    assert sparse.isspmatrix(X_kept) == (kind is sparse.csr_matrix)
    np.testing.assert_array_equal(X_kept.toarray(), expected)
    assert len(y_kept) == 12


def test_columns_that_hold_text_are_refused_by_name():
    X, y = load_iris(return_X_y=True, as_frame=True)
    with pytest.raises(ValueError, match="first in column 'name'.*encode such columns first"):
        CoresetSampler().fit_resample(X.assign(name="iris"), y)
    # Objects that are numbers are as good as numbers.
    kept, _ = CoresetSampler(coreset_size=12).fit_resample(X.astype(object), y)
    expected, _ = CoresetSampler(coreset_size=12).fit_resample(X, y)
    pd.testing.assert_frame_equal(kept.astype(float), expected)


def test_in_the_pipeline_rows_are_dropped_in_fit_only():
    X, y = load_iris(return_X_y=True)
    pipeline = make_pipeline(
        StandardScaler(), CoresetSampler(coreset_size=30), LogisticRegression()
    ).fit(X, y)
    scaled = StandardScaler().fit_transform(X)
    kept = CoresetSelector(coreset_size=30).fit(scaled, y).sample_indices_
    alone = LogisticRegression().fit(scaled[kept], y[kept])
    np.testing.assert_allclose(pipeline.predict_proba(X), alone.predict_proba(scaled))
    assert pipeline.predict(X).shape == (150,)
    assert pipeline[:-1].fit(X, y).get_feature_names_out().tolist() == ["x0", "x1", "x2", "x3"]


def test_grid_search_in_the_pipeline():
    X, y = load_iris(return_X_y=True)
    pipeline = make_pipeline(CoresetSampler(random_state=0), LogisticRegression(max_iter=2000))
    grid = {
        "coresetsampler__strategy": ["centrality", FacilityLocation("stochastic")],
        "coresetsampler__coreset_size": [6, 0.5],
    }
    search = GridSearchCV(pipeline, grid, cv=3, error_score="raise").fit(X, y)
    assert len(search.cv_results_["params"]) == 4
    assert search.best_score_ > 0.9
    epsilon = clone(pipeline).set_params(coresetsampler__strategy__epsilon=0.5)
    assert cross_val_score(epsilon, X, y, error_score="raise").mean() > 0.9


def test_pickle_and_clone():
    X, y = load_iris(return_X_y=True)
    sampler = CoresetSampler("centrality", coreset_size=9).fit(X, y)
    assert pickle.loads(pickle.dumps(sampler)).sample_indices_.tolist() == (
        sampler.sample_indices_.tolist()
    )
    assert not hasattr(clone(sampler), "sample_indices_")
    assert not hasattr(sampler, "transform")


def test_bad_input():
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        CoresetSampler().fit_resample(X, y[:-1])
    with pytest.raises(ValueError, match="Did you mean 'centrality'"):
        CoresetSampler("centrallity").fit_resample(X, y)
    with pytest.raises(ValueError, match="requires y"):
        CoresetSampler().fit_resample(X, None)
