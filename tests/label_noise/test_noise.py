import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import DataConversionWarning
from sklearn.model_selection import train_test_split

from crust_sklearn.label_noise import NoisyLabels, make_label_noise

LABELS = {
    "ints": np.array([0, 1, 2] * 20),
    "gapped ints": np.array([-3, 7, 100] * 20, dtype=np.int16),
    "bools": np.array([True, False] * 30),
    "floats": np.array([1.0, 2.0] * 30),
    "strings": np.array(["cat", "dog", "owl"] * 20),
    "objects": np.array(["cat", "dog", "owl"] * 20, dtype=object),
    "list": ["cat", "dog", "owl"] * 20,
    "tuple": (True, False) * 30,
    "series": pd.Series(["a", "b"] * 30, index=range(100, 160), name="label"),
    "duplicate index": pd.Series([3, 1] * 30, index=[0] * 60),
    "categorical": pd.Series(pd.Categorical(["b", "a"] * 30, categories=["c", "b", "a"])),
    "nullable": pd.Series([1, 5] * 30, dtype="Int64"),
    "tensor": torch.tensor([2, 4] * 30),
    "bool tensor": torch.tensor([True, False] * 30),
}
X = np.random.RandomState(0).standard_normal((60, 5))


def to_numpy(y):
    return y.numpy() if isinstance(y, torch.Tensor) else np.asarray(y)


@pytest.mark.parametrize("kind", ["symmetric", "uniform", "asymmetric", "instance"])
@pytest.mark.parametrize("y", LABELS.values(), ids=LABELS)
def test_keeps_the_type_of_the_labels(y, kind):
    before = to_numpy(y).copy()
    noisy, is_wrong, rate = make_label_noise(y, kind, 0.4, X=X, random_state=0)

    assert type(noisy) is type(y)
    if isinstance(y, pd.Series):
        pd.testing.assert_index_equal(noisy.index, y.index)
        assert noisy.name == y.name
    if hasattr(y, "dtype"):
        assert noisy.dtype == y.dtype
    np.testing.assert_array_equal(to_numpy(y), before)
    assert set(to_numpy(noisy).tolist()) <= set(before.tolist())

    np.testing.assert_array_equal(to_numpy(noisy) != before, is_wrong)
    assert is_wrong.dtype == bool
    assert 0 < rate == is_wrong.mean() < 1


