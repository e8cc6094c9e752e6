"""CoresetHistory, and what CRUSTClassifier writes into it."""

import copy
import io
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.datasets import make_blobs
from skorch.callbacks import Callback
from skorch.dataset import ValidSplit

from crust_sklearn import CRUSTClassifier, make_label_noise
from crust_sklearn.coreset_history import CoresetHistory
from crust_sklearn.modules import MLP
from crust_sklearn.settings import REFERENCE

N = 120
X, TRUE = make_blobs(N, n_features=4, centers=3, cluster_std=2.0, random_state=0)
X = X.astype(np.float32)
Y = make_label_noise(TRUE, "symmetric", 0.3, random_state=0).y


class Spy(Callback):
    """Keep what the coreset was in each epoch."""

    def __init__(self):
        self.seen = {}

    def on_epoch_end(self, net, **kwargs):
        if hasattr(net, "coreset_indices_"):
            self.seen[len(net.history) - 1] = net.coreset_indices_.copy()


def make(**params):
    defaults = {"max_epochs": 8, "lr": 0.1, "batch_size": 32, "verbose": 0, "random_state": 0}
    return CRUSTClassifier(MLP, module__hidden_sizes=(8,), **defaults | params)


def assert_as_seen(net, spy, epochs):
    history = net.coreset_history_
    assert history.epochs.tolist() == epochs
    for i, epoch in enumerate(epochs):
        np.testing.assert_array_equal(history.get_indices(i), spy.seen[epoch])
    np.testing.assert_array_equal(history.get_indices(-1), net.coreset_indices_)


# -- alone ------------------------------------------------------------------------------------

coresets = st.integers(1, 40).flatmap(
    lambda n: st.lists(st.sets(st.integers(0, n - 1), min_size=1), min_size=1, max_size=5).map(
        lambda sets: (n, sets)
    )
)


@given(coresets)
def test_rows_sizes_and_turnover_are_those_of_the_sets(case):
    n_rows, sets = case
    history = CoresetHistory()
    for epoch, rows in enumerate(sets):
        history.add(3 * epoch, list(rows), n_rows)
    assert len(history) == len(sets)
    assert history.epochs.tolist() == [3 * i for i in range(len(sets))]
    assert history.sizes.tolist() == [len(rows) for rows in sets]
    assert history.n_rows.tolist() == [n_rows] * len(sets)
    for i, rows in enumerate(sets):
        assert history.get_indices(i).tolist() == sorted(rows)
        assert history.get_mask(i).tolist() == [row in rows for row in range(n_rows)]
    expected = [len(a ^ b) / len(a | b) for a, b in zip(sets, sets[1:], strict=False)]
    assert np.isnan(history.turnover[0])
    np.testing.assert_allclose(history.turnover[1:], expected)


def test_no_turnover_between_different_data():
    history = CoresetHistory()
    history.add(0, [0, 1], 4)
    history.add(1, [0, 1], 5)
    history.add(2, [1, 4], 5)
    np.testing.assert_allclose(history.turnover, [np.nan, np.nan, 2 / 3])


def test_epochs_done_again_replace_what_came_after():
    history = CoresetHistory()
    for epoch in (1, 4, 7):
        history.add(epoch, [epoch], 9)
    history.add(4, [8], 9)
    assert history.epochs.tolist() == [1, 4]
    assert history.get_indices(-1).tolist() == [8]


def test_the_selections_before_an_epoch():
    history = CoresetHistory()
    for epoch in (1, 4, 7):
        history.add(epoch, [epoch], 9)
    for epoch, expected in ((0, []), (1, []), (4, [1]), (5, [1, 4]), (8, [1, 4, 7])):
        assert history.before(epoch).epochs.tolist() == expected
    history.before(9).add(2, [0], 9)
    assert history.epochs.tolist() == [1, 4, 7]


def through_savez(state):
    file = io.BytesIO()
    np.savez(file, **state)
    file.seek(0)
    with np.load(file, allow_pickle=False) as loaded:
        return CoresetHistory().load_state_dict(loaded)


ROUND_TRIPS = {
    "state": lambda history: CoresetHistory().load_state_dict(history.state_dict()),
    "savez": lambda history: through_savez(history.state_dict()),
    "pickled state": lambda history: CoresetHistory().load_state_dict(
        pickle.loads(pickle.dumps(history.state_dict()))
    ),
    "pickle": lambda history: pickle.loads(pickle.dumps(history)),
    "copy": copy.deepcopy,
    "into another": lambda history: other_history().load_state_dict(history.state_dict()),
}


def other_history():
    history = CoresetHistory()
    history.add(2, [0, 3], 4)
    return history


