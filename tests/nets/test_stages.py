"""Stages: networks of their own, trained on the training rows as the net would be."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.datasets import make_blobs
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    LoadInitState,
    LRScheduler,
    TrainEndCheckpoint,
)
from skorch.dataset import ValidSplit
from skorch.history import History
from torch import nn
from torch.utils.data import TensorDataset

from crust_sklearn import NoisyLabelClassifier
from crust_sklearn.modules import MLP
from crust_sklearn.nets.stages import StagesMixin

N = 60
X, Y = make_blobs(N, n_features=4, centers=3, random_state=0)
X = X.astype(np.float32)
# Each row can be told by its first feature.
X[:, 0] = np.arange(N) / N


class Noting(NoisyLabelClassifier):
    """Notes the rows, labels and weights of the batches, and the numbers that X tells."""

    def get_batch_loss(self, y_pred, y_true, batch):
        x = next(iter(batch.x.values())) if isinstance(batch.x, dict) else batch.x
        told = (N * x[:, 0]).round().long().tolist() if torch.is_tensor(x) else []
        noted = zip(batch.rows.tolist(), y_true.tolist(), batch.weight.tolist(), strict=True)
        self.noted_ = [*vars(self).get("noted_", ()), *noted]
        self.told_ = [*vars(self).get("told_", ()), *told]
        return super().get_batch_loss(y_pred, y_true, batch)


class Staged(StagesMixin, NoisyLabelClassifier):
    """Trains a stage, as it is told."""

    def __init__(self, module, *, stage_options=None, names=("first",), **kwargs):
        self.stage_options = stage_options
        self.names = names
        super().__init__(module, **kwargs)

    def prepare_training(self):
        super().prepare_training()
        options = self.stage_options or {}
        self.stages_ = [self.train_stage(name, Noting, **options) for name in self.names]


def make(module=MLP, cls=Staged, **params):
    defaults = {"max_epochs": 2, "lr": 0.01, "batch_size": 16, "random_state": 0, "verbose": 0}
    if module is MLP:
        defaults["module__hidden_sizes"] = (8,)
    return cls(module, **defaults | params)


def get_weights(net):
    return {name: p.detach().numpy() for name, p in net.module_.state_dict().items()}


def test_a_stage_is_trained_as_the_net_is_on_all_rows():
    net = make(optimizer=torch.optim.SGD, optimizer__momentum=0.9, max_epochs=3).fit(X, Y)
    (stage,) = net.stages_
    assert not hasattr(stage, "names")
    assert not hasattr(stage, "stage_options")
    for name in ("lr", "batch_size", "max_epochs", "module__hidden_sizes", "optimizer__momentum"):
        assert getattr(stage, name) == getattr(net, name), name
    assert stage.optimizer is torch.optim.SGD
    assert len(stage.history) == len(net.history) == 3
    plain = make(
        cls=Noting,
        **{
            "optimizer": torch.optim.SGD,
            "optimizer__momentum": 0.9,
            "max_epochs": 3,
            "random_state": net.get_seed("first"),
        },
    ).fit(X, Y)
    for name, weights in get_weights(plain).items():
        np.testing.assert_array_equal(get_weights(stage)[name], weights)


def test_the_net_itself_is_trained_as_without_stages():
    with_stage, without = make().fit(X, Y), make(names=()).fit(X, Y)
    np.testing.assert_array_equal(with_stage.predict_proba(X), without.predict_proba(X))
    assert not hasattr(without, "stage_histories_")


def test_streams_go_by_the_name():
    net = make(names=("first", "second")).fit(X, Y)
    first, second = net.stages_
    assert not np.array_equal(first.predict_proba(X), second.predict_proba(X))
    again = make(names=("second", "first")).fit(X, Y).stages_
    np.testing.assert_array_equal(again[1].predict_proba(X), first.predict_proba(X))
    np.testing.assert_array_equal(again[0].predict_proba(X), second.predict_proba(X))
    other = make(random_state=1).fit(X, Y).stages_[0]
    assert not np.array_equal(other.predict_proba(X), first.predict_proba(X))


def test_histories_are_published():
    net = make(names=("first", "second"), stage_options={"max_epochs": 3}).fit(X, Y)
    assert list(net.stage_histories_) == ["first", "second"]
    for stage, history in zip(net.stages_, net.stage_histories_.values(), strict=True):
        assert history is stage.history
        assert len(history) == 3
    assert len(net.history) == 2


def test_some_rows_with_labels_and_weights_of_their_own():
    positions, codes = np.arange(0, N, 3)[::-1], np.arange(20) % 2
    weights = np.linspace(0.5, 2, N)
    options = {"positions": positions, "codes": codes, "max_epochs": 1}
    (stage,) = make(stage_options=options).fit(X, Y, sample_weight=weights).stages_
    # The class 2 is missing, and has its column.
    assert stage.module_.fc.out_features == 3
    assert stage.classes_.tolist() == [0, 1, 2]
    scaled = weights[positions] / weights[positions].mean()
    order = np.argsort([row for row, _, _ in stage.noted_])
    rows, labels, seen = (np.array(column)[order] for column in zip(*stage.noted_, strict=True))
    np.testing.assert_array_equal(rows, np.arange(20))
    np.testing.assert_array_equal(labels, codes)
    np.testing.assert_allclose(seen, scaled, rtol=1e-6)
    np.testing.assert_array_equal(np.array(stage.told_)[order], positions)


def test_labels_are_codes_whatever_they_were():
    names = np.array(["a", "b", "c"])[Y]
    (stage,), (of_codes,) = make().fit(X, names).stages_, make().fit(X, Y).stages_
    np.testing.assert_array_equal(stage.predict_proba(X), of_codes.predict_proba(X))
    assert stage.predict(X).dtype.kind == "i"


def test_validation_rows_never_reach_a_stage():
    net = make(train_split=ValidSplit(4)).fit(X, Y)
    (stage,) = net.stages_
    rows = sorted(set(stage.told_))
    assert len(rows) == len({row for row, _, _ in stage.noted_}) == 45
    assert "valid_loss" not in stage.history[-1]
    assert "valid_loss" in net.history[-1]
    train = sorted({int(round(float(x[0]) * N)) for x, _ in net.get_split_datasets(X, Y)[0]})
    assert rows == train


# -- callbacks --------------------------------------------------------------------------------


class Counting(Callback):
    def __init__(self):
        self.n_epochs = 0

    def on_epoch_end(self, net, **kwargs):
        self.n_epochs += 1


def test_callbacks_are_objects_of_their_own():
    own = Counting()
    net = make(callbacks=[("count", own)]).fit(X, Y)
    assert own.n_epochs == 2  # of the net alone
    assert dict(net.stages_[0].callbacks_)["count"].n_epochs == 2


def test_each_training_has_a_schedule_of_its_own():
    schedule = LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.5)
    net = make(callbacks=[schedule], max_epochs=3, names=("first", "second")).fit(X, Y)
    for history in (*net.stage_histories_.values(), net.history):
        np.testing.assert_allclose(history[:, "event_lr"], [0.01, 0.005, 0.0025])


@pytest.mark.parametrize("named", [False, True])
def test_callbacks_that_go_by_validation_are_left_out(named):
    stopping = EarlyStopping(monitor="valid_loss", patience=2)
    callbacks = [("stop", stopping) if named else stopping, Counting()]
    net = make(callbacks=callbacks, train_split=ValidSplit(4)).fit(X, Y)
    kinds = [type(callback) for _, callback in net.stages_[0].callbacks_]
    assert EarlyStopping not in kinds
    assert Counting in kinds
    assert EarlyStopping in [type(callback) for _, callback in net.callbacks_]


def test_parameters_of_callbacks_that_are_left_out_are_left_out():
    net = make(
        callbacks=[("stop", EarlyStopping(monitor="valid_loss"))],
        callbacks__stop__patience=7,
        callbacks__valid_acc=None,
        train_split=ValidSplit(4),
    ).fit(X, Y)
    assert dict(net.callbacks_)["stop"].patience == 7
    assert "stop" not in dict(net.stages_[0].callbacks_)


@pytest.mark.parametrize("named", [False, True])
def test_callbacks_that_keep_files_are_left_out(named, tmp_path):
    checkpoint = Checkpoint(monitor=None, dirname=str(tmp_path))
    load = LoadInitState(checkpoint)
    callbacks = [("checkpoint", checkpoint), ("load", load)] if named else [checkpoint, load]
    net = make(callbacks=[*callbacks, TrainEndCheckpoint(dirname=str(tmp_path))]).fit(X, Y)
    kinds = {type(callback) for _, callback in net.stages_[0].callbacks_}
    assert not kinds & {Checkpoint, LoadInitState, TrainEndCheckpoint}
    assert len(History.from_file(tmp_path / "history.json")) == len(net.history)


def test_callbacks_that_go_by_the_training_stay():
    net = make(
        callbacks=[EarlyStopping(monitor="train_loss", patience=1, threshold=1e9)],
        max_epochs=5,
    ).fit(X, Y)
    assert len(net.stage_histories_["first"]) == len(net.history) == 2


def test_callbacks_that_score_the_training_see_codes():
    scoring = EpochScoring("accuracy", name="train_acc", on_train=True, lower_is_better=False)
    net = make(callbacks=[scoring], max_epochs=10).fit(X, np.array(["a", "b", "c"])[Y])
    assert net.stage_histories_["first"][-1, "train_acc"] > 0.8


def test_without_callbacks():
    assert make(callbacks="disable").fit(X, Y).stages_[0].callbacks == "disable"


# -- modules ----------------------------------------------------------------------------------


def test_an_instance_is_copied():
    torch.manual_seed(0)
    module = MLP(4, 3, hidden_sizes=(8,))
    net = make(module).fit(X, Y)
    (stage,) = net.stages_
    assert net.module_ is module
    assert stage.module_ is not module
    assert not torch.equal(stage.module_.fc.weight, module.fc.weight)  # other batches


class Failing(MLP):
    """Fails in training where there are four columns."""

    def __init__(self, in_features, num_classes):
        super().__init__(in_features, num_classes, hidden_sizes=(8,))

    def forward(self, X):
        if self.training and self.fc.out_features == 4:
            raise RuntimeError("out of memory")
        return super().forward(X)


def test_the_failure_of_a_stage_leaves_the_net_as_it_was():
    net = make(Failing).fit(X, Y)
    before, proba, epochs = dict(vars(net)), net.predict_proba(X), len(net.history)
    options = {"module__num_classes": 4, "classes": np.arange(4)}
    net.stage_options = before["stage_options"] = options
    with pytest.raises(RuntimeError, match="out of memory"):
        net.partial_fit(X, Y)
    assert vars(net) == before
    assert len(net.history) == epochs
    np.testing.assert_array_equal(net.predict_proba(X), proba)
    net = make(Failing, stage_options=options)
    with pytest.raises(RuntimeError, match="out of memory"):
        net.fit(X, Y)
    assert not net.initialized_


class Interrupt(Callback):
    """Interrupts a training at a place of its second epoch."""

    def __init__(self, place, epoch=2):
        self.place = place
        self.epoch = epoch

    def _interrupt(self, place, net):
        if place == self.place and len(net.history) == self.epoch:
            raise KeyboardInterrupt

    def on_train_begin(self, net, *args, **kwargs):
        self._interrupt("train begin", net)

    def on_batch_end(self, net, *args, **kwargs):
        self._interrupt("batch end", net)

    def on_epoch_end(self, net, *args, **kwargs):
        self._interrupt("epoch end", net)


@pytest.mark.parametrize(("place", "epoch"), [("batch end", 1), ("batch end", 2)])
def test_the_interrupt_of_a_stage_ends_the_call_and_leaves_the_net_as_it_was(place, epoch):
    net = make(max_epochs=3).fit(X, Y)
    before, proba = dict(vars(net)), net.predict_proba(X)
    net.stage_options = before["stage_options"] = {"callbacks": [Interrupt(place, epoch)]}
    with pytest.raises(KeyboardInterrupt, match="'first'"):
        net.partial_fit(X, Y)
    assert vars(net) == before
    assert len(net.history) == 3
    np.testing.assert_array_equal(net.predict_proba(X), proba)
    net = make(max_epochs=3, stage_options=net.stage_options)
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, Y)
    assert not net.initialized_


def test_a_stage_of_no_epoch_is_interrupted():
    net = make(stage_options={"callbacks": [Interrupt("train begin", 0)]})
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, Y)


def test_a_stage_may_stop_at_the_end_of_an_epoch():
    net = make(max_epochs=3, stage_options={"callbacks": [Interrupt("epoch end")]}).fit(X, Y)
    assert len(net.stage_histories_["first"]) == 2
    assert len(net.history) == 3


def test_an_interrupt_between_stages_ends_the_call():
    class Between(Staged):
        def prepare_training(self):
            super().prepare_training()
            raise KeyboardInterrupt

    net = make(cls=Between)
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, Y)
    assert not net.initialized_


# -- rows of any kind -------------------------------------------------------------------------


class Named(MLP):
    def __init__(self, num_classes):
        super().__init__(4, num_classes, hidden_sizes=(8,))

    def forward(self, x):
        return super().forward(x)


class Columns(Named):
    def forward(self, a, b, c, d):
        return super().forward(torch.cat([a, b, c, d], dim=1))


FRAME = pd.DataFrame(X, columns=list("abcd"), index=np.arange(N) * 7 % N)
CODES = torch.as_tensor(Y)


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
@pytest.mark.parametrize(
    ("module", "rows", "y"),
    [
        (Named, torch.as_tensor(X), Y),
        (Named, TensorDataset(torch.as_tensor(X), CODES), None),
        (Named, torch.utils.data.Subset(TensorDataset(torch.as_tensor(X), CODES), range(N)), None),
        (Named, {"x": X}, Y),
        (Named, sparse.csr_matrix(X), Y),
        (Columns, FRAME, Y),
        (Columns, FRAME, pd.Series(Y, index=FRAME.index)),
    ],
    ids=["tensor", "dataset", "subset", "dict", "sparse", "frame", "frame and series"],
)
def test_rows_of_every_kind_are_those_of_an_array(module, rows, y):
    params = {"train_split": ValidSplit(4), "stage_options": {"max_epochs": 1}}
    params |= {"module__num_classes": 3} if y is None else {}
    (expected,) = make(Named, **params).fit(X, Y).stages_
    (stage,) = make(module, **params).fit(rows, y).stages_
    assert stage.noted_ == expected.noted_
    for name, weights in get_weights(expected).items():
        np.testing.assert_allclose(get_weights(stage)[name], weights, atol=1e-6)


def test_what_forward_is_passed_reaches_the_stage():
    class Scaled(Named):
        def forward(self, x, scale=1.0):
            return scale * super().forward(x)

    plain, scaled = (make(Scaled, max_epochs=1).fit(X, Y, **p) for p in ({}, {"scale": 0.0}))
    assert scaled.stages_[0].history[0, "train_loss"] == pytest.approx(np.log(3))
    assert plain.stages_[0].history[0, "train_loss"] != pytest.approx(np.log(3))


def test_criteria_are_those_of_the_net():
    criterion = nn.CrossEntropyLoss(label_smoothing=0.5)
    (stage,) = make(criterion=criterion, lr=0.0).fit(X, Y).stages_
    assert stage.criterion_ is not criterion
    logits = stage.module_(torch.as_tensor(X))
    assert stage.history[-1, "train_loss"] == pytest.approx(criterion(logits, CODES).item())
