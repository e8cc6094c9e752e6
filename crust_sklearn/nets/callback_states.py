"""What callbacks know of the epochs so far, and need to go on as if there had been no break."""

from __future__ import annotations

from typing import Any

from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    LoadInitState,
    LRScheduler,
    PassthroughScoring,
    TrainEndCheckpoint,
)

from .plain import to_plain

SCORING = (EpochScoring, BatchScoring, PassthroughScoring)
STOPPING = ("misses_", "dynamic_threshold_", "best_epoch_", "best_model_weights_")
# What a state that cannot be saved is saved as: the reason.
UNSAVED = "unsaved"


def get_states(callbacks: list[tuple[str, Callback]]) -> dict[str, Any]:
    """Return the states of callbacks by name, as `to_plain` makes them.

    Of skorch's own, those of scores, `EarlyStopping` and `LRScheduler`; of others, what their
    ``state_dict()`` returns, where they have one.

    Parameters
    ----------
    callbacks : list of pairs of name and callback

    Returns
    -------
    states : dict of str to dict
        Under "unsaved", the reason where a state cannot be saved.
    """
    states = {}
    for name, callback in callbacks:
        if not (state := _get_state(callback)):
            continue
        try:
            states[name] = to_plain(state)
        except TypeError as error:
            states[name] = {UNSAVED: str(error)}
    return states


def set_states(callbacks: list[tuple[str, Callback]], states: dict[str, Any]) -> None:
    """Give callbacks the states that `get_states` returned, where they have one of their name.

    Parameters
    ----------
    callbacks : list of pairs of name and callback
        After their ``on_train_begin``.
    states : dict of str to dict
    """
    for name, callback in callbacks:
        if name not in states:
            continue
        if hasattr(callback, "load_state_dict"):
            callback.load_state_dict(states[name])
            continue
        state = dict(states[name])
        if isinstance(callback, LRScheduler):
            callback.lr_scheduler_.load_state_dict(state.pop("schedule"))
            state.pop("policy")
        vars(callback).update(state)


def check_states(callbacks: list[tuple[str, Callback]], states: dict[str, Any]) -> None:
    """Refuse states that callbacks cannot go on with.

    Parameters
    ----------
    callbacks : list of pairs of name and callback
        Initialized.
    states : dict of str to dict
        As of `get_states`.

    Raises
    ------
    ValueError
    """
    for name, callback in callbacks:
        state = states.get(name, {})
        if UNSAVED in state:
            raise ValueError(
                f"It lacks the state of the callback {name!r}: {state[UNSAVED]}. Without that, "
                "training would not go on as it was."
            )
        policy = getattr(getattr(callback, "policy_", None), "__name__", None)
        if policy is not None and state.get("policy", policy) != policy:
            raise ValueError(
                f"Its callback {name!r} goes by {state['policy']}, and that of the net by {policy}."
            )


def keeps_files(callback: Any) -> bool:
    """Return whether a callback, or a class of such, writes a net's files or reads them."""
    kind = callback if isinstance(callback, type) else type(callback)
    return issubclass(kind, Checkpoint | TrainEndCheckpoint | LoadInitState)


def _get_state(callback: Any) -> dict[str, Any] | None:
    if hasattr(callback, "state_dict"):
        return callback.state_dict()
    if isinstance(callback, SCORING):
        return _pick(callback, ("best_score_",))
    if isinstance(callback, EarlyStopping):
        return _pick(callback, STOPPING)
    if isinstance(callback, LRScheduler) and getattr(callback, "lr_scheduler_", None) is not None:
        schedule = callback.lr_scheduler_
        state = {"policy": type(schedule).__name__, "schedule": schedule.state_dict()}
        return state | _pick(callback, ("batch_idx_",))
    return None


def _pick(callback: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: vars(callback)[name] for name in names if name in vars(callback)}