@given(
    counts=st.lists(st.integers(1, 40), min_size=2, max_size=6),
    rate=st.floats(0, 1),
    kind=st.sampled_from(["symmetric", "asymmetric"]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=60)
def test_keeps_to_the_rate_overall_and_in_each_class(counts, rate, kind, seed):
    y = np.repeat(np.arange(len(counts)), counts)
    noisy = make_label_noise(y, kind, rate, random_state=seed)
    assert noisy.is_wrong.sum() == round(rate * len(y))
    assert noisy.rate == noisy.is_wrong.sum() / len(y)
    flipped = np.bincount(y[noisy.is_wrong], minlength=len(counts))
    assert (np.abs(flipped - rate * np.array(counts)) <= 1).all()


@given(seed=st.integers(0, 1000), kind=st.sampled_from(["symmetric", "asymmetric", "instance"]))
@settings(max_examples=15)
def test_same_seed_same_labels(seed, kind):
    y = LABELS["ints"]
    first = make_label_noise(y, kind, 0.5, X=X, random_state=seed)
    again = make_label_noise(y, kind, 0.5, X=X, random_state=seed)
    other = make_label_noise(y, kind, 0.5, X=X, random_state=seed + 1)
    np.testing.assert_array_equal(first.y, again.y)
    assert (first.y != other.y).any()
    drawn, again = (
        make_label_noise(y, kind, 0.5, X=X, random_state=np.random.RandomState(seed)).y
        for _ in range(2)
    )
    np.testing.assert_array_equal(drawn, again)


@pytest.mark.parametrize("stratify", [False, True])
@pytest.mark.parametrize("kind", ["symmetric", "asymmetric"])
def test_noise_is_independent_of_a_split_of_the_same_seed(kind, stratify):
    y = np.repeat(np.arange(5), 400)
    rates = []
    for seed in range(5):
        is_wrong = make_label_noise(y, kind, 0.4, random_state=seed).is_wrong
        train, _ = train_test_split(
            np.arange(len(y)), stratify=y if stratify else None, random_state=seed
        )
        rates.append(is_wrong[train].mean())
    # The standard deviation of the share of wrong labels in 1500 of 2000 rows is 0.006.
    np.testing.assert_allclose(rates, 0.4, atol=0.03)


@pytest.mark.parametrize("kind", ["symmetric", "asymmetric", "instance"])
def test_the_extreme_rates_change_no_row_and_every_row(kind):
    y = LABELS["ints"]
    assert make_label_noise(y, kind, 0, X=X, random_state=0).rate == 0
    assert make_label_noise(y, kind, 1, X=X, random_state=0).rate == 1


def test_symmetric_noise_is_uniform_over_the_other_classes():
    y = np.repeat(np.arange(5), 8000)
    noisy = make_label_noise(y, "symmetric", 0.5, random_state=0).y
    confusion = pd.crosstab(y, noisy, normalize="index").to_numpy()
    np.testing.assert_array_equal(confusion.diagonal(), 0.5)
    np.testing.assert_allclose(confusion[~np.eye(5, dtype=bool)], 0.125, atol=0.02)


def test_uniform_noise_is_uniform_over_all_classes():
    y = np.repeat(np.arange(5), 8000)
    noisy = make_label_noise(y, "uniform", 0.5, random_state=0)
    confusion = pd.crosstab(y, noisy.y, normalize="index").to_numpy()
    np.testing.assert_allclose(confusion, 0.1 + 0.5 * np.eye(5), atol=0.02)
    # Five standard deviations of the share of 20 000 rows that draw their own class again.
    assert noisy.rate == pytest.approx(0.4, abs=5 * (0.2 * 0.8 / 20_000) ** 0.5 / 2)


def test_uniform_noise_draws_no_more_rows_than_asked_for():
    """At most round(rate * n), of which some keep their class; at rate 1 some do, too."""
    y = np.arange(1000) % 4
    for rate in (0, 0.1, 0.5, 1):
        assert make_label_noise(y, "uniform", rate, random_state=0).rate <= rate
    assert 0 < make_label_noise(y, "uniform", 1, random_state=0).rate < 1


def test_symmetric_noise_picks_rows_at_random():
    """Each row should be wrong equally often over many seeds, whatever its place."""
    y = np.repeat([0, 1], 20)
    times = sum(
        make_label_noise(y, "symmetric", 0.4, random_state=seed).is_wrong.astype(int)
        for seed in range(400)
    )
    # Five standard deviations of a binomial share.
    np.testing.assert_allclose(times / 400, 0.4, atol=5 * (0.4 * 0.6 / 400) ** 0.5)


def test_asymmetric_noise_goes_to_the_next_class_by_default():
    y = np.array(["a", "b", "d"] * 10)
    expected = np.array(["b", "d", "a"] * 10)
    np.testing.assert_array_equal(make_label_noise(y, "asymmetric", 1.0).y, expected)
    np.testing.assert_array_equal(
        make_label_noise(y, "asymmetric", 1.0, transition="next").y, expected
    )


CIFAR10 = [
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
]  # fmt: skip
CIFAR10_CHANGES = {
    "truck": "automobile",
    "bird": "airplane",
    "deer": "horse",
    "cat": "dog",
    "dog": "cat",
}


def test_cifar10_pairs():
    y = np.array(CIFAR10 * 10)
    noisy = make_label_noise(y, "asymmetric", 0.4, transition="cifar10", random_state=0)
    assert noisy.rate == 0.2
    for old, new in zip(y[noisy.is_wrong], noisy.y[noisy.is_wrong], strict=True):
        assert CIFAR10_CHANGES[old] == new
    for name in CIFAR10:
        assert noisy.is_wrong[y == name].mean() == (0.4 if name in CIFAR10_CHANGES else 0)


def test_cifar10_pairs_are_the_same_for_integers_and_names():
    names = make_label_noise(CIFAR10 * 9, "asymmetric", 0.5, transition="cifar10", random_state=1)
    codes = make_label_noise(
        np.tile(np.arange(10), 9), "asymmetric", 0.5, transition="cifar10", random_state=1
    )
    assert names.y == [CIFAR10[code] for code in codes.y]


# By the description of the set: https://www.cs.toronto.edu/~kriz/cifar.html
CIFAR100 = """
beaver dolphin otter seal whale
aquarium_fish flatfish ray shark trout
orchid poppy rose sunflower tulip
bottle bowl can cup plate
apple mushroom orange pear sweet_pepper
clock keyboard lamp telephone television
bed chair couch table wardrobe
bee beetle butterfly caterpillar cockroach
bear leopard lion tiger wolf
bridge castle house road skyscraper
cloud forest mountain plain sea
camel cattle chimpanzee elephant kangaroo
fox porcupine possum raccoon skunk
crab lobster snail spider worm
baby boy girl man woman
crocodile dinosaur lizard snake turtle
hamster mouse rabbit shrew squirrel
maple_tree oak_tree palm_tree pine_tree willow_tree
bicycle bus motorcycle pickup_truck train
lawn_mower rocket streetcar tank tractor
"""


def test_cifar100_noise_stays_in_the_superclass():
    superclasses = [line.split() for line in CIFAR100.strip().splitlines()]
    after = {
        old: new
        for members in superclasses
        for old, new in zip(sorted(members), np.roll(sorted(members), -1), strict=True)
    }
    assert len(after) == 100
    y = np.array(sorted(after) * 10)
    noisy = make_label_noise(y, "asymmetric", 0.4, transition="cifar100", random_state=0)
    assert noisy.rate == 0.4
    for old, new in zip(y[noisy.is_wrong], noisy.y[noisy.is_wrong], strict=True):
        assert after[old] == new
    for name in after:
        assert noisy.is_wrong[y == name].mean() == 0.4
    _, codes = np.unique(y, return_inverse=True)
    same = make_label_noise(codes, "asymmetric", 0.4, transition="cifar100", random_state=0)
    np.testing.assert_array_equal(np.unique(y)[same.y], noisy.y)


def test_mapping_leaves_the_other_classes_alone():
    y = pd.Series(["a"] * 10 + ["b"] * 10 + ["c"] * 20)
    noisy = make_label_noise(y, "asymmetric", 0.3, transition={"a": "c", "b": "a"}, random_state=0)
    assert pd.crosstab(y, noisy.y).to_numpy().tolist() == [[7, 0, 3], [3, 7, 0], [0, 0, 20]]
    assert noisy.rate == 6 / 40


def test_mapping_onto_itself_changes_nothing():
    assert make_label_noise([0, 1, 1], "asymmetric", 0.9, transition={1: 1}).rate == 0


def test_matrix_gives_the_probabilities_of_each_class():
    matrix = np.array([[0.7, 0.3, 0.0], [0.0, 1.0, 0.0], [0.25, 0.25, 0.5]])
    y = np.repeat([1, 5, 9], 5000)
    noisy = make_label_noise(y, "asymmetric", transition=matrix, random_state=0)
    observed = pd.crosstab(y, noisy.y, normalize="index").to_numpy()
    np.testing.assert_allclose(observed, matrix, atol=0.03)
    np.testing.assert_array_equal(observed[matrix == 0], 0)
    np.testing.assert_array_equal(noisy.y[y == 5], 5)
    assert noisy.rate == pytest.approx((0.3 + 0 + 0.5) / 3, abs=0.02)


def test_permutation_matrix_is_deterministic():
    y = ["a", "b", "c", "a"]
    matrix = [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
    assert make_label_noise(y, "asymmetric", transition=matrix).y == ["c", "a", "b", "c"]


def test_instance_noise_keeps_to_the_rate_in_expectation():
    y = np.arange(20_000) % 4
    X = np.random.RandomState(0).standard_normal((20_000, 3))
    noisy = make_label_noise(y, "instance", 0.35, X=X, random_state=0)
    assert noisy.rate == pytest.approx(0.35, abs=5 * (0.35 * 0.65 / 20_000) ** 0.5)


def test_instance_noise_follows_from_the_features():
    """Large features leave no doubt about the wrong class; features of zero say nothing."""
    rng = np.random.RandomState(0)
    prototypes = 1000 * rng.standard_normal((4, 2, 3))
    part = rng.randint(4, size=4000)
    y = np.repeat([0, 1, 2, 3], 1000)
    noisy = make_label_noise(y, "instance", 0.5, X=prototypes[part], random_state=0)
    targets = [
        set(noisy.y[noisy.is_wrong & (part == p) & (y == label)])
        for p in range(4)
        for label in range(4)
    ]
    assert all(len(classes) == 1 for classes in targets)
    assert len(set.union(*targets[:4])) > 1

    blind = make_label_noise(y, "instance", 0.5, X=np.zeros((4000, 3)), random_state=0)
    counts = np.bincount(blind.y[blind.is_wrong & (y == 0)], minlength=4)
    np.testing.assert_allclose(counts[1:] / counts.sum(), 1 / 3, atol=0.12)


def test_instance_noise_takes_images_as_tensor_or_array():
    images = torch.randn(60, 1, 4, 4)
    y = LABELS["ints"]
    flat = make_label_noise(y, "instance", 0.4, X=images.numpy().reshape(60, 16), random_state=0)
    noisy = make_label_noise(y, "instance", 0.4, X=images, random_state=0)
    np.testing.assert_array_equal(noisy.y, flat.y)


def test_leaves_the_global_generators_alone():
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    for kind in ("symmetric", "asymmetric", "instance"):
        make_label_noise(torch.tensor([0, 1] * 30), kind, 0.4, X=X, random_state=0)
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])


