"""What is refused before any training, each with the remedy."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import IterableDataset

from .._validation import check_number
from ..data import MixedBatch, fetch_rows
from ..gradients import get_logits, make_unreduced
from .epoch_plan import EpochPlan
from .evaluation import evaluating

# How many items of a dataset are compared with its labels: noise of 20 % that items have and labels
# have not is overlooked once in a thousand fits.
N_COMPARED = 32


def check_loop(net: Any) -> None:
    """Refuse numbers of epochs and batch sizes that are none."""
    check_number("max_epochs", net.max_epochs, kind=Integral, low=0)
    if net.batch_size != -1:
        check_number("batch_size", net.batch_size, kind=Integral, low=1)
    loader = net.get_params_for("iterator_train")
    if "batch_sampler" not in loader and (size := loader.get("batch_size", -1)) != -1:
        check_number("iterator_train__batch_size", size, kind=Integral, low=1)


def check_dataset(dataset: Any, *, has_labels: bool) -> None:
    """Refuse a torch Dataset that has no rows, or none that can be told apart.

    Parameters
    ----------
    dataset : torch Dataset
    has_labels : bool
        Whether labels are known, from it or apart.

    Raises
    ------
    TypeError, ValueError
    """
    name = type(dataset).__name__
    if isinstance(dataset, IterableDataset):
        raise TypeError(
            f"X={name} is an IterableDataset: it has no rows that a coreset could be chosen from. "
            "Give a Dataset with __getitem__ and __len__."
        )
    if not len(dataset):
        raise ValueError(f"X={name} is empty: it holds no rows to train on.")
    item = dataset[0]
    if isinstance(item, tuple | list) and len(item) > 2:
        raise ValueError(
            f"X={name} gives items of {len(item)}, and pairs (X, y) are needed. For a module with "
            "several inputs, make the first of the pair a dict of them."
        )
    if not has_labels:
        raise ValueError(
            f"The labels of X={name} cannot be read, and rows are judged by them. Pass them "
            "apart, fit(dataset, y), or give the dataset an attribute `y` or `targets`."
        )


def check_items_agree(dataset: Any, codes: np.ndarray, collate_fn: Any) -> None:
    """Refuse a dataset whose items have other labels than those that were read from it."""
    rows = np.unique(np.linspace(0, len(codes) - 1, N_COMPARED).astype(np.int64))
    _, y = fetch_rows(dataset, rows, collate_fn)
    found = y.cpu().numpy() if torch.is_tensor(y) else np.asarray(y)
    if found.shape != rows.shape:
        raise ValueError(
            f"The items of X have labels of shape {found.shape[1:]}: one class label per row is "
            "needed."
        )
    if len(other := np.flatnonzero(found != codes[rows])):
        raise ValueError(
            f"The items of X disagree with its labels: item {rows[other[0]]} comes with "
            f"{found[other[0]]}, and the labels that can be read say {codes[rows[other[0]]]} "
            "(a target_transform, or labels that __getitem__ changes?). Pass the labels to train "
            "on apart: fit(dataset, y)."
        )


def check_output(output: Any, n_rows: int, n_classes: int, module: nn.Module) -> None:
    """Refuse a module that does not return one column per class."""
    name = type(module).__name__
    if not torch.is_tensor(output):
        raise TypeError(
            f"module={name} returns a {type(output).__name__}. Return the logits, a tensor with "
            "one column per class; a tuple of which they are the first; or an object with an "
            "attribute `logits`."
        )
    if output.ndim == 2 and output.shape == (n_rows, n_classes):
        return
    one = (
        "For two classes, that is two columns with CrossEntropyLoss, the same model as one with "
        "BCEWithLogitsLoss. "
        if n_classes == 2
        else ""
    )
    raise ValueError(
        f"The output of module={name} has shape {tuple(output.shape)} for {n_rows} rows, and "
        f"there are {n_classes} classes: it needs one column per class. {one}Set the module's "
        "number of outputs (module__num_classes for the modules of this package), or pass all "
        "labels by `classes`."
    )


def check_class_weights(criterion: Any, n_classes: int) -> None:
    """Refuse class weights of another number than there are classes."""
    weight = getattr(criterion, "weight", None)
    if torch.is_tensor(weight) and weight.ndim == 1 and len(weight) != n_classes:
        raise ValueError(
            f"criterion__weight has {len(weight)} entries, and there are {n_classes} classes. Give "
            "one weight for each of classes_, in this order."
        )


def takes_soft_labels(criterion: Any, like: torch.Tensor) -> bool:
    """Return whether a criterion gives a loss for probabilities as labels.

    Parameters
    ----------
    criterion : torch.nn.Module
    like : tensor of shape (n_rows, n_classes)
        Logits, of the dtype and on the device that it is to be used with.

    Returns
    -------
    is_able : bool
    """
    try:
        losses = make_unreduced(criterion)(like, torch.ones_like(like) / like.shape[1])
    except Exception:
        return False
    return losses.shape == like.shape[:1]


def check_monitors(callbacks: Iterable[tuple[str, Any]], has_validation: bool) -> None:
    """Refuse callbacks that go by a validation score where there is no validation split."""
    if has_validation:
        return
    for name, callback in callbacks:
        if needs_validation(callback):
            raise ValueError(
                f"The callback {name!r}, {type(callback).__name__}, goes by "
                f"monitor={callback.monitor!r}, and there is no validation split. Set its monitor "
                "to 'train_loss' (or None for a Checkpoint of every epoch), or give a train_split."
            )


def needs_validation(callback: Any) -> bool:
    """Return whether a callback goes by a validation score."""
    monitor = getattr(callback, "monitor", None)
    is_on = monitor in ("valid_loss", "valid_acc", "valid_loss_best", "valid_acc_best")
    # A scheduler of learning rates has a monitor also where its policy asks for none.
    return is_on and (
        not hasattr(callback, "policy") or "ReduceLROnPlateau" in str(callback.policy)
    )


def check_several_codes(codes: np.ndarray, weights: np.ndarray | None) -> None:
    """Refuse weights that leave one class only."""
    if weights is not None and len(np.unique(codes[weights > 0])) < 2 <= len(np.unique(codes)):
        raise ValueError(
            "sample_weight is zero for all rows but those of one class: there is nothing to tell "
            "apart. Give rows of at least two classes a positive weight."
        )


def check_module(net: Any, x: Any, y: Any, name: str = "X") -> None:
    """Refuse a module that fails on rows, or does not return logits for each of the classes.

    Parameters
    ----------
    net : NoisyLabelClassifier
        Initialized.
    x, y
        A small batch.
    name : str, default="X"
        Where it is from, for the message.
    """
    with evaluating(net), torch.no_grad():
        try:
            output = net.infer(x)
        except Exception as error:
            raise explain_failure(error, x, net.module_, name) from error
    check_output(get_logits(output), len(y), len(net.classes_), net.module_)


def explain_criterion(error: Exception, y_pred: Any, y_true: Any, net: Any) -> ValueError:
    """Return an error that says what a criterion was given, where torch says that it fails."""
    name, given = type(net.criterion_).__name__, torch.as_tensor(y_true)
    return ValueError(
        f"criterion={name} fails on an output of shape {tuple(y_pred.shape)}, {y_pred.dtype}, with "
        f"labels of shape {tuple(given.shape)}, {given.dtype}: {error}. Give one that takes these, "
        "and its tensors, as criterion__weight, in the dtype of the output."
    )


def check_reduced(loss: Any, net: Any) -> Any:
    """Return the loss of a batch; refuse one for each row."""
    if not torch.is_tensor(loss) or loss.numel() == 1:
        return loss
    raise ValueError(
        f"criterion={type(net.criterion_).__name__} returns losses of shape {tuple(loss.shape)}, "
        "and a batch has one. Leave criterion__reduction at 'mean': where the loss of each row is "
        "needed, it is asked for."
    )


def check_trainable(net: Any) -> None:
    """Refuse a net of which nothing can be trained."""
    parts = [net.module_, getattr(net, "criterion_", None)]
    modules = [part for part in parts if isinstance(part, nn.Module)]
    if not any(p.requires_grad for part in modules for p in part.parameters()):
        raise ValueError(
            "No parameter of the module requires a gradient, so that nothing can be trained. "
            "Leave requires_grad at True for some, as those of the last layer."
        )


def check_row_losses(losses: Any, n_examples: int) -> torch.Tensor:
    """Refuse losses that are not one number for each example."""
    if torch.is_tensor(losses) and losses.shape == (n_examples,):
        return losses
    what = f"shape {tuple(losses.shape)}" if torch.is_tensor(losses) else type(losses).__name__
    raise ValueError(
        f"get_losses returns {what} for {n_examples} examples. Return one loss for each, of shape "
        "(batch_size,), not their mean."
    )


def check_plan(plan: Any, net: Any) -> EpochPlan | None:
    """Refuse what is no plan, and labels of a plan that are none.

    Parameters
    ----------
    plan : object
    net : NoisyLabelClassifier

    Returns
    -------
    plan : EpochPlan or None
    """
    if plan is None:
        return None
    if not isinstance(plan, EpochPlan):
        raise TypeError(
            f"plan_epoch returns a {type(plan).__name__}. Return an EpochPlan(rows), or None for "
            "all training rows."
        )
    labels = plan.labels
    if labels is not None:
        is_good = isinstance(labels, np.ndarray) and labels.dtype.kind in "iu"
        n_classes = len(net.classes_)
        if not is_good or labels.shape != (len(plan.rows),) or not _is_in(labels, n_classes):
            raise ValueError(
                f"plan_epoch has to give labels as an array of {len(plan.rows)} integers, one for "
                f"each of its rows: columns from 0 to {n_classes - 1}, or -1 for a row that keeps "
                f"its label; got {labels!r}."
            )
    return plan


def _is_in(labels: np.ndarray, n_classes: int) -> bool:
    return bool(((labels >= -1) & (labels < n_classes)).all())


def check_readable(codes: np.ndarray | None) -> None:
    """Refuse to choose rows whose labels cannot be read."""
    if codes is None:
        raise ValueError(
            "The labels of X cannot be read, and a coreset is chosen by them. Pass them apart, "
            "fit(dataset, y), or give the dataset an attribute `y` or `targets`."
        )


def check_mixing(
    net: Any, x: Any, y: Any, remedy: str = "Set mixup=None for token ids and the like."
) -> None:
    """Refuse mixup for a module that cannot take mixtures of its inputs.

    Parameters
    ----------
    net : NoisyLabelClassifier
    x, y
        A small batch.
    remedy : str
        What to do about it, for the message.
    """
    rows, share = torch.arange(len(y)), torch.full((len(y),), 0.5)
    try:
        with evaluating(net), torch.no_grad():
            mixture = MixedBatch(x, rows, torch.ones(len(y)), x, y, rows, share)
            net.infer(net.get_mixed(mixture), **net.training_.fit_params)
    except Exception as error:
        raise TypeError(
            f"module={type(net.module_).__name__} cannot take mixtures of its inputs, as "
            f"floating-point numbers ({error}). {remedy}"
        ) from error


def explain_failure(error: Exception, x: Any, module: nn.Module, name: str = "X") -> ValueError:
    """Return an error that says what a module was given when it failed."""
    leaf = x
    while isinstance(leaf, dict | list | tuple) and len(leaf):
        leaf = next(iter(leaf.values() if isinstance(leaf, dict) else leaf))
    what = f"{leaf.dtype} of shape {tuple(leaf.shape)}" if torch.is_tensor(leaf) else type(leaf)
    return ValueError(
        f"module={type(module).__name__} fails on the first rows of {name}, {what}: "
        f"{type(error).__name__}: {error}. Bring {name} to the shape and dtype that its forward "
        f"takes (X.astype('float32'), for instance), or the module to those of {name}."
    )


def is_empty_classes(classes: Any) -> bool:
    """Return whether `classes` is given and names none."""
    return classes is not None and np.ndim(classes) == 1 and not len(classes)
