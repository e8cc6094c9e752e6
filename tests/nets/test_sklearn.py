"""In scikit-learn's pipelines, searches and cross-validations, on arrays and on torch datasets."""

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_blobs
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from skorch.helper import SliceDataset
from torch import nn
from torch.utils.data import TensorDataset

from crust_sklearn import CoresetSelector, CRUSTClassifier, NoisyLabelClassifier
from crust_sklearn.modules import MLP
from crust_sklearn.settings import REFERENCE
from crust_sklearn.strategies import Centrality, FacilityLocation

N = 120
X, Y = make_blobs(N, n_features=4, centers=3, cluster_std=1.5, random_state=0)
NAMES = np.array(["ham", "spam", "zebra"])[Y]


def make(module=MLP, cls=CRUSTClassifier, **params):
    if module is MLP:
        params.setdefault("module__hidden_sizes", (16,))
    settings = REFERENCE | {"warmup_epochs": 1} if cls is CRUSTClassifier else {}
    defaults = {"max_epochs": 3, "lr": 0.1, "batch_size": 32, "verbose": 0, "random_state": 0}
    return cls(module, **settings | defaults | params)


@pytest.mark.parametrize("cls", [CRUSTClassifier, NoisyLabelClassifier])
def test_it_is_a_classifier(cls):
    assert is_classifier(make(cls=cls))
    tags = get_tags(make(cls=cls))
    assert tags.estimator_type == "classifier" and tags.input_tags.sparse


# -- searches ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "grid",
    [
        {"coreset_size": [0.3, 0.6]},
        {"selector": ["uniform", "centrality"]},
        {"selector__strategy": ["facility-location", "centrality"]},
        {"selector__strategy": [FacilityLocation(), Centrality(metric="cityblock")]},
        {"selector": [CoresetSelector("uniform"), CoresetSelector("centrality", metric="l1")]},
        {"module__hidden_sizes": [(4,), (24,)]},
        {"selector__coreset_size": [0.2, 30], "coreset_size": [None]},
        {"lr": [0.01, 0.1], "mixup": ["class", None]},
    ],
    ids=str,
)
def test_grid_search(grid):
    search = GridSearchCV(make(), grid, cv=2, scoring="accuracy", error_score="raise")
    search.fit(X, NAMES)
    results = search.cv_results_
    # Each score is that of a net with these parameters, fitted on its own.
    for params, first in zip(results["params"], results["split0_test_score"], strict=True):
        train, test = next(StratifiedKFold(2).split(X, NAMES))
        own = clone(make()).set_params(**{k: clone(v, safe=False) for k, v in params.items()})
        own.fit(X[train], NAMES[train])
        assert own.score(X[test], NAMES[test]) == pytest.approx(first)
    best = search.best_estimator_
    assert len(best.coreset_indices_) > 0
    assert set(search.predict(X)) <= set(NAMES)


def test_size_of_the_coreset_in_grid_search():
    search = GridSearchCV(make(), {"coreset_size": [0.25, 0.75]}, cv=2).fit(X, Y)
    size = search.best_params_["coreset_size"]
    assert len(search.best_estimator_.coreset_indices_) == size * N


# U4
class Square(nn.Module):
    """Takes rows as images of four pixels."""

    def __init__(self, num_classes=3):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 8, 2), nn.Linear(8, num_classes)

    def forward(self, X):
        return self.fc(self.conv(X).flatten(1).relu())


IMAGES = torch.as_tensor(X.astype(np.float32)).reshape(-1, 1, 2, 2)


class Images(torch.utils.data.Dataset):
    """Gives images that are read one by one, with labels that nobody can read apart."""

    def __len__(self):
        return N

    def __getitem__(self, i):
        return IMAGES[i], int(Y[i])


@pytest.mark.parametrize("cls", [CRUSTClassifier, NoisyLabelClassifier])
@pytest.mark.parametrize("labels", ["codes", "names", "sliced"])
@pytest.mark.parametrize("dataset", [Images(), TensorDataset(IMAGES, torch.as_tensor(Y))])
def test_slices_of_a_dataset_are_cross_validated_as_arrays(dataset, labels, cls):
    rows = SliceDataset(dataset)
    y = {"codes": Y, "names": NAMES, "sliced": SliceDataset(dataset, idx=1)}[labels]
    arrays = (IMAGES.numpy(), NAMES if labels == "names" else Y)
    net = make(Square, cls, max_epochs=4)
    splits = list(StratifiedKFold(3).split(X, Y))
    found = cross_val_score(net, rows, y, cv=splits, error_score="raise")
    np.testing.assert_allclose(found, cross_val_score(net, *arrays, cv=splits))
    assert found.mean() > 0.6


