import hashlib
import io
import os
import pickle
import re
import tarfile
from dataclasses import replace

import numpy as np
import pytest
import torch

from crust_sklearn.datasets import (
    cifar_files,
    fetch_cifar10,
    fetch_cifar100,
    load_cifar10,
    load_cifar100,
)

N = 4  # images of a batch
KEYS10 = ("aggre_label", "random_label1", "random_label2", "random_label3", "worse_label")
LABEL_SETS = dict(zip(("aggregate", "random1", "random2", "random3", "worst"), KEYS10, strict=True))


class Tree:
    """Files of one of the sets, as published but small, and what is in them."""

    def __init__(self, files, seed=0):
        rng = np.random.RandomState(seed)
        self.files, self.contents, self.data, self.labels = files, {}, {}, {}
        for name in (*files.train, files.test):
            self.data[name] = rng.randint(256, size=(N, 3072), dtype=np.uint8)
            self.labels[name] = [
                rng.randint(n_classes, size=N).tolist() for n_classes in files.n_classes
            ]
            batch = {b"data": self.data[name], b"batch_label": name.encode()}
            batch |= {
                key.encode(): labels
                for key, labels in zip(files.labels, self.labels[name], strict=True)
            }
            batch[b"filenames"] = [f"{name}_{i}.png".encode() for i in range(N)]
            self.contents[name] = pickle.dumps(batch, 2)
        self.names = [
            [f"{key} {i}" for i in range(n)]
            for key, n in zip(files.names, files.n_classes, strict=True)
        ]
        meta = {
            key.encode(): [name.encode() for name in names]
            for key, names in zip(files.names, self.names, strict=True)
        }
        self.contents[files.meta] = pickle.dumps(meta, 2)

    def get_labels(self, level=0):
        return np.concatenate([self.labels[name][level] for name in self.files.train])

    def make_human(self, **changes):
        true = self.get_labels()
        if self.files.name == "cifar10":
            human = {key: (true + i) % 10 for i, key in enumerate(KEYS10)}
        else:
            coarse = self.get_labels(1)
            human = {"noisy_label": (true + 1) % 100, "noisy_coarse_label": [0] * len(true)}
            human["clean_coarse_label"] = coarse.tolist()
        return {"clean_label": true, **human, **changes}

    def write(self, folder):
        root = folder / self.files.root
        root.mkdir(parents=True)
        for name, content in self.contents.items():
            (root / name).write_bytes(content)
        torch.save(self.make_human(), folder / self.files.human.name)
        return folder

    def publish(self, server, monkeypatch):
        """Let the set be fetched from a server."""
        archive, human = io.BytesIO(), io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w:gz") as file:
            for name, content in self.contents.items():
                member = tarfile.TarInfo(f"{self.files.root}/{name}")
                member.size = len(content)
                file.addfile(member, io.BytesIO(content))
        torch.save(self.make_human(), human)
        md5 = {
            name: hashlib.md5(content, usedforsecurity=False).hexdigest()
            for name, content in self.contents.items()
        }
        files = replace(
            self.files,
            archive=server.publish(self.files.archive.name, archive.getvalue()),
            human=server.publish(self.files.human.name, human.getvalue()),
            md5=md5,
        )
        monkeypatch.setattr(cifar_files, self.files.name.upper(), files)
        return files


@pytest.fixture
def tree10():
    return Tree(cifar_files.CIFAR10)


@pytest.fixture
def tree100():
    return Tree(cifar_files.CIFAR100)


# From a folder ------------------------------------------------------------------------------------


def test_images_and_labels_of_the_batches_in_their_order(tree10, tmp_path):
    cifar = load_cifar10(tree10.write(tmp_path))
    assert (cifar.data.shape, cifar.data.dtype) == ((5 * N, 3, 32, 32), np.uint8)
    for i, name in enumerate(cifar_files.CIFAR10.train):
        rows = tree10.data[name]
        for channel in range(3):  # 1024 values each, row by row
            plane = rows[1, 1024 * channel :][:1024].reshape(32, 32)
            np.testing.assert_array_equal(cifar.data[i * N + 1, channel], plane)
    np.testing.assert_array_equal(cifar.target, tree10.get_labels())
    np.testing.assert_array_equal(cifar.target_true, tree10.get_labels())
    assert cifar.target.dtype == cifar.target_true.dtype == np.int64
    assert cifar.target_names == tree10.names[0]
    assert cifar.filenames[:N] == [f"data_batch_1_{i}.png" for i in range(N)]
    torch.from_numpy(cifar.data)  # neither read-only nor of a strange layout


def test_test_images(tree10, tmp_path):
    cifar = load_cifar10(tree10.write(tmp_path), subset="test")
    np.testing.assert_array_equal(cifar.data.reshape(N, -1), tree10.data["test_batch"])
    assert cifar.target.tolist() == tree10.labels["test_batch"][0]


