import sys
import warnings
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning

from crust_sklearn import CoresetSelector
from crust_sklearn.strategies import FacilityLocation
from crust_sklearn.strategies.k_medoids import KMedoids, faster_pam

EXTRA = ("pam", "alternate", "clara")


def objective(distances, weights, chosen):
    return weights @ distances[list(chosen)].min(axis=0)


def swaps_of(chosen, n_rows, position):
    for row in set(range(n_rows)) - set(chosen):
        yield [*chosen[:position], row, *chosen[position + 1 :]]


def assert_no_swap_improves(distances, weights, chosen, rtol=1e-6):
    reached = objective(distances, weights, chosen)
    for position in range(len(chosen)):
        for swapped in swaps_of(list(chosen), len(distances), position):
            assert objective(distances, weights, swapped) >= reached * (1 - rtol)


def plain_eager_swaps(distances, weights, start, candidates):
    """The definition: every candidate in place of every medoid; the first of the best wins."""
    chosen, n_idle = list(start), 0
    while True:
        for candidate in candidates:
            if n_idle == len(distances):
                return chosen
            n_idle += 1
            if candidate in chosen:
                continue
            swapped = [
                objective(distances, weights, [*chosen[:at], candidate, *chosen[at + 1 :]])
                for at in range(len(chosen))
            ]
            if min(swapped) < objective(distances, weights, chosen):
                chosen[int(np.argmin(swapped))] = candidate
                n_idle = 0


@st.composite
def integer_problems(draw):
    # Small integers are exact in float32, and full of ties. Symmetric or not.
    n_rows = draw(st.integers(1, 12))
    rng = np.random.RandomState(draw(st.integers(0, 2**32 - 1)))
    distances = rng.randint(0, draw(st.integers(2, 9)), (n_rows, n_rows)).astype(np.float32)
    np.fill_diagonal(distances, 0.0)
    if draw(st.booleans()):
        distances = np.triu(distances) + np.triu(distances).T
    weights = rng.randint(0, draw(st.integers(2, 4)), n_rows).astype(float)
    start = rng.permutation(n_rows)[: draw(st.integers(1, n_rows))]
    return distances, weights, start, rng.permutation(n_rows)


@given(integer_problems())
@settings(max_examples=400)
def test_kernel_is_the_plain_definition_also_on_ties(problem):
    distances, weights, start, candidates = problem
    medoids, _, converged = faster_pam(
        distances, weights, start, candidates, distances.max(), 10_000
    )
    assert medoids.tolist() == plain_eager_swaps(distances, weights, start, candidates)
    assert converged


@given(integer_problems(), st.integers(1, 3))
@settings(max_examples=100)
def test_kernel_never_ends_above_its_start_and_tells_whether_it_is_done(problem, max_iter):
    distances, weights, start, candidates = problem
    medoids, n_swaps, converged = faster_pam(
        distances, weights, start, candidates, distances.max(), max_iter
    )
    before, after = (objective(distances, weights, m) for m in (start, medoids))
    assert after <= before - n_swaps  # integers: a swap gains at least one
    assert len(set(medoids.tolist())) == len(start)
    assert np.sum(medoids != start) <= n_swaps
    if converged:
        assert_no_swap_improves(distances, weights, medoids.tolist())


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("init", ["greedy", "random"])
@pytest.mark.parametrize("metric", ["euclidean", "manhattan"])
@pytest.mark.parametrize(("n_rows", "n_select"), [(30, 1), (30, 6), (40, 20), (300, 2), (30, 29)])
def test_no_single_swap_improves(n_rows, n_select, metric, init, weighted):
    rng = np.random.RandomState(n_rows + n_select)
    X = rng.standard_normal((n_rows, 3)) ** 3
    weights = rng.uniform(0.0, 3.0, n_rows) if weighted else np.ones(n_rows)
    distances = cdist(X, X, {"manhattan": "cityblock"}.get(metric, metric))
    coreset = KMedoids(init=init, metric=metric).select(
        X, n_select, sample_weight=weights if weighted else None, random_state=0
    )
    assert len(set(coreset.indices.tolist())) == n_select
    np.testing.assert_allclose(
        coreset.objective, objective(distances, weights, coreset.indices), rtol=1e-5
    )
    assert_no_swap_improves(distances, weights, coreset.indices.tolist())


