"""Rows in files: the same choice as of an array in memory, and no copy of the whole."""

import pickle
import tracemalloc

import numpy as np
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import make_blobs

from crust_sklearn import CoresetSampler, CoresetSelector, _equal_rows, _shards
from crust_sklearn._shards import find_shards
from crust_sklearn.strategies import STRATEGIES

FITTED = ("sample_indices_", "sample_weight_", "assignment_", "objective_", "components_")
X, Y = make_blobs([1200, 60, 1], n_features=3, random_state=0)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(_shards, "BLOCK", 500)


@pytest.fixture
def store(tmp_path):
    """Return a function that writes arrays to files, and returns their paths."""
    written = []

    def store_all(*arrays):
        paths = [tmp_path / f"{len(written) + i}.npy" for i in range(len(arrays))]
        for path, array in zip(paths, arrays, strict=True):
            np.save(path, array)
        written.extend(paths)
        return paths

    return store_all


def assert_same(one, other):
    for name in FITTED:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def make_kinds(store, data):
    """Yield the same rows in files of all kinds."""
    whole, fortran = store(data, np.asfortranarray(data))
    parts = np.split(data, [1, 700, 701])
    first, second, third, fourth = store(*parts)
    mapped = np.load(whole, mmap_mode="r")
    yield mapped
    yield np.load(fortran, mmap_mode="r")
    yield [whole]
    yield [first, str(second), np.load(third, mmap_mode="r"), fourth]
    yield mapped[:700], mapped[700:701], fourth


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_files_are_as_good_as_memory(strategy, dtype, store, small_blocks):
    data = X.astype(dtype)
    weights = np.random.RandomState(0).randint(0, 3, len(X)).astype(float)
    # The largest class takes two parts.
    with sklearn.config_context(working_memory=1):
        expected = CoresetSelector(strategy, coreset_size=40, random_state=0)
        expected.fit(data, Y, weights)
        for kind in make_kinds(store, data):
            found = CoresetSelector(strategy, coreset_size=40, random_state=0)
            assert_same(found.fit(kind, Y, weights), expected)
            np.testing.assert_allclose(
                found.transform(kind), expected.transform(data), rtol=1e-5, atol=1e-3
            )
            assert found.transform(kind).dtype == dtype


@pytest.mark.parametrize("dtype", [np.float16, np.int8, bool, ">f4", ">i8"])
def test_other_numbers(dtype, store):
    data = np.round(X[:200]).astype(dtype)
    [path] = store(data)
    expected = CoresetSelector(coreset_size=0.2).fit(data)
    assert_same(CoresetSelector(coreset_size=0.2).fit([path]), expected)
    assert_same(CoresetSelector(coreset_size=0.2).fit(np.load(path, mmap_mode="r")), expected)


def test_mixed_numbers_are_those_of_the_concatenation(store):
    halves = X[:100].astype(np.float32), np.round(X[100:200]).astype(np.int32)
    expected = CoresetSelector().fit(np.concatenate(halves))
    assert_same(CoresetSelector().fit(store(*halves)), expected)


def test_a_sampler_keeps_rows_of_a_memory_map(store):
    mapped = np.load(store(X)[0], mmap_mode="r")
    kept, labels = CoresetSampler(coreset_size=30).fit_resample(mapped, Y)
    expected, expected_labels = CoresetSampler(coreset_size=30).fit_resample(X, Y)
    np.testing.assert_array_equal(kept, expected)
    np.testing.assert_array_equal(labels, expected_labels)


@given(
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=5),
    block=st.integers(1, 40),
    seed=st.integers(0, 999),
)
@settings(max_examples=50)
def test_shards_are_read_as_their_concatenation(tmp_path_factory, sizes, block, seed):
    rng = np.random.RandomState(seed)
    folder = tmp_path_factory.mktemp("shards")
    arrays = [rng.standard_normal((size, 3)) for size in sizes]
    for i, array in enumerate(arrays):
        np.save(folder / f"{i}.npy", array)
    shards = find_shards([folder / f"{i}.npy" for i in range(len(sizes))])
    whole = np.concatenate(arrays)
    assert shards.shape == whole.shape
    rows = rng.randint(len(whole), size=rng.randint(9))
    np.testing.assert_array_equal(shards[rows], whole[rows])
    np.testing.assert_array_equal(shards[1::2], whole[1::2])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(shards))[rows], whole[rows])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_shards, "BLOCK", block)
        slices = list(_shards.slice_rows(*whole.shape))
        assert _shards.get_largest(shards) == np.abs(whole).max()
    np.testing.assert_array_equal(np.concatenate([shards[s] for s in slices]), whole)
    assert all((s.stop - s.start) * 3 <= max(block, 3) for s in slices)


