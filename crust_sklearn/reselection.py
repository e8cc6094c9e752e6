"""Reselection: from the current network to the batches of the next epoch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.random import RandomState
from skorch.dataset import unpack_data
from skorch.utils import to_tensor
from torch import nn
from torch.utils.data import default_collate

from ._validation import check_sample_weight
from .coreset_dataset import (
    CoresetDataset,
    MixedBatch,
    Partners,
    base_rows,
    fetch_rows,
    innermost,
    read_labels,
)
from .coreset_history import CoresetHistory
from .gradients import GradientProxy
from .label_quality import LabelQuality


class Reselection:
    """The coresets of one call of `fit` or `partial_fit`.

    Parameters
    ----------
    net : CRUSTClassifier
        Initialized. Its fitted attributes are set by `reselect`.
    dataset : torch Dataset
        The training rows, with codes 0..n_classes-1 as labels.
    sample_weight : array-like of shape (n_samples,) or None
        The weights of the rows of the X given to fit.
    """

    def __init__(self, net: Any, dataset: Any, sample_weight: Any):
        self.net = net
        self.dataset = dataset
        self.rows = base_rows(dataset)
        self.n_rows = len(innermost(dataset))  # type: ignore[arg-type]
        self.weights: np.ndarray | None = None
        if (weights := check_sample_weight(sample_weight, self.n_rows)) is not None:
            self.weights = weights[self.rows] / weights[self.rows].mean()
        self.codes = np.empty(0, np.int64)
        self.quality: LabelQuality
        self._full_iterator: Any = None
        self._coreset_iterator: Any = None

    def check(self) -> None:
        """Read the labels, and run the module on two rows: both have to fit the method.

        Raises
        ------
        ValueError
            If labels cannot be read, if the module's output does not have one column per
            class, if there is no loss per example, or no last linear layer where needed.
        """
        labels = read_labels(self.dataset)
        if labels is None:
            # Raises if an item is not a pair.
            unpack_data(self._get_collate_fn("iterator_train")([self.dataset[0]]))
            raise ValueError(
                f"The labels of {type(self.dataset).__name__} cannot be read, and a coreset is "
                "chosen by them. Pass them apart, fit(dataset, y), or give the dataset an "
                "attribute `y` or `targets`."
            )
        self.codes = np.asarray(labels).astype(np.int64)
        is_candidate = np.s_[:] if self.weights is None else self.weights > 0
        self.net._check_loader_early(self.codes[is_candidate])
        few = np.arange(min(2, len(self.codes)))
        x, y = fetch_rows(self.dataset, few, self._get_collate_fn("iterator_train"))
        n_classes = len(self.net.classes_)
        self.quality = self._get_quality(n_classes)
        with self._evaluation():
            output = self.net.infer(x)
            output = output[0] if isinstance(output, tuple) else output
            if output.ndim != 2 or output.shape[1] != n_classes:
                raise ValueError(
                    f"The output of module={type(self.net.module_).__name__} has shape "
                    f"{tuple(output.shape)} for {len(few)} rows, and there are {n_classes} "
                    "classes: it needs one column per class. Set the module's number of "
                    "outputs (module__num_classes for the modules of this package), or pass "
                    "all labels by `classes`."
                )
            y = to_tensor(y, self.net.device)
            self._make_proxy().compute(lambda: self.net.infer(x), y)
            if self.net.mixup is not None:
                self._check_mixup(x, y)

    def _get_quality(self, n_classes: int) -> LabelQuality:
        """Return that of the last call of `partial_fit` if it had the same rows and labels."""
        last = getattr(self.net, "label_quality_average_", None)
        if (
            last is not None
            and np.array_equal(last.codes, self.codes)
            and np.array_equal(self.net.label_quality_rows_, self.rows)
        ):
            last.set_weights(self.weights)
            return last
        return LabelQuality(self.codes, n_classes, self.weights)

    def _check_mixup(self, x: Any, y: Any) -> None:
        share = torch.full(y.shape, 0.5)
        try:
            self.net.infer(MixedBatch(x, share, x, y, share))
        except Exception as error:
            raise TypeError(
                f"module={type(self.net.module_).__name__} cannot take mixtures of its inputs, "
                f"as floating-point numbers ({error}). Set mixup=None for token ids and the like."
            ) from error

    def get_iterator(self, iterator: Any, epoch: int, **fit_params: Any) -> Any:
        """Return the iterator of an epoch.

        Parameters
        ----------
        iterator : iterable of batches
            Over all training rows.
        epoch : int
            From 0, over all calls.
        **fit_params : dict
            Passed on to the module's forward.

        Returns
        -------
        iterator : iterable of batches
        """
        warmup = self.net.warmup_epochs
        if epoch < warmup:
            if self.weights is None:
                return iterator
            if self._full_iterator is None:
                self._full_iterator = self._make_iterator(np.arange(len(self.rows)), self.weights)
            return self._full_iterator
        if self._coreset_iterator is None or (epoch - warmup) % self.net.reselect_every == 0:
            self.reselect(epoch, **fit_params)
        return self._coreset_iterator

    def reselect(self, epoch: int, **fit_params: Any) -> None:
        """Choose the coreset by the gradients of the current network.

        Parameters
        ----------
        epoch : int
            Seeds the strategies that draw at random.
        **fit_params : dict
            Passed on to the module's forward.
        """
        net = self.net
        proxies, predicted, metric, features = self.compute_gradients(**fit_params)
        self.quality.update(features)
        if net.gradient == "leave_one_out":
            proxies = self.quality.residuals
        groups = {"prediction": predicted, "label": self.codes, None: None}[net.group_by]
        selector = net.make_selector(
            int(RandomState([net.coreset_seed_, epoch]).randint(2**31 - 1))
        )
        if metric is not None:
            selector.set_params(metric=metric)
        is_trusted = self.quality.is_trusted if net.has_auto_size else None
        selector._fit_gradients(proxies, groups, self.weights, is_trusted)
        order = np.argsort(selector.sample_indices_)
        positions = selector.sample_indices_[order]
        if net.coreset_weight == "cluster":
            weights = selector.sample_weight_[order]
        else:
            weights = np.ones(len(order)) if self.weights is None else self.weights[positions]
        weights = weights * (len(weights) / weights.sum())
        # Medoids are renumbered in the order of the rows; -1, for none, stays.
        rank = np.full(len(order) + 1, -1, np.int64)
        rank[order] = np.arange(len(order))
        clusters = rank[selector.assignment_]
        mixing = self._get_mixing(positions, clusters)
        iterator = self._make_iterator(positions, weights, **mixing)
        assignment = np.full(self.n_rows, -1, np.int64)
        assignment[self.rows] = clusters
        if not hasattr(net, "coreset_history_"):
            net.coreset_history_ = CoresetHistory()
        # All at once, so that an interrupt leaves either the old coreset or the new one.
        self._coreset_iterator = iterator
        net.selector_ = selector
        net.coreset_indices_ = self.rows[positions]
        net.coreset_weights_ = weights
        net.coreset_assignment_ = assignment
        net.coreset_history_.add(epoch, net.coreset_indices_, self.n_rows)
        self._publish_quality()

    def _publish_quality(self) -> None:
        net, quality = self.net, self.quality
        net.label_quality_average_, net.label_quality_rows_ = quality, self.rows
        net.noise_rate_ = quality.noise_rate
        net.label_quality_ = np.full(self.n_rows, np.nan)
        net.label_quality_[self.rows] = quality.scores
        suggested = np.asarray(read_labels(innermost(self.dataset))).astype(np.int64)
        suggested[self.rows] = quality.suggested
        codec = getattr(net, "codec_", None)
        net.suggested_labels_ = suggested if codec is None else codec.decode(suggested)

    def compute_gradients(
        self, **fit_params: Any
    ) -> tuple[np.ndarray, np.ndarray, Any, np.ndarray]:
        """Return the gradient proxies of the training rows, and what goes with them.

        Returns
        -------
        proxies : ndarray of shape (n_rows, n_proxy), dtype float32
        predicted : ndarray of shape (n_rows,), dtype int64
            The predicted class of each row.
        metric : OuterProductDistance or None
            What the proxies are to be compared by; None for "euclidean".
        features : ndarray of shape (n_rows, n_features), dtype float32
            The inputs of the last linear layer.

        Raises
        ------
        FloatingPointError
            If a gradient is not finite.
        """
        net, n_rows = self.net, len(self.codes)
        dataset = CoresetDataset(
            net.get_selection_dataset(self.dataset),
            np.arange(n_rows),
            indexed=True,
            collate_fn=self._get_collate_fn("iterator_valid"),
        )
        columns: list[torch.Tensor] = []  # of all rows: proxies, predicted classes, features
        with self._evaluation():
            proxy = self._make_proxy()
            for batch, y in net.get_iterator(dataset, training=False):
                found = proxy.compute(
                    lambda x=batch: net.infer(x, **fit_params),  # type: ignore[misc]
                    to_tensor(y, net.device),
                )
                parts = found.rows, found.output.argmax(dim=1), found.features
                if not columns:
                    columns = [part.new_empty((n_rows, *part.shape[1:])) for part in parts]
                at = batch.position.to(found.rows.device)
                for column, part in zip(columns, parts, strict=True):
                    column[at] = part
        if not columns[0].isfinite().all():
            raise FloatingPointError(
                f"The gradients before epoch {len(net.history)} are not finite: training has "
                "diverged. Lower lr, clip gradients (skorch.callbacks.GradientNormClipping), or "
                "scale X. The epochs before are in `history`."
            )
        rows, predicted, features = (column.cpu().numpy() for column in columns)
        return rows, predicted, proxy.metric, features

    def _make_iterator(self, positions: np.ndarray, weights: np.ndarray, **mixing: Any) -> Any:
        dataset = CoresetDataset(
            self.dataset,
            positions,
            None if (weights == 1.0).all() else weights,
            collate_fn=self._get_collate_fn("iterator_train"),
            **mixing,
        )
        return self.net.get_iterator(dataset, training=True)

    def _get_mixing(self, positions: np.ndarray, clusters: np.ndarray) -> dict[str, Any]:
        kind, alpha = self.net.mixup, self.net.get_mixup_alpha()
        if kind is None:
            return {}
        if kind == "batch":
            return {"mixup": "batch", "mixup_alpha": alpha}
        pools = clusters if kind == "cluster" else self.codes
        if self.weights is not None:
            pools = np.where(self.weights > 0, pools, -1)
        partners = Partners(pools[positions], pools)
        return {"mixup": "pool", "mixup_alpha": alpha, "partners": partners}

    def _get_collate_fn(self, prefix: str) -> Any:
        return self.net.get_params_for(prefix).get("collate_fn") or default_collate

    def _make_proxy(self) -> GradientProxy:
        net = self.net
        # The closed form is that of the criterion alone.
        criterion = net.criterion_ if net.has_plain_loss else None
        # Leave-one-out residuals come of the features; "logits" is the cheapest way to them.
        gradient = "logits" if net.gradient == "leave_one_out" else net.gradient
        return GradientProxy(net.module_, criterion, net.get_losses, gradient, net.gradient_layer)

    @contextmanager
    def _evaluation(self) -> Iterator[None]:
        """Eval mode, no compiled module, and no draw from the generators of training."""
        module: nn.Module = self.net.module_
        devices = {p.device for p in module.parameters() if p.device.type == "cuda"}
        # Hooks do not reach into a compiled module.
        vars(self.net)["module_"] = getattr(module, "_orig_mod", module)
        try:
            with torch.random.fork_rng(devices=devices), torch.no_grad():
                module.eval()
                yield
        finally:
            vars(self.net)["module_"] = module


def loss_gradients(net: Any, X: Any, y: Any = None) -> np.ndarray:
    """Return the gradients that a selection by the current network would compare.

    Parameters
    ----------
    net : CRUSTClassifier
        Initialized.
    X : input data
        As in `fit`.
    y : array-like of shape (n_samples,), default=None
        The labels whose losses are differentiated; None only where X is a Dataset that holds
        them.

    Returns
    -------
    gradients : ndarray of shape (n_samples, n_gradient), dtype float32
        As the parameter `gradient` says. "last_layer": the whole matrix of each row, n_classes
        times n_features entries. "leave_one_out": predicted from these rows alone, without what
        earlier selections have found.

    Raises
    ------
    ValueError
        If there are no labels, or labels that are not among the classes.
    FloatingPointError
        If a gradient is not finite.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from crust_sklearn import CRUSTClassifier
    >>> from crust_sklearn.modules import MLP
    >>> from crust_sklearn.reselection import loss_gradients
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = CRUSTClassifier(MLP, gradient="logits", max_epochs=2, verbose=0).fit(X, y)
    >>> loss_gradients(clf, X, y).shape
    (150, 3)
    """
    labels = net._get_labels(X, y)
    if labels is None:
        raise ValueError("y is None, and X holds no labels that can be read: give one per row.")
    found = Reselection(net, net.get_dataset(X, labels), None)
    found.codes = np.asarray(read_labels(found.dataset)).astype(np.int64)
    proxies, _, metric, features = found.compute_gradients()
    if net.gradient == "leave_one_out":
        quality = LabelQuality(found.codes, len(net.classes_))
        quality.update(features)
        return quality.residuals
    if metric is None:
        return proxies
    left, right = proxies[:, : metric.n_left], proxies[:, metric.n_left :]
    return (left[:, :, None] * right[:, None, :]).reshape(len(proxies), -1)


def has_batch_norm(module: nn.Module) -> bool:
    """Return whether a module normalizes over the batch."""
    return any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in module.modules())
