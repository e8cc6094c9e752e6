"""Mixup: what each row of an epoch is mixed with, and by how much."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Mixtures:
    """The mixtures of one epoch.

    Attributes
    ----------
    share : ndarray of shape (n_chosen,)
        The share of each chosen item in its mixture.
    partners : ndarray of shape (n_chosen,), dtype int64, or None
        The item of the dataset that each is mixed with; None: one of its batch.
    order : ndarray of shape (n_chosen,)
        By it, the partners in a batch are permuted.
    """

    share: np.ndarray
    partners: np.ndarray | None
    order: np.ndarray

    def permute(self, positions: np.ndarray) -> np.ndarray:
        """Return for each of a batch's positions the place of its partner in the batch."""
        return np.argsort(self.order[positions], kind="stable")


@dataclass(frozen=True)
class Mixing:
    """How the rows of an epoch are to be mixed.

    Attributes
    ----------
    alpha : tuple of two floats
        A row's share in its mixture is Beta-distributed with these.
    pools : ndarray of shape (n_items,), dtype int64, or None
        A row is mixed with one of the same pool, -1 for rows that none is mixed with; None: with
        one of its batch.
    """

    alpha: tuple[float, float]
    pools: np.ndarray | None = None

    def at(self, rows: np.ndarray) -> Mixing:
        """Return the same for some rows alone, in their order."""
        return self if self.pools is None else Mixing(self.alpha, self.pools[rows])

    def draw(self, positions: np.ndarray, rng: np.random.Generator) -> Mixtures:
        """Draw the mixtures of an epoch.

        Parameters
        ----------
        positions : ndarray of shape (n_chosen,), dtype int64
            The items of the epoch, each in a pool.
        rng : numpy Generator

        Returns
        -------
        mixtures : Mixtures
        """
        share = rng.beta(*self.alpha, size=len(positions))
        order = rng.random(len(positions))
        if self.pools is None:
            return Mixtures(share, None, order)
        return Mixtures(share, draw_partners(self.pools[positions], self.pools, rng), order)


def draw_partners(pool_of: np.ndarray, pools: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw for each row a member of its pool.

    Parameters
    ----------
    pool_of : ndarray of shape (n_chosen,), dtype int64
        The pool that each row draws from, none of them empty.
    pools : ndarray of shape (n_items,), dtype int64
        The pool that each item lies in; -1 for none.
    rng : numpy Generator

    Returns
    -------
    partners : ndarray of shape (n_chosen,), dtype int64
    """
    counts = np.bincount(pools[pools >= 0], minlength=pool_of.max() + 1)
    members = np.argsort(pools, kind="stable")[np.sum(pools < 0) :]
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return members[starts[pool_of] + rng.integers(counts[pool_of])]
