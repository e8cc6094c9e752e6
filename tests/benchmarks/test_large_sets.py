"""The large sets in the benchmark, on made trees, with a small network in the recipe's place."""

import json
import runpy
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from protocol import large_recipes, recipes, runs, sets
from protocol.methods import METHODS
from protocol.sources import Places
from torch import nn

from crust_sklearn.modules import SmallCNN

BENCHMARKS = Path(runs.__file__).parents[1]
N_TRAIN, N_TEST, SIZE = 12, 4, 12


def draw(path, is_light):
    rng = np.random.default_rng(zlib.crc32(path.name.encode()))
    pixels = rng.integers(0, 100, (SIZE, SIZE + 2, 3)) + 150 * is_light
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def write_lists(folder, lists):
    for name, lines in lists.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("".join(f"{line}\n" for line in lines))


def list_images(pattern, n_images):
    return [(pattern.format(i=i, y=i % 2), i % 2) for i in range(n_images)]


def make_webvision(folder):
    train = list_images("google/q{y:04}/{i}.jpg", N_TRAIN)
    val = list_images("val_images_256/{i}.jpg", N_TEST)
    write_lists(
        folder,
        {
            "info/train_filelist_google.txt": [f"{name} {y}" for name, y in train],
            "info/val_filelist.txt": [f"{name.split('/')[1]} {y}" for name, y in val],
        },
    )
    return train + val


def make_clothing1m(folder):
    train = list_images("images/0/{i},a.jpg", N_TRAIN)
    test = list_images("images/1/{i},b.jpg", N_TEST)
    lists = {}
    for kind, part, images in (("noisy", "train", train), ("clean", "test", test)):
        lists[f"{kind}_label_kv.txt"] = [f"{name} {y}" for name, y in images]
        lists[f"{kind}_{part}_key_list.txt"] = [name for name, _ in images]
    write_lists(folder, lists)
    return train + test


def make_food101n(folder):
    release = "Food-101N_release"
    train = list_images(f"{release}/images/c{{y}}/{{i}}.jpg", N_TRAIN)
    test = list_images("food-101/images/c{y}/{i}.jpg", N_TEST)
    write_lists(
        folder,
        {
            f"{release}/meta/classes.txt": ["class_name", "c0", "c1"],
            f"{release}/meta/imagelist.tsv": [
                "class_name/key",
                *(name.split("images/")[1] for name, _ in train),
            ],
        },
    )
    by_class = {f"c{y}": [f"c{y}/{i}" for i in range(N_TEST) if i % 2 == y] for y in (0, 1)}
    write_lists(folder, {"food-101/meta/test.json": [json.dumps(by_class)]})
    return train + test


def make_animal10n(folder):
    return list_images("training/{y}_{i}.jpg", N_TRAIN) + list_images("testing/{y}_{i}.jpg", N_TEST)


def make_imagenet(folder):
    train = list_images("train/n0000000{y}/{i}.JPEG", N_TRAIN)
    return train + list_images("val/n0000000{y}/{i}.JPEG", N_TEST)


MAKE = {
    "webvision-mini": make_webvision,
    "webvision-google": make_webvision,
    "clothing1m": make_clothing1m,
    "food101n": make_food101n,
    "animal10n": make_animal10n,
    "imagenet symmetric 40%": make_imagenet,
    "imagenet clean": make_imagenet,
}


@pytest.fixture
def make_tree(tmp_path, monkeypatch):
    """Return what makes the tree of a set, with small images, and a small recipe for it."""

    def make(name):
        entry = sets.SETS[name]
        for image, y in MAKE[name](tmp_path):
            draw(tmp_path / image, y)
        small = replace(entry, source=replace(entry.source, size=SIZE))
        monkeypatch.setitem(sets.SETS, name, small)
        recipe = recipes.RECIPES[entry.recipe]
        options = {k: v for k, v in recipe.options.items() if not k.startswith(("module", "iter"))}
        options |= {"module": SmallCNN, "batch_size": 4, "max_epochs": 6, "device": "cpu"}
        monkeypatch.setitem(recipes.RECIPES, entry.recipe, replace(recipe, options=options))
        monkeypatch.setattr(runs, "warm_up", lambda: None)  # of what is not timed here
        return Places(data=tmp_path, noise=tmp_path / "noise")

    return make


def test_every_large_set_has_a_tree_here():
    assert set(MAKE) == set(sets.GROUPS["large"])


@pytest.mark.parametrize("name", MAKE)
def test_set_is_read_as_the_papers_train_on_it(make_tree, name):
    places = make_tree(name)
    data = sets.SETS[name].load(places, 0)
    assert (len(data.X), len(data.X_test), data.n_classes) == (N_TRAIN, N_TEST, 2)
    assert data.X[0].shape == (3, SIZE, SIZE)
    light = np.array([float(X.mean()) > 0.5 for X in data.X])
    np.testing.assert_array_equal([float(X.mean()) > 0.5 for X in data.X_test], data.y_test)
    if name.startswith("imagenet"):
        np.testing.assert_array_equal(light, data.true)
        assert data.is_right.mean() == pytest.approx(1 if "clean" in name else 0.6, abs=0.1)
    else:
        np.testing.assert_array_equal(light, data.given)
        assert data.is_right is None


