"""What every method has to pass; a new one is a line in METHODS."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from skorch.callbacks import Callback, Checkpoint, LoadInitState
from skorch.dataset import ValidSplit

from crust_sklearn import NoisyLabelClassifier, baselines, find_label_issues
from crust_sklearn.baselines import (
    AUMClassifier,
    CoTeachingClassifier,
    CoTeachingPlusClassifier,
    D2LClassifier,
    DecouplingClassifier,
    DivideMixClassifier,
    DMIClassifier,
    ELRClassifier,
    ForwardCorrectionClassifier,
    INCVClassifier,
    JointOptimizationClassifier,
    MentorNetClassifier,
    SmallLossClassifier,
    SSRClassifier,
    TRevisionClassifier,
)
from crust_sklearn.modules import MLP, GaussianNoise

X, Y = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X).astype(np.float32)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]
# A tenth of the labels is wrong.
GIVEN = np.where(np.arange(150) % 10 == 0, (Y + 1) % 3, Y)

# Of each method the parameters that go with so few rows and epochs, and one to search over.
METHODS = {
    NoisyLabelClassifier: ({}, {"lr": [0.05, 0.1]}),
    AUMClassifier: ({}, {"percentile": [90, 99]}),
    CoTeachingClassifier: ({"noise_rate": 0.1}, {"noise_rate": [0.1, "auto"]}),
    CoTeachingPlusClassifier: ({"noise_rate": 0.1}, {"warmup_epochs": [2, "auto"]}),
    D2LClassifier: ({"warmup_epochs": 2, "window": 3}, {"window": [2, 3]}),
    DecouplingClassifier: ({}, {"warmup_epochs": [1, 2]}),
    DivideMixClassifier: (
        {"augment": GaussianNoise(), "warmup_epochs": 4},
        {"lambda_u": [0.0, 1.0]},
    ),
    DMIClassifier: ({}, {"lr_ratio": [0.01, 0.1]}),
    # With lam=3, as for CIFAR-10, the regularization overcomes the labels of so few rows.
    ELRClassifier: ({"lam": 1.0}, {"lam": [0.5, 1.0]}),
    ForwardCorrectionClassifier: ({}, {"anchor_quantile": [0.9, 0.97]}),
    INCVClassifier: ({"n_rounds": 2, "round_epochs": 4}, {"noise_rate": [0.1, "auto"]}),
    JointOptimizationClassifier: ({"n_averaged": 4}, {"relabel_from": [0.3, 0.5]}),
    MentorNetClassifier: ({"percentile": 0.9}, {"percentile": [0.8, 0.9]}),
    SmallLossClassifier: ({"noise_rate": 0.1, "warmup_epochs": 2}, {"noise_rate": [0.1, "auto"]}),
    SSRClassifier: ({"augment": GaussianNoise()}, {"n_neighbors": [10, 20]}),
    TRevisionClassifier: ({}, {"slack_range": [0.0, 0.1]}),
}
# What follows from the number of epochs of a call: two calls differ from one.
# D2L weighs labels by the share of the epochs that are over.
KNOWS_ITS_END: set[type] = {D2LClassifier}

MINI_BATCHES = (
    "A row of weight two is one row of a mini-batch, a row given twice is two: stochastic "
    "gradients differ."
)
EXPECTED_FAILURES = {
    "check_no_attributes_set_in_init": "skorch keeps its state (history_, initialized_, ...) "
    "from the constructor on.",
    "check_set_params": "skorch makes callbacks of what set_params is given, and refuses a number "
    "at once.",
    "check_sample_weight_equivalence_on_dense_data": MINI_BATCHES,
    "check_sample_weight_equivalence_on_sparse_data": MINI_BATCHES,
}

each_method = pytest.mark.parametrize("cls", METHODS, ids=lambda cls: cls.__name__)


def make(cls, **params):
    options = {"module__hidden_sizes": (16,), "lr": 0.02, "max_epochs": 8, "batch_size": 16}
    options |= {"random_state": 0, "verbose": 0}
    return cls(MLP, **options | METHODS[cls][0] | params)


def test_every_method_is_here():
    assert {getattr(baselines, name) for name in baselines.__all__} <= set(METHODS)


@each_method
def test_labels_of_any_kind_in_a_pipeline_and_a_search(cls):
    pipe = make_pipeline(StandardScaler(), make(cls))
    ((name, values),) = METHODS[cls][1].items()
    grid = GridSearchCV(pipe, {f"{cls.__name__.lower()}__{name}": values}, cv=2).fit(X, NAMES)
    assert set(grid.predict(X)) <= set(NAMES)
    assert grid.score(X, NAMES) > 0.85
    gapped = make(cls).fit(X, 10 * Y - 5)
    assert gapped.classes_.tolist() == [-5, 5, 15]
    np.testing.assert_array_equal(gapped.predict(X), 10 * make(cls).fit(X, Y).predict(X) - 5)


@each_method
def test_learns_beside_wrong_labels(cls):
    assert make(cls).fit(X, GIVEN).score(X, Y) > 0.85


@each_method
def test_clone_and_pickle(cls):
    net = make(cls).fit(X, GIVEN)
    again = clone(net).fit(X, GIVEN)
    copy = pickle.loads(pickle.dumps(net))
    for other in (again, copy):
        np.testing.assert_array_equal(other.predict_proba(X), net.predict_proba(X))
        for name in ("label_quality_", "coreset_indices_", "transition_matrix_"):
            if hasattr(net, name):
                np.testing.assert_array_equal(getattr(other, name), getattr(net, name))
    assert not np.array_equal(
        clone(net).set_params(random_state=1).fit(X, GIVEN).predict_proba(X), net.predict_proba(X)
    )


@each_method
def test_global_generators_are_left_alone(cls):
    before = torch.get_rng_state()
    make(cls).fit(X, GIVEN)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("cls", [cls for cls in METHODS if cls is not NoisyLabelClassifier])
def test_tells_what_it_found_of_rows(cls):
    y = NAMES[np.searchsorted([0, 1, 2], GIVEN) * 50]
    net = make(cls, train_split=ValidSplit(5)).fit(X, y)
    quality = net.label_quality_
    assert net.clean_probability_ is quality
    assert np.count_nonzero(np.isnan(quality)) == 30
    judged = quality[~np.isnan(quality)]
    assert judged.min() >= 0
    assert judged.max() <= 1
    assert 0 <= net.noise_rate_ < 1
    np.testing.assert_array_equal(net.given_labels_, y)
    is_suspect = quality < 0.5
    np.testing.assert_array_equal(net.suggested_labels_ != y, is_suspect)
    issues = find_label_issues(net, as_frame=False)
    np.testing.assert_array_equal(np.sort(issues.rows), np.flatnonzero(is_suspect))
    if hasattr(net, "coreset_indices_"):
        assert not np.isnan(quality[net.coreset_indices_]).any()


@each_method
def test_rows_of_weight_zero_have_no_say(cls):
    weights = np.where(GIVEN == Y, 1.0, 0.0)
    net = make(cls).fit(X, GIVEN, sample_weight=weights)
    other = np.where(GIVEN == Y, Y, (Y + 2) % 3)  # wrong in another way
    again = make(cls).fit(X, other, sample_weight=weights)
    np.testing.assert_allclose(again.predict_proba(X), net.predict_proba(X), atol=1e-5)
    if hasattr(net, "coreset_indices_"):
        assert weights[net.coreset_indices_].all()


class InFirstEpoch(Callback):
    """Interrupts the first epoch of a net, after some batches; not those of its stages."""

    def __init__(self, kind):
        self.kind = kind

    def on_batch_end(self, net, training=False, **kwargs):
        is_due = len(net.history) == 1 and len(net.history[-1]["batches"]) == 3
        if training and is_due and type(net) is self.kind:
            raise KeyboardInterrupt


# Of AUM, which is given two epochs.
@pytest.mark.filterwarnings("ignore:All rows of the class")
@each_method
def test_what_an_interrupted_epoch_leaves_is_whole(cls):
    net = make(cls, max_epochs=2, callbacks=[InFirstEpoch(cls)]).fit(X, GIVEN)
    for n_epochs in (1, 3):
        assert len(net.history) == n_epochs
        if hasattr(net, "label_quality_"):
            assert np.isfinite(net.label_quality_).all()
            assert 0 <= net.noise_rate_ < 1
            is_suspect = net.label_quality_ < 0.5
            np.testing.assert_array_equal(net.suggested_labels_ != GIVEN, is_suspect)
        net.partial_fit(X, GIVEN)


@pytest.mark.parametrize("cls", [cls for cls in METHODS if cls not in KNOWS_ITS_END])
def test_two_calls_of_partial_fit_are_one_fit(cls):
    whole = make(cls, max_epochs=6).fit(X, GIVEN)
    halves = make(cls, max_epochs=6)
    halves.partial_fit(X, GIVEN, epochs=3).partial_fit(X, GIVEN, epochs=3)
    np.testing.assert_array_equal(halves.predict_proba(X), whole.predict_proba(X))
    assert len(halves.history) == 6


class KilledError(Exception):
    """In the place of a kill: nothing of the training goes on."""


class KillAfter(Callback):
    """Ends the training of a net in the epoch after some, or when these are over."""

    def __init__(self, n_epochs):
        self.n_epochs = n_epochs

    def on_batch_end(self, net, training=False, **kwargs):
        if training and len(net.history) == self.n_epochs + 1:
            raise KilledError

    def on_train_end(self, net, **kwargs):
        raise KilledError


@each_method
def test_goes_on_after_a_kill_as_if_there_had_been_none(cls, tmp_path, assert_same_training):
    whole = make(cls, max_epochs=6).fit(X, GIVEN)
    for n_epochs in (1, 4, 6):
        checkpoint = Checkpoint(
            monitor=None, event_name=None, dirname=str(tmp_path / f"{n_epochs}")
        )
        callbacks = [checkpoint, LoadInitState(checkpoint)]
        with pytest.raises(KilledError):
            make(cls, max_epochs=6, callbacks=[*callbacks, KillAfter(n_epochs)]).fit(X, GIVEN)
        again = make(cls, max_epochs=6, callbacks=callbacks).fit(X, GIVEN)
        assert_same_training(again, whole)


@each_method
def test_takes_datasets_and_other_kinds_of_rows(cls):
    dataset = torch.utils.data.TensorDataset(torch.as_tensor(X), torch.as_tensor(GIVEN))
    of_arrays = make(cls, max_epochs=4).fit(X, GIVEN)
    of_dataset = make(cls, max_epochs=4, module__in_features=4, module__num_classes=3)
    of_dataset.fit(dataset, None)
    np.testing.assert_allclose(
        of_dataset.predict_proba(X), of_arrays.predict_proba(X), rtol=1e-4, atol=1e-5
    )


@each_method
def test_a_refused_call_leaves_nothing_behind(cls):
    net = make(cls).fit(X, GIVEN)
    before = net.predict_proba(X)
    with pytest.raises(ValueError, match="inconsistent"):
        net.fit(X, GIVEN[:-1])
    np.testing.assert_array_equal(net.predict_proba(X), before)


# Of torch, when skorch reads the rows of a read-only array one by one.
@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
# Of AUM, where the labels are drawn at random.
@pytest.mark.filterwarnings("ignore:All rows of the class")
@parametrize_with_checks(
    [make(cls, lr=0.05, max_epochs=3, batch_size=32) for cls in METHODS],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES,
)
def test_check_estimator(estimator, check):
    check(estimator)