@pytest.mark.parametrize(("label_set", "key"), LABEL_SETS.items())
def test_human_labels(tree10, tmp_path, label_set, key):
    cifar = load_cifar10(tree10.write(tmp_path), label_set=label_set)
    np.testing.assert_array_equal(cifar.target, tree10.make_human()[key])
    np.testing.assert_array_equal(cifar.target_true, tree10.get_labels())
    rate = (cifar.target != cifar.target_true).mean()
    assert f"label set {label_set!r}: 20 images" in cifar.DESCR
    assert f"{rate:.2%} of the labels wrong" in cifar.DESCR
    assert "Revisited" in cifar.provenance["citation"]
    assert "CC BY-NC 4.0" in cifar.provenance["licence"]


@pytest.mark.parametrize("coarse", [False, True])
@pytest.mark.parametrize("label_set", ["clean", "noisy"])
def test_cifar100_has_fine_and_coarse_labels(tree100, tmp_path, coarse, label_set):
    cifar = load_cifar100(tree100.write(tmp_path), coarse=coarse, label_set=label_set)
    true = tree100.get_labels(int(coarse))
    human = tree100.make_human()["noisy_coarse_label" if coarse else "noisy_label"]
    np.testing.assert_array_equal(cifar.target_true, true)
    np.testing.assert_array_equal(cifar.target, human if label_set == "noisy" else true)
    assert cifar.target_names == tree100.names[int(coarse)]
    assert len(cifar.target_names) == (20 if coarse else 100)


def test_folder_of_the_batches_itself(tree10, tmp_path):
    folder = tree10.write(tmp_path) / "cifar-10-batches-py"
    X, y = load_cifar10(str(folder), label_set="worst", return_X_y=True)
    np.testing.assert_array_equal(y, tree10.make_human()["worse_label"])
    assert X.shape == (20, 3, 32, 32)


def test_human_labels_of_an_npy_file(tree10, tmp_path):
    tree10.write(tmp_path)
    (tmp_path / "CIFAR-10_human.pt").unlink()
    np.save(tmp_path / "CIFAR-10_human.npy", tree10.make_human())
    y = load_cifar10(tmp_path, label_set="random2").target
    np.testing.assert_array_equal(y, tree10.make_human()["random_label2"])


def test_provenance_has_the_sums_of_what_was_read(tree10, tmp_path):
    found = load_cifar10(tree10.write(tmp_path), label_set="worst").provenance["files"]
    names = [*cifar_files.CIFAR10.train, "CIFAR-10_human.pt", "batches.meta"]
    assert [file["name"] for file in found] == names
    content = tree10.contents["data_batch_1"]
    assert found[0] == {
        "name": "data_batch_1",
        "url": None,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


@pytest.mark.parametrize("load", [load_cifar10, load_cifar100])
def test_human_labels_of_the_test_images_do_not_exist(load, tmp_path):
    label_set = "worst" if load is load_cifar10 else "noisy"
    with pytest.raises(ValueError, match=f"label_set='{label_set}' is for the training images al"):
        load(tmp_path, subset="test", label_set=label_set)


@pytest.mark.parametrize(
    ("load", "options", "message"),
    [
        (load_cifar10, {"subset": "val"}, "subset='val' is not valid. Choose one of 'train', 't"),
        (load_cifar10, {"label_set": "worse"}, "label_set='worse'.*Did you mean 'worst'"),
        (load_cifar100, {"label_set": "worst"}, "label_set='worst'.*'clean', 'noisy'"),
        (load_cifar100, {"coarse": 1}, "coarse=1 is neither True nor False"),
        (load_cifar10, {"return_X_y": None}, "return_X_y=None is neither"),
        (fetch_cifar10, {"label_set": "worse"}, "label_set='worse'"),
        (fetch_cifar10, {"download_if_missing": 0}, "download_if_missing=0 is neither"),
        (fetch_cifar100, {"subset": "test", "label_set": "noisy"}, "for the training images"),
    ],
)
def test_bad_options(load, options, message, tmp_path):
    places = {"data_home": tmp_path} if load in (fetch_cifar10, fetch_cifar100) else {}
    args = () if places else (tmp_path,)
    with pytest.raises((TypeError, ValueError), match=message):
        load(*args, **places, **options)


# Files that are not what they should be -----------------------------------------------------------


def test_order_of_the_human_labels_is_checked_row_by_row(tree10, tmp_path):
    """Also where the sum of the differences is zero."""
    tree10.write(tmp_path)
    own = tree10.get_labels()
    i, j = 2, int(np.flatnonzero(own != own[2])[-1])
    own[[i, j]] = own[[j, i]]
    torch.save(tree10.make_human(clean_label=own), tmp_path / "CIFAR-10_human.pt")
    with pytest.raises(ValueError, match=r"differs .* in 2 of 20 rows, first in row 2 \("):
        load_cifar10(tmp_path, label_set="worst")
    load_cifar10(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"worse_label": np.zeros(19, np.int64)}, "has 19 labels, and there are 20 images"),
        ({"worse_label": np.full(20, 10)}, "'worse_label' holds 10 to 10, expected 0 to 9"),
        ({"worse_label": np.full(20, -1)}, "holds -1 to -1"),
        ({"worse_label": [0.5] * 20}, "'worse_label' is not one integer per image"),
        ({"worse_label": np.zeros((20, 2), np.int64)}, "is not one integer per image"),
    ],
)
def test_human_labels_of_another_shape(tree10, tmp_path, changes, message):
    tree10.write(tmp_path)
    torch.save(tree10.make_human(**changes), tmp_path / "CIFAR-10_human.pt")
    with pytest.raises(ValueError, match=message):
        load_cifar10(tmp_path, label_set="worst")


