"""An exponential moving average of a net's weights, and a net that keeps one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from . import loading
from .evaluation import unwrap
from .state import TrainingState
from .training import Training

# The average goes over this share of the training's steps, and over 1000 of them at most.
SHARE, MAX_DECAY = 0.01, 0.999
# What the state calls the average, and the weights that the optimizer goes on with.
AVERAGE, RAW = "weight_average", "raw_weights"


def get_decay(n_done: int, n_steps: int) -> float:
    """Return what the average keeps of itself at a step.

    ``min(a_max, (1 + t) / (10 + t))`` after `t` steps: it forgets the first weights soon.

    Parameters
    ----------
    n_done : int
        The steps averaged so far.
    n_steps : int
        Those of the training: ``a_max = 1 - 100 / n_steps``, from 0 to 0.999.

    Returns
    -------
    decay : float

    Examples
    --------
    >>> from crust_sklearn.nets.weight_average import get_decay
    >>> get_decay(0, 1000), get_decay(500, 1000), get_decay(10**6, 10**6)
    (0.1, 0.9, 0.999)
    """
    longest = 1.0 - 1.0 / max(SHARE * n_steps, 1.0)
    return min(longest, MAX_DECAY, (1.0 + n_done) / (10.0 + n_done))


class WeightAverage:
    """The moving average of the parameters of modules.

    Buffers, such as the statistics of BatchNorm, are not averaged: the modules keep those that they
    have. Parameters of 16 bits are averaged in 32.

    Parameters
    ----------
    modules : mapping of str to torch.nn.Module
    entries : dict of str to array or tensor
        Where the average is kept, as the `entries` of a `TrainingState`; that of earlier steps goes
        on. The tensors in it are changed in place.

    Examples
    --------
    >>> import torch
    >>> from crust_sklearn.nets.weight_average import WeightAverage
    >>> module = torch.nn.Linear(1, 1, bias=False)
    >>> _ = torch.nn.init.constant_(module.weight, 0.0)
    >>> average = WeightAverage({"module": module}, {})
    >>> _ = torch.nn.init.constant_(module.weight, 1.0)
    >>> average.update(0.75)
    >>> with average.in_place():
    ...     inside = module.weight.item()
    >>> inside, module.weight.item()
    (0.25, 1.0)
    """

    def __init__(self, modules: Mapping[str, nn.Module], entries: dict[str, Any]):
        self.entries = entries
        self.parameters = dict(get_parameters(modules))
        self.averages = {}
        for name, parameter in self.parameters.items():
            key = f"{AVERAGE}.{name}"
            kept = entries[key] if key in entries else widen(parameter).clone()
            self.averages[name] = torch.as_tensor(kept).to(parameter.device)
            entries[key] = self.averages[name]

    def update(self, decay: float) -> None:
        """Take the weights of one more step into account.

        Parameters
        ----------
        decay : float
            What the average keeps of itself.
        """
        current = [widen(parameter) for parameter in self.parameters.values()]
        get_ema_multi_avg_fn(decay)(list(self.averages.values()), current, None)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Put the average in the place of the weights, and then these back."""
        before = {name: p.detach().clone() for name, p in self.parameters.items()}
        try:
            set_parameters(self.parameters, self.averages)
            yield
        finally:
            set_parameters(self.parameters, before)


