import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from packaging.version import Version
from scipy import sparse
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from crust_sklearn import CoresetClassifier, CoresetSelector
from crust_sklearn.strategies import STRATEGIES


@parametrize_with_checks(
    [
        CoresetClassifier(LogisticRegression()),
        CoresetClassifier(LogisticRegression(), CoresetSelector("centrality")),
        # Without the seed the tree draws its features anew in every fit.
        CoresetClassifier(DecisionTreeClassifier(random_state=0)),
    ]
)
def test_scikit_learn(estimator, check):
    check(estimator)


class Recorder(ClassifierMixin, BaseEstimator):
    """Keeps what it is fitted on."""

    def fit(self, X, y, sample_weight=None):
        self.X_, self.y_, self.sample_weight_ = X, y, sample_weight
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        self.predicted_ = X
        return np.full(X.shape[0], self.classes_[0])


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_fits_on_the_weighted_coreset(strategy):
    X, y = load_iris(return_X_y=True)
    weights = np.random.RandomState(0).uniform(size=150)
    selector = CoresetSelector(strategy, coreset_size=12, random_state=0)
    classifier = CoresetClassifier(Recorder(), selector).fit(X, y, sample_weight=weights)
    expected = clone(selector).fit(X, y, sample_weight=weights)
    rows = expected.sample_indices_
    np.testing.assert_array_equal(classifier.estimator_.X_, X[rows])
    np.testing.assert_array_equal(classifier.estimator_.y_, y[rows])
    np.testing.assert_array_equal(classifier.estimator_.sample_weight_, expected.sample_weight_)
    assert not hasattr(selector, "sample_indices_")
    assert not hasattr(classifier.estimator, "X_")


def test_of_all_rows_is_the_classifier_itself():
    X, y = load_iris(return_X_y=True)
    X = X + np.random.RandomState(0).uniform(0, 1e-6, X.shape)  # iris has one duplicate
    alone = LogisticRegression(tol=1e-8, max_iter=5000).fit(X, y)
    whole = CoresetClassifier(
        LogisticRegression(tol=1e-8, max_iter=5000), CoresetSelector(coreset_size=1.0)
    ).fit(X, y)
    np.testing.assert_allclose(whole.predict_proba(X), alone.predict_proba(X), atol=1e-4)
    np.testing.assert_allclose(
        whole.decision_function(X), alone.decision_function(X), atol=1e-3, rtol=1e-3
    )


def test_methods_are_those_of_the_classifier():
    X, y = load_iris(return_X_y=True)
    ridge = CoresetClassifier(RidgeClassifier()).fit(X, y)
    assert not hasattr(ridge, "predict_proba")
    assert ridge.decision_function(X).shape == (150, 3)
    tree = CoresetClassifier(DecisionTreeClassifier(random_state=0)).fit(X, y)
    assert not hasattr(tree, "decision_function")
    assert tree.predict_proba(X).shape == (150, 3)
    assert (tree.predict(X) == tree.classes_[tree.predict_proba(X).argmax(axis=1)]).all()


@pytest.mark.parametrize(
    "labels", [np.array(["a", "b", "c"]), np.array([5, 9, -1]), np.array(["x", "y", "z"], object)]
)
def test_labels_of_any_kind(labels):
    X, y = load_iris(return_X_y=True)
    classifier = CoresetClassifier(LogisticRegression(max_iter=1000)).fit(X, labels[y])
    assert classifier.classes_.tolist() == sorted(labels.tolist())
    assert classifier.score(X, labels[y]) > 0.9


def test_dataframes_stay_dataframes():
    frame, y = load_iris(return_X_y=True, as_frame=True)
    frame.index = y.index = np.arange(150)[::-1] * 3
    classifier = CoresetClassifier(Recorder()).fit(frame, y)
    assert classifier.estimator_.X_.columns.tolist() == frame.columns.tolist()
    rows = classifier.selector_.sample_indices_
    pd.testing.assert_frame_equal(classifier.estimator_.X_, frame.iloc[rows])
    np.testing.assert_array_equal(classifier.estimator_.y_, y.iloc[rows])
    assert classifier.feature_names_in_.tolist() == frame.columns.tolist()
    classifier.predict(frame[:5])
    pd.testing.assert_frame_equal(classifier.estimator_.predicted_, frame[:5])
    with pytest.raises(ValueError, match="feature names"):
        classifier.predict(frame[frame.columns[::-1]])


def test_on_columns_of_a_dataframe():
    frame, y = load_iris(return_X_y=True, as_frame=True)
    columns = ColumnTransformer([("scale", StandardScaler(), list(frame.columns[:2]))])
    columns.set_output(transform="pandas")
    pipeline = make_pipeline(columns, CoresetClassifier(LogisticRegression())).fit(frame, y)
    assert (
        pipeline[-1].estimator_.feature_names_in_.tolist()
        == pipeline[:-1].get_feature_names_out().tolist()
    )
    assert pipeline.score(frame, y) > 0.7