def test_human_labels_that_the_file_does_not_have(tree10, tmp_path):
    tree10.write(tmp_path)
    torch.save({"clean_label": tree10.get_labels()}, tmp_path / "CIFAR-10_human.pt")
    with pytest.raises(ValueError, match=r"no labels 'worse_label', but \['clean_label'\]"):
        load_cifar10(tmp_path, label_set="worst")


def test_missing_files_are_named(tree10, tmp_path):
    with pytest.raises(FileNotFoundError, match="has no cifar-10-batches-py/batches.meta. Give"):
        load_cifar10(tmp_path)
    tree10.write(tmp_path)
    (tmp_path / "CIFAR-10_human.pt").unlink()
    with pytest.raises(FileNotFoundError, match="has no CIFAR-10_human.pt.*published at https"):
        load_cifar10(tmp_path, label_set="worst")
    (tmp_path / "cifar-10-batches-py" / "data_batch_3").unlink()
    with pytest.raises(FileNotFoundError, match="data_batch_3 is missing"):
        load_cifar10(tmp_path)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({"data": np.zeros((2, 3072), np.uint8)}, "data_batch_2 has no 'labels'"),
        ({"labels": [1]}, "data_batch_2 has no 'data'"),
        ([1], "data_batch_2 has no 'data'"),
        ({"data": np.zeros((2, 3072), np.uint8), "labels": [1]}, r"expected uint8 of shape \(1, "),
        ({"data": np.zeros((1, 3072)), "labels": [1]}, "data is float64"),
        ({"data": np.zeros((1, 3000), np.uint8), "labels": [1]}, r"of shape \(1, 3000\)"),
        ({"data": np.zeros((1, 3072), np.uint8), "labels": [10]}, "integers from 0 to 9"),
        ({"data": np.zeros((1, 3072), np.uint8), "labels": ["cat"]}, "integers from 0 to 9"),
    ],
)
def test_batches_of_another_layout(tree10, tmp_path, batch, message):
    tree10.write(tmp_path)
    (tmp_path / "cifar-10-batches-py" / "data_batch_2").write_bytes(pickle.dumps(batch, 2))
    with pytest.raises(ValueError, match=message):
        load_cifar10(tmp_path)


def test_names_that_are_too_few(tree10, tmp_path):
    tree10.write(tmp_path)
    meta = pickle.dumps({"label_names": ["cat"]}, 2)
    (tmp_path / "cifar-10-batches-py" / "batches.meta").write_bytes(meta)
    with pytest.raises(ValueError, match="names 1 classes, not 10"):
        load_cifar10(tmp_path)


class Malicious:
    def __init__(self, victim):
        self.victim = victim

    def __reduce__(self):
        return os.mkdir, (str(self.victim),)


@pytest.mark.parametrize("name", ["data_batch_3", "batches.meta", "CIFAR-10_human.pt"])
def test_malicious_pickle_in_place_of_a_file_is_refused(tree10, tmp_path, name):
    tree10.write(tmp_path)
    victim = tmp_path / "victim"
    if name.endswith(".pt"):
        torch.save(tree10.make_human(more=Malicious(victim)), tmp_path / name)
    else:
        path = tmp_path / "cifar-10-batches-py" / name
        content = pickle.loads(path.read_bytes()) | {b"more": Malicious(victim)}
        path.write_bytes(pickle.dumps(content))
    with pytest.raises(ValueError, match=f"{name} is refused: .*Nothing of it was run"):
        load_cifar10(tmp_path, label_set="worst")
    assert not victim.exists()


# Fetched ------------------------------------------------------------------------------------------


