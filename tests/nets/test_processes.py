"""Training on several processes: two of gloo, by torchrun, which run several_processes.py."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from accelerate.data_loader import BatchSamplerShard
from torch import nn
from torch.utils.data import BatchSampler, RandomSampler, SequentialSampler

from crust_sklearn import NoisyLabelClassifier
from crust_sklearn.baselines import SmallLossClassifier
from crust_sklearn.modules import MLP
from crust_sklearn.nets import loading
from crust_sklearn.nets.evaluation import unwrap
from crust_sklearn.nets.processes import (
    count,
    exchange,
    find_common,
    find_owners,
    gather_rows,
    share,
)
from crust_sklearn.nets.row_outputs import RowColumns

SCRIPT = Path(__file__).with_name("several_processes.py")
ROOT = SCRIPT.parents[2]
IMPORT = r"^\s*(from|import) accelerate\b"
# What a loaded machine may need; without load, the first takes ten seconds or so.
TIMEOUT = 300


def run(kind):
    """Return what two processes of the script have done; an error if they do not end."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
        + [str(SCRIPT), kind],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )


def test_two_processes():
    done = run("all")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "check_refused" in done.stdout  # the last one


def test_lost_process():
    """When one is killed in the midst of an epoch, the other one ends with an error."""
    done = run("lost")
    assert done.returncode == 1
    assert "(SIGKILL)" in done.stderr or "Signal 9" in done.stderr, done.stderr


@pytest.mark.parametrize("n_processes", [2, 3, 4])
@pytest.mark.parametrize("n_rows", [12, 96, 97, 101])
@pytest.mark.parametrize("shuffle", [False, True])
def test_each_row_once(n_rows, n_processes, shuffle):
    """The parts that accelerate gives are those of one process's batches."""
    kwargs = {"batch_size": 12, "shuffle": shuffle}
    kwargs = loading.fit_batches(kwargs, n_rows, nn.Linear(1, 1), n_processes)

    def make_generator():
        return torch.Generator().manual_seed(0)

    parts = []
    for rank in range(n_processes):
        found = loading.split_batches(
            kwargs | {"generator": make_generator()}, range(n_rows), n_processes
        )
        parts.append(list(BatchSamplerShard(found["batch_sampler"], n_processes, rank)))
    order = RandomSampler(range(n_rows), generator=make_generator())
    order = order if shuffle else SequentialSampler(range(n_rows))
    wanted = list(BatchSampler(order, kwargs["batch_size"], drop_last=False))
    assert [sum(step, []) for step in zip(*parts, strict=True)] == wanted
    assert all(part for of_process in parts for part in of_process)


@pytest.mark.parametrize(
    ("module", "n_rows", "size"),
    [(nn.Linear(1, 1), 25, 13), (nn.Linear(1, 1), 26, 12), (nn.BatchNorm1d(1), 27, 14)],
)
def test_no_part_is_too_small(module, n_rows, size):
    """The last batch of two processes needs a row for each, and two with BatchNorm."""
    assert loading.fit_batches({"batch_size": 12}, n_rows, module, 2)["batch_size"] == size


def test_drop_last_counts_the_rows_of_all():
    kwargs = {"batch_size": 8, "drop_last": True, "shuffle": False, "generator": None}
    batches = loading.split_batches(kwargs, range(20), 2)["batch_sampler"]
    assert len(batches) == 4
    assert list(batches) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15]]


def test_steps_are_those_of_all_processes():
    """With two, an epoch over 1000 rows has as many steps as one process's with double batches."""
    net = NoisyLabelClassifier(MLP, batch_size=32, max_epochs=3)
    net.accelerator = SimpleNamespace(num_processes=2)
    one = NoisyLabelClassifier(MLP, batch_size=64, max_epochs=3)
    assert net.count_steps([0, 1] * 500) == one.count_steps([0, 1] * 500) == 48


def test_rows_that_come_twice_or_never():
    net = NoisyLabelClassifier(MLP)
    columns = RowColumns(3)
    columns.fill(torch.tensor([0, 2]), {"found": torch.tensor([1.0, 2.0])})
    columns.fill(torch.tensor([2, 0]), {"found": torch.tensor([3.0, 1.0])})
    with pytest.raises(RuntimeError, match="1 of 3 rows to be judged, the first of them at 1"):
        columns.gather(net)
    columns.fill(torch.tensor([1]), {"found": torch.tensor([5.0])})
    np.testing.assert_array_equal(columns.gather(net)["found"], [1.0, 5.0, 3.0])


def test_loader_that_loses_rows_is_an_error():
    """Of rows that no batch holds, nothing is known, in one process as in several."""

    class FirstBatches(torch.utils.data.DataLoader):
        def __iter__(self):
            return (batch for i, batch in enumerate(super().__iter__()) if i < 2)

    net = SmallLossClassifier(MLP, iterator_valid=FirstBatches, batch_size=8, verbose=0)
    net.set_params(warmup_epochs=0, max_epochs=1, noise_rate=0.3, module__hidden_sizes=(4,))
    X, y = np.eye(40, dtype=np.float32), np.arange(40) % 2
    with pytest.raises(RuntimeError, match="24 of 40 rows"):
        net.fit(X, y)


def test_one_process_tells_nobody():
    net, value, columns = NoisyLabelClassifier(MLP), object(), {"a": torch.zeros(2)}
    assert count(net) == 1
    assert exchange(net, value) == [value]
    assert share(net, value) is value
    assert find_common(net, columns) == ["a"]
    assert find_owners(net, np.array([True, False])).tolist() == [0, -1]
    assert gather_rows(net, np.zeros(2, np.int16), columns["a"]) is columns["a"]


def test_unwrap():
    module = nn.Linear(1, 1)
    assert unwrap(module) is module
    assert unwrap(torch.compile(module, backend="eager")) is module


def test_accelerate_is_imported_by_none_of_the_package():
    sources = (ROOT / "crust_sklearn").rglob("*.py")
    found = [path for path in sources if re.search(IMPORT, path.read_text("utf-8"), re.MULTILINE)]
    assert found == []
    assert re.search(IMPORT, "x = 1\n    from accelerate.utils import gather", re.MULTILINE)
