"""The error of the span of chosen rows, for many selections from the same rows."""

import numpy as np

from crust_sklearn.measures import low_rank_error

# Gradients are float32: what is smaller than this share of the largest singular value is rounding.
ROUNDING = 1e-6


class LowRankErrors:
    """The errors of `low_rank_error`, in both norms, for many selections from the same rows."""

    def __init__(self, A):
        self.A = A
        A = A.astype(np.float64)
        # |A - A P| = |R - R P|, and R is small.
        self.R = np.linalg.qr(A, mode="r")
        self.values = np.linalg.svd(self.R, compute_uv=False)
        self.rank = int(np.sum(self.values > ROUNDING * self.values[0]))

    def errors(self, indices):
        """Return the Frobenius and the spectral error relative to the best of the same rank."""
        k = len(np.unique(indices))
        rows = self.A[indices].astype(np.float64)
        _, values, basis = np.linalg.svd(rows, full_matrices=False)
        basis = basis[values > np.finfo(float).eps * max(rows.shape) * values[0]]
        rest = self.R - (self.R @ basis.T) @ basis
        best, exact = self.values[k:], ROUNDING * self.values[0]
        if not len(best) or best[0] <= exact:
            good = np.linalg.norm(rest, 2) <= exact
            return (1.0, 1.0) if good else (np.inf, np.inf)
        return np.linalg.norm(rest) / np.linalg.norm(best), np.linalg.norm(rest, 2) / best[0]


def check_errors():
    """Make sure that `LowRankErrors` is `low_rank_error`."""
    rng = np.random.default_rng(0)
    A = rng.standard_normal((60, 20)) * np.linspace(1, 0.1, 20)
    chosen = np.arange(7)
    own = [low_rank_error(A, chosen, norm=norm) for norm in ("fro", "spectral")]
    np.testing.assert_allclose(LowRankErrors(A).errors(chosen), own, rtol=1e-9)
