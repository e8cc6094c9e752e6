"""What several processes do, run by torchrun from test_processes.py; an error ends all of them.

torchrun --standalone --nproc-per-node=4 tests/nets/several_processes.py all
"""

import os
import signal
import sys
import tempfile
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration
from sklearn.datasets import make_blobs
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    LoadInitState,
    LRScheduler,
)
from skorch.dataset import Dataset, ValidSplit
from skorch.hf import AccelerateMixin
from torch import nn

from crust_sklearn import CRUSTClassifier, EpochPlan, NoisyLabelClassifier, make_label_noise
from crust_sklearn.baselines import (
    AUMClassifier,
    DecouplingClassifier,
    DivideMixClassifier,
    DMIClassifier,
    ELRClassifier,
    ForwardCorrectionClassifier,
    INCVClassifier,
    JointOptimizationClassifier,
    MentorNetClassifier,
    SmallLossClassifier,
    TRevisionClassifier,
)
from crust_sklearn.data import Mixing
from crust_sklearn.modules import MLP
from crust_sklearn.nets.processes import OtherProcessError, exchange, get_rank, share
from crust_sklearn.settings import PAPER, REFERENCE

N = 301  # batches of 32 leave 13
X, Y = make_blobs(N, n_features=6, centers=4, cluster_std=2.0, random_state=0)
X = X.astype(np.float32)
NOISY = make_label_noise(np.array(["a", "b", "c", "d"])[Y], "symmetric", 0.3, random_state=0).y
WEIGHTS = np.linspace(0.5, 1.5, N)


class Normalized(nn.Module):
    def __init__(self, num_classes=4):
        super().__init__()
        self.first, self.norm = nn.Linear(6, 16), nn.BatchNorm1d(16)
        self.last = nn.Linear(16, num_classes)

    def forward(self, x):
        return self.last(self.norm(self.first(x)).relu())


class Dropping(nn.Module):
    def __init__(self, num_classes=4):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, 16), nn.Dropout(0.3), nn.Linear(16, num_classes))

    def forward(self, x):
        return self.layers(x)


def make(cls, accelerator=None, module=MLP, **params):
    """Return a net of one process, or, with an accelerator, of all, whose batches are the same."""
    params = {"max_epochs": 5, "random_state": 0, "verbose": 0, "lr": 0.01} | params
    if accelerator is None:
        return cls(module, batch_size=32, **params)
    shared = type(f"Shared{cls.__name__}", (AccelerateMixin, cls), {})
    size = 32 // accelerator.num_processes
    return shared(module, accelerator=accelerator, batch_size=size, **params)


def describe(net):
    """Return what a net has learnt, by name."""
    found = {f"module.{k}": v.numpy().copy() for k, v in net.module_.state_dict().items()}
    found |= {f"state.{k}": v for k, v in net.state_.state_dict().items()}
    names = ("train_loss", "valid_loss", "valid_acc", "train_acc", "coreset_size")
    found |= {k: np.array(net.history[:, k]) for k in names if k in net.history[-1]}
    names = ("coreset_indices_", "coreset_weights_", "label_quality_", "suggested_labels_")
    found |= {k: getattr(net, k) for k in names if hasattr(net, k)}
    return found | {"predicted": net.predict_proba(X)}


def assert_close(found, wanted, rtol=1e-4, atol=1e-4):
    """Compare two descriptions; the epochs, rows and labels among them have to be the same."""
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        if name == "state.fingerprint" or np.asarray(value).dtype.kind in "iubOUS":
            np.testing.assert_array_equal(found[name], value, err_msg=name)
        else:
            np.testing.assert_allclose(found[name], value, rtol, atol, err_msg=name)


def assert_goes_on(net, whole, accelerator):
    """Compare with a training in one go: of two processes, to the last bit.

    Of more, the sum of their gradients is rounded as the order has it in which they are added.
    """
    exact = accelerator.num_processes == 2
    assert_close(describe(net), describe(whole), *((0, 0) if exact else (1e-3, 1e-5)))


def assert_alike(net):
    """Return what a net has learnt; in every process, it is the same to the last bit."""
    first, *others = exchange(net, describe(net))
    for other in others:
        assert_close(first, other, rtol=0, atol=0)
    return first


