"""The memory map of images: the pixels of the files, whatever happened on the way."""

import multiprocessing
import os
import pickle
import shutil
import signal

import numpy as np
import pytest
import torch
from joblib import parallel_config
from PIL import Image
from torch.utils.data import DataLoader

from crust_sklearn import CRUSTClassifier
from crust_sklearn.datasets import (
    CachedImages,
    ImageFiles,
    UnreadableImageError,
    cache_images,
    image_cache,
)
from crust_sklearn.modules import SmallCNN

N = 10


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    names = [f"{i}.png" for i in range(N)]
    for i, name in enumerate(names):
        pixels = rng.integers(0, 100, (9, 8, 3)) + 150 * (i % 2)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / name)
    return ImageFiles(names, np.arange(N) % 2, folder=folder, size=6)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(image_cache, "CHUNK", 3)


def read_all(dataset):
    return torch.stack([X for X, _ in dataset])


def assert_holds(cached, files):
    assert len(cached) == len(files)
    torch.testing.assert_close(read_all(cached), read_all(files), rtol=0, atol=0)
    np.testing.assert_array_equal(cached.targets, files.targets)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_map_holds_what_the_files_hold(files, path, n_jobs):
    with parallel_config("threading"):
        cached = cache_images(files, path, n_jobs=n_jobs)
    assert_holds(cached, files)
    assert cached.images.shape == (N, 3, 6, 6)
    assert not cached.images.flags.writeable
    assert not path.with_name("cache.part").exists()
    assert sorted(p.name for p in path.iterdir()) == ["about.json", "images.npy", "states.npy"]


def test_size_given_counts_before_that_of_the_files(files, path):
    cached = cache_images(files, path, size=4)
    files.size = 4
    assert_holds(cached, files)


def test_second_call_decodes_nothing(files, path, monkeypatch):
    cache_images(files, path)
    monkeypatch.setattr(image_cache, "read_image", None)
    assert len(cache_images(files, path)) == N


def test_transform_is_given_the_same_image(files, path):
    files.transform = np.asarray
    cached = cache_images(files, path)
    np.testing.assert_array_equal(cached[3][0], files[3][0])


def test_pickle_holds_the_path_and_workers_read_the_map(files, path):
    cached = cache_images(files, path)
    content = pickle.dumps(cached)
    assert len(content) < cached.images.nbytes
    again = pickle.loads(content)
    assert isinstance(again.images, np.memmap)
    assert_holds(again, files)
    loader = DataLoader(cached, batch_size=4, num_workers=1)
    found = torch.cat([X for X, _ in loader])
    torch.testing.assert_close(found, read_all(files), rtol=0, atol=0)


def test_classifier_trains_on_the_map_as_on_the_files(files, path):
    def fit(dataset):
        clf = CRUSTClassifier(
            SmallCNN, max_epochs=3, warmup_epochs=1, batch_size=4, random_state=0, verbose=0
        )
        return clf.fit(dataset).predict_proba(dataset)

    np.testing.assert_array_equal(fit(cache_images(files, path)), fit(files))


# Cut off, and gone on with ----------------------------------------------------------------------


def stop_after(monkeypatch, n_images, error=KeyboardInterrupt):
    """Let so many images be decoded, and return the names of those that are."""
    read_image, seen = image_cache.read_image, []

    def read(path, size):
        if len(seen) == n_images:
            raise error
        seen.append(path.name)
        return read_image(path, size)

    monkeypatch.setattr(image_cache, "read_image", read)
    return seen


