"""The fetched sets in the benchmark, on small files of their layouts, with a small network."""

import io
import pickle
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from protocol import fetched_sets, recipes, runs, sets
from protocol.sources import Places

from crust_sklearn.modules import SmallCNN

BENCHMARKS = Path(runs.__file__).parents[1]
N_TRAIN, N_TEST = 40, 10
TRUE = np.arange(N_TRAIN) % 2  # two of the classes: dark images, and light ones


def make_images(labels):
    rng = np.random.RandomState(0)
    return (rng.randint(100, size=(len(labels), 3072)) + 150 * labels[:, None]).astype(np.uint8)


def make_cifar(folder, *, key, names, parts, n_classes):
    folder.mkdir(parents=True)
    for name, labels in parts.items():
        batch = {"data": make_images(labels), key: labels.tolist()}
        batch["coarse_labels"] = [0] * len(labels)
        (folder / name).write_bytes(pickle.dumps(batch, 2))
    meta = {f"{level}label_names": ["x"] * n for level, n in n_classes.items()}
    (folder / names).write_bytes(pickle.dumps(meta, 2))


def make_cifar10(folder):
    parts = {f"data_batch_{i + 1}": part for i, part in enumerate(np.split(TRUE, 5))}
    parts["test_batch"] = TRUE[:N_TEST]
    make_cifar(
        folder / "cifar-10-batches-py",
        key="labels",
        names="batches.meta",
        parts=parts,
        n_classes={"": 10},
    )
    keys = ("aggre_label", "random_label1", "worse_label")
    human = {"clean_label": TRUE} | {key: make_wrong(i + 1) for i, key in enumerate(keys)}
    torch.save(human, folder / "CIFAR-10_human.pt")


def make_cifar100(folder):
    make_cifar(
        folder / "cifar-100-python",
        key="fine_labels",
        names="meta",
        parts={"train": TRUE, "test": TRUE[:N_TEST]},
        n_classes={"fine_": 100, "coarse_": 20},
    )
    human = {"clean_label": TRUE, "noisy_label": make_wrong(4)}
    torch.save(human, folder / "CIFAR-100_human.pt")


def make_wrong(n_wrong):
    return np.where(np.arange(N_TRAIN) < n_wrong, 1 - TRUE, TRUE)


def make_tiny_imagenet(folder):
    root = folder / "tiny-imagenet-200"
    rows = {"train/n01/images/n01": 0, "train/n02/images/n02": 1, "val/images/val": 1}
    for name, label in rows.items():
        (root / name).parent.mkdir(parents=True)
        for i in range(N_TEST):
            image = io.BytesIO()
            Image.new("RGB", (64, 64), (20 + 200 * label, i, 0)).save(image, "JPEG")
            (root / f"{name}_{i}.JPEG").write_bytes(image.getvalue())
    (root / "wnids.txt").write_text("n02\nn01\n")
    (root / "words.txt").write_text("n01\tfish\nn02\tfrog\n")
    lines = "".join(f"val_{i}.JPEG\tn02\t0\t0\t9\t9\n" for i in range(N_TEST))
    (root / "val" / "val_annotations.txt").write_text(lines)


@pytest.fixture
def places(tmp_path):
    """Return a data home with all three sets."""
    home = tmp_path / "home"
    make_cifar10(home / "cifar10")
    make_cifar100(home / "cifar100")
    make_tiny_imagenet(home / "tiny_imagenet")
    return Places(data=home, noise=tmp_path / "noise")


@pytest.mark.parametrize("entry", sets.FETCHED, ids=lambda entry: entry.name)
def test_every_entry_is_read(places, entry, monkeypatch):
    is_superclass_noise = entry.noise is not None and entry.noise.transition == "cifar100"
    if is_superclass_noise:  # of 100 classes, which are not there
        monkeypatch.setattr(entry.noise.__class__, "draw", lambda self, X, true, seed: 1 - true)
    data = entry.load(places, 0)
    assert data.X.dtype == data.X_test.dtype == np.float32
    assert len(data.X) == len(data.given) == len(data.true)
    assert len(data.X_test) == len(data.y_test) == N_TEST
    np.testing.assert_allclose(data.X.mean(axis=(0, 2, 3)), 0, atol=1e-4)
    np.testing.assert_allclose(data.X.std(axis=(0, 2, 3)), 1, atol=1e-4)
    # Test images by the mean of the training images: light ones alone are not of mean zero.
    red = data.X_test[data.y_test == 1, 0].mean()
    assert red == pytest.approx(data.X[data.true == 1, 0].mean(), abs=0.3)
    wrong = {"cifar10-aggregate": 1, "cifar10-random1": 2, "cifar10-worst": 3, "cifar100-human": 4}
    if entry.kind == "clean":
        assert data.is_right.all()
    elif entry.kind == "human":
        assert (~data.is_right).sum() == wrong[entry.name]
    else:
        assert not data.is_right.all()


def test_folder_of_one_set_is_found_too(places):
    within = Places(data=places.data / "cifar100")
    a, b = (fetched_sets.HUMAN["cifar100-human"].read(p, 0) for p in (places, within))
    np.testing.assert_array_equal(a.X, b.X)
    np.testing.assert_array_equal(a.given, b.given)


def test_recipe_is_that_of_the_paper():
    options = recipes.RECIPES["cifar"].make_options()
    assert (options["lr"], options["batch_size"], options["max_epochs"]) == (0.1, 128, 120)
    [(_, schedule)] = options["callbacks"]
    assert (schedule.milestones, schedule.gamma) == ([80, 100], 0.1)
    net = options["module"](num_classes=100, in_channels=3)
    assert net(torch.zeros(2, 3, 32, 32)).shape == (2, 100)
    assert net[1].depth == 32


def test_command_trains_on_a_set_in_the_folder(places, tmp_path, monkeypatch, capsys):
    options = recipes.RECIPES["cifar"].options
    for name, value in {"module": SmallCNN, "max_epochs": 2, "lr": 0.01, "device": "cpu"}.items():
        monkeypatch.setitem(options, name, value)
    csv = tmp_path / "runs.csv"
    call = ["benchmarks", "run", "--sets", "cifar100-human", "--data", places.data, "--csv", csv]
    call += ["--noise", places.noise, "--methods", "plain", "oracle", "--seeds", 0, "--jobs", 1]
    monkeypatch.setattr(sys, "argv", list(map(str, call)))
    runpy.run_path(str(BENCHMARKS / "__main__.py"), run_name="__main__")
    keys = [line.split(",")[:4] for line in csv.read_text().splitlines()[1:]]
    expected = [["cifar100-human", name, "cifar", "0"] for name in ("plain", "oracle")]
    assert sorted(keys) == sorted(expected)
