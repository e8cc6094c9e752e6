"""How long the warm-up is by default: by what judges at its end."""

import numpy as np
import pytest
import torch
from torch import nn

from crust_sklearn import CRUSTClassifier
from crust_sklearn.modules import MLP

RNG = np.random.default_rng(0)
Y = np.arange(90) % 3
TABLE = (np.eye(3)[Y] + 0.1 * RNG.standard_normal((90, 3))).astype(np.float32)

IMAGES = np.tile(TABLE[:, :, None, None], (1, 1, 9, 19))  # of 513 numbers


class Images(nn.Module):
    """One linear layer of flattened images, of which the first three numbers count."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, X):
        return self.fc(X.float()[:, :, *[0] * (X.ndim - 2)])


def get_first_selection(X, module=Images, **params):
    net = CRUSTClassifier(module, verbose=0, random_state=0, **params).fit(X, Y)
    return int(net.coreset_history_.epochs[0])


@pytest.mark.parametrize("max_epochs", [2, 12, 30])
def test_one_epoch_where_the_inputs_are_vectors(max_epochs):
    assert get_first_selection(TABLE, MLP, max_epochs=max_epochs) == 1


@pytest.mark.parametrize("X", [TABLE[:, :, None], IMAGES[:, :, :8]], ids=["series", "images"])
def test_one_epoch_where_the_inputs_are_small(X):
    assert get_first_selection(X, max_epochs=12) == 1


def test_the_epochs_of_a_call_count():
    net = CRUSTClassifier(Images, coreset_size=0.5, max_epochs=2, verbose=0, random_state=0)
    net.partial_fit(IMAGES, Y, epochs=12)
    assert net.coreset_history_.epochs[0] == 4


def test_one_epoch_alone_has_no_coreset():
    net = CRUSTClassifier(MLP, max_epochs=1, verbose=0, random_state=0)
    with pytest.warns(UserWarning, match="warmup_epochs='auto' is not less than the 1 epochs"):
        net.fit(TABLE, Y)


@pytest.mark.parametrize(("max_epochs", "expected"), [(2, 1), (5, 1), (6, 2), (11, 3), (30, 4)])
@pytest.mark.parametrize("X", [IMAGES, (100 * TABLE).astype(np.int64)], ids=["images", "integers"])
def test_four_epochs_or_a_third_of_them_where_steps_are_counted(X, max_epochs, expected):
    assert get_first_selection(X, max_epochs=max_epochs, coreset_size=0.5) == expected


def test_a_number_counts_for_any_inputs():
    for X in (TABLE, TABLE[:, :, None]):
        assert get_first_selection(X, max_epochs=6, warmup_epochs=2) == 2


def test_steps_are_counted_for_the_longest_warm_up():
    # Before X is known: 4 epochs of 9 batches, and 8 of 5.
    net = CRUSTClassifier(Images, coreset_size=0.5, max_epochs=12, batch_size=10)
    assert net.count_steps(Y) == 4 * 9 + 8 * 5
    net = CRUSTClassifier(
        Images, coreset_size=0.5, max_epochs=12, batch_size=10, verbose=0, random_state=0
    )
    net.fit(torch.as_tensor(IMAGES), Y)
    seen = [len(row["batches"]) for row in net.history]
    assert sum(seen) == net.count_steps(Y)


@pytest.mark.parametrize("warmup_epochs", ["none", 1.5, -1, None])
def test_other_values_are_refused(warmup_epochs):
    with pytest.raises((TypeError, ValueError), match="warmup_epochs"):
        CRUSTClassifier(MLP, warmup_epochs=warmup_epochs).fit(TABLE, Y)
