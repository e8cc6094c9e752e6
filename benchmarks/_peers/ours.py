"""The strategies of this package, as competitors."""

OURS = "crust_sklearn"


def select(strategy, X, k, seed=0):
    """Return the choice of one of our strategies."""
    return strategy.select(X, k, random_state=seed).indices
