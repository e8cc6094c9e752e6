"""Selection in many groups, by workers of every kind."""

import os
import signal
import subprocess
import sys

import joblib
import numpy as np
import pytest
import sklearn
from joblib.parallel import SequentialBackend
from packaging.version import Version
from scipy import sparse
from sklearn.datasets import make_blobs
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from crust_sklearn import CoresetSampler, CoresetSelector
from crust_sklearn.strategies import STRATEGIES, BaseStrategy, Coreset, FacilityLocation

FITTED = ("sample_indices_", "sample_weight_", "assignment_", "objective_")
X, Y = make_blobs([1200, 60, 1], n_features=3, random_state=0)


class OtherProcess(SequentialBackend):
    """Workers that do not share memory, as far as the selection can tell; in this process."""

    supports_sharedmem = False


@pytest.fixture
def other_process(monkeypatch, tmp_path):
    """The configuration of such a backend; rows go to a folder of the test's own."""
    monkeypatch.setenv("JOBLIB_TEMP_FOLDER", str(tmp_path))
    joblib.register_parallel_backend("other-process", OtherProcess)
    yield joblib.parallel_config("other-process")
    del joblib.parallel.BACKENDS["other-process"]


def assert_same(one, other):
    for name in FITTED:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def fit(strategy="facility-location", data=X, **options):
    # The largest class takes two parts.
    with sklearn.config_context(working_memory=1):
        return CoresetSelector(strategy, random_state=0, **options).fit(data, Y)


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
@pytest.mark.parametrize("coreset_size", [0.5, 40])
def test_threads(strategy, coreset_size):
    one, two = (fit(strategy, coreset_size=coreset_size, n_jobs=n_jobs) for n_jobs in (1, 2))
    assert_same(one, two)


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
@pytest.mark.parametrize("kind", [np.array, sparse.csr_array])
def test_memory_maps(strategy, kind, other_process, tmp_path):
    expected = fit(strategy, kind(X), coreset_size=40)
    opened = []
    load = joblib.load

    def record(path, mmap_mode):
        opened.append((path.parent.parent, mmap_mode))
        return load(path, mmap_mode=mmap_mode)

    with other_process, pytest.MonkeyPatch.context() as patch:
        patch.setattr(joblib, "load", record)
        assert_same(fit(strategy, kind(X), coreset_size=40), expected)
    assert set(opened) == {(tmp_path, "r")}
    assert os.listdir(tmp_path) == []


def test_processes():
    with joblib.parallel_config("loky", n_jobs=2):
        other = fit()
    assert_same(fit(), other)


class Interrupted(BaseStrategy):
    def _pick(self, X, n_select, sample_weight, random_state):
        raise KeyboardInterrupt


def test_an_interrupt_leaves_nothing_behind(other_process, tmp_path):
    selector = CoresetSelector(Interrupted())
    with pytest.raises(KeyboardInterrupt), other_process:
        selector.fit(X, Y)
    assert os.listdir(tmp_path) == []
    assert not [name for name in vars(selector) if name in FITTED]


# Waits in the midst of a selection, in a process whose workers do not share its memory.
WAITING = """
import sys
import joblib
import numpy as np
from joblib.parallel import SequentialBackend
from crust_sklearn import CoresetSelector

class OtherProcess(SequentialBackend):
    supports_sharedmem = False

class Waiting:
    def select(self, X, n_select, *, sample_weight, random_state):
        print("selecting", flush=True)
        sys.stdin.read()

joblib.register_parallel_backend("other-process", OtherProcess)
X = np.load(sys.argv[1], mmap_mode="r") if len(sys.argv) > 1 else np.eye(5)
with joblib.parallel_config("other-process"):
    CoresetSelector(Waiting()).fit(X)
"""


def start_waiting(*arguments):
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "selecting\n"
    return process


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is swept without fcntl")
@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM"])
def test_what_a_killed_process_leaves_is_taken_away_by_the_next(other_process, tmp_path, name):
    process = start_waiting()
    try:
        left = os.listdir(tmp_path)
        assert len(left) == 1
        with other_process:
            fit()
        # The process lives: what is its own stays.
        assert os.listdir(tmp_path) == left
        assert (tmp_path / left[0] / "rows.joblib").exists()
    finally:
        process.send_signal(getattr(signal, name))
        process.communicate()
    assert process.returncode == -getattr(signal, name)
    assert os.listdir(tmp_path) == left
    strangers = tmp_path / "crust-another-machine-x", tmp_path / "crust-notes"
    for folder in strangers:
        folder.mkdir()
        (folder / "lock").touch()
    with joblib.parallel_config("other-process"):
        fit()
    assert sorted(os.listdir(tmp_path)) == sorted(folder.name for folder in strangers)


