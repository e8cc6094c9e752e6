"""Whether a training that is killed goes on as if it had not been, bit for bit.

    python benchmarks/kills.py                        # thirty kills of the default: a minute or two
    python benchmarks/kills.py --methods all --kills 6

A child process trains on the digits with 30 % wrong labels, with a Checkpoint of every epoch and
LoadInitState. It is killed by SIGKILL: a third of the kills fall at any moment of its training, a
third within a checkpoint, a third within a selection, or a training before the method's own, each
time of a random epoch (a method that has neither is killed at any moment instead). Another child
runs the same lines again, to the end. What it has then is compared with what a child has that
nobody killed: weights, optimizer, the state of the method, all fitted attributes, and the losses
and columns of the history.

Only where processes can be forked, as on Linux and macOS.
"""

import hashlib
import mmap
import os
import pickle
import random
import signal
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from _command import make_parser
from _markdown import print_table
from sklearn.datasets import load_digits
from skorch.callbacks import Callback, Checkpoint, LoadInitState

from crust_sklearn import CRUSTClassifier, NoisyLabelClassifier, baselines, make_label_noise
from crust_sklearn.modules import MLP, GaussianNoise
from crust_sklearn.settings import PAPER, REFERENCE

COMMON = {"max_epochs": 8, "lr": 0.005, "random_state": 0, "verbose": 0}
NEEDED = {
    "DivideMixClassifier": {"augment": GaussianNoise(0.1), "warmup_epochs": 3},
    "SSRClassifier": {"augment": GaussianNoise(0.1)},
    "INCVClassifier": {"n_rounds": 2, "round_epochs": 3},
}
METHODS = {
    "default": (CRUSTClassifier, {}),
    "paper": (CRUSTClassifier, PAPER),
    "reference": (CRUSTClassifier, REFERENCE),
    "averaged": (CRUSTClassifier, {"average_weights": True}),
    "NoisyLabelClassifier": (NoisyLabelClassifier, {}),
} | {name: (getattr(baselines, name), NEEDED.get(name, {})) for name in baselines.__all__}
# What a child is at; of which it notes the number in the memory that it shares with its parent.
PHASES = ("not begun", "between", "batch", "selection", "checkpoint", "stage", "over")
FAILED = "none: an error"
AIMS = ("any", "checkpoint", "selection")


class Notes:
    """What a child is at, and in which epoch, for its parent."""

    def __init__(self):
        self.memory = mmap.mmap(-1, 2)

    def __deepcopy__(self, memo):
        return self  # in the copies of callbacks that stages have

    def set(self, phase, epoch=None):
        """Note a phase, and return the one before."""
        before = PHASES[self.memory[0]]
        if epoch is not None:
            self.memory[1] = epoch
        self.memory[0] = PHASES.index(phase)
        return before

    def get(self):
        return PHASES[self.memory[0]], self.memory[1]

    def wrap(self, function, phase):
        """Return a function that notes that it is being called."""

        def noting(*args, **kwargs):
            before = self.set(phase)
            try:
                return function(*args, **kwargs)
            finally:
                self.set(before)

        return noting


class Noting(Callback):
    """Notes epochs and batches, but of stages."""

    def __init__(self, notes):
        self.notes = notes

    def note(self, *what):
        if self.notes.get()[0] != "stage":
            self.notes.set(*what)

    def on_epoch_begin(self, net, **kwargs):
        self.note("between", len(net.history))

    def on_batch_begin(self, net, **kwargs):
        self.note("batch")

    def on_epoch_end(self, net, **kwargs):
        self.note("between")


def train(method, folder, notes):
    """Run the lines that are run again after a kill, and return the net."""
    X, y = load_digits(return_X_y=True)
    noisy = make_label_noise(y, "symmetric", 0.3, random_state=0).y
    cls, params = METHODS[method]
    checkpoint = Checkpoint(monitor=None, dirname=str(folder))
    callbacks = [checkpoint, LoadInitState(checkpoint), Noting(notes)]
    net = cls(MLP, callbacks=callbacks, **COMMON | params)
    # Of the class, in this process alone: an attribute of the net would be one of its parameters.
    noted = {"plan_epoch": "selection", "save_params": "checkpoint", "_write_due": "checkpoint"}
    noted["prepare_training"] = "stage"
    for name, phase in noted.items():
        setattr(cls, name, notes.wrap(getattr(cls, name), phase))
    notes.set("between")
    net.fit((X / 16).astype(np.float32), noisy)
    notes.set("over")
    return net