class WeightAverageMixin:
    """Let a net average its weights, where `averages_weights` says so.

    In its training the optimizer has the raw weights; between the calls of `fit` and `partial_fit`
    the modules hold the average, and `state_` the raw weights. The average is about the network,
    not about rows: it goes on over calls with other ones.
    """

    average_weights: bool
    training_: Training | None
    state_: TrainingState

    @property
    def averages_weights(self) -> bool:
        """Whether the weights are averaged."""
        return self.average_weights

    def get_modules(self) -> dict[str, nn.Module]:
        """Return the modules by name, neither compiled nor wrapped."""
        names = self._modules  # type: ignore[attr-defined]
        return {name: unwrap(getattr(self, f"{name}_")) for name in names}

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the modules have the averaged weights, as far as there are any."""
        training = self.training_
        average = None if training is None else training.kept.get(AVERAGE)
        # Before the first batch of a call, the modules still hold the average of the call before.
        if average is None:
            yield
        else:
            with average.in_place():
                yield

    def on_epoch_begin(self, net: Any, *args: Any, **kwargs: Any) -> None:
        """Carry the average over to the state of other rows.

        Parameters
        ----------
        net : NoisyLabelClassifier
        *args, **kwargs
            As in skorch.
        """
        before = vars(self).get("state_")
        super().on_epoch_begin(net, *args, **kwargs)  # type: ignore[misc]
        state = vars(self).get("state_")
        if before is not None and state is not None and state is not before:
            rooms = (AVERAGE, RAW)
            state.entries |= {k: v for k, v in before.entries.items() if k.split(".")[0] in rooms}

    def prepare_training(self) -> None:
        """Go on averaging where a call has broken off, so that its modules have the raw weights."""
        super().prepare_training()  # type: ignore[misc]
        rooms = {name.split(".")[0] for name in self.state_.entries}
        if self.averages_weights and AVERAGE in rooms and RAW not in rooms:
            assert self.training_ is not None
            self._begin_averaging(self.training_)

    def _begin_averaging(self, training: Training) -> None:
        entries = self.state_.entries
        training.kept[RAW] = any(name.startswith(f"{RAW}.") for name in entries)
        take_up_raw(self.get_modules(), entries)
        training.kept[AVERAGE] = WeightAverage(self.get_modules(), entries)
        training.kept["n_steps"] = self._count_averaged_steps()

    def on_batch_begin(
        self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        """Take up the raw weights, before the first batch of a call.

        Parameters
        ----------
        net : NoisyLabelClassifier
        batch : tuple, default=None
        training : bool, default=False
        **kwargs : dict
        """
        super().on_batch_begin(net, batch=batch, training=training, **kwargs)  # type: ignore[misc]
        held = self.training_
        if training and held is not None and AVERAGE not in held.kept and self.averages_weights:
            self._begin_averaging(held)

    def run_single_epoch(self, *args: Any, **kwargs: Any) -> None:
        """Run one epoch; if not even a batch was trained on, the modules hold the average again.

        Parameters
        ----------
        *args, **kwargs
            As in skorch.
        """
        try:
            super().run_single_epoch(*args, **kwargs)  # type: ignore[misc]
        except BaseException:
            held = self.training_
            # Without raw weights to take up, the modules had these before.
            if held is not None and not held.has_begun and held.kept.get(RAW):
                set_parameters(held.kept[AVERAGE].parameters, held.kept[AVERAGE].averages)
            raise

    def _count_averaged_steps(self) -> int:
        """Return the steps of all epochs before this call, and of it, on all rows."""
        assert self.training_ is not None
        options = loading.get_step_options(self)
        n_epochs = self.training_.count_all_epochs(self.max_epochs)  # type: ignore[attr-defined]
        return n_epochs * loading.count_batches(options, len(self.training_.rows))

    def on_batch_end(
        self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        """Average the weights of one more step.

        Parameters
        ----------
        net : NoisyLabelClassifier
        batch : tuple, default=None
        training : bool, default=False
        **kwargs : dict
        """
        super().on_batch_end(net, batch=batch, training=training, **kwargs)  # type: ignore[misc]
        held = self.training_
        if training and held is not None and AVERAGE in held.kept:
            n_done = int(self.state_.get_number(f"{AVERAGE}.n_done") or 0)
            held.kept[AVERAGE].update(get_decay(n_done, held.kept["n_steps"]))
            self.state_.entries[f"{AVERAGE}.n_done"] = np.asarray(n_done + 1)

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Give the modules the average, and the state the raw weights.

        Parameters
        ----------
        net : NoisyLabelClassifier
        X, y : input data, default=None
        **kwargs : dict
        """
        super().on_train_end(net, X=X, y=y, **kwargs)  # type: ignore[misc]
        average = None if self.training_ is None else self.training_.kept.get(AVERAGE)
        if average is not None:
            raw = {f"{RAW}.{name}": p.detach().clone() for name, p in average.parameters.items()}
            average.entries |= {name: widen(value) for name, value in raw.items()}
            set_parameters(average.parameters, average.averages)


def take_up_raw(modules: Mapping[str, nn.Module], entries: dict[str, Any]) -> None:
    """Give modules that hold an average the raw weights that belong to it.

    Where they hold other weights, loaded in between, say, these are kept, and a new average begins.

    Parameters
    ----------
    modules : mapping of str to torch.nn.Module
    entries : dict of str to array or tensor
        What a call has left; the raw weights are taken out.
    """
    raw, average = (
        {name.partition(".")[2]: entries[name] for name in entries if name.startswith(f"{room}.")}
        for room in (RAW, AVERAGE)
    )
    average.pop("n_done", None)
    parameters = dict(get_parameters(modules))
    fits = parameters.keys() == average.keys() and all(
        p.shape == average[name].shape for name, p in parameters.items()
    )
    is_held = fits and all(
        torch.equal(p, torch.as_tensor(average[name]).to(p.device, p.dtype))
        for name, p in parameters.items()
    )
    if is_held and raw:
        set_parameters(parameters, raw)
    # Without raw weights, a call has broken off: the modules have them.
    goes_on = is_held if raw else fits
    rooms = (RAW,) if goes_on else (RAW, AVERAGE)
    for name in [name for name in entries if name.split(".")[0] in rooms]:
        del entries[name]


def get_parameters(modules: Mapping[str, nn.Module]) -> Iterator[tuple[str, nn.Parameter]]:
    """Return the parameters of modules by name, those of each under its own.

    Parameters
    ----------
    modules : mapping of str to torch.nn.Module

    Returns
    -------
    parameters : iterator of pairs
    """
    for name, module in modules.items():
        yield from module.named_parameters(prefix=name)


def set_parameters(parameters: Mapping[str, nn.Parameter], values: Mapping[str, Any]) -> None:
    """Copy values into parameters.

    Parameters
    ----------
    parameters : mapping of str to torch.nn.Parameter
    values : mapping of str to array or tensor
    """
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(torch.as_tensor(values[name]))


def widen(parameter: Tensor) -> Tensor:
    """Return a parameter's values, in 32 bits where they have fewer."""
    is_short = parameter.dtype in (torch.bfloat16, torch.float16)
    return parameter.detach().float() if is_short else parameter.detach()
