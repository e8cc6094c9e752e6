"""What training has learnt beside the weights: kept, forgotten, and carried in pickles."""

import copy
import io
import pickle

import joblib
import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from skorch.callbacks import Callback, Checkpoint
from skorch.dataset import ValidSplit

from crust_sklearn import CRUSTClassifier, EpochPlan, NoisyLabelClassifier, find_label_issues
from crust_sklearn.baselines import ELRClassifier
from crust_sklearn.data import Mixing
from crust_sklearn.inspection import CoresetDisplay
from crust_sklearn.label_noise import make_label_noise
from crust_sklearn.modules import MLP
from crust_sklearn.nets import TrainingState
from crust_sklearn.settings import PAPER

X, Y = load_digits(return_X_y=True)
X, Y = (X[:600] / 16).astype(np.float32), Y[:600]
NOISY = make_label_noise(Y, "symmetric", 0.4, random_state=0).y


def make(cls=CRUSTClassifier, **params):
    defaults = {"module__hidden_sizes": (32,), "max_epochs": 8, "verbose": 0, "random_state": 0}
    return cls(MLP, **defaults | params)


class PickleInside(Callback):
    """Pickles the net in the middle of its training."""

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 5:
            self.bytes_ = pickle.dumps(net)


@pytest.fixture(scope="module")
def pickled_inside():
    callback = PickleInside()
    make(callbacks=[("inside", callback)]).fit(X, NOISY)
    return callback.bytes_


# F1
@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_net_pickled_while_it_trains_takes_the_data_of_later_calls(pickled_inside, call):
    net = pickle.loads(pickled_inside).set_params(callbacks=None)
    weights = np.ones(200)
    weights[:100] = 0
    getattr(net, call)(X[400:], NOISY[400:], sample_weight=weights)
    assert net.label_quality_.shape == (200,)
    assert net.coreset_indices_.min() >= 100


def test_net_pickled_while_it_trains_holds_no_data(pickled_inside):
    rows = [X[i].tobytes() for i in range(0, 600, 50)]
    assert not any(row in pickled_inside for row in rows)


def test_checkpoint_by_pickle_goes_on_as_if_nothing_had_happened(tmp_path):
    checkpoint = Checkpoint(f_pickle="net.pkl", monitor=None, dirname=str(tmp_path))
    make(callbacks=[checkpoint], max_epochs=5).fit(X, NOISY)
    net = pickle.loads((tmp_path / "net.pkl").read_bytes())
    net.set_params(callbacks=None, max_epochs=4).partial_fit(X, NOISY)
    whole = make(max_epochs=9).fit(X, NOISY)
    assert net.coreset_history_.epochs.tolist() == whole.coreset_history_.epochs.tolist()
    np.testing.assert_array_equal(net.label_quality_, whole.label_quality_)
    np.testing.assert_array_equal(net.predict_proba(X), whole.predict_proba(X))


# F3
def test_other_rows_with_the_same_labels_begin_a_new_average():
    labels = np.sort(NOISY)  # rows of every digit under each label, by the order of others
    net = make().fit(X[::-1].copy(), labels)
    net.partial_fit(X, labels)
    state = net.state_.entries["label_quality.n_updates"]
    assert state == 3  # epochs 9, 12 and 15, and none of the call before


def test_same_rows_and_labels_go_on_with_the_average():
    net = make(max_epochs=4).fit(X, NOISY).partial_fit(X.copy(), NOISY.copy())
    assert net.state_.entries["label_quality.n_updates"] == 3


def test_randomly_augmented_rows_are_told_by_their_labels():
    class Augmented(torch.utils.data.Dataset):
        targets = NOISY

        def __init__(self):
            self.rng = np.random.default_rng(0)

        def __len__(self):
            return len(X)

        def __getitem__(self, i):
            return X[i] + self.rng.normal(size=64).astype(np.float32) / 50, NOISY[i]

    net = make(max_epochs=4).fit(Augmented()).partial_fit(Augmented())
    assert net.state_.entries["label_quality.n_updates"] == 3


# F10
def test_calls_of_one_epoch_keep_reselect_every():
    net = make(max_epochs=1, reselect_every=5, warmup_epochs=0)
    for _ in range(11):
        net.partial_fit(X, NOISY)
    assert net.coreset_history_.epochs.tolist() == [0, 5, 10]
    assert [row["coreset_size"] for row in net.history][:5] == [
        len(net.coreset_history_.get_indices(0))
    ] * 5


# F16
def test_fitted_net_from_a_read_only_memory_map_goes_on(tmp_path):
    joblib.dump(make(max_epochs=5).fit(X, NOISY), tmp_path / "net.joblib")
    net = joblib.load(tmp_path / "net.joblib", mmap_mode="r")
    whole = make(max_epochs=9).fit(X, NOISY)
    net.set_params(max_epochs=4).partial_fit(X, NOISY)
    np.testing.assert_array_equal(net.label_quality_, whole.label_quality_)