def test_between_the_best_of_all_subsets_and_greedy():
    n_best = 0
    for seed in range(60):
        rng = np.random.RandomState(seed)
        X, n_select = rng.standard_normal((11, 2)) ** 3, 1 + seed % 4
        weights = rng.randint(0, 4, 11) + (np.arange(11) == 0.0)
        distances = cdist(X, X)
        best = min(
            objective(distances, weights, subset) for subset in combinations(range(11), n_select)
        )
        found = KMedoids().select(X, n_select, sample_weight=weights).objective
        greedy = FacilityLocation().select(X, n_select, sample_weight=weights).objective
        assert best * (1 - 1e-5) <= found <= greedy
        if n_select == 1:
            assert found <= best * (1 + 1e-5)
        n_best += found <= best * (1 + 1e-5)
    assert n_best >= 45


@given(
    seed=st.integers(0, 2**32 - 1),
    n_rows=st.integers(1, 40),
    share=st.floats(0.0, 1.0),
    rounded=st.booleans(),
    weighted=st.booleans(),
    init=st.sampled_from(["greedy", "random"]),
)
@settings(max_examples=150)
def test_objective_is_no_worse_than_greedy_s_and_every_row_occurs_once(
    seed, n_rows, share, rounded, weighted, init
):
    rng = np.random.RandomState(seed)
    X, n_select = rng.standard_normal((n_rows, 2)), max(1, round(share * n_rows))
    if rounded:  # duplicates and ties
        X = np.round(X)
    weights = rng.randint(0, 3, n_rows) + (np.arange(n_rows) == 0) if weighted else None
    coreset = KMedoids(init=init).select(X, n_select, sample_weight=weights, random_state=seed)
    assert len(set(coreset.indices.tolist())) == len(coreset.indices) == n_select
    assert coreset.objective >= 0.0
    np.testing.assert_allclose(coreset.weights.sum(), n_rows if weights is None else weights.sum())
    if init == "greedy":
        greedy = FacilityLocation().select(X, n_select, sample_weight=weights)
        assert coreset.objective <= greedy.objective


def test_a_medoid_swapped_in_takes_the_place_of_the_one_it_replaces():
    X = make_blobs(400, centers=20, n_features=2, random_state=3)[0]
    greedy = FacilityLocation().select(X, 40).indices
    swapped = KMedoids().select(X, 40).indices
    stayed = np.isin(swapped, greedy)
    assert 0 < stayed.sum() < 40
    assert swapped[stayed].tolist() == greedy[stayed].tolist()


@pytest.mark.parametrize("init", ["greedy", "random"])
def test_order_of_rows_does_not_matter(init):
    rng = np.random.RandomState(0)
    X, weights, order = rng.standard_normal((90, 3)), rng.uniform(1, 2, 90), rng.permutation(90)
    plain = KMedoids(init=init).select(X, 13, sample_weight=weights, random_state=0)
    shuffled = KMedoids(init=init).select(
        X[order], 13, sample_weight=weights[order], random_state=0
    )
    assert order[shuffled.indices].tolist() == plain.indices.tolist()


def test_random_start_depends_on_the_seed_alone_and_greedy_on_none():
    X = np.random.RandomState(0).standard_normal((300, 5))
    for init, differ in (("random", True), ("greedy", False)):
        first, again, other = (
            KMedoids(init=init).select(X, 30, random_state=seed).indices.tolist()
            for seed in (0, 0, 1)
        )
        assert first == again
        assert (first != other) is differ


def test_weights_count_as_repeated_rows():
    rng = np.random.RandomState(0)
    X, weights = rng.standard_normal((40, 2)), rng.randint(1, 5, 40)
    weighted = KMedoids().select(X, 8, sample_weight=weights)
    row = np.repeat(np.arange(40), weights)
    repeated = KMedoids().select(X[row], 8)
    np.testing.assert_allclose(repeated.objective, weighted.objective, rtol=1e-6)
    assert sorted(row[repeated.indices]) == sorted(weighted.indices)


@pytest.mark.parametrize("factor", [1e-300, 1e300])
def test_scale_of_the_weights_does_not_matter(factor):
    rng = np.random.RandomState(0)
    X, weights = rng.standard_normal((60, 3)), rng.uniform(1, 2, 60)
    plain = KMedoids().select(X, 13, sample_weight=weights)
    scaled = KMedoids().select(X, 13, sample_weight=weights * factor)
    assert scaled.indices.tolist() == plain.indices.tolist()