def test_a_column_of_labels_is_taken_as_one_label_per_row():
    y = LABELS["strings"]
    with pytest.warns(DataConversionWarning, match="column-vector"):
        noisy = make_label_noise(y[:, None], rate=0.4, random_state=0)
    np.testing.assert_array_equal(noisy.y, make_label_noise(y, rate=0.4, random_state=0).y)


def test_result_is_a_named_tuple():
    noisy = make_label_noise([0, 1], rate=0.0)
    assert isinstance(noisy, NoisyLabels)
    assert noisy._fields == ("y", "is_wrong", "rate")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "symetric"}, "kind='symetric' is not valid.*Did you mean 'symmetric'"),
        ({"kind": "pair"}, "Choose one of 'symmetric', 'uniform', 'asymmetric', 'instance'"),
        ({"kind": "uniform", "rate": None}, "rate must be"),
        ({"kind": "uniform", "transition": "next"}, "transition is for kind='asymmetric'"),
        ({"rate": None}, "rate must be a number at least 0 and at most 1; got None"),
        ({"rate": float("nan")}, "rate must be"),
        ({"rate": 1.01}, "rate must be"),
        ({"rate": -0.1}, "rate must be"),
        ({"rate": "0.4"}, "rate must be"),
        ({"rate": True}, "rate must be"),
        ({"transition": "next"}, "transition is for kind='asymmetric'"),
        ({"kind": "asymmetric", "transition": "cifar"}, "Did you mean 'cifar10'"),
        ({"kind": "asymmetric", "transition": "cifar100"}, "needs the 100 classes .* got 3"),
        ({"kind": "asymmetric", "transition": "cifar10"}, "needs the 10 classes .* got 3"),
        ({"kind": "asymmetric", "transition": {0: 3}}, "names the class 3, which y has not"),
        ({"kind": "asymmetric", "transition": np.eye(3)}, "rate must be None"),
        ({"kind": "instance"}, "needs the features X"),
        ({"kind": "instance", "X": X[:10]}, "same length, got 10 and 60"),
        ({"kind": "instance", "X": np.full((60, 2), np.nan)}, "X contains NaN"),
        ({"y": [1] * 60}, r"one class only, \[1\].*at least two classes"),
        ({"y": []}, "y contains no labels.*at least two classes"),
        ({"y": np.eye(3, dtype=int)}, "y should be a 1d array"),
        ({"y": [0.5, 1.25]}, "Unknown label type"),
        ({"y": [0.0, float("nan")]}, "y contains NaN"),
        ({"y": np.array(["a", None, "b"])}, "y contains NaN. Give every row a label"),
    ],
)
def test_refuses_bad_input(arguments, message):
    given = {"y": LABELS["ints"], "kind": "symmetric", "rate": 0.4} | arguments
    with pytest.raises((TypeError, ValueError), match=message):
        make_label_noise(**given)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.eye(2), r"transition.shape == \(2, 2\), expected \(3, 3\): a row and a column"),
        (np.float64(0.3), r"transition.shape == \(\), expected \(3, 3\)"),
        ([["a", "b", "c"]] * 3, "transition must hold numbers"),
        (np.ones((3, 3)), "must sum to 1"),
        ([[1, 0.5, 0], [0, 0.5, 0], [0, 0, 1]], "Its columns do: transpose it"),
        ([[1.5, -0.5, 0], [0, 1, 0], [0, 0, 1]], "negative"),
        (np.full((3, 3), np.nan), "NaN"),
    ],
)
def test_refuses_what_is_no_stochastic_matrix(matrix, message):
    with pytest.raises(ValueError, match=message):
        make_label_noise(LABELS["ints"], "asymmetric", transition=matrix)