def digest(net):
    """Return a hash of all that a net has learnt, but of times."""
    times = ("dur", "selection_dur")
    rows = [{k: v for k, v in row.items() if k not in times} for row in net.history.to_list()]
    names = [f"{name}_" for name in (*net._modules, *net._criteria, *net._optimizers)]
    found = [[float(row["train_loss"]) for row in rows], [sorted(row) for row in rows]]
    found += [[[float(b["train_loss"]) for b in row["batches"]] for row in rows]]
    found += [getattr(net, name).state_dict() for name in names]
    found += [net.state_.state_dict(), net.published_]
    for name in net.published_:
        value = vars(net)[name]
        if name == "stage_histories_":
            value = {k: [float(row["train_loss"]) for row in h] for k, h in value.items()}
        found.append(value.state_dict() if hasattr(value, "state_dict") else value)
    return hashlib.sha256(_serialize(found)).hexdigest()


def _serialize(value):
    """Return bytes that are the same for what is equal."""
    if isinstance(value, dict):
        return b"{" + b",".join(_serialize(k) + _serialize(v) for k, v in value.items()) + b"}"
    if isinstance(value, list | tuple):
        return b"[" + b",".join(map(_serialize, value)) + b"]"
    if isinstance(value, torch.Tensor):
        value = value.detach().numpy()
    if isinstance(value, np.ndarray) and value.dtype != object:
        return f"{value.dtype.str}{value.shape}".encode() + value.tobytes()
    if hasattr(value, "get_params"):
        return _serialize(vars(value))
    return pickle.dumps(value.tolist() if hasattr(value, "tolist") else value)


def start(method, folder, notes, result=None):
    """Return the number of a child that trains, and writes the digest of its net."""
    notes.set("not begun", 0)
    child = os.fork()
    if child:
        return child
    try:
        net = train(method, folder, notes)
        if result is not None:
            Path(result).write_text(digest(net))
        os._exit(0)
    except BaseException as error:  # a forked child must not go on as its parent
        notes.set("over")
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)


def finish(method, folder, notes):
    """Return the digest of a training that runs to its end, or why there is none; its seconds."""
    with TemporaryDirectory() as place:
        result = Path(place) / "digest"
        child = start(method, folder, notes, result)
        wait(notes, lambda phase, _: phase != "not begun")
        begin = time.perf_counter()
        wait(notes, lambda phase, _: phase == "over")
        seconds = time.perf_counter() - begin
        os.waitpid(child, 0)
        return result.read_text() if result.exists() else FAILED, seconds


def wait(notes, condition):
    """Wait until what a child has noted is so, or it is over."""
    while not (condition(*notes.get()) or notes.get()[0] == "over"):
        time.sleep(1e-4)


def kill(method, folder, notes, aim, seconds, rng):
    """Kill a child at a random moment, and return where it was: its phase and epoch."""
    child = start(method, folder, notes)
    wait(notes, lambda phase, _: phase != "not begun")
    if aim == "any":
        end = time.perf_counter() + rng.uniform(0, seconds)
        wait(notes, lambda *_: time.perf_counter() > end)
    else:
        sought = ("selection", "stage") if aim == "selection" else (aim,)
        first = rng.randint(0, COMMON["max_epochs"])
        wait(notes, lambda phase, epoch: phase in sought and epoch >= first)
        end = time.perf_counter() + rng.uniform(0, 0.01)
        wait(notes, lambda phase, _: time.perf_counter() > end or phase not in sought)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return notes.get()


def try_method(method, n_kills, seed):
    """Return where a method was killed, and how often it ended as the training nobody killed."""
    rng, notes, places, n_same = random.Random(seed), Notes(), [], 0
    with TemporaryDirectory() as folder:
        whole, seconds = finish(method, folder, notes)
    if whole == FAILED:
        sys.exit(f"{method} cannot be trained: see above.")
    for i in range(n_kills):
        with TemporaryDirectory() as folder:
            phase, epoch = kill(method, folder, notes, AIMS[i % len(AIMS)], seconds, rng)
            found, _ = finish(method, folder, notes)
        places.append((phase, epoch))
        n_same += found == whole
        if found != whole:
            print(f"{method}: killed in {phase}, epoch {epoch}: not the same", file=sys.stderr)
    return places, n_same


def main():
    parser = make_parser(__doc__)
    parser.add_argument("--methods", nargs="+", choices=[*METHODS, "all"], default=["default"])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    shown = ("batch", "selection", "stage", "checkpoint")
    rows = []
    for method in METHODS if "all" in args.methods else args.methods:
        places, n_same = try_method(method, args.kills, args.seed)
        phases = [phase for phase, _ in places]
        counts = [phases.count(phase) for phase in shown]
        epochs = sorted({epoch for _, epoch in places})
        rows.append([method, *counts, len(places) - sum(counts), f"{epochs[0]}-{epochs[-1]}"])
        rows[-1].append(f"{n_same} of {len(places)}")
        print(rows[-1], file=sys.stderr, flush=True)
    print_table(["killed in", *shown, "else", "epochs", "bit for bit"], rows)


if __name__ == "__main__":
    main()