def test_what_is_not_a_file_is_an_array(store):
    [path] = store(X)
    mapped = np.load(path, mmap_mode="r")
    changed = np.load(path, mmap_mode="c")
    changed[:100] += 1.0  # not in the file
    for kind in (
        changed,
        mapped[::2],
        mapped[:, 1:],
        mapped[::-1],
        mapped + 1.0,
        mapped[[3, 1, 2]],
    ):
        assert find_shards(kind) is None
        assert_same(
            CoresetSelector(coreset_size=3).fit(kind),
            CoresetSelector(coreset_size=3).fit(np.array(kind)),
        )
    path.unlink()
    assert find_shards(mapped) is None


def test_a_value_that_is_not_finite(store, small_blocks):
    wrong = X.copy()
    wrong[-1, 1] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN"):
        CoresetSelector().fit(store(X, wrong))
    wrong[-1, 1] = np.inf
    with pytest.raises(ValueError, match="Input X contains infinity"):
        CoresetSelector().fit(np.load(store(wrong)[0], mmap_mode="r"))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ([X, X[:, :2]], "first shard of X has 3 features, .*1.npy has 2"),
        ([X, X[0]], r"1.npy holds an array of shape \(3,\)"),
        ([X.astype(complex)], "0.npy holds an array .*complex128.*has to hold numbers"),
        ([np.full((4, 2), "a")], "0.npy holds an array .*has to hold numbers"),
        ([X, X[:0]], "1.npy is empty"),
    ],
)
def test_bad_shards(arrays, message, store):
    with pytest.raises(ValueError, match=message):
        CoresetSelector().fit(store(*arrays))


def test_bad_files(store, tmp_path):
    with pytest.raises(FileNotFoundError, match="missing.npy"):
        CoresetSelector().fit([*store(X), tmp_path / "missing.npy"])
    mapped = np.load(store(X)[0], mmap_mode="r")
    with pytest.raises(ValueError, match="memory map of .*strided"):
        CoresetSelector().fit([mapped[::2]])
    with pytest.raises(ValueError, match="X has 2 features, but CoresetSelector is expecting 3"):
        CoresetSelector().fit(mapped).transform(store(X[:, :2]))
    with pytest.raises(ValueError, match="y has 5"):
        CoresetSelector().fit(mapped, np.zeros(5))


def test_no_copy_of_the_whole(store, monkeypatch):
    monkeypatch.setattr(_shards, "BLOCK", 2**16)
    monkeypatch.setattr(_shards, "SAMPLE", 2**10)
    data = np.random.RandomState(0).standard_normal((12_000, 256)).astype(np.float32)
    data[6_000:] = data[:6_000]  # rows that are merged
    paths = store(*np.split(data, 3))
    size = data.nbytes
    del data
    tracemalloc.start()
    try:
        with sklearn.config_context(working_memory=1):
            CoresetSelector(coreset_size=20).fit(paths)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # 4 MB of it are the distances of a part.
    assert peak < 0.75 * size, f"{peak / size:.2f}"


@pytest.mark.parametrize("n_hashes", [1, 3])
def test_rows_of_equal_hash_are_not_merged_unless_they_are_equal(
    n_hashes, monkeypatch, small_blocks
):
    data = np.random.RandomState(0).randint(0, 3, (300, 3)).astype(float)
    data[data == 0] *= np.random.RandomState(1).choice([-1.0, 1.0], np.sum(data == 0))
    expected = CoresetSelector(coreset_size=9).fit(data)
    monkeypatch.setattr(_equal_rows, "_hash_rows", lambda X: (X[:, 0] % n_hashes).astype(np.int64))
    assert_same(CoresetSelector(coreset_size=9).fit(data), expected)
    points, first, point = np.unique(data, axis=0, return_index=True, return_inverse=True)
    found_first, found_point = _equal_rows.merge_equal_rows(data)
    np.testing.assert_array_equal(found_first, np.sort(first))
    np.testing.assert_array_equal(data[found_first[found_point]], points[point.ravel()])