def test_call_after_a_cut_decodes_the_others(files, path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after(patch, 7)
        with pytest.raises(KeyboardInterrupt):
            cache_images(files, path)
    assert not path.exists()
    seen = stop_after(monkeypatch, N)
    # Two chunks of three were done; of the third, one had been decoded and not noted.
    cached = cache_images(files, path)
    assert seen == [f"{i}.png" for i in range(6, N)]
    assert_holds(cached, files)


def test_call_after_a_kill_decodes_the_others(files, path, monkeypatch):
    def build_and_die():
        read_image, seen = image_cache.read_image, []

        def read(name, size):
            seen.append(name)
            if len(seen) == 8:
                os.kill(os.getpid(), signal.SIGKILL)
            return read_image(name, size)

        image_cache.read_image = read
        cache_images(files, path)

    process = multiprocessing.get_context("fork").Process(target=build_and_die)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    seen = stop_after(monkeypatch, N)
    assert_holds(cache_images(files, path), files)
    assert seen == [f"{i}.png" for i in range(6, N)]


def test_full_disk_is_an_error_and_what_is_done_stays(files, path, monkeypatch):
    full, n_calls = OSError(28, "No space left on device"), []

    def fsync(descriptor):
        n_calls.append(descriptor)
        if len(n_calls) == 2:
            raise full

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(OSError, match="No space left"):
            cache_images(files, path)
    assert not path.exists()
    seen = stop_after(monkeypatch, N)
    assert_holds(cache_images(files, path), files)
    assert len(seen) == N - 3


def test_cut_before_anything_is_decoded(files, path):
    part = path.with_name("cache.part")
    part.mkdir()
    (part / "images.npy").write_bytes(b"half a header")
    assert_holds(cache_images(files, path), files)


def test_two_processes_make_it_once(files, path):
    context = multiprocessing.get_context("fork")
    others = [context.Process(target=cache_images, args=(files, path)) for _ in range(2)]
    for process in others:
        process.start()
    for process in others:
        process.join()
    assert [process.exitcode for process in others] == [0, 0]
    assert_holds(cache_images(files, path), files)


# Another list, another size, something else -----------------------------------------------------


def change_size(files):
    files.size = 4


def change_order(files):
    files.filenames = files.filenames[::-1]


def change_length(files):
    files.filenames, files.targets = files.filenames[1:], files.targets[1:]


@pytest.mark.parametrize("is_cut", [False, True])
@pytest.mark.parametrize(
    ("change", "what"),
    [(change_size, "size"), (change_order, "filenames"), (change_length, "images, filenames")],
)
def test_map_of_others_is_refused(files, path, change, what, is_cut, monkeypatch):
    if is_cut:
        with monkeypatch.context() as patch:
            stop_after(patch, 7)
            with pytest.raises(KeyboardInterrupt):
                cache_images(files, path)
    else:
        cache_images(files, path)
    change(files)
    with pytest.raises(ValueError, match=f"{what}.* Delete the folder, or give another path"):
        cache_images(files, path)


def test_other_way_to_resize_is_refused(files, path, monkeypatch):
    cache_images(files, path)
    monkeypatch.setattr(image_cache, "RULE", "nearest")
    with pytest.raises(ValueError, match="these differ: rule"):
        cache_images(files, path)


def test_files_that_moved_and_other_labels_are_the_same(files, path, tmp_path):
    cache_images(files, path)
    shutil.move(tmp_path / "images", tmp_path / "elsewhere")
    moved = ImageFiles(files.filenames, 1 - files.targets, folder=tmp_path / "elsewhere", size=6)
    assert_holds(cache_images(moved, path), moved)


def test_foreign_folder_is_refused_and_stays(files, path):
    path.mkdir()
    (path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match="not a folder that cache_images has made"):
        cache_images(files, path)
    assert (path / "thesis.txt").read_text() == "mine"


# Broken files -----------------------------------------------------------------------------------


@pytest.fixture
def broken(files):
    for i in (1, 7):
        (files.folder / f"{i}.png").write_bytes(b"no image")
    return files


def test_unreadable_files_are_named_when_the_others_are_done(broken, path, monkeypatch):
    with pytest.raises(UnreadableImageError, match=r"2 files .*: 1\.png, 7\.png\. .*'leave out'"):
        cache_images(broken, path)
    seen = stop_after(monkeypatch, N)
    cached = cache_images(broken, path, unreadable="leave out")
    assert seen == ["1.png", "7.png"]
    rows = [0, 2, 3, 4, 5, 6, 8, 9]
    np.testing.assert_array_equal(cached.rows, rows)
    np.testing.assert_array_equal(cached.targets, broken.targets[rows])
    np.testing.assert_array_equal(cached.get_pixels(1), broken.get_pixels(2))
    assert len(cached) == 8
    assert_holds(pickle.loads(pickle.dumps(cached)), cached)
    with pytest.raises(UnreadableImageError, match="2 files"):
        cache_images(broken, path)


def test_file_that_was_repaired_is_read_again(broken, path):
    with pytest.raises(UnreadableImageError):
        cache_images(broken, path)
    for i in (1, 7):
        Image.new("RGB", (8, 8), "white").save(broken.folder / f"{i}.png")
    assert_holds(cache_images(broken, path), broken)


# Bad input --------------------------------------------------------------------------------------


def test_bad_parameter_is_named(files, path):
    with pytest.raises(ValueError, match="unreadable='skip' is not valid"):
        cache_images(files, path, unreadable="skip")
    with pytest.raises(ValueError, match="size must be an integer at least 1"):
        cache_images(files, path, size=0)
    with pytest.raises(TypeError, match="verbose=2"):
        cache_images(files, path, verbose=2)
    files.size = None
    with pytest.raises(ValueError, match="size=None, and the dataset has none"):
        cache_images(files, path)
    files.size = 6
    cache_images(files, path)
    with pytest.raises(ValueError, match="10 images and 3 targets"):
        CachedImages(path, [0, 1, 2])
