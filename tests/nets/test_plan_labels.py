"""Labels of a plan in the place of the given ones, and a loss on top: for a method of one's own."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from skorch.callbacks import Callback
from torch.utils.data import TensorDataset

from crust_sklearn import EpochPlan, NoisyLabelClassifier
from crust_sklearn.data import Mixing
from crust_sklearn.modules import MLP

X, Y = load_digits(return_X_y=True)
X, Y = (X[:90] / 16).astype(np.float32), Y[:90]
ROWS = np.array([7, 3, 80, 12, 40])
LABELS = np.array([-1, 9, 0, -1, 4])
EXPECTED = {7: Y[7], 3: 9, 80: 0, 12: Y[12], 40: 4}


class Watched(NoisyLabelClassifier):
    def __init__(self, module, plan=None, **kwargs):
        self.plan = plan
        super().__init__(module, **kwargs)

    def plan_epoch(self, epoch):
        return self.plan

    def get_losses(self, y_pred, y_true, rows):
        seen = vars(self).get("seen_", [])
        self.seen_ = [*seen, *zip(rows.tolist(), y_true.tolist(), strict=True)]
        return super().get_losses(y_pred, y_true, rows)


def make(cls=Watched, **params):
    defaults = {"max_epochs": 2, "batch_size": 2, "verbose": 0, "random_state": 0}
    return cls(MLP, **defaults | params)


@pytest.mark.parametrize(
    "data", [(X, Y), (TensorDataset(torch.as_tensor(X), torch.as_tensor(Y)), None)]
)
def test_labels_take_the_place_of_the_given_ones(data):
    net = make(plan=EpochPlan(ROWS, labels=LABELS)).fit(*data)
    assert sorted(net.seen_) == sorted([*EXPECTED.items()] * 2)
    np.testing.assert_array_equal(net.coreset_indices_, [7, 12])
    np.testing.assert_array_equal(net.coreset_weights_, [1, 1])
    np.testing.assert_array_equal(net.relabelled_indices_, [3, 40, 80])
    assert net.coreset_history_.get_indices(0).tolist() == [7, 12]
    assert net.history[:, "coreset_size"] == [2, 2]


def test_partners_in_the_batch_have_the_labels_of_the_plan():
    plan = EpochPlan(ROWS, mixing=Mixing((1.0, 1.0)), labels=LABELS)
    net = make(plan=plan).fit(X, Y)
    assert len(net.seen_) == 4 * len(ROWS)
    assert set(net.seen_) == set(EXPECTED.items())


def test_partners_of_a_pool_have_the_labels_of_the_plan():
    pools = np.full(90, -1)
    pools[ROWS] = 0
    plan = EpochPlan(ROWS, mixing=Mixing((1.0, 1.0), pools), labels=LABELS)
    net = make(plan=plan).fit(X, Y)
    assert set(net.seen_) == set(EXPECTED.items())


def test_callbacks_see_the_labels_that_are_trained_on():
    class Labels(Callback):
        def on_batch_begin(self, net, batch=None, training=False, **kwargs):
            self.seen = [*vars(self).get("seen", []), *batch[1].tolist()]

    names = np.array([f"class {code}" for code in Y])
    net = make(plan=EpochPlan(ROWS, labels=LABELS), callbacks=[Labels()], max_epochs=1)
    net.fit(X, names)
    assert sorted(net.callbacks[0].seen) == sorted(f"class {code}" for code in EXPECTED.values())


def test_a_plan_comes_back_from_its_arrays():
    plan = EpochPlan(ROWS, labels=LABELS)
    again = EpochPlan.from_state_dict(plan.state_dict())
    np.testing.assert_array_equal(again.labels, LABELS)
    np.testing.assert_array_equal(again.relabelled_rows, [3, 80, 40])
    assert EpochPlan.from_state_dict(EpochPlan(ROWS).state_dict()).labels is None


@pytest.mark.parametrize(
    "labels", [LABELS[:3], LABELS.tolist(), LABELS * 1.0, LABELS + 3, LABELS - 1, LABELS[:, None]]
)
def test_labels_that_are_none_are_refused(labels):
    with pytest.raises(ValueError, match="labels as an array of 5 integers.*0 to 9, or -1"):
        make(plan=EpochPlan(ROWS, labels=labels)).fit(X, Y)


class Added(NoisyLabelClassifier):
    """Adds to the loss of a batch ten times the number of its first row."""

    def get_added_loss(self, y_pred, rows):
        assert y_pred.shape == (len(rows), 10)
        assert torch.equal(self.training_.batch.rows, rows)
        return 10.0 * rows[0]


@pytest.mark.parametrize("weight", [None, np.linspace(1, 2, 90)])
def test_a_loss_on_top_is_added_in_training_alone(weight):
    params = {"batch_size": 90, "iterator_train__shuffle": False, "max_epochs": 1, "lr": 1e-3}
    order = np.arange(89, -1, -1)
    nets = [
        make(cls, **params, train_split=None).fit(X, Y, sample_weight=weight)
        for cls in (NoisyLabelClassifier, Added)
    ]
    # The first row of the one batch is row 0.
    assert nets[1].history[0, "train_loss"] == nets[0].history[0, "train_loss"]

    class Reversed(Added):
        def plan_epoch(self, epoch):
            return EpochPlan(order)

    net = make(Reversed, **params).fit(X, Y, sample_weight=weight)
    assert net.history[0, "train_loss"] == pytest.approx(nets[0].history[0, "train_loss"] + 890)


def test_a_loss_on_top_is_not_part_of_validation_or_of_judged_losses():
    from skorch.dataset import ValidSplit

    class Constant(NoisyLabelClassifier):
        def get_added_loss(self, y_pred, rows):
            return y_pred.new_tensor(1000.0)

    net = make(Constant, train_split=ValidSplit(3), batch_size=32).fit(X, Y)
    assert min(net.history[:, "train_loss"]) > 1000 > 10 > max(net.history[:, "valid_loss"])
