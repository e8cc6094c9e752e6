"""How probable a small loss is: the posterior of a mixture of two Gaussians."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

# The settings of DivideMix's code; the mixture is of losses that are scaled to [0, 1].
N_ITERATIONS, TOLERANCE, MIN_VARIANCE = 10, 1e-2, 5e-4


def get_clean_probability(
    losses: np.ndarray, is_fitted: np.ndarray | None, random_state: int
) -> np.ndarray:
    """Return for each row the probability that its loss is one of the small ones.

    A mixture of two Gaussians is fitted to the losses, scaled to [0, 1]; the probability is the
    posterior of the component of smaller mean.

    Parameters
    ----------
    losses : ndarray of shape (n_rows,), dtype float64
        Finite.
    is_fitted : ndarray of shape (n_rows,), dtype bool, or None
        The rows that the mixture is fitted to, at least one; None: all.
    random_state : int
        Seeds the start of the fit.

    Returns
    -------
    probability : ndarray of shape (n_rows,), dtype float64
        1 for all rows where the losses do not differ.

    Examples
    --------
    >>> import numpy as np
    >>> from crust_sklearn.baselines.parts.loss_mixture import get_clean_probability
    >>> get_clean_probability(np.array([0.1, 0.2, 0.1, 4.0, 5.0]), None, 0).round(2)
    array([1., 1., 1., 0., 0.])
    """
    fitted = losses if is_fitted is None else losses[is_fitted]
    low, width = fitted.min(), np.ptp(fitted)
    # Less than what rounding may make of equal losses is no difference.
    if width <= 1e-12 * max(1.0, abs(low)):
        return np.ones(len(losses))
    mixture = GaussianMixture(
        n_components=2,
        max_iter=N_ITERATIONS,
        tol=TOLERANCE,
        reg_covar=MIN_VARIANCE,
        random_state=random_state,
    )
    with warnings.catch_warnings():
        # Ten iterations are what the method asks for.
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture.fit(((fitted - low) / width)[:, None])
    posterior = mixture.predict_proba(((losses - low) / width)[:, None])
    return posterior[:, mixture.means_[:, 0].argmin()]