# F18
def test_earlier_checkpoint_in_the_same_net_drops_later_selections(tmp_path):
    checkpoint = Checkpoint(monitor=lambda net: len(net.history) == 4, dirname=str(tmp_path))
    net = make(callbacks=[checkpoint], max_epochs=12).fit(X, NOISY)
    assert net.coreset_history_.epochs.tolist() == [1, 4, 7, 10]
    net.load_params(checkpoint=checkpoint)
    CoresetDisplay.from_estimator(net, y=NOISY, y_true=Y)
    net.set_params(max_epochs=3).partial_fit(X, NOISY)
    assert net.coreset_history_.epochs.tolist() == [1, 4]


def assert_same_state(state, again):
    assert state.keys() == again.keys()
    for name in state:
        np.testing.assert_array_equal(np.asarray(state[name]), np.asarray(again[name]))


@pytest.mark.parametrize("settings", [{}, PAPER], ids=["default", "paper"])
def test_state_dict_survives_a_file_of_plain_arrays(settings):
    net = make(**settings).fit(X, NOISY)
    state = net.state_.state_dict()
    file = io.BytesIO()
    np.savez(file, **state)
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        again = TrainingState().load_state_dict(arrays)
    assert_same_state(state, again.state_dict())
    assert again.plan.rows.tolist() == net.state_.plan.rows.tolist()


def test_elr_goes_on_with_its_targets_after_a_pickle():
    whole = make(ELRClassifier, max_epochs=6).fit(X, NOISY)
    half = pickle.loads(pickle.dumps(make(ELRClassifier, max_epochs=3).fit(X, NOISY)))
    half.partial_fit(X, NOISY)
    np.testing.assert_array_equal(half.predict_proba(X), whole.predict_proba(X))


def test_plan_survives_its_state_dict():
    plan = EpochPlan(np.array([4, 2]), np.array([0.5, 1.5]), Mixing((1.0, 0.1), np.arange(5)))
    again = EpochPlan.from_state_dict(plan.state_dict())
    assert again.rows.tolist() == [4, 2]
    assert again.weights.tolist() == [0.5, 1.5]
    assert again.mixing.alpha == (1.0, 0.1)
    assert again.mixing.pools.tolist() == list(range(5))
    assert EpochPlan.from_state_dict(EpochPlan(np.array([1])).state_dict()).mixing is None


def test_copies_are_independent():
    net = make(max_epochs=4).fit(X, NOISY)
    twin = copy.deepcopy(net).partial_fit(X, NOISY)
    assert len(net.coreset_history_) == 1
    assert len(twin.coreset_history_) > 1


def test_fit_forgets_what_it_has_published():
    net = make().fit(X, NOISY)
    with pytest.warns(UserWarning, match="no coreset"):
        net.set_params(warmup_epochs=8).fit(X, NOISY)
    assert not hasattr(net, "coreset_indices_")
    assert not hasattr(net, "label_quality_")


def test_trimmed_net_keeps_the_audit_alone():
    net = make().fit(X, NOISY)
    issues = find_label_issues(net, NOISY)
    net.trim_for_prediction()
    assert not hasattr(net, "state_")
    assert find_label_issues(net, NOISY).equals(issues)


def test_direct_fit_loop_takes_the_data_it_is_given():
    net = make(NoisyLabelClassifier, module__num_classes=10, module__in_features=64).initialize()
    for n in (600, 300):
        net.fit_loop(X[:n], Y[:n], epochs=1)
        assert net.history[-1]["coreset_size"] == n


def test_validation_rows_have_no_quality_and_are_never_chosen():
    net = make(train_split=ValidSplit(5, stratified=True)).fit(X, NOISY)
    is_held_out = np.isnan(net.label_quality_)
    assert is_held_out.sum() == 120
    assert not is_held_out[net.coreset_indices_].any()
    assert (net.coreset_assignment_[is_held_out] == -1).all()
    assert (net.suggested_labels_[is_held_out] == NOISY[is_held_out]).all()


def test_other_rows_end_what_was_published_of_earlier_ones():
    net = make(max_epochs=5).fit(X, NOISY)
    net.set_params(warmup_epochs=20).partial_fit(X[:50], NOISY[:50])
    assert not hasattr(net, "coreset_indices_")
    assert not hasattr(net, "label_quality_")
    net.set_params(warmup_epochs=1, max_epochs=1).partial_fit(X[:50], NOISY[:50])
    assert net.coreset_indices_.max() < 50
    assert len(net.label_quality_) == 50


def test_what_was_published_stays_in_calls_without_a_selection():
    net = make(max_epochs=5).fit(X, NOISY)  # selections before epochs 1 and 4, from 0
    before = {name: vars(net)[name] for name in net.published_}
    net.set_params(max_epochs=1).partial_fit(X, NOISY)
    assert net.coreset_history_.epochs.tolist() == [1, 4]
    assert net.selector_ is before["selector_"]
    for name in ("coreset_indices_", "coreset_assignment_", "label_quality_"):
        np.testing.assert_array_equal(vars(net)[name], before[name])