def test_published_addresses_are_https_and_have_sums():
    for files in (cifar_files.CIFAR10, cifar_files.CIFAR100):
        for remote in (files.archive, files.human):
            assert remote.url.startswith("https://") and remote.url.endswith(remote.name)
            assert re.fullmatch("[0-9a-f]{64}", remote.sha256)
        assert set(files.md5) == {*files.train, files.test, files.meta}
        assert all(re.fullmatch("[0-9a-f]{32}", md5) for md5 in files.md5.values())


def test_fetched_once_and_kept(tree10, tmp_path, server, monkeypatch):
    files = tree10.publish(server, monkeypatch)
    for _ in range(2):
        cifar = fetch_cifar10(label_set="worst", data_home=tmp_path)
        np.testing.assert_array_equal(cifar.target, tree10.make_human()["worse_label"])
    assert [name for name, _ in server.requests] == [files.archive.name, files.human.name]
    assert cifar.provenance["files"] == [
        {"name": r.name, "url": r.url, "bytes": r.size, "sha256": r.sha256}
        for r in (files.archive, files.human)
    ]
    found = [p.name for p in (tmp_path / "cifar10").iterdir() if not p.name.startswith(".")]
    assert sorted(found) == ["CIFAR-10_human.pt", "cifar-10-batches-py"]


def test_clean_labels_do_not_need_the_human_ones(tree100, tmp_path, server, monkeypatch):
    files = tree100.publish(server, monkeypatch)
    X, y = fetch_cifar100(subset="test", data_home=str(tmp_path), return_X_y=True)
    assert y.tolist() == tree100.labels["test"][0]
    assert [name for name, _ in server.requests] == [files.archive.name]
    y = fetch_cifar100(label_set="noisy", coarse=True, data_home=tmp_path).target
    assert y.tolist() == [0] * N


def test_data_home_of_the_environment(tree10, tmp_path, server, monkeypatch):
    tree10.publish(server, monkeypatch)
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    fetch_cifar10()
    assert (tmp_path / "cifar10" / "cifar-10-batches-py").is_dir()


def test_nothing_is_loaded_unless_allowed(tree10, tmp_path, server, monkeypatch):
    tree10.publish(server, monkeypatch)
    options = {"data_home": tmp_path, "download_if_missing": False}
    with pytest.raises(OSError, match="no cifar-10-batches-py, and download_if_missing is False"):
        fetch_cifar10(**options)
    assert server.requests == []
    fetch_cifar10(data_home=tmp_path)
    fetch_cifar10(**options)
    with pytest.raises(OSError, match="has no CIFAR-10_human.pt, and"):
        fetch_cifar10(label_set="worst", **options)
    assert len(server.requests) == 1


def test_damaged_labels_are_not_loaded_again_unless_allowed(tree10, tmp_path, server, monkeypatch):
    files = tree10.publish(server, monkeypatch)
    options = {"data_home": tmp_path, "label_set": "worst"}
    fetch_cifar10(**options)
    (tmp_path / "cifar10" / files.human.name).write_bytes(b"x")
    with pytest.raises(OSError, match="is damaged: it has 1 bytes.*download_if_missing is False"):
        fetch_cifar10(**options, download_if_missing=False)
    with pytest.warns(UserWarning, match="CIFAR-10_human.pt is damaged"):
        fetch_cifar10(**options)


def test_options_of_the_download_are_passed_on(tree10, tmp_path, server, monkeypatch, answers):
    files = tree10.publish(server, monkeypatch)
    server.faults[files.archive.name] = [answers[1](500)] * 3
    with pytest.warns(UserWarning), pytest.raises(OSError, match="The last 3 tries"):
        fetch_cifar10(data_home=tmp_path, n_retries=2, delay=0)
    fetch_cifar10(data_home=tmp_path)
    with pytest.raises(ValueError, match="timeout must be"):  # also where nothing is loaded
        fetch_cifar10(data_home=tmp_path, timeout=0)


def test_archive_with_a_wrong_sum_is_not_unpickled(tree10, tmp_path, server, monkeypatch):
    files = tree10.publish(server, monkeypatch)
    content = server.files[files.archive.name]
    server.files[files.archive.name] = content[:-1] + b"x"
    with pytest.raises(OSError, match=f"{files.archive.name} is not the file that is expected"):
        fetch_cifar10(data_home=tmp_path)


@pytest.mark.parametrize("change", ["damaged", "missing"])
def test_files_that_were_damaged_later_are_not_unpickled(
    tree10, tmp_path, server, monkeypatch, change
):
    tree10.publish(server, monkeypatch)
    fetch_cifar10(data_home=tmp_path)
    path = tmp_path / "cifar10" / "cifar-10-batches-py" / "test_batch"
    path.write_bytes(b"x") if change == "damaged" else path.unlink()
    with pytest.raises(ValueError, match="test_batch is missing or damaged. Remove the folder"):
        fetch_cifar10(data_home=tmp_path)
