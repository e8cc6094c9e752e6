"""Selections and searches on other processes: Dask's workers, and Ray's where it is installed."""

import os
import signal

import dask.config
import joblib
import numpy as np
import pytest
import sklearn
from distributed import Client, LocalCluster
from sklearn.datasets import make_blobs
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from crust_sklearn import CoresetSelector, CRUSTClassifier
from crust_sklearn.modules import MLP
from crust_sklearn.strategies import FacilityLocation

# Dask's and Ray's own.
pytestmark = pytest.mark.filterwarnings("ignore")

FITTED = ("sample_indices_", "sample_weight_", "assignment_", "objective_", "components_")
# Ten groups, of which the largest takes two parts.
X, Y = make_blobs([1100] + [30] * 9, n_features=3, random_state=0)
IMAGES, LABELS = make_blobs(200, centers=3, n_features=8, cluster_std=6.0, random_state=0)
IMAGES = IMAGES.astype(np.float32)


@pytest.fixture(scope="module")
def cluster():
    """Two worker processes."""
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as workers,
        Client(workers) as client,
    ):
        yield client


@pytest.fixture
def backend(cluster, monkeypatch, tmp_path):
    """Their configuration, with joblib's temporary folder; both of them are there."""
    cluster.wait_for_workers(2)
    monkeypatch.setenv("JOBLIB_TEMP_FOLDER", str(tmp_path))
    return joblib.parallel_config("dask")


@pytest.fixture(scope="module")
def ray():
    """Two of Ray's."""
    pytest.importorskip("ray")
    import ray
    from ray.util.joblib import register_ray

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("RAY_worker_niceness", "0")
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        register_ray()
        yield joblib.parallel_config("ray", n_jobs=2)
        ray.shutdown()


def select(strategy="facility-location", data=X):
    with sklearn.config_context(working_memory=1):
        return CoresetSelector(strategy, coreset_size=0.2, n_jobs=2).fit(data, Y)


def search(**options):
    net = CRUSTClassifier(MLP, module__hidden_sizes=(4,), max_epochs=2, verbose=0, random_state=0)
    options = {"cv": 2} | options
    grid = GridSearchCV(net, {"lr": [0.001, 0.01, 0.1, 1.0]}, refit=False, n_jobs=2, **options)
    results = grid.set_params(error_score="raise").fit(IMAGES, LABELS).cv_results_
    return [results["split0_test_score"].tolist(), results["split1_test_score"].tolist()]


def assert_same(one, other):
    for name in FITTED:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def count_copies(monkeypatch):
    """Return a list that gets an entry for every copy of the rows that is written for workers."""
    copies, dump = [], joblib.dump
    monkeypatch.setattr(joblib, "dump", lambda data, path: copies.append(dump(data, path)))
    return copies


def test_dask_selects_as_threads_do_from_one_copy(backend, monkeypatch, tmp_path):
    expected = select()
    copies = count_copies(monkeypatch)
    with backend:
        assert_same(select(), expected)
    assert len(copies) == 1
    assert os.listdir(tmp_path) == []


def test_dask_reads_files_where_they_are(backend, monkeypatch, tmp_path):
    *paths, whole = (tmp_path / f"{i}.npy" for i in range(3))
    for path, rows in zip([*paths, whole], [X[:500], X[500:], X], strict=True):
        np.save(path, rows)
    expected, copies = select(), count_copies(monkeypatch)
    with backend:
        assert_same(select(data=paths), expected)
        assert_same(select(data=np.load(whole, mmap_mode="r")), expected)
    assert copies == []


def test_dask_searches_as_threads_do_and_sends_the_data_once(backend, monkeypatch):
    expected = search()
    sent, scatter = [], Client.scatter

    def record(client, data, **options):
        sent.append(getattr(data, "nbytes", 0))
        return scatter(client, data, **options)

    monkeypatch.setattr(Client, "scatter", record)
    with backend:
        assert search() == expected
    # Four candidates and two folds: eight tasks.
    assert sent.count(IMAGES.nbytes) == 1


class Dies(FacilityLocation):
    """Kills its process once, unless that is the test's."""

    def __init__(self, marker="", spared=0, metric=None):
        FacilityLocation.__init__(self, metric=metric)
        self.marker = marker
        self.spared = spared

    def _pick(self, *args):
        if os.getpid() != self.spared and not os.path.exists(self.marker):
            open(self.marker, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        return FacilityLocation._pick(self, *args)


# As if typed in a notebook: workers need no module of that name.
Dies.__module__ = "__main__"


def test_a_worker_of_dask_that_is_lost_changes_nothing(backend, tmp_path):
    marker = tmp_path / "died"
    with backend:
        assert_same(select(Dies(str(marker), os.getpid())), select())
    assert marker.exists()
    assert os.listdir(tmp_path) == ["died"]


def test_a_search_outlives_a_worker_of_dask_as_the_guide_sets_it_up(tmp_path):
    marker, spared = str(tmp_path / "died"), os.getpid()

    def die_once(net, X, y):
        if os.getpid() != spared and not os.path.exists(marker):
            open(marker, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        return net.score(X, y)

    expected = search()
    folds = list(StratifiedKFold(2).split(IMAGES, LABELS))
    copied = [IMAGES, LABELS, *(rows for fold in folds for rows in fold)]
    with (
        dask.config.set({"distributed.scheduler.active-memory-manager.start": False}),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as workers,
        Client(workers),
        joblib.parallel_config("dask", scatter=copied),
    ):
        assert search(cv=folds, scoring=die_once) == expected
    assert os.path.exists(marker)


def test_ray_selects_and_searches_as_threads_do(ray, monkeypatch, tmp_path):
    monkeypatch.setenv("JOBLIB_TEMP_FOLDER", str(tmp_path))
    selected, searched = select(), search()
    copies = count_copies(monkeypatch)
    with ray:
        assert_same(select(), selected)
        assert search() == searched
    assert len(copies) == 1