@pytest.mark.parametrize("params", [{}, {"coreset_size": "auto", "gradient": "leave-one-out"}])
def test_slices_of_a_dataset_are_searched_as_arrays(params):
    net = make(Square, max_epochs=4, **params)
    grid = {"lr": [0.02, 0.1], "mixup": ["class", None]}
    sliced, plain = (
        GridSearchCV(net, grid, cv=2, error_score="raise").fit(x, NAMES)
        for x in (SliceDataset(Images()), IMAGES.numpy())
    )
    np.testing.assert_allclose(
        sliced.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"]
    )
    assert sliced.best_params_ == plain.best_params_
    best = sliced.best_estimator_
    np.testing.assert_array_equal(best.coreset_indices_, plain.best_estimator_.coreset_indices_)
    assert sliced.predict(SliceDataset(Images())).tolist() == plain.predict(IMAGES).tolist()


# -- pipelines --------------------------------------------------------------------------------


def test_in_a_pipeline():
    pipeline = make_pipeline(StandardScaler(), make(max_epochs=6)).fit(X, NAMES)
    net = make(max_epochs=6).fit(StandardScaler().fit_transform(X), NAMES)
    np.testing.assert_array_equal(pipeline.predict(X), net.predict((X - X.mean(0)) / X.std(0)))
    assert pipeline.score(X, NAMES) > 0.7
    np.testing.assert_array_equal(pipeline[-1].coreset_indices_, net.coreset_indices_)
    grid = {"net__coreset_size": [0.3, 0.6], "net__selector__strategy": ["uniform", "centrality"]}
    search = GridSearchCV(Pipeline([("scale", StandardScaler()), ("net", make())]), grid, cv=2)
    search.fit(X, NAMES)
    assert len(search.cv_results_["params"]) == 4
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_data_frame_out_of_a_pipeline():
    frame = pd.DataFrame(X, columns=list("abcd"))
    scaler = StandardScaler().set_output(transform="pandas")
    pipeline = make_pipeline(scaler, make()).fit(frame, NAMES)
    assert pipeline[-1].feature_names_in_.tolist() == list("abcd")
    np.testing.assert_array_equal(
        pipeline.predict(frame), make_pipeline(StandardScaler(), make()).fit(X, NAMES).predict(X)
    )


# -- cross-validation -------------------------------------------------------------------------


def test_cross_validation():
    net = make(max_epochs=6)
    scores = cross_val_score(net, X, NAMES, cv=3)
    predicted = cross_val_predict(net, X, NAMES, cv=3)
    # Folds of equal size: the mean of their scores is the score of all.
    assert np.mean(predicted == NAMES) == pytest.approx(scores.mean())
    assert scores.mean() > 0.7
    assert not net.initialized_
    probabilities = cross_val_predict(net, X, NAMES, cv=3, method="predict_proba")
    np.testing.assert_array_equal(np.unique(NAMES)[probabilities.argmax(axis=1)], predicted)


def test_inside_other_estimators():
    voting = VotingClassifier([("net", make()), ("linear", LogisticRegression())], voting="soft")
    assert voting.fit(X, NAMES).score(X, NAMES) > 0.7
    calibrated = CalibratedClassifierCV(make(), cv=2).fit(X, NAMES)
    np.testing.assert_allclose(calibrated.predict_proba(X).sum(axis=1), 1)


def test_sample_weight_is_routed():
    sample_weight = (np.arange(N) % 2).astype(float)
    with sklearn.config_context(enable_metadata_routing=True):
        net = make().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipeline = make_pipeline(scaler, net).fit(X, NAMES, sample_weight=sample_weight)
        assert (pipeline[-1].coreset_indices_ % 2 == 1).all()
        params = {"sample_weight": sample_weight}
        result = cross_validate(
            net, X, NAMES, cv=2, params=params, return_estimator=True, return_indices=True
        )
        for k, own in enumerate(result["estimator"]):
            train, test = (result["indices"][name][k] for name in ("train", "test"))
            np.testing.assert_array_equal(own.coreset_assignment_ == -1, train % 2 == 0)
            correct = own.predict(X[test]) == NAMES[test]
            assert result["test_score"][k] == pytest.approx(correct[test % 2 == 1].mean())
    pipeline = Pipeline([("scale", StandardScaler()), ("net", make())])
    pipeline.fit(X, NAMES, net__sample_weight=sample_weight)
    assert (pipeline["net"].coreset_indices_ % 2 == 1).all()