def compare(accelerator, cls=CRUSTClassifier, sample_weight=None, **params):
    """Compare nets of all processes, and these with one of one process."""
    net = make(cls, accelerator, **params).fit(X, NOISY, sample_weight=sample_weight)
    found = assert_alike(net)
    if get_rank(net) == 0:
        one = make(cls, **params).fit(X, NOISY, sample_weight=sample_weight)
        parts = (  # label quality is a steep function of the features
            {k: v for k, v in of.items() if "quality" not in k} for of in (found, describe(one))
        )
        assert_close(*parts)
        if hasattr(one, "label_quality_"):
            np.testing.assert_allclose(net.label_quality_, one.label_quality_, atol=2e-2)
    return net


# -- the same as one process ------------------------------------------------------------------


def check_default(accelerator):
    net = compare(accelerator)
    assert 0 < len(net.coreset_indices_) < N
    if accelerator.num_processes > 2:
        return
    # To the other process: whose each row is, a bit; of the rows of 9 batches of 16, and one of 13,
    # the class, and for each fit four predictions; and sums over all rows.
    n_own, width = 9 * 16 + 13, net.module_.fc.in_features
    of_rows = -(-N // 8) + 4 * n_own

    def count_sums(d):
        """Of a fit: mean, products, sums of classes, errors of five ridges."""
        return 8 * (d + d * (d + 1) // 2 + 4 * d + 5)

    predictions = 4 * 4 * n_own
    few, many = width + 6, width + 6 + 256
    # The first selection scales what it joins, has errors with and without the kernel, two fits,
    # and between them eight of a half of the rows, which say of all what they predict.
    first = 8 * (6 + 1) + 8 * (many + 3) + count_sums(few) + count_sums(many) + 2 * 8
    first += 2 * (count_sums(many) + predictions) + 8 * count_sums(many) + 8 * 8 * N
    later = count_sums(width) + predictions
    sent = net.history[:, "selection_bytes"]
    assert sent == [0, of_rows + first, 0, 0, of_rows + later], sent


def check_reference(accelerator):
    compare(accelerator, **REFERENCE | {"warmup_epochs": 2})


def check_paper(accelerator):
    """Which of two rows about as good is chosen, a rounding error may decide."""
    params = PAPER | {"max_epochs": 4, "warmup_epochs": 2}
    net = make(CRUSTClassifier, accelerator, **params).fit(X, NOISY)
    assert_alike(net)
    one = make(CRUSTClassifier, **params).fit(X, NOISY)
    assert net.history[:2, "coreset_size"] == [N, N]
    first, wanted = (of.coreset_history_.get_indices(0) for of in (net, one))
    assert len(np.intersect1d(first, wanted)) > 0.95 * len(wanted)


def check_random_strategy(accelerator):
    compare(accelerator, selector="uniform", coreset_size=0.5, gradient="logits")


def check_weights_and_criterion(accelerator):
    """The mean of a batch goes by all of its class weights, not by those of each part."""
    weight = torch.tensor([1.0, 2.0, 3.0, 4.0])
    compare(accelerator, sample_weight=WEIGHTS, criterion__weight=weight, mixup="class")
    compare(accelerator, NoisyLabelClassifier, criterion__reduction="sum", lr=1e-4)


def check_average(accelerator):
    compare(accelerator, average_weights=True)


def check_state_of_rows(accelerator):
    net = compare(accelerator, ELRClassifier)
    assert (np.asarray(net.state_.entries["targets"]).sum(axis=1) > 0).all()
    compare(accelerator, SmallLossClassifier, noise_rate=0.3, warmup_epochs=2)


def check_stages(accelerator):
    """What is trained before the net's own epochs, and what that says of rows."""
    short = {"max_epochs": 3, "lr": 0.003}
    compare(accelerator, ForwardCorrectionClassifier, sample_weight=WEIGHTS, **short)
    compare(accelerator, TRevisionClassifier, **short)
    net = compare(accelerator, AUMClassifier, **short)
    assert np.isfinite(net.aum_).all()
    assert list(net.stage_histories_) == ["first margins", "second margins"]
    # The others' losses, or what their networks exchange, are those of a part of a batch.
    assert_alike(make(DMIClassifier, accelerator, **short).fit(X, NOISY))
    net = make(JointOptimizationClassifier, accelerator, **short).fit(X, NOISY)
    assert_alike(net)
    np.testing.assert_allclose(net.relabelled_.sum(axis=1), 1.0, rtol=1e-5)
    net = make(INCVClassifier, accelerator, n_rounds=2, **short).fit(X, NOISY)
    assert_alike(net)
    one = make(INCVClassifier, n_rounds=2, **short).fit(X, NOISY)
    np.testing.assert_array_equal(net.selected_indices_, one.selected_indices_)


def check_dropped_rows(accelerator):
    """The rows that go along with a batch are the same, and so is the mean of the predictions."""
    views = {"dropped": "consistency", "augment": lambda x: 1.1 * x, "max_epochs": 8}
    net = compare(accelerator, **views)
    mean = np.asarray(net.state_.entries["mean_prediction"])
    np.testing.assert_allclose(mean.sum(), 1.0, rtol=1e-4)
    without = make(CRUSTClassifier, accelerator, average_weights=True, max_epochs=8).fit(X, NOISY)
    assert abs(net.predict_proba(X) - without.predict_proba(X)).max() > 0.01
    assert_alike(make(CRUSTClassifier, accelerator, Normalized, **views).fit(X, NOISY))


def check_moving_percentile(accelerator):
    short = {"max_epochs": 3, "lr": 0.003}
    net = compare(accelerator, MentorNetClassifier, burn_in=0.3, **short)
    assert 0 < len(net.coreset_indices_) < N
    trusted = np.arange(N) % 3 == 0
    net = make(MentorNetClassifier, accelerator, curriculum="learned", **short)
    assert_alike(net.fit(X, NOISY, trusted=trusted))
    one = make(MentorNetClassifier, curriculum="learned", **short).fit(X, NOISY, trusted=trusted)
    np.testing.assert_array_equal(net.corrupted_indices_, one.corrupted_indices_)


def check_selection_dataset(accelerator):
    compare(
        accelerator, selection_dataset=lambda X, y: Dataset(X + 1, y), train_split=ValidSplit(5)
    )


def check_early_stopping(accelerator):
    params = {
        "train_split": ValidSplit(0.2, stratified=True, random_state=0),
        "max_epochs": 40,
        "optimizer": torch.optim.SGD,
        "lr": 0.1,
    }

    def make_callbacks():
        train_acc = EpochScoring("accuracy", on_train=True, name="train_acc", lower_is_better=False)
        schedule = LRScheduler("ReduceLROnPlateau", patience=0)
        return [train_acc, schedule, EarlyStopping(patience=2, monitor="valid_acc", sink=str)]

    net = make(CRUSTClassifier, accelerator, callbacks=make_callbacks(), **params).fit(X, NOISY)
    one = make(CRUSTClassifier, callbacks=make_callbacks(), **params).fit(X, NOISY)
    assert len(net.history) == len(one.history) < 40
    for name in ("train_loss", "valid_loss", "valid_acc", "train_acc", "event_lr"):
        np.testing.assert_allclose(net.history[:, name], one.history[:, name], rtol=1e-4)


def check_partial_fit(accelerator):
    whole = make(CRUSTClassifier, accelerator).fit(X, NOISY)
    parts = make(CRUSTClassifier, accelerator, max_epochs=2).partial_fit(X, NOISY)
    parts.set_params(max_epochs=3).partial_fit(X, NOISY)
    assert_goes_on(parts, whole, accelerator)
    assert_alike(parts)


# -- the same in both processes ---------------------------------------------------------------


def check_batch_norm(accelerator):
    net = make(CRUSTClassifier, accelerator, Normalized).fit(X, NOISY)
    assert_alike(net)
    one = make(CRUSTClassifier, module=Normalized).fit(X, NOISY)
    both = np.intersect1d(net.coreset_indices_, one.coreset_indices_)
    assert len(both) > 0.9 * max(len(net.coreset_indices_), len(one.coreset_indices_))


def check_mixed_parts(accelerator):
    """Each mixes the rows of its part, of which some have no row with a weight."""
    views = {
        "augment": lambda x: x + 0.1 * torch.randn_like(x),
        "warmup_epochs": 2,
        "lambda_u": 5.0,
    }
    for module, weights in ((MLP, None), (Normalized, (np.arange(N) % 40 == 0).astype(float))):
        net = make(DivideMixClassifier, accelerator, module, **views)
        assert_alike(net.fit(X, NOISY, sample_weight=weights))
        assert len(net.coreset_history_) == 3
    one = make(DivideMixClassifier, **views).fit(X, NOISY)
    net = make(DivideMixClassifier, accelerator, **views).fit(X, NOISY)
    assert abs(net.score(X, NOISY) - one.score(X, NOISY)) < 0.05
    both = np.intersect1d(net.coreset_indices_, one.coreset_indices_)
    assert len(both) > 0.9 * max(len(net.coreset_indices_), len(one.coreset_indices_))


def check_draws(accelerator):
    nets = [make(CRUSTClassifier, accelerator, Dropping).fit(X, NOISY) for _ in range(2)]
    assert_close(*map(describe, nets), rtol=0, atol=0)
    assert (
        len(set(exchange(nets[0], nets[0].get_own_seed("module", 3)))) == accelerator.num_processes
    )


class Counting(NoisyLabelClassifier):
    def get_losses(self, y_pred, y_true, rows):
        self.get_row_state("n_seen", 1)[rows] += 1
        return super().get_losses(y_pred, y_true, rows)


def check_each_row_once(accelerator):
    """Of one order, also where each process would draw another one by itself."""
    torch.manual_seed(accelerator.process_index)
    net = make(Counting, accelerator, random_state=None).fit(X, NOISY)
    assert_alike(net)
    assert (net.state_.entries["n_seen"] == 5).all()


def check_choice_in_batches(accelerator):
    net = make(DecouplingClassifier, accelerator, warmup_epochs=1).fit(X, NOISY)
    assert_alike(net)
    net = make(DecouplingClassifier, accelerator, warmup_epochs=9).fit(X, NOISY)
    np.testing.assert_array_equal(net.coreset_indices_, np.arange(N))  # those of both


def check_loaders(accelerator):
    before = len(accelerator._dataloaders)
    net = make(CRUSTClassifier, accelerator, reselect_every=1, max_epochs=8).fit(X, NOISY)
    assert len(net.coreset_history_) == 7
    for _ in range(3):
        net.predict(X)
    assert len(accelerator._dataloaders) <= before + 1


def check_files(accelerator):
    """Checkpoints, prints and pickles are the main process's; all go on with the best weights."""
    rank = accelerator.process_index
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder, f"of_{rank}")
        printed = []
        checkpoint = Checkpoint(
            monitor="train_loss_best", dirname=str(own), f_pickle="net.pkl", sink=printed.append
        )
        checkpoint.f_pickle = None if rank == 0 else "net.pkl"
        net = make(CRUSTClassifier, accelerator, callbacks=[checkpoint]).fit(X, NOISY)
        files = {path.name for path in own.iterdir()}
        wanted = {"params.pt", "optimizer.pt", "criterion.pt", "history.json"} | {
            "history.state.pt"
        }
        assert files == (wanted if rank == 0 else set()), files
        assert bool(printed) == (rank == 0)
        assert_alike(net)
        names = [name for name, _ in net.callbacks_]
        assert ("print_log" in names) == (rank == 0)


class KillAll(Callback):
    """Fail in the fifth epoch of a net of `make`, not in those of its stages."""

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 4 and type(net).__name__.startswith("Shared"):
            raise ZeroDivisionError("killed")


def check_resuming(accelerator):
    """A training that was killed goes on in all processes from what the main one has saved."""
    for cls in (CRUSTClassifier, ForwardCorrectionClassifier):
        whole = make(cls, accelerator).fit(X, NOISY)
        with tempfile.TemporaryDirectory() as folder:
            checkpoint = Checkpoint(monitor=None, dirname=share(whole, folder))
            killed = make(cls, accelerator, callbacks=[checkpoint, KillAll()])
            with suppress(ZeroDivisionError):
                killed.fit(X, NOISY)
            assert len(killed.history) == 4
            callbacks = [checkpoint, LoadInitState(checkpoint)]
            net = make(cls, accelerator, callbacks=callbacks).fit(X, NOISY)
            assert_goes_on(net, whole, accelerator)
            assert_alike(net)


# -- what one of them does, and what all refuse ----------------------------------------------


class InterruptOfOne(Callback):
    def on_epoch_end(self, net, **kwargs):
        if get_rank(net) == 1 and len(net.history) == 2:
            raise KeyboardInterrupt


def check_interrupt(accelerator):
    for cls in (CRUSTClassifier, ForwardCorrectionClassifier):
        net = make(cls, accelerator, callbacks=[InterruptOfOne()]).fit(X, NOISY)
        lengths = [len(net.history), *map(len, getattr(net, "stage_histories_", {}).values())]
        assert set(lengths) == {2}
        assert_alike(net)


def assert_refused(sentence, fit, kind=ValueError):
    try:
        fit()
    except kind as error:
        assert sentence in str(error), error
    else:
        raise AssertionError(f"not refused: {sentence}")


class MixedState(NoisyLabelClassifier):
    def plan_epoch(self, epoch):
        return EpochPlan(np.arange(N), mixing=Mixing((1.0, 1.0)))

    def get_losses(self, y_pred, y_true, rows):
        self.get_row_state("seen", 1)[rows] = 1.0
        return super().get_losses(y_pred, y_true, rows)


class Momentum(NoisyLabelClassifier):
    single_process_reason = "the loss of a batch goes by that of the batch before."


class FailingPlan(NoisyLabelClassifier):
    def plan_epoch(self, epoch):
        if epoch == 1 and get_rank(self) == 1:
            raise ZeroDivisionError("by process 1")
        return super().plan_epoch(epoch)


def check_refused(accelerator):
    is_main = accelerator.is_main_process

    def fit(X=X, y=NOISY, cls=CRUSTClassifier, accelerator=accelerator, **params):
        return make(cls, accelerator, **params).fit(X, y)

    # What only some of them have to refuse ends all.
    bad = X.copy()
    bad[0, 0] = X[0, 0] if is_main else np.nan
    kind = OtherProcessError if is_main else ValueError
    assert_refused("NaN", lambda: fit(bad), kind)
    rows = Dataset(X if is_main else X[:300])
    kind = OtherProcessError if is_main else ValueError
    assert_refused("selection_dataset has 300 rows", lambda: fit(selection_dataset=rows), kind)
    kind = ZeroDivisionError if accelerator.process_index == 1 else OtherProcessError
    assert_refused("by process 1", lambda: fit(cls=FailingPlan), kind)
    assert_refused("Process 1 was given other rows", lambda: fit(X if is_main else X + 1))
    assert_refused("each row", lambda: fit(cls=MixedState))
    few = {"coreset_size": 1, "selector": "uniform", "gradient": "logits", "group_by": None}
    assert_refused(f"too few for an epoch of {accelerator.num_processes}", lambda: fit(**few))
    assert_refused("goes by that of the batch before", lambda: fit(cls=Momentum))
    sampler = torch.utils.data.SequentialSampler(X)
    params = {"iterator_train__sampler": sampler, "iterator_train__shuffle": False}
    assert_refused("iterator_train__sampler", lambda: fit(cls=NoisyLabelClassifier, **params))
    split = Accelerator(cpu=True, dataloader_config=DataLoaderConfiguration(split_batches=True))
    assert_refused(
        f"divide batch_size by {accelerator.num_processes}", lambda: fit(accelerator=split)
    )


class Lost(Callback):
    def on_batch_end(self, net, training=False, **kwargs):
        if get_rank(net) == 1 and training and len(net.history) == 3:
            os.kill(os.getpid(), signal.SIGKILL)


def lose_a_process(accelerator):
    make(CRUSTClassifier, accelerator, callbacks=[Lost()], max_epochs=1000).fit(X, NOISY)


def main(kind):
    warnings.simplefilter("error")
    accelerator = Accelerator(cpu=True)
    if kind == "lost":
        lose_a_process(accelerator)
    for name, check in list(globals().items()):
        if name.startswith("check_") and kind in ("all", name):
            accelerator.print(name, flush=True)
            check(accelerator)
    accelerator.end_training()


if __name__ == "__main__":
    main(sys.argv[1])
