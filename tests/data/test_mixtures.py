"""Mixup: partners of the pool and all of it, shares of their distribution."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from crust_sklearn.data import Mixing, draw_partners


@st.composite
def pools(draw):
    n_rows = draw(st.integers(1, 15))
    pool = np.array(draw(st.lists(st.integers(-1, 4), min_size=n_rows, max_size=n_rows)))
    pool[draw(st.integers(0, n_rows - 1))] = draw(st.integers(0, 4))
    members = np.flatnonzero(pool >= 0)
    chosen = draw(st.lists(st.sampled_from(members.tolist()), min_size=1, max_size=6))
    return pool, np.array(chosen)


@given(pools(), st.integers(0, 2**32 - 1))
@settings(max_examples=50)
def test_partners_come_from_the_pool_and_all_of_it(problem, seed):
    pool, chosen = problem
    rng = np.random.default_rng(seed)
    seen = np.array([draw_partners(pool[chosen], pool, rng) for _ in range(300)])
    assert (pool[seen] == pool[chosen]).all()
    for position, row in enumerate(chosen):
        mates = np.flatnonzero(pool == pool[row])
        if len(mates) <= 8:  # missing one of 8 in 300 draws: once in 10**17
            assert sorted(set(seen[:, position].tolist())) == mates.tolist()


@given(pools(), st.integers(0, 2**32 - 1))
def test_an_epoch_has_a_share_and_a_partner_for_each_chosen_row(problem, seed):
    pool, chosen = problem
    mixtures = Mixing((1.0, 0.3), pool).draw(chosen, np.random.default_rng(seed))
    assert mixtures.share.shape == mixtures.partners.shape == chosen.shape
    assert ((mixtures.share >= 0) & (mixtures.share <= 1)).all()
    assert (pool[mixtures.partners] == pool[chosen]).all()


@pytest.mark.parametrize("alpha", [(1.0, 1.0), (4.0, 1.0), (0.2, 0.2), (1.0, 0.1)])
def test_shares_are_beta_distributed(alpha):
    share = Mixing(alpha).draw(np.arange(4000), np.random.default_rng(0)).share
    assert stats.kstest(share, stats.beta(*alpha).cdf).pvalue > 0.01


def test_the_same_generator_draws_the_same_mixtures_and_another_others():
    mixing = Mixing((1.0, 1.0), np.zeros(50, np.int64))
    first, again, other = (
        mixing.draw(np.arange(50), np.random.default_rng(seed)) for seed in (0, 0, 1)
    )
    for name in ("share", "partners", "order"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
        assert not np.array_equal(getattr(first, name), getattr(other, name))


@given(st.lists(st.integers(0, 9), min_size=1, max_size=10, unique=True), st.integers(0, 99))
def test_plain_mixup_permutes_the_rows_of_a_batch(positions, seed):
    mixtures = Mixing((1.0, 1.0)).draw(np.arange(10), np.random.default_rng(seed))
    assert mixtures.partners is None
    assert sorted(mixtures.permute(np.array(positions))) == [*range(len(positions))]


def test_plain_mixup_pairs_every_two_rows_of_a_batch_at_times():
    positions, pairs = np.arange(4), set()
    for seed in range(200):  # missing one of 16 pairs: once in 10**23
        mixtures = Mixing((1.0, 1.0)).draw(positions, np.random.default_rng(seed))
        pairs |= set(enumerate(mixtures.permute(positions).tolist()))
    assert len(pairs) == 16


def test_at_some_rows_the_pools_are_theirs():
    rows = np.array([4, 0, 2])
    pooled = Mixing((1.0, 2.0), np.array([5, 6, 7, 8, 9])).at(rows)
    assert pooled.alpha == (1.0, 2.0)
    assert pooled.pools.tolist() == [9, 5, 7]
    plain = Mixing((1.0, 2.0))
    assert plain.at(rows) is plain