def test_weights_far_apart():
    weights = np.geomspace(1e-300, 1e300, 60)
    coreset = KMedoids().select(np.arange(60.0).reshape(-1, 1), 5, sample_weight=weights)
    assert len(set(coreset.indices.tolist())) == 5
    assert 59 in coreset.indices


def test_rows_of_weight_zero_do_not_pull():
    X = np.array([[0.0], [1.0], [2.0], [50.0]])
    assert KMedoids().select(X, 1, sample_weight=[1, 1, 1, 0]).indices.tolist() == [1]
    assert len(set(KMedoids().select(X, 3, sample_weight=[0, 0, 1, 0]).indices)) == 3


@pytest.mark.parametrize("init", ["greedy", "random"])
@pytest.mark.parametrize("n_select", [1, 3, 5])
def test_all_rows_equal(n_select, init):
    coreset = KMedoids(init=init).select(np.full((5, 3), 7.5), n_select, random_state=0)
    assert len(set(coreset.indices.tolist())) == n_select
    assert coreset.objective == 0.0


@pytest.mark.parametrize("init", ["greedy", "random"])
def test_one_row_and_all_rows(init):
    X = np.random.RandomState(0).standard_normal((9, 2))
    everything = KMedoids(init=init).select(X, 9, random_state=0)
    assert sorted(everything.indices) == list(range(9))
    assert everything.objective == 0.0
    assert KMedoids(init=init).select(X[:1], 1, random_state=0).indices.tolist() == [0]


class OneWay:
    """A distance that costs more uphill."""

    def pairwise(self, X, Y):
        difference = Y[:, 0][None, :] - X[:, 0][:, None]
        return np.where(difference > 0, 3.0 * difference, -difference)


def test_a_metric_that_is_not_symmetric_is_read_from_the_medoid():
    X = np.random.RandomState(0).standard_normal((60, 1))
    distances = OneWay().pairwise(X, X)
    coreset = KMedoids(metric=OneWay()).select(X, 7)
    assert_no_swap_improves(distances, np.ones(60), coreset.indices.tolist())
    np.testing.assert_allclose(
        coreset.objective, objective(distances, np.ones(60), coreset.indices), rtol=1e-5
    )


def test_too_few_passes_warn():
    X = np.random.RandomState(0).standard_normal((300, 5))
    with pytest.warns(ConvergenceWarning, match="max_iter=1 passes.*Raise max_iter"):
        short = KMedoids(init="random", max_iter=1).select(X, 60, random_state=0)
    full = KMedoids(init="random").select(X, 60, random_state=0)
    assert full.objective < short.objective


def test_same_result_for_any_number_of_jobs():
    X, y = make_blobs(400, centers=4, n_features=5, random_state=0)
    chosen = [
        CoresetSelector(KMedoids(), n_jobs=n_jobs).fit(X, y).sample_indices_.tolist()
        for n_jobs in (1, 2, 4)
    ]
    assert chosen[0] == chosen[1] == chosen[2]


def test_clone_and_parameters_of_a_selector():
    strategy = KMedoids("pam", init="random", max_iter=7, metric="cosine")
    assert clone(strategy).get_params() == strategy.get_params()
    selector = CoresetSelector(KMedoids()).set_params(strategy__init="random")
    assert selector.strategy.init == "random"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"solver": "fastpam"}, ValueError, r"solver='fastpam'.*Did you mean 'fasterpam'\?"),
        ({"init": "gready"}, ValueError, r"init='gready'.*Did you mean 'greedy'\?"),
        ({"init": None}, ValueError, "init=None is not valid"),
        ({"max_iter": 0}, ValueError, "max_iter must be an integer at least 1"),
        ({"max_iter": 1.5}, TypeError, "max_iter must be an integer"),
        ({"metric": "euclidian"}, ValueError, r"metric=.*Did you mean 'euclidean'\?"),
        ({"solver": "clara", "metric": OneWay()}, ValueError, "takes no object with a method"),
    ],
)
def test_bad_options(options, error, message):
    with pytest.raises(error, match=message):
        KMedoids(**options).select(np.eye(3), 2)


@pytest.mark.parametrize("solver", EXTRA)
def test_solvers_without_weights_say_so(solver):
    with pytest.raises(ValueError, match=f"solver='{solver}'.*no sample weights.*'fasterpam'"):
        KMedoids(solver).select(np.eye(3), 2, sample_weight=[1, 2, 1])


