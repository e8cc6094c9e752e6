"""Every draw of the package from a generator of its own, none from the process-global ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from numbers import Integral
from threading import RLock
from typing import Any
from zlib import crc32

import numpy as np
import torch
from numpy.random import RandomState
from sklearn.utils import check_random_state
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

# Who lends torch's global generators to a module has them to itself.
_LOCK = RLock()


def draw_seed(random_state: int | RandomState | None) -> int:
    """Return the seed that all streams of a training are derived from.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        An int is the seed; an instance is drawn from; None draws from torch's global generator.

    Returns
    -------
    seed : int
    """
    if random_state is None:
        return int(torch.randint(2**31 - 1, ()))
    generator = check_random_state(random_state)
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(generator.randint(2**31 - 1))


def derive_seed(seed: int, purpose: str, epoch: int = 0) -> int:
    """Return the seed of one stream: of a purpose, in an epoch.

    Parameters
    ----------
    seed : int
    purpose : str
        What is drawn: "weights", "batches", "mixtures", "coreset", "module", ...
    epoch : int, default=0

    Returns
    -------
    seed : int
        In [0, 2**32), as all generators take it.

    Examples
    --------
    >>> from crust_sklearn.nets.seeding import derive_seed
    >>> derive_seed(0, "batches", 3) == derive_seed(0, "batches", 3)
    True
    >>> derive_seed(0, "batches", 3) == derive_seed(0, "batches", 4)
    False
    """
    sequence = np.random.SeedSequence([seed, crc32(purpose.encode()), epoch])
    return int(sequence.generate_state(1)[0])


class OwnDraws(TorchDispatchMode):
    """Inside, and in this thread, torch draws from generators of this seed.

    For code that offers no generator of its own, such as the constructors of modules. What torch
    draws by operations that take no generator, and what numpy draws, is not reached.

    Parameters
    ----------
    seed : int

    Examples
    --------
    >>> import torch
    >>> from crust_sklearn.nets.seeding import OwnDraws
    >>> with OwnDraws(0):
    ...     first = torch.nn.Linear(2, 2).weight
    >>> with OwnDraws(0):
    ...     again = torch.nn.Linear(2, 2).weight
    >>> torch.equal(first, again)
    True
    """

    def __init__(self, seed: int):
        super().__init__()
        self.seed = seed
        self.generators: dict[torch.device, torch.Generator] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if torch.Tag.nondeterministic_seeded in func.tags and kwargs.get("generator") is None:
            if not takes_generator(func) and hasattr(func.overloadpacket, "generator"):
                func = func.overloadpacket.generator
            if takes_generator(func):
                kwargs["generator"] = self.get_generator(args, kwargs)
        return func(*args, **kwargs)

    def get_generator(self, args: Any, kwargs: Any) -> torch.Generator | None:
        """Return the generator for the device of an operation's tensors; None where none draws."""
        tensors = [arg for arg in args if isinstance(arg, torch.Tensor)]
        device = torch.device(tensors[0].device if tensors else kwargs.get("device") or "cpu")
        if device.type == "meta":  # shapes without numbers; torch itself makes some as it imports
            return None
        if device not in self.generators:
            self.generators[device] = torch.Generator(device).manual_seed(self.seed)
        return self.generators[device]


def takes_generator(func: Any) -> bool:
    """Return whether an operation of torch takes a generator."""
    return any(argument.name == "generator" for argument in func._schema.arguments)


class ModuleDraws:
    """What a module draws in its forward passes, for instance for dropout.

    Its layers know no other source than torch's global generators. These are lent to it for the
    time of a forward pass, with a state of their own, and nobody else may borrow them meanwhile;
    afterwards they are as they were. Of a module that draws nothing they are not touched: whether
    it does is found out in the first forward pass of every epoch.

    Parameters
    ----------
    module : torch.nn.Module
    """

    def __init__(self, module: nn.Module):
        devices = {p.device for p in module.parameters() if p.device.type == "cuda"}
        self.generators = [
            torch.default_generator,
            *(torch.cuda.default_generators[d.index or 0] for d in devices),
        ]
        # By mode, training or not; missing as long as it is not known.
        self.draws: dict[bool, bool] = {}
        self.states: list[torch.Tensor] = []
        self.reseed(0)

    def reseed(self, seed: int) -> None:
        """Begin a new stream, and find out again whether it is drawn from."""
        self.draws = {mode: True for mode, has_drawn in self.draws.items() if has_drawn}
        self.states = [
            torch.Generator(generator.device).manual_seed(seed).get_state()
            for generator in self.generators
        ]

    def run(self, forward: Callable[[], Any], module: nn.Module) -> Any:
        """Return what a forward pass returns.

        Parameters
        ----------
        forward : callable
        module : torch.nn.Module
            What it runs, in the mode that it is in.
        """
        # What is compiled cannot be watched: it is taken to draw.
        if is_compiled(module) or self.draws.get(module.training):
            with self._lend():
                return forward()
        return self._watch(forward, module) if module.training not in self.draws else forward()

    def _watch(self, forward: Callable[[], Any], module: nn.Module) -> Any:
        with ExitStack() as stack:
            watch = _Watch(lambda: stack.enter_context(self._lend()))
            with watch:
                output = forward()
        self.draws[module.training] = watch.has_drawn
        return output

    @contextmanager
    def _lend(self) -> Iterator[None]:
        with _LOCK:
            before = [generator.get_state() for generator in self.generators]
            try:
                for generator, state in zip(self.generators, self.states, strict=True):
                    generator.set_state(state)
                yield
            finally:
                self.states = [generator.get_state() for generator in self.generators]
                for generator, state in zip(self.generators, before, strict=True):
                    generator.set_state(state)


class _Watch(TorchDispatchMode):
    """Calls back before the first random operation."""

    def __init__(self, callback: Callable[[], Any]):
        super().__init__()
        self.callback = callback
        self.has_drawn = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if torch.Tag.nondeterministic_seeded in func.tags and not self.has_drawn:
            self.has_drawn = True
            self.callback()
        return func(*args, **(kwargs or {}))


def is_compiled(module: nn.Module) -> bool:
    """Return whether a module came out of ``torch.compile``."""
    return hasattr(module, "_orig_mod")
