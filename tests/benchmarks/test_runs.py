import runpy
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from protocol import methods, recipes, runs
from protocol.methods import RATE, RIGHT_ROWS, Method, Rows
from protocol.sets import SETS
from protocol.sources import Places
from sklearn.dummy import DummyClassifier

BENCHMARKS = Path(runs.__file__).parents[1]


@pytest.fixture
def places(tables, tmp_path):
    return Places(tables, noise=tmp_path / "noise")


@pytest.fixture
def short(monkeypatch):
    """Make the recipe "adam" one of two epochs."""
    recipe = recipes.RECIPES["adam"]
    monkeypatch.setitem(recipe.options, "max_epochs", 2)


@pytest.fixture
def spy(monkeypatch):
    """Return what makes a method that keeps what it is given, and predicts one class."""
    seen = []

    def add(told=None):
        def fit(rows, options):
            seen.append(rows)
            clf = DummyClassifier(strategy="most_frequent").fit(rows.X, rows.given)
            return clf, np.arange(len(rows.X))

        monkeypatch.setitem(methods.METHODS, "spy", Method("spy", fit, told))
        return seen

    return add


def test_method_sees_neither_test_rows_nor_true_labels(places, spy):
    seen = spy()
    runs.run("labelme", "spy", "adam", "5", places)
    data = SETS["labelme"].load(places, 5)
    (rows,) = seen
    assert [f.name for f in fields(rows)] == ["X", "given", "n_classes", "seed", "noise_rate"]
    assert set(vars(rows)) == {f.name for f in fields(rows)}
    np.testing.assert_array_equal(rows.X, data.X)
    np.testing.assert_array_equal(rows.given, data.given)
    assert (rows.given != data.true).any()
    assert (rows.n_classes, rows.seed, rows.noise_rate) == (3, 5, None)
    # No view that leads back to the labels or the test rows.
    assert rows.given.base is None or not np.shares_memory(rows.given.base, data.true)
    assert len(rows.X) == len(data.X)


def test_method_is_told_what_it_declares_and_no_more(places, spy):
    seen = spy(RATE)
    runs.run("labelme", "spy", "adam", "0", places)
    spy(RIGHT_ROWS)
    measured = runs.run("labelme", "spy", "adam", "0", places)
    told_rate, told_rows = seen
    data = SETS["labelme"].load(places, 0)
    assert told_rate.noise_rate == pytest.approx(0.2)
    np.testing.assert_array_equal(told_rate.given, data.given)
    assert told_rows.noise_rate is None
    np.testing.assert_array_equal(told_rows.given, data.true[data.is_right])
    np.testing.assert_array_equal(told_rows.X, data.X[data.is_right])
    assert measured["clean_fraction"] == measured["clean_recall"] == 1


def test_oracle_alone_is_declared_to_know_the_right_rows():
    told = {name: method.told for name, method in methods.METHODS.items() if method.told}
    of_papers = {f"{name}, paper's" for name in ("Co-teaching", "Co-teaching+", "small loss")}
    assert told.pop("oracle") == RIGHT_ROWS
    assert told == dict.fromkeys({"small loss, true rate", *of_papers}, RATE)


def test_measures_are_those_of_the_test_rows(places, spy):
    spy()
    measured = runs.run("labelme", "spy", "adam", "0", places)
    data = SETS["labelme"].load(places, 0)
    most = np.bincount(data.given).argmax()
    assert measured["test_accuracy"] == np.mean(data.y_test == most)
    assert measured["balanced_accuracy"] == pytest.approx(1 / 3)
    assert measured["clean_fraction"] == measured["base_rate"] == 0.8
    assert measured["clean_recall"] == 1


def test_run_is_repeatable(places, short):
    once, again = (runs.run("segment symmetric 50%", "default", "adam", "1", places) for _ in "ab")
    del once["seconds"], again["seconds"]
    assert once == again


def test_recipes_for_images_are_not_mixed_with_those_for_tables():
    keys = runs.list_runs(["labelme", "cifar10 human"], ["plain"], ["adam", "cnn"], [0, 1])
    assert keys == [
        ("labelme", "plain", "adam", "0"),
        ("cifar10 human", "plain", "cnn", "0"),
        ("labelme", "plain", "adam", "1"),
        ("cifar10 human", "plain", "cnn", "1"),
    ]


@pytest.mark.parametrize(
    "name", [n for n, r in recipes.RECIPES.items() if r.is_for_images is False]
)
def test_every_recipe_trains_to_the_end_with_a_last_batch_of_one_row(name):
    rng = np.random.default_rng(0)
    options = recipes.RECIPES[name].make_options()
    options["max_epochs"] = 1
    n_rows = 2 * options["batch_size"] + 1
    rows = Rows(rng.normal(size=(n_rows, 4)).astype(np.float32), np.arange(n_rows) % 2, 2, 0)
    clf, kept = methods.METHODS["plain"].fit(rows, options)
    assert np.isfinite(clf.predict_proba(rows.X)).all()
    assert len(kept) == n_rows


def test_recipe_gives_every_net_callbacks_of_its_own():
    first, second = (recipes.RECIPES["sgd"].make_options()["callbacks"] for _ in "ab")
    assert first[0][1] is not second[0][1]


def test_variant_replaces_what_is_inside_for_its_own_fit_alone(monkeypatch):
    from crust_sklearn.label_noise import label_quality

    found = []
    monkeypatch.setattr(
        methods, "fit_net", lambda net, rows: found.append((net, label_quality.MIN_NOISE))
    )
    inside = {"label_noise.label_quality.MIN_NOISE": 0.125}
    variant = methods.crust("mine", {"warmup_epochs": 7}, inside)
    variant.fit(Rows(None, None, 2, 0), recipes.RECIPES["adam"].make_options())
    ((net, min_noise),) = found
    assert (net.warmup_epochs, min_noise) == (7, 0.125)
    assert label_quality.MIN_NOISE != 0.125


def call(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["benchmarks", *map(str, arguments)])
    runpy.run_path(str(BENCHMARKS / "__main__.py"), run_name="__main__")


def test_command_runs_what_is_missing_and_reports(places, short, tmp_path, monkeypatch, capsys):
    csv = tmp_path / "runs.csv"
    where = ("--tables", places.tables, "--noise", places.noise, "--csv", csv, "--jobs", 1)
    sets = ("--sets", "labelme", "segment clean", "vowel clean")
    run = ("run", *where, *sets, "--methods", "plain", "oracle", "--recipes", "adam")
    call(monkeypatch, *run, "--seeds", 0)
    assert "Without --keel, not run: vowel clean" in capsys.readouterr().err
    call(monkeypatch, *run, "--seeds", 0, 1)
    lines = csv.read_text().splitlines()
    assert len(lines) == 1 + 2 * 2 * 2
    assert [line.startswith("labelme,plain,adam,0,") for line in lines].count(True) == 1
    capsys.readouterr()
    call(monkeypatch, "report", "--csv", csv)
    printed = capsys.readouterr().out
    assert "| labelme | 20% |" in printed
    assert "| oracle | 100% |" in printed
    assert "±" in printed


def test_misspelt_set_is_refused_with_the_names_that_there_are(monkeypatch, capsys):
    with pytest.raises(SystemExit):
        call(monkeypatch, "run", "--sets", "labelmee")
    assert "'labelmee' is unknown. Groups: development, tables" in capsys.readouterr().err