class BuiltForAnotherNumPy:
    """What importing the wheel of scikit-learn-extra 0.3.0 does under NumPy 2."""

    def find_spec(self, name, path=None, target=None):
        if name.startswith("sklearn_extra"):
            raise ValueError("numpy.dtype size changed, may indicate binary incompatibility")


@pytest.fixture
def without_extra(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("sklearn_extra")]:
        monkeypatch.delitem(sys.modules, name)


REMEDIES = r"(?s)pip install \"numpy<2\" scikit-learn-extra\n.*--no-build-isolation.*'fasterpam'"


@pytest.mark.parametrize("solver", EXTRA)
def test_a_missing_scikit_learn_extra_says_what_to_do(solver, without_extra, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn_extra", None)
    with pytest.raises(ImportError, match=f"solver='{solver}' needs.*ModuleNotFound") as caught:
        KMedoids(solver).select(np.eye(3), 2)
    assert caught.match(REMEDIES)


@pytest.mark.parametrize("solver", EXTRA)
def test_a_wheel_for_another_numpy_says_what_to_do(solver, without_extra, monkeypatch):
    monkeypatch.setattr(sys, "meta_path", [BuiltForAnotherNumPy(), *sys.meta_path])
    with pytest.raises(ImportError, match=f"solver='{solver}' needs.*size changed") as caught:
        KMedoids(solver).select(np.eye(3), 2)
    assert caught.match(REMEDIES)


@pytest.fixture(scope="module")
def extra():
    """scikit-learn-extra, where it imports: `make test-numpy1` has an environment with it."""
    # It compares versions by distutils, which warns that it is deprecated.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            from sklearn_extra import cluster
        except (ImportError, ValueError) as error:
            pytest.skip(f"scikit-learn-extra does not import here: {error}")
    return cluster


@pytest.mark.parametrize("init", ["greedy", "random"])
@pytest.mark.parametrize("n_select", [1, 2, 9, 40])
@pytest.mark.parametrize("solver", EXTRA)
def test_solvers_of_scikit_learn_extra(extra, solver, n_select, init):
    X = np.random.RandomState(0).standard_normal((40, 3)) ** 3
    distances = cdist(X, X)
    coreset = KMedoids(solver, init=init).select(X, n_select, random_state=0)
    assert len(set(coreset.indices.tolist())) == n_select
    np.testing.assert_allclose(
        coreset.objective, objective(distances, np.ones(40), coreset.indices), rtol=1e-5
    )
    if solver != "alternate":  # 40 + 2 k rows: CLARA's sample is all there is
        assert_no_swap_improves(distances, np.ones(40), coreset.indices.tolist())
    fast = KMedoids(init=init).select(X, n_select, random_state=0).objective
    assert coreset.objective >= 0.8 * fast
    again = KMedoids(solver, init=init).select(X, n_select, random_state=0)
    assert again.indices.tolist() == coreset.indices.tolist()


def test_fasterpam_is_as_good_as_pam(extra):
    ratios = []
    for seed in range(10):
        X = np.random.RandomState(seed).standard_normal((120, 4))
        pam, fast = (
            KMedoids(s).select(X, 15, random_state=0).objective for s in ("pam", "fasterpam")
        )
        ratios.append(fast / pam)
    assert 0.99 < np.mean(ratios) < 1.01


@pytest.mark.parametrize("metric", ["euclidean", "manhattan"])
def test_clara_works_on_samples(extra, metric):
    X, label = make_blobs([150] * 4, centers=np.eye(4) * 100, random_state=0)
    coreset = KMedoids("clara", metric=metric).select(X * 1e190, 4, random_state=0)
    assert sorted(label[coreset.indices]) == [0, 1, 2, 3]
    best = KMedoids(metric=metric).select(X * 1e190, 4).objective
    assert best * (1 - 1e-5) <= coreset.objective < 1.2 * best


@pytest.mark.parametrize("solver", EXTRA)
def test_duplicates_with_scikit_learn_extra(extra, solver):
    X = np.repeat(np.random.RandomState(0).standard_normal((6, 2)), 5, axis=0)
    for n_select in (1, 4, 6):
        coreset = KMedoids(solver).select(X, n_select, random_state=0)
        assert len(set(coreset.indices.tolist())) == n_select


def test_too_few_swaps_of_pam_warn(extra):
    X = np.random.RandomState(0).standard_normal((80, 3))
    with pytest.warns(ConvergenceWarning):
        KMedoids("pam", init="random", max_iter=1).select(X, 10, random_state=0)