@pytest.mark.parametrize("trip", ROUND_TRIPS)
@given(st.lists(coresets, max_size=3))
def test_a_round_trip_changes_nothing(trip, cases):
    history, sets = CoresetHistory(), []
    for n_rows, parts in cases:  # other data in each of the calls
        for rows in parts:
            history.add(2 * len(sets), list(rows), n_rows)
            sets.append((n_rows, sorted(rows)))
    again = ROUND_TRIPS[trip](history)
    assert again.epochs.tolist() == [2 * i for i in range(len(sets))]
    assert again.n_rows.tolist() == [n_rows for n_rows, _ in sets]
    assert [again.get_indices(i).tolist() for i in range(len(again))] == [s for _, s in sets]
    np.testing.assert_array_equal(again.turnover, history.turnover)


def test_a_loaded_history_goes_on_by_itself():
    history = CoresetHistory()
    history.add(1, [0, 9], 11)
    state = history.state_dict()
    again = CoresetHistory().load_state_dict(state)
    again.add(4, [2, 10], 11)
    state["bits"][:] = 0
    assert history.epochs.tolist() == [1]
    assert again.epochs.tolist() == [1, 4]
    assert again.get_indices(0).tolist() == [0, 9]
    assert again.get_indices(1).tolist() == [2, 10]


def test_empty():
    history = CoresetHistory()
    assert len(history) == 0
    assert {name: array.shape for name, array in history.state_dict().items()} == {
        "epochs": (0,),
        "n_rows": (0,),
        "bits": (0,),
    }
    assert history.epochs.shape == history.sizes.shape == history.turnover.shape == (0,)
    with pytest.raises(IndexError):
        history.get_indices(0)


def test_memory_is_one_bit_a_row():
    history = CoresetHistory()
    for epoch in range(10):
        history.add(epoch, np.arange(0, 80_000, 2), 80_000)
    assert len(pickle.dumps(history)) < 10 * 80_000 / 8 + 5_000


# -- of a classifier --------------------------------------------------------------------------


@pytest.mark.parametrize("params", [{}, REFERENCE | {"reselect_every": 3}], ids=["default", "ref"])
def test_every_selection_of_fit(params):
    spy = Spy()
    net = make(callbacks=[("spy", spy)], **params)
    net.fit(X, Y)
    start = params.get("warmup_epochs", 1)
    assert_as_seen(net, net.get_params()["callbacks__spy"], list(range(start, 8, 3)))


def test_continued_by_partial_fit_and_warm_start():
    net = make(max_epochs=3, reselect_every=2, callbacks=[("spy", spy := Spy())])
    net.partial_fit(X, Y)
    net.partial_fit(X, Y)
    net.set_params(warm_start=True).fit(X, Y)
    # As in one fit of nine epochs: every second one after the warm-up.
    assert_as_seen(net, spy, [1, 3, 5, 7])


def test_reset_by_fit_and_initialize():
    net = make().fit(X, Y)
    net.fit(X[:29], Y[:29])
    # So few rows tell of no wrong label: all are kept for good.
    assert net.coreset_history_.epochs.tolist() == [1]
    assert net.coreset_history_.n_rows.tolist() == [29]
    net.initialize()
    assert not hasattr(net, "coreset_history_")


def test_none_before_the_first_selection():
    assert not hasattr(make(max_epochs=0).fit(X, Y), "coreset_history_")
    assert not hasattr(clone(make().fit(X, Y)), "coreset_history_")


def test_rows_are_those_of_the_data_given_to_fit():
    net = make(train_split=ValidSplit(4, stratified=True)).fit(X, Y)
    in_valid = np.isnan(net.label_quality_)
    assert in_valid.sum() == N / 4
    for i in range(3):
        mask = net.coreset_history_.get_mask(i)
        assert mask.shape == (N,) and not mask[in_valid].any()


def test_other_data_in_partial_fit():
    net = make(max_epochs=2).partial_fit(X, Y).partial_fit(X[:50], Y[:50])
    assert net.coreset_history_.n_rows.tolist() == [N, 50]
    assert np.isnan(net.coreset_history_.turnover).all()


@pytest.mark.parametrize("dup", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_survives_copies(dup):
    net = make().fit(X, Y)
    again = dup(net).coreset_history_
    assert again.epochs.tolist() == net.coreset_history_.epochs.tolist()
    np.testing.assert_array_equal(again.get_mask(1), net.coreset_history_.get_mask(1))


def test_dropped_by_trimming():
    net = make().fit(X, Y)
    net.trim_for_prediction()
    assert not hasattr(net, "coreset_history_")


def test_not_in_the_history_of_skorch(tmp_path):
    net = make().fit(X, Y)
    net.save_params(f_history=tmp_path / "history.json")
    assert "coreset_history_" not in (tmp_path / "history.json").read_text()


class Stop(Callback):
    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 5:
            raise KeyboardInterrupt


def test_after_an_interrupt_it_agrees_with_the_other_attributes():
    net = make(callbacks=[Stop()]).fit(X, Y)
    assert net.coreset_history_.epochs.tolist() == [1, 4]
    np.testing.assert_array_equal(net.coreset_history_.get_indices(-1), net.coreset_indices_)
