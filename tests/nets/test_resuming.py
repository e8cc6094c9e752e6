"""A training that was killed goes on from its checkpoint as if there had been no kill."""

import io
import pickle

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.preprocessing import minmax_scale
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    Freezer,
    LoadInitState,
    LRScheduler,
    TrainEndCheckpoint,
)
from torch.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau, StepLR

from crust_sklearn import CRUSTClassifier, NoisyLabelClassifier
from crust_sklearn.label_noise import make_label_noise
from crust_sklearn.modules import MLP, GaussianNoise
from crust_sklearn.settings import PAPER, REFERENCE

X, Y = load_digits(return_X_y=True)
X, Y = minmax_scale(X[:200]).astype(np.float32), Y[:200]
NOISY = make_label_noise(Y, "symmetric", 0.3, random_state=0).y
NAMES = np.array([f"digit {i}" for i in range(10)])[NOISY]
SIZES = {"module__in_features": 64, "module__num_classes": 10}


def make(cls=CRUSTClassifier, callbacks=None, **params):
    defaults = {"module__hidden_sizes": (16,), "max_epochs": 6, "batch_size": 32, "lr": 0.01}
    defaults |= {"random_state": 0, "verbose": 0, "callbacks": callbacks}
    return cls(MLP, **defaults | params)


class KilledError(Exception):
    """In the place of a kill: nothing of the training goes on."""


class KillAfter(Callback):
    """Ends the training in the epoch after some, or when these are over."""

    def __init__(self, n_epochs):
        self.n_epochs = n_epochs

    def on_batch_end(self, net, training=False, **kwargs):
        if training and len(net.history) == self.n_epochs + 1:
            raise KilledError

    def on_train_end(self, net, **kwargs):
        raise KilledError


@pytest.fixture
def make_files(tmp_path):
    """Return a function that makes the callbacks of a script that is run again and again."""

    def make_callbacks(*others, place=0, **options):
        options = {"monitor": None, "event_name": None, "dirname": str(tmp_path)} | options
        checkpoint = Checkpoint(**options)
        callbacks = [checkpoint, LoadInitState(checkpoint)]
        return [*others[:place], *callbacks, *others[place:]]

    return make_callbacks


def kill(net, n_epochs, X=X, y=NOISY):
    net.set_params(callbacks=[*(net.callbacks or []), ("kill", KillAfter(n_epochs))])
    with pytest.raises(KilledError):
        net.fit(X, y)


