"""Processes that are killed, by SIGKILL, while they train; benchmarks/kills.py kills more."""

import os
import subprocess
import sys

import pytest

# One process is started and forked, for the time that torch takes to be imported.
SCRIPT = """
import os, signal, sys
import numpy as np
import torch
from sklearn.datasets import load_digits
from skorch.callbacks import Checkpoint, LoadInitState
from crust_sklearn import CRUSTClassifier
from crust_sklearn.modules import MLP
from crust_sklearn.nets import coreset_net

torch.set_num_threads(1)
X, y = load_digits(return_X_y=True)
X, y = (X[:300] / 16).astype(np.float32), (y[:300] + (np.arange(300) % 4 == 0)) % 10

def kill_at(n, function, last):
    calls = iter(range(n))
    def killing(*args, **kwargs):
        if next(calls, None) is not None:
            return function(*args, **kwargs)
        last(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)
    return killing

def save_half(content, file):
    real_save(content, file)
    file.flush()
    os.truncate(file.name, file.tell() // 2)

real_save = torch.save
# In a selection; within the write of a state; after it, before its history; in a batch.
places = [
    (coreset_net, "select_rows", coreset_net.select_rows, 1),
    (torch, "save", save_half, 2),
    (os, "replace", os.replace, 4),
    (CRUSTClassifier, "train_step", CRUSTClassifier.train_step, 33),
]

def run(folder):
    # The state alone, and the history: each file is brought to the disk, which takes its time.
    files = {"f_params": None, "f_optimizer": None, "f_criterion": None}
    checkpoint = Checkpoint(monitor=None, event_name=None, dirname=folder, **files)
    callbacks = [checkpoint, LoadInitState(checkpoint)]
    options = {"max_epochs": 6, "batch_size": 32, "random_state": 0, "verbose": 0}
    return CRUSTClassifier(MLP, callbacks=callbacks, **options).fit(X, y)

folders = [os.path.join(sys.argv[1], str(i)) for i in range(len(places))]
for folder, (owner, name, last, n) in zip(folders, places):
    child = os.fork()
    if not child:
        setattr(owner, name, kill_at(n, getattr(owner, name), last))
        run(folder)
        os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL, name
whole = run(os.path.join(sys.argv[1], "whole"))
for folder in folders:
    n_files = len(os.listdir(folder))
    again = run(folder)
    for key, part in whole.module_.state_dict().items():
        assert torch.equal(part, again.module_.state_dict()[key]), folder
    state, other = whole.state_.state_dict(), again.state_.state_dict()
    assert state.keys() == other.keys()
    for key, part in state.items():
        np.testing.assert_array_equal(part, other[key], err_msg=folder)
    assert [row["train_loss"] for row in again.history] == whole.history[:, "train_loss"]
    assert not [name for name in os.listdir(folder) if name.endswith(".aside")]
    print(n_files)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked")
def test_processes_that_were_killed_end_as_if_they_had_not_been(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, str(tmp_path)],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    # What the kills have left: the two of a checkpoint; beside them a state that is half written.
    assert done.stdout.split() == ["2", "3", "2", "2"]