@pytest.mark.parametrize(
    ("name", "method"), [("webvision-mini", "default"), ("imagenet clean", "plain")]
)
def test_run_measures_what_is_known(make_tree, name, method):
    places, recipe = make_tree(name), sets.SETS[name].recipe
    measured = runs.run(name, method, recipe, "0", places)
    assert 0 <= measured["test_accuracy"] <= 1
    knows = name == "imagenet clean"
    for measure in ("clean_fraction", "clean_recall", "base_rate"):
        assert np.isfinite(measured[measure]) == knows


def test_sets_run_with_their_own_recipe_and_methods_that_need_no_truth():
    names = ["webvision-mini", "imagenet clean", "labelme"]
    keys = runs.list_runs(names, ["plain", "oracle"], ["adam", "webvision-mini", "imagenet"], [0])
    assert keys == [
        ("webvision-mini", "plain", "webvision-mini", "0"),
        ("imagenet clean", "plain", "imagenet", "0"),
        ("imagenet clean", "oracle", "imagenet", "0"),
        ("labelme", "plain", "adam", "0"),
        ("labelme", "oracle", "adam", "0"),
    ]
    assert METHODS["oracle"].told is not None


def call(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["benchmarks", *map(str, arguments)])
    runpy.run_path(str(BENCHMARKS / "__main__.py"), run_name="__main__")


def test_command_runs_a_set_by_its_folder(make_tree, tmp_path, monkeypatch, capsys):
    make_tree("webvision-mini")
    recipe = recipes.RECIPES["webvision-mini"]
    monkeypatch.setitem(recipes.RECIPES, "webvision-mini", replace(recipe, package="torch"))
    csv = tmp_path / "runs.csv"
    run = ("run", "--sets", "webvision-mini", "--csv", csv, "--jobs", 1, "--seeds", 0)
    run = (*run, "--methods", "plain", "oracle")
    call(monkeypatch, *run)
    assert "Without --data, not run: webvision-mini" in capsys.readouterr().err
    call(monkeypatch, *run, "--data", tmp_path)
    (line,) = csv.read_text().splitlines()[1:]
    assert line.startswith("webvision-mini,plain,webvision-mini,0,") and ",nan," in line
    call(monkeypatch, "report", "--csv", csv)
    assert "webvision-mini" in capsys.readouterr().out


def test_command_says_what_a_recipe_needs(make_tree, tmp_path, monkeypatch, capsys):
    make_tree("webvision-mini")
    recipe = recipes.RECIPES["webvision-mini"]
    monkeypatch.setitem(recipes.RECIPES, "webvision-mini", replace(recipe, package="no_such"))
    csv = tmp_path / "runs.csv"
    call(monkeypatch, "run", "--sets", "webvision-mini", "--data", tmp_path, "--csv", csv)
    assert "The recipe webvision-mini needs no_such: pip install" in capsys.readouterr().err


# What the recipes are made of --------------------------------------------------------------------


def test_crops_are_squares_of_the_image_and_the_middle_one_in_eval_mode():
    torch.manual_seed(0)
    X = torch.arange(2 * 3 * 9 * 11.0).reshape(2, 3, 9, 11)
    crop = large_recipes.CropFlip(5)
    torch.testing.assert_close(crop.eval()(X), X[:, :, 2:7, 3:8])
    crop.train()
    found = set()
    for _ in range(40):
        for x, part in zip(X, crop(X), strict=True):
            windows = {
                (i, j, mirror): window.flip(-1) if mirror else window
                for i in range(5)
                for j in range(7)
                for mirror in (False, True)
                for window in [x[:, i : i + 5, j : j + 5]]
            }
            (key,) = [k for k, window in windows.items() if torch.equal(window, part)]
            found.add(key)
    assert len(found) > 40 and {mirror for *_, mirror in found} == {False, True}
    assert {i for i, *_ in found} == set(range(5)) and {j for _, j, _ in found} == set(range(7))


def test_colours_are_standardized():
    X = torch.rand(50, 3, 4, 4)
    mean, std = X.mean((0, 2, 3)), X.std((0, 2, 3))
    found = large_recipes.Standardize(mean.tolist(), std.tolist())(X)
    torch.testing.assert_close(found.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.std((0, 2, 3)), torch.ones(3))


def test_network_is_built_from_the_recipes_options(monkeypatch):
    def make_network(name, num_classes, weights=None):
        asked.append((name, num_classes, weights))
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, num_classes))

    asked = []
    monkeypatch.setattr(large_recipes, "make_network", make_network)
    for options in large_recipes.BY_SET.values():
        module = {k[8:]: v for k, v in options.items() if k.startswith("module__")}
        net = options["module"](num_classes=7, in_channels=3, **module)
        assert net(torch.rand(2, 3, 256, 256)).shape == (2, 7)
    resnet, vgg = ("resnet50", 7, None), ("vgg19_bn", 7, None)
    pretrained = ("resnet50", 7, "IMAGENET1K_V1")
    assert asked == [*[resnet] * 3, *[pretrained] * 2, vgg]
    with pytest.raises(ValueError, match="in_channels=1: images in colours"):
        options["module"](num_classes=7, in_channels=1, **module)
