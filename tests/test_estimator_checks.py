"""CRUSTClassifier passes scikit-learn's own checks, but for four, with reasons.

The other methods are checked where they are tested.
"""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from crust_sklearn import CRUSTClassifier
from crust_sklearn.modules import MLP

MINI_BATCHES = (
    "A row of weight two is one row of a mini-batch, a row given twice is two: stochastic "
    "gradients differ."
)
EXPECTED_FAILURES = {
    "check_no_attributes_set_in_init": "skorch keeps its state (history_, initialized_, ...) "
    "from the constructor on.",
    "check_set_params": "skorch makes callbacks of what set_params is given, and refuses a number "
    "at once.",
    "check_sample_weight_equivalence_on_dense_data": MINI_BATCHES,
    "check_sample_weight_equivalence_on_sparse_data": MINI_BATCHES,
}


def make(cls, **params):
    options = {"module__hidden_sizes": (32,), "max_epochs": 15, "lr": 0.1, "batch_size": 64}
    options |= {"iterator_train__shuffle": True, "verbose": 0, "random_state": 0}
    return cls(MLP, **options | params)


# Of torch, when skorch reads the rows of a read-only array one by one.
@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
@parametrize_with_checks(
    [
        make(CRUSTClassifier, warmup_epochs=3),
        make(CRUSTClassifier, average_weights=True, dropped="pseudo-label"),
    ],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES,
)
def test_check_estimator(estimator, check):
    check(estimator)