@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csc_matrix])
def test_sparse_is_the_same_as_dense(kind):
    X, y = load_iris(return_X_y=True)
    X = np.where(X > 1.5, X, 0.0)
    dense, thin = (
        CoresetClassifier(Recorder(), CoresetSelector(coreset_size=9)).fit(data, y)
        for data in (X, kind(X))
    )
    assert sparse.issparse(thin.estimator_.X_)
    np.testing.assert_array_equal(thin.estimator_.X_.toarray(), dense.estimator_.X_)


def test_grid_search_over_selector_and_classifier():
    X, y = load_iris(return_X_y=True)
    pipeline = make_pipeline(
        StandardScaler(),
        CoresetClassifier(LogisticRegression(), CoresetSelector(random_state=0)),
    )
    grid = {
        "coresetclassifier__selector__strategy": ["centrality", "uniform"],
        "coresetclassifier__selector__coreset_size": [3, 0.5],
        "coresetclassifier__estimator__C": [0.01, 1.0],
    }
    search = GridSearchCV(pipeline, grid, cv=3, error_score="raise").fit(X, y)
    assert len(search.cv_results_["params"]) == 8
    assert search.best_score_ > 0.9
    best = search.best_estimator_[-1]
    assert (
        best.estimator_.C
        == best.estimator.C
        == search.best_params_["coresetclassifier__estimator__C"]
    )
    epsilon = clone(pipeline).set_params(coresetclassifier__selector__strategy__epsilon=0.5)
    assert epsilon.get_params()["coresetclassifier__selector__strategy__epsilon"] == 0.5


def test_sample_weight_is_routed():
    X, y = load_iris(return_X_y=True)
    weights = (y != 1).astype(float)
    with config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        classifier = CoresetClassifier(LogisticRegression()).set_fit_request(sample_weight=True)
        classifier.set_score_request(sample_weight=True)
        pipeline = make_pipeline(scaler, classifier).fit(X, y, sample_weight=weights)
        assert pipeline[-1].classes_.tolist() == [0, 2]
        # Class 1 is never predicted, which costs nothing where it weighs nothing.
        assert pipeline.score(X, y, sample_weight=weights) == 1.0
        # Pipelines pass on no weights of a cross-validation's scores before 1.7.
        scored = [classifier, pipeline][
            : 2 if Version(sklearn.__version__) >= Version("1.7") else 1
        ]
        for each in scored:
            scores = cross_val_score(
                each, X, y, params={"sample_weight": weights}, error_score="raise"
            )
            assert scores.tolist() == [1.0] * 5


def test_pickle_and_clone():
    X, y = load_iris(return_X_y=True)
    classifier = CoresetClassifier(LogisticRegression(max_iter=500)).fit(X, y)
    copy = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(copy.predict_proba(X), classifier.predict_proba(X))
    assert not hasattr(clone(classifier), "estimator_")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            (KNeighborsClassifier(),),
            ValueError,
            "estimator=KNeighborsClassifier.* does not take sample_weight.*CoresetSampler",
        ),
        ((Ridge(),), TypeError, r"estimator=Ridge\(\) is not a classifier. Give one whose fit"),
        ((StandardScaler(),), TypeError, "estimator=StandardScaler.* is not a classifier"),
        ((LogisticRegression(), "centrality"), TypeError, r"selector='centrality' is not a Cores"),
        ((LogisticRegression(), CoresetSelector("centralty")), ValueError, "Did you mean"),
        ((LogisticRegression(), CoresetSelector(coreset_size=2.0)), ValueError, "coreset_size=2.0"),
    ],
)
def test_bad_options(arguments, error, message):
    X, y = load_iris(return_X_y=True)
    with pytest.raises(error, match=message):
        CoresetClassifier(*arguments).fit(X, y)


def test_bad_data():
    X, y = load_iris(return_X_y=True)
    classifier = CoresetClassifier(LogisticRegression())
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        classifier.fit(X, y[:-1])
    with pytest.raises(ValueError, match="continuous"):
        classifier.fit(X, X[:, 0])
    with pytest.raises(ValueError, match="sample_weight contains NaN"):
        classifier.fit(X, y, sample_weight=np.full(150, np.nan))
    with pytest.raises(ValueError, match="requires y"):
        classifier.fit(X, None)
    text = pd.DataFrame({"size": X[:, 0], "colour": "red"})
    with pytest.raises(ValueError, match="X holds text, first in column 'colour'.*OneHotEncoder"):
        classifier.fit(text, y)


def test_booleans_of_pandas_stay_booleans():
    X, y = load_iris(return_X_y=True)
    clf = CoresetClassifier(LogisticRegression()).fit(
        X[:100], pd.Series(y[:100] > 0, dtype="boolean")
    )
    assert clf.predict(X[[0, 99]]).tolist() == [False, True]