@pytest.mark.skipif(sys.platform == "win32", reason="kills")
def test_a_killed_process_leaves_nothing_of_a_memory_map(other_process, tmp_path):
    file = tmp_path / "X.npy"
    np.save(file, np.eye(5))
    process = start_waiting(file)
    process.kill()
    process.communicate()
    assert os.listdir(tmp_path) == ["X.npy"]


def test_an_interrupt_keeps_the_last_selection():
    selector = CoresetSelector(coreset_size=0.1).fit(X, Y)
    before = selector.sample_indices_.copy()
    with pytest.raises(KeyboardInterrupt):
        selector.set_params(strategy=Interrupted()).fit(X, Y)
    np.testing.assert_array_equal(selector.sample_indices_, before)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_progress_counts_parts(n_jobs, capsys):
    fit(verbose=1, n_jobs=n_jobs)
    shown = capsys.readouterr().err
    assert "[CoresetSelector] 1261 rows" in shown
    # Two parts and two small classes.
    assert "1261 rows, 3 groups, 4 parts" in shown
    if Version(joblib.__version__) >= Version("1.5"):  # before, only of longer work
        assert "4 out of   4" in shown


def test_silence_unless_asked(capsys):
    fit()
    make_pipeline(StandardScaler(), CoresetSelector(), verbose=False).fit(X, Y)
    CoresetSampler().fit_resample(X, Y)
    assert capsys.readouterr() == ("", "")


class Chosen(FacilityLocation):
    """Chooses the last rows, in the documented method."""

    def select(self, X, n_select, *, sample_weight=None, random_state=None):
        indices = np.arange(len(X))[-n_select:]
        assignment = np.zeros(len(X), int)
        assignment[indices] = np.arange(n_select)
        return Coreset(indices, np.bincount(assignment, sample_weight), assignment, 0.0)


class Passed(FacilityLocation):
    """Leaves everything to its base."""

    def select(self, X, n_select, *, sample_weight=None, random_state=None):
        return super().select(X, n_select, sample_weight=sample_weight, random_state=random_state)


def test_a_select_of_its_own_is_used():
    selector = CoresetSelector(Chosen(), coreset_size=9).fit(X, Y)
    expected = [np.flatnonzero(label == Y)[-n:] for label, n in [(0, 7), (1, 1), (2, 1)]]
    np.testing.assert_array_equal(selector.sample_indices_, np.concatenate(expected))
    with pytest.raises(ValueError, match="Did you mean 'lazy'"):
        CoresetSelector(Chosen("lasy")).fit(X, Y)


@pytest.mark.parametrize("optimizer", ["lazy", "stochastic"])
def test_a_select_that_calls_its_base_changes_nothing(optimizer):
    # Also for the class that takes two parts.
    assert_same(fit(Passed(optimizer)), fit(FacilityLocation(optimizer)))


class Given(BaseStrategy):
    def __init__(self, indices):
        super().__init__()
        self.indices = indices

    def _pick(self, X, n_select, sample_weight, random_state):
        return self.indices


class Foreign:
    def __init__(self, indices):
        self.indices = np.array(indices)

    def select(self, X, n_select, *, sample_weight, random_state):
        weights, assignment = np.ones(n_select), np.zeros(len(X), int)
        return Coreset(self.indices, weights, assignment, 0.0)


@pytest.mark.parametrize("kind", [Given, Foreign])
@pytest.mark.parametrize(
    "indices, message",
    [
        ([0, 0], "holds no row twice"),
        ([0, 9], "from 0 to 3"),
        ([-1, 0], "from 0 to 3"),
        ([0], "n_select=2"),
        ([0.0, 1.0], "by integers"),
    ],
)
def test_a_strategy_that_chooses_wrongly(kind, indices, message):
    with pytest.raises(ValueError, match=message):
        CoresetSelector(kind(indices), coreset_size=2).fit(np.arange(4.0).reshape(-1, 1))


def test_a_part_without_weight():
    rows = np.linspace(0, 1, 1500).reshape(-1, 1)
    weights = (rows.ravel() > 0.7).astype(float)
    with sklearn.config_context(working_memory=1):
        coreset = FacilityLocation().select(rows, 600, sample_weight=weights)
    assert len(np.unique(coreset.indices)) == 600
    assert coreset.weights.sum() == weights.sum()
