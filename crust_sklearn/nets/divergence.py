"""When training is stopped because its loss is no number any more."""

from __future__ import annotations

import math
import warnings
from typing import Any

NEVER_FINITE = (
    "It was so from the first batch on: does the module return what the criterion expects, "
    "logits for CrossEntropyLoss, probabilities for NLLLoss? Is X finite, and scaled?"
)
NO_LONGER_FINITE = (
    "Lower lr, clip gradients (skorch.callbacks.GradientNormClipping), or scale X; in a torch "
    "Dataset, look for NaN. The epochs before are in `history`."
)


def check_last_batch(history: Any) -> None:
    """Stop if the loss of the last batch is not finite, and that of the one before was.

    Parameters
    ----------
    history : skorch.history.History
        With the row of the current epoch.

    Raises
    ------
    FloatingPointError

    Warns
    -----
    UserWarning
        If it is the first batch of all: one that is not finite may be followed by others that are.
    """
    batches = history[-1]["batches"]
    if math.isfinite(loss := batches[-1]["train_loss"]):
        return
    before = batches[:-1] or history[-2:-1]
    message = f"The training loss is {loss} in epoch {len(history)}."
    if not before:
        warnings.warn(f"{message} {NEVER_FINITE}", stacklevel=2)
    elif math.isfinite(before[-1].get("train_loss", loss)):
        raise FloatingPointError(f"{message} {NO_LONGER_FINITE}")


def check_last_epoch(history: Any) -> None:
    """Stop if the loss of the last epoch is not finite.

    Parameters
    ----------
    history : skorch.history.History
        Without the row of the coming epoch.

    Raises
    ------
    FloatingPointError
    """
    loss = history[-1].get("train_loss", 0.0) if len(history) else 0.0
    if not math.isfinite(loss):
        raise FloatingPointError(
            f"The training loss is {loss} in epoch {len(history)}. {NEVER_FINITE}"
        )


def explain_gradients(history: Any) -> str:
    """Return what to say of gradients that are not finite.

    Parameters
    ----------
    history : skorch.history.History
        With the row of the current epoch, if it has begun.
    """
    if not any("train_loss" in row for row in history):
        return f"The gradients before the first epoch are not finite. {NEVER_FINITE}"
    return (
        f"The gradients before epoch {len(history)} are not finite: training has diverged. "
        f"{NO_LONGER_FINITE}"
    )
