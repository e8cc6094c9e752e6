"""Seeds and lent generators, where no net is needed to see what holds."""

import numpy as np
import pytest
import torch
from torch import nn

from crust_sklearn.nets.seeding import (
    ModuleDraws,
    OwnDraws,
    derive_seed,
    draw_seed,
    is_compiled,
)

DROPOUT = nn.Sequential(nn.Linear(3, 3), nn.Dropout())
X = torch.ones(5, 3)


def test_an_int_is_the_seed():
    assert draw_seed(7) == draw_seed(np.int64(7)) == 7


def test_an_instance_is_drawn_from():
    first, again = np.random.RandomState(3), np.random.RandomState(3)
    seeds = [draw_seed(first), draw_seed(first)]
    assert seeds == [draw_seed(again), draw_seed(again)]
    assert seeds[0] != seeds[1]


def test_none_draws_one_number_of_torchs():
    torch.manual_seed(3)
    seeds = [draw_seed(None), draw_seed(None)]
    torch.manual_seed(3)
    assert seeds == [draw_seed(None), draw_seed(None)]
    assert seeds[0] != seeds[1]


@pytest.mark.parametrize("bad", ["seed", 1.5])
def test_what_is_no_seed(bad):
    with pytest.raises(ValueError, match="cannot be used to seed"):
        draw_seed(bad)


@pytest.mark.parametrize("seed", [0, 1, 2**31 - 1, 2**40])
def test_derived_seeds_are_ones_that_all_generators_take(seed):
    derived = derive_seed(seed, "batches", 10**6)
    assert 0 <= derived < 2**32
    np.random.RandomState(derived)
    torch.Generator().manual_seed(derived)


DRAWS = {
    "uniform_": lambda: torch.empty(4).uniform_(),
    "normal_": lambda: torch.empty(4).normal_(),
    "randn": lambda: torch.randn(4),
    "rand": lambda: torch.rand(4),
    "randint": lambda: torch.randint(100, (4,)),
    "randperm": lambda: torch.randperm(20),
    "bernoulli": lambda: torch.full((20,), 0.5).bernoulli(),
    "multinomial": lambda: torch.ones(20).multinomial(5),
    "trunc_normal_": lambda: nn.init.trunc_normal_(torch.empty(4)),
    "orthogonal_": lambda: nn.init.orthogonal_(torch.empty(3, 3)),
    "conv": lambda: nn.Conv2d(1, 2, 3).weight,
    "lstm": lambda: nn.LSTM(2, 3).weight_ih_l0,
    "embedding": lambda: nn.Embedding(4, 3).weight,
    "attention": lambda: nn.MultiheadAttention(4, 2).in_proj_weight,
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_own_draws_come_of_the_seed_and_nothing_of_torchs_generator(draw):
    found = []
    for own in (0, 0, 1):
        torch.manual_seed(len(found))
        before = torch.get_rng_state()
        with OwnDraws(own):
            found += [draw(), draw()]
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(found[0], found[2])
    assert torch.equal(found[1], found[3])
    assert not torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[4])


def test_a_generator_that_is_given_is_drawn_from():
    with OwnDraws(0):
        found = torch.rand(3, generator=torch.Generator().manual_seed(5))
    assert torch.equal(found, torch.rand(3, generator=torch.Generator().manual_seed(5)))


def test_tensors_without_numbers_are_made_as_ever():
    with OwnDraws(0):
        assert torch.randn(3, 2, device="meta").shape == (3, 2)
        assert nn.Linear(3, 2, device="meta").weight.is_meta


def test_a_lent_generator_is_given_back_when_the_module_fails():
    draws = ModuleDraws(DROPOUT)

    def forward():
        DROPOUT(X)
        raise RuntimeError("inside")

    for _ in range(2):  # unknown at first, and then known to draw
        before = torch.get_rng_state()
        with pytest.raises(RuntimeError, match="inside"):
            draws.run(forward, DROPOUT)
        assert torch.equal(torch.get_rng_state(), before)
        draws.run(lambda: DROPOUT(X), DROPOUT)


def test_the_first_draw_is_that_of_the_stream_as_the_others_are():
    known, unknown = ModuleDraws(DROPOUT), ModuleDraws(DROPOUT)
    known.run(lambda: DROPOUT(X), DROPOUT)
    for draws in (known, unknown):
        draws.reseed(4)
    for _ in range(3):
        first, other = (d.run(lambda: DROPOUT(X), DROPOUT) for d in (known, unknown))
        assert torch.equal(first, other)


def test_modes_are_told_apart():
    module = nn.Sequential(nn.Linear(3, 3), nn.Dropout())
    draws = ModuleDraws(module)
    draws.run(lambda: module(X), module.eval())
    first, second = (draws.run(lambda: module(X), module.train()) for _ in range(2))
    assert not torch.equal(first, second)
    assert draws.draws == {True: True, False: False}


def test_a_layer_that_begins_to_draw_is_found_out_in_the_next_epoch():
    module = nn.Sequential(nn.Linear(3, 3), nn.Identity())
    draws = ModuleDraws(module)
    draws.run(lambda: module(X), module)
    module[1] = nn.Dropout()
    draws.reseed(1)
    before = torch.get_rng_state()
    draws.run(lambda: module(X), module)
    assert torch.equal(torch.get_rng_state(), before)


def test_is_compiled():
    wrapped = nn.Module()
    wrapped._orig_mod = DROPOUT
    assert is_compiled(wrapped)
    assert not is_compiled(DROPOUT)
