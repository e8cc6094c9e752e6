import numpy as np
import pytest
import torch
from hypothesis import settings
from skorch.history import History

from crust_sklearn.coreset_history import CoresetHistory

# How long an example takes says nothing on a busy machine.
settings.register_profile("without deadline", deadline=None)
settings.load_profile("without deadline")

# Columns of the history that no two runs have in common.
TIMES = ("dur", "selection_dur")


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Networks this small gain nothing from a second thread, and wait for it on a busy machine."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


def _assert_equal(a, b, name):
    """Compare values of any kind, to the last bit."""
    assert type(a) is type(b), name
    if isinstance(a, dict):
        assert a.keys() == b.keys(), name
        for key in a.keys() - set(TIMES):
            _assert_equal(a[key], b[key], f"{name}[{key!r}]")
    elif isinstance(a, History | list | tuple):
        assert len(a) == len(b), name
        for i, (x, y) in enumerate(zip(list(a), list(b), strict=True)):
            _assert_equal(x, y, f"{name}[{i}]")
    elif isinstance(a, CoresetHistory):
        _assert_equal(a.state_dict(), b.state_dict(), name)
    elif hasattr(a, "get_params"):  # a selector, fitted
        _assert_equal(vars(a), vars(b), name)
    else:
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b), err_msg=name)


def _to_python(value):
    """Return what JSON makes of a history's numbers."""
    if isinstance(value, dict):
        return {key: _to_python(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_to_python(part) for part in value]
    return value.item() if isinstance(value, np.generic) else value


@pytest.fixture(scope="session")
def assert_same_training():
    """Return a function that compares two trained nets bit for bit, times aside."""

    def compare(a, b):
        _assert_equal(_to_python(a.history.to_list()), _to_python(b.history.to_list()), "history")
        for name in [*a._modules, *a._criteria]:
            _assert_equal(
                dict(getattr(a, f"{name}_").state_dict()),
                dict(getattr(b, f"{name}_").state_dict()),
                name,
            )
        _assert_equal(a.optimizer_.state_dict(), b.optimizer_.state_dict(), "optimizer")
        _assert_equal(a.state_.state_dict(), b.state_.state_dict(), "state")
        assert a.published_ == b.published_
        for name in a.published_:
            x, y = getattr(a, name), getattr(b, name)
            if name == "stage_histories_":
                x, y = ({k: _to_python(h.to_list()) for k, h in v.items()} for v in (x, y))
            _assert_equal(x, y, name)

    return compare