def get_bytes(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# -- bit for bit ------------------------------------------------------------------------------

SETTINGS = {
    "default": {},
    "paper": PAPER,
    "reference": REFERENCE,
    "averaged": {"average_weights": True},
    "consistency": {"dropped": "consistency", "augment": GaussianNoise()},
    "pseudo-label": {"dropped": "pseudo-label"},
}


@pytest.mark.parametrize("n_epochs", [1, 4, 6])
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_goes_on_after_a_kill_as_if_there_had_been_none(
    settings, n_epochs, make_files, assert_same_training
):
    kill(make(callbacks=make_files(), **settings), n_epochs)
    again = make(callbacks=make_files(), **settings).fit(X, NOISY)
    assert_same_training(again, make(**settings).fit(X, NOISY))


@pytest.mark.parametrize("n_epochs", [1, 2, 3, 7])
def test_images_keep_the_warm_up_that_goes_by_the_epochs_of_the_call(
    n_epochs, make_files, assert_same_training
):
    # 64 numbers would be judged as vectors: repeated, they are images.
    images = X.reshape(-1, 1, 8, 8).repeat(3, axis=2).repeat(3, axis=3)
    params = {"module__in_features": 576, "max_epochs": 9, "lr": 0.1}
    kill(make(callbacks=make_files(), **params), n_epochs, images)
    again = make(callbacks=make_files(), **params).fit(images, NOISY)
    assert_same_training(again, make(**params).fit(images, NOISY))
    # Killed within the warm-up, and after it.
    assert again.coreset_history_.epochs[0] == 4


SCHEDULES = {
    "step": lambda: LRScheduler(StepLR, step_size=2, gamma=0.5),
    "one cycle": lambda: LRScheduler(
        OneCycleLR, max_lr=0.1, total_steps=50, step_every="batch", event_name=None
    ),
    "plateau": lambda: LRScheduler(
        ReduceLROnPlateau, monitor="train_loss", patience=1, threshold=9.0, threshold_mode="abs"
    ),
}


@pytest.mark.parametrize("place", [0, 1], ids=["first", "last"])
@pytest.mark.parametrize("make_schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_schedules_go_on(make_schedule, place, make_files, assert_same_training):
    kill(make(callbacks=make_files(make_schedule(), place=place)), 3)
    again = make(callbacks=make_files(make_schedule(), place=place)).fit(X, NOISY)
    whole = make(callbacks=[make_schedule()]).fit(X, NOISY)
    assert_same_training(again, whole)
    rates = [net.optimizer_.param_groups[0]["lr"] for net in (again, whole)]
    assert rates[0] == rates[1] != 0.01


def test_early_stopping_goes_on_counting(make_files, assert_same_training):
    def make_stopping():
        return EarlyStopping(monitor="train_loss", patience=3, threshold=1e9, load_best=True)

    kill(make(callbacks=make_files(make_stopping())), 2)
    again = make(callbacks=make_files(make_stopping())).fit(X, NOISY)
    assert_same_training(again, make(callbacks=[make_stopping()]).fit(X, NOISY))
    assert len(again.history) == 4


def test_a_training_that_was_stopped_is_over(tmp_path, assert_same_training):
    def fit():
        stopping = EarlyStopping(monitor="train_loss", patience=2, threshold=1e9)
        checkpoint = TrainEndCheckpoint(dirname=str(tmp_path))
        return make(callbacks=[stopping, checkpoint, LoadInitState(checkpoint)]).fit(X, NOISY)

    first, again = fit(), fit()
    assert len(first.history) == 3
    assert_same_training(again, first)


def test_frozen_parameters_stay_frozen(make_files, assert_same_training):
    kill(make(callbacks=make_files(Freezer("hidden*"))), 2)
    again = make(callbacks=make_files(Freezer("hidden*"))).fit(X, NOISY)
    assert_same_training(again, make(callbacks=[Freezer("hidden*")]).fit(X, NOISY))
    assert [p.requires_grad for p in again.module_.parameters()] == [False, False, True, True]


def test_callbacks_of_ones_own_go_on_by_their_state_dict(make_files):
    class Counting(Callback):
        def on_train_begin(self, net, **kwargs):
            self.counts = np.zeros(len(X), int)

        def on_batch_end(self, net, training=False, **kwargs):
            self.counts[net.training_.batch.rows] += 1

        def state_dict(self):
            return {"counts": self.counts}

        def load_state_dict(self, state):
            self.counts = state["counts"]

    kill(make(callbacks=make_files(Counting())), 4)
    again = make(callbacks=make_files(Counting())).fit(X, NOISY)
    whole = make(callbacks=[Counting()]).fit(X, NOISY)
    np.testing.assert_array_equal(
        dict(again.callbacks_)["Counting"].counts, dict(whole.callbacks_)["Counting"].counts
    )


def test_without_a_random_state_the_seed_is_in_the_file(make_files, assert_same_training):
    kill(make(callbacks=make_files(), random_state=None), 3)
    again = make(callbacks=make_files(), random_state=None).fit(X, NOISY)
    # One more training by that seed.
    assert_same_training(again, make(random_state=again.seed_).fit(X, NOISY))


@pytest.mark.parametrize("kind", [None, object])
def test_labels_that_are_strings(kind, make_files, assert_same_training):
    y = NAMES.astype(kind) if kind else NAMES
    kill(make(callbacks=make_files()), 3, y=y)
    again = make(callbacks=make_files()).fit(X, y)
    assert_same_training(again, make().fit(X, y))
    assert set(again.predict(X)) <= set(y)


def test_a_sparse_checkpoint_repeats_the_epochs_since(make_files, assert_same_training):
    options = {"monitor": lambda net: len(net.history) in (2, 6)}
    kill(make(callbacks=make_files(**options)), 4)
    again = make(callbacks=make_files(**options)).fit(X, NOISY)
    assert_same_training(again, make().fit(X, NOISY))


# -- the epochs of a call ---------------------------------------------------------------------


def test_a_call_that_was_over_trains_nothing_unless_more_is_asked_for(
    make_files, assert_same_training
):
    first = make(callbacks=make_files()).fit(X, NOISY)
    again = make(callbacks=make_files()).fit(X, NOISY)
    assert_same_training(again, first)
    longer = make(callbacks=make_files(), max_epochs=8).fit(X, NOISY)
    assert_same_training(longer, make(max_epochs=8).fit(X, NOISY))


@pytest.mark.parametrize("n_done", [2, 4, 8])
def test_a_script_of_several_calls_is_run_again(n_done, make_files, assert_same_training):
    def run(net):
        """Train on two parts of the rows, one after the other."""
        net.partial_fit(X[:150], NOISY[:150], classes=range(10), epochs=3)
        return net.partial_fit(X[50:], NOISY[50:], epochs=6)

    class Kill(Callback):
        def on_batch_begin(self, net, **kwargs):
            if len(net.history) == n_done + 1:
                raise KilledError

    with pytest.raises(KilledError):
        run(make(callbacks=make_files(Kill())))
    again = run(make(callbacks=make_files()))
    assert_same_training(again, run(make()))
    assert len(again.history) == 9


def test_a_killed_resumption_is_resumed(make_files, assert_same_training):
    kill(make(callbacks=make_files()), 2)
    kill(make(callbacks=make_files()), 4)
    assert_same_training(make(callbacks=make_files()).fit(X, NOISY), make().fit(X, NOISY))


# -- the file ---------------------------------------------------------------------------------


def test_a_net_is_saved_and_loaded_whole(assert_same_training):
    net, file = make().fit(X, NAMES), io.BytesIO()
    net.save_params(f_state=file)
    file.seek(0)
    other = make(**SIZES)
    other.load_params(f_state=file)
    assert_same_training(other, net)
    np.testing.assert_array_equal(other.predict(X), net.predict(X))
    other, net = (each.partial_fit(X, NAMES) for each in (other, net))
    assert_same_training(other, net)


def test_one_file_is_enough(make_files, tmp_path, assert_same_training):
    files = dict.fromkeys(("f_params", "f_optimizer", "f_criterion", "f_history"))
    files["f_state"] = "net.pt"
    kill(make(callbacks=make_files(**files)), 3)
    assert [*get_bytes(tmp_path)] == ["net.pt"]
    again = make(callbacks=make_files(**files)).fit(X, NOISY)
    assert_same_training(again, make().fit(X, NOISY))


def test_a_name_that_tells_of_the_epoch_cannot_be_found_again(make_files):
    with pytest.raises(ValueError, match="Give a name without braces"):
        make(callbacks=make_files(f_state="net_{last_epoch[epoch]}.pt")).fit(X, NOISY)


def test_best_epoch_is_loaded_whole_and_goes_on(tmp_path, assert_same_training):
    checkpoint = Checkpoint(
        monitor=lambda net: len(net.history) == 4,
        event_name=None,
        dirname=str(tmp_path),
        load_best=True,
    )
    net = make(callbacks=[checkpoint]).fit(X, NOISY)
    assert len(net.history) == 4
    assert net.state_.epoch == 3
    assert net.label_quality_.shape == (200,)
    whole = make(max_epochs=4).fit(X, NOISY)
    np.testing.assert_array_equal(net.predict_proba(X), whole.predict_proba(X))
    for each in (net, whole):
        each.set_params(callbacks=None).initialize_callbacks().partial_fit(X, NOISY, epochs=2)
    assert_same_training(net, whole)


def test_beside_a_history_of_skorch_alone_all_is_as_in_skorch(make_files, tmp_path):
    make(callbacks=make_files()).fit(X, NOISY)
    (tmp_path / "history.state.pt").unlink()
    assert len(make(callbacks=make_files()).fit(X, NOISY).history) == 12


def test_a_kill_within_the_first_checkpoint_begins_anew(make_files, tmp_path, monkeypatch):
    def kill(*args):
        raise KilledError

    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr("crust_sklearn.nets.state_file.torch.save", kill)
        patch.setattr("crust_sklearn.nets.resuming.ResumingMixin._save_parts", lambda *a: None)
        make(callbacks=make_files()).fit(X, NOISY)
    assert not (tmp_path / "history.json").exists()
    assert len(make(callbacks=make_files()).fit(X, NOISY).history) == 6


def test_every_file_is_written_whole_or_not_at_all(make_files, tmp_path, monkeypatch):
    net = make(callbacks=make_files()).fit(X, NOISY)
    before, real = get_bytes(tmp_path), torch.save

    def save_half(content, target, *args, **kwargs):
        half = io.BytesIO()
        real(content, half)
        half = half.getvalue()[: half.tell() // 2]
        if hasattr(target, "write"):
            target.write(half)
        else:
            with open(target, "wb") as file:
                file.write(half)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", save_half)
    for part in ("params", "optimizer", "state"):
        with pytest.raises(OSError, match=rf"{part}\.pt could not be written: .*No space left"):
            name = "history.state.pt" if part == "state" else f"{part}.pt"
            net.save_params(**{f"f_{part}": tmp_path / name})
    assert get_bytes(tmp_path) == before


def test_what_a_killed_writer_has_left_is_removed(make_files, tmp_path):
    kill(make(callbacks=make_files()), 2)
    (tmp_path / ".params.pt.1-2.aside").write_bytes(b"half of")
    make(callbacks=make_files()).fit(X, NOISY)
    assert not [name for name in get_bytes(tmp_path) if name.endswith(".aside")]


# -- what cannot be written -------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Checkpoint, TrainEndCheckpoint])
def test_a_folder_that_cannot_be_written_to_is_an_error_at_the_first_checkpoint(kind, tmp_path):
    (tmp_path / "taken").write_text("a file, and no folder")
    options = {"monitor": None} if kind is Checkpoint else {}
    net = make(callbacks=[kind(dirname=str(tmp_path / "taken"), **options)])
    with pytest.raises(OSError, match="could not be written: .*Not a directory"):
        net.fit(X, NOISY)
    assert len(net.history) == (1 if kind is Checkpoint else 6)
    assert net.predict(X).shape == (200,)
    (tmp_path / "taken").unlink()
    (tmp_path / "taken").mkdir()
    net.partial_fit(X, NOISY, epochs=1)
    assert len(get_bytes(tmp_path / "taken")) == 5


def test_a_full_disk_is_an_error_at_the_first_checkpoint(make_files, monkeypatch, tmp_path):
    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("crust_sklearn.nets.state_file.torch.save", fail)
    files = dict.fromkeys(("f_params", "f_optimizer", "f_criterion"))
    net = make(callbacks=make_files(**files))
    with pytest.raises(OSError, match=r"history\.state\.pt could not be written: .*No space"):
        net.fit(X, NOISY)
    assert len(net.history) == 1
    assert get_bytes(tmp_path) == {}


def test_a_history_that_json_does_not_know_is_an_error_at_the_first_checkpoint(make_files):
    class Record(Callback):
        def on_epoch_end(self, net, **kwargs):
            net.history.record("what", object())

    with pytest.raises(TypeError, match="history holds a object, which JSON does not know"):
        make(callbacks=make_files(Record())).fit(X, NOISY)


# -- what is refused --------------------------------------------------------------------------


def flip(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :]


def repack(**changes):
    def change(data):
        content = torch.load(io.BytesIO(data), weights_only=True)
        file = io.BytesIO()
        torch.save(content | changes, file)
        return file.getvalue()

    return change


DAMAGES = {
    "truncated": (lambda data: data[: len(data) // 2], "damaged, or no state file"),
    "a bit flipped": (flip, "damaged"),
    "empty": (lambda data: b"", "damaged, or no state file"),
    "text": (lambda data: b"[1, 2, 3]", "damaged, or no state file"),
    "of something else": (lambda data: repack(format="other")(data), "holds something else"),
    "of another version": (repack(version=0), "Its version is 0, and this package reads 1"),
    "a part missing": (repack(state={"epoch": 3}), "A part is missing"),
    "of another method": (repack(estimator="ELRClassifier"), "about a ELRClassifier, not a CRUST"),
}


@pytest.fixture
def checkpointed(make_files, tmp_path):
    kill(make(callbacks=make_files()), 3)
    return tmp_path / "history.state.pt"


def assert_refused(path, match, net=None, y=NOISY):
    """Check that a net is refused the file, and is as it was; and that the file is, too."""
    net, content = net or make().fit(X, NOISY), path.read_bytes()
    before = pickle.dumps(vars(net)["module_"].state_dict()), net.history.to_list(), net.state_
    with pytest.raises(ValueError, match=match):
        net.load_params(f_state=path)
    after = pickle.dumps(vars(net)["module_"].state_dict()), net.history.to_list(), net.state_
    assert before == after
    assert path.read_bytes() == content


@pytest.mark.parametrize(("damage", "match"), DAMAGES.values(), ids=DAMAGES)
def test_a_file_that_is_not_as_it_was_written_is_refused(damage, match, checkpointed, make_files):
    checkpointed.write_bytes(damage(checkpointed.read_bytes()))
    assert_refused(checkpointed, f"cannot go on with .*history.state.pt: .*{match}.*To begin anew")
    with pytest.raises(ValueError, match=match):
        make(callbacks=make_files()).fit(X, NOISY)


OTHERS = {
    "module": ({"module__hidden_sizes": (8,)}, "Of module_, fc.weight is"),
    "more layers": ({"module__hidden_sizes": (16, 16)}, "Of module_, hidden.*not there"),
    "optimizer": (
        {"optimizer": torch.optim.SGD},
        "Its optimizer is AdamW, and that of the net SGD",
    ),
}


@pytest.mark.parametrize(("params", "match"), OTHERS.values(), ids=OTHERS)
def test_another_net_is_refused(params, match, checkpointed):
    assert_refused(checkpointed, match, make(**params).fit(X, NOISY))


def test_another_class_of_net_is_refused(checkpointed):
    net = make(NoisyLabelClassifier).fit(X, NOISY)
    assert_refused(checkpointed, "about a CRUSTClassifier, not a NoisyLabelClassifier", net)


def test_other_classes_are_refused(checkpointed):
    assert_refused(checkpointed, "It is about the classes", make().fit(X, NAMES))


def test_another_schedule_is_refused(make_files):
    kill(make(callbacks=make_files(SCHEDULES["step"]())), 3)
    with pytest.raises(ValueError, match="goes by StepLR, and that of the net by OneCycleLR"):
        make(callbacks=make_files(SCHEDULES["one cycle"]())).fit(X, NOISY)


def test_a_state_that_could_not_be_saved_is_told(make_files):
    class Odd(Callback):
        def state_dict(self):
            return {"odd": object()}

    kill(make(callbacks=make_files(Odd())), 3)
    with pytest.raises(ValueError, match="lacks the state of the callback 'Odd': a object is no"):
        make(callbacks=make_files(Odd())).fit(X, NOISY)


@pytest.mark.parametrize("max_epochs", [3, 6])
@pytest.mark.parametrize("what", ["rows", "labels", "weights"])
def test_other_data_are_refused_also_where_nothing_is_left_to_train(
    what, max_epochs, checkpointed, make_files
):
    net, weights = make(callbacks=make_files(), max_epochs=max_epochs), None
    rows, labels = X[::-1].copy() if what == "rows" else X, NOISY
    if what == "labels":
        labels = np.roll(NOISY, 1)
    if what == "weights":
        weights = np.linspace(0, 1, 200)
    with pytest.raises(ValueError, match="about other rows, labels or sample weights"):
        net.fit(rows, labels, sample_weight=weights)
    assert not net.initialized_


class Boom:
    def __reduce__(self):
        return (exec, ("raise SystemExit('executed')",))


@pytest.mark.parametrize("torch_load_kwargs", [None, {"weights_only": False}])
@pytest.mark.parametrize("by_torch", [True, False])
def test_no_pickle_is_executed(by_torch, torch_load_kwargs, checkpointed, make_files):
    if by_torch:
        torch.save({"format": Boom()}, checkpointed)
    else:
        checkpointed.write_bytes(pickle.dumps(Boom()))
    net = make(callbacks=make_files(), torch_load_kwargs=torch_load_kwargs)
    with pytest.raises(ValueError, match="damaged, or no state file"):
        net.fit(X, NOISY)
