"""evaluating: what holds inside, and that nothing of it is left behind."""

from types import SimpleNamespace

import pytest
from torch import nn

from crust_sklearn.nets.evaluation import evaluating


class Compiled(nn.Module):
    """As much of what torch.compile returns as is needed."""

    def __init__(self, module):
        super().__init__()
        self._orig_mod = module


def make_module():
    """Return a module in train mode, but for one part of it."""
    module = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.BatchNorm1d(2), nn.Dropout()))
    module[1][0].eval()
    return module


def modes(module):
    return [part.training for part in module.modules()]


def test_all_of_the_module_is_in_eval_mode_and_each_part_in_its_own_afterwards():
    net = SimpleNamespace(module_=make_module())
    before = modes(net.module_)
    assert len(set(before)) == 2
    with evaluating(net):
        assert not any(modes(net.module_))
    assert modes(net.module_) == before


def test_a_compiled_module_is_taken_out_for_the_time():
    plain = make_module()
    net = SimpleNamespace(module_=(compiled := Compiled(plain)))
    before = modes(plain)
    with evaluating(net):
        assert net.module_ is plain
        assert not any(modes(plain))
    assert net.module_ is compiled
    assert modes(plain) == before


def test_after_an_error_all_is_as_before():
    net = SimpleNamespace(module_=(compiled := Compiled(make_module())))
    before = modes(compiled)
    with pytest.raises(RuntimeError, match="inside"), evaluating(net):
        raise RuntimeError("inside")
    assert net.module_ is compiled
    assert modes(compiled) == before
