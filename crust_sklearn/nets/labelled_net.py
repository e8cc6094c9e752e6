"""LabelledNet: what skorch's classifier takes, and scikit-learn's users expect it to take."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.random import RandomState
from scipy import sparse
from sklearn.utils import Tags, check_array
from sklearn.utils.validation import validate_data
from skorch import NeuralNetClassifier
from skorch.dataset import get_len
from skorch.helper import SliceDataset
from skorch.history import History
from skorch.utils import is_dataset
from torch import nn
from torch.utils.data import DataLoader, Subset

from .._doc_link import DocLinkMixin
from ..data import RelabelledDataset, innermost, read_labels, with_labels
from ..data.inputs import (
    check_finite,
    check_kind,
    get_parameters,
    get_row_shape,
    get_sizes,
    is_tensor,
    takes_names,
)
from ..data.reading import apply_to_leaves
from ..gradients import get_logits
from ..labels import LabelCodec, check_labels
from . import processes
from .checks import check_dataset
from .codec import choose_codec
from .evaluation import unwrap
from .seeding import OwnDraws, derive_seed, draw_seed


class LabelledNet(DocLinkMixin, NeuralNetClassifier):
    """What `NoisyLabelClassifier` knows of labels of any kind, and of rows of any kind of array.

    Labels are codes 0..n_classes-1 inside, and what was given outside: in predictions, scores and
    callbacks. The sizes of the module are taken from the data where its signature has them, and
    its weights are drawn by `random_state`.

    Parameters
    ----------
    module : torch.nn.Module class or instance
    random_state : int, RandomState instance or None, default=None
        As in `NoisyLabelClassifier`.
    criterion : torch criterion class or instance, default=torch.nn.CrossEntropyLoss
    optimizer : torch optimizer class, default=torch.optim.AdamW
    lr : float, default=0.001
    max_epochs : int, default=30
    batch_size : int, default=64
    iterator_train__shuffle : bool, default=True
    train_split : None or callable, default=None
    classes : array-like or None, default=None
    selection_dataset : torch Dataset, callable or None, default=None
        As in `NoisyLabelClassifier`.
    **kwargs : dict
        As in :class:`skorch.NeuralNetClassifier`.
    """

    prefixes_ = [*NeuralNetClassifier.prefixes_, "selection_dataset"]
    codec_: LabelCodec | None = None

    def __init__(
        self,
        module: Any,
        *,
        random_state: int | RandomState | None = None,
        criterion: Any = nn.CrossEntropyLoss,
        optimizer: Any = torch.optim.AdamW,
        lr: float = 0.001,
        max_epochs: int = 30,
        batch_size: int = 64,
        iterator_train__shuffle: bool = True,
        train_split: Any = None,
        classes: Any = None,
        selection_dataset: Any = None,
        **kwargs: Any,
    ):
        self.random_state = random_state
        self.selection_dataset = selection_dataset
        super().__init__(
            module,
            criterion=criterion,
            optimizer=optimizer,
            lr=lr,
            max_epochs=max_epochs,
            batch_size=batch_size,
            iterator_train__shuffle=iterator_train__shuffle,
            train_split=train_split,
            classes=classes,
            **kwargs,
        )

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters, without what skorch and scikit-learn keep for themselves.

        Parameters
        ----------
        deep : bool, default=True
            Whether those of callbacks are among them.

        Returns
        -------
        params : dict of str to object
        """
        params = super().get_params(deep)
        return {name: value for name, value in params.items() if not name.startswith("_")}

    def set_params(self, **kwargs: Any) -> Any:
        """Set parameters; what loaders and datasets are told counts from the next call on.

        Parameters
        ----------
        **kwargs : dict

        Returns
        -------
        self : object
        """
        own = {}
        if self.initialized_:
            # skorch would try to re-initialize a torch component of that prefix.
            prefixes = ("iterator_train", "iterator_valid", "selection_dataset")
            own = {k: kwargs.pop(k) for k in list(kwargs) if k.split("__")[0] in prefixes}
        super().set_params(**kwargs)
        for name, value in own.items():
            setattr(self, name, value)
        return self

    # -- labels and rows ------------------------------------------------------------------

    def learn_data(
        self, X: Any, y: Any = None, classes: Any = None, *, reset: bool
    ) -> np.ndarray | None:
        """Check X and y, and learn classes and sizes from them.

        Parameters
        ----------
        X, y
            As in `fit`.
        classes : array-like or None, default=None
            As in `partial_fit`.
        reset : bool
            Whether to forget what earlier calls have learnt.

        Returns
        -------
        labels : ndarray of shape (n_samples,) or None
            None where there are none, for a DataLoader of the user's own.
        """
        labels = self.get_labels(X, y)
        is_own_loader = self.iterator_train is not DataLoader
        if labels is None and not is_dataset(X) and not is_own_loader:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None. Give "
                "one label per row, or a torch Dataset that holds the labels as X."
            )
        if is_dataset(X):
            needs_labels = not is_own_loader and self.max_epochs > 0
            check_dataset(X, has_labels=labels is not None or not needs_labels)
        X = self.get_input(X, reset=reset)
        n_rows = X.shape[0] if sparse.issparse(X) or is_tensor(X) else get_len(X)
        if labels is not None and len(labels) != n_rows:
            raise ValueError(
                f"X and y have inconsistent lengths: X has {n_rows} rows, y has {len(labels)}. "
                "Give one label per row."
            )
        known = None if reset else self.codec_
        codec = choose_codec(labels, self.classes, classes, known)
        self.codec_ = codec
        if codec is not None:
            self.classes_inferred_ = codec.classes
        if reset:
            n_classes = None if codec is None else len(codec.classes)
            self.inferred_params_ = get_sizes(get_row_shape(X), n_classes)
        return labels

    def get_labels(self, X: Any, y: Any) -> np.ndarray | None:
        """Return the labels that are given, or lie inside a Dataset; None if there are none."""
        if y is None and is_dataset(X):
            y = read_labels(X)
        return None if y is None else check_labels(y)

    def check_data(self, X: Any, y: Any = None) -> None:
        """Check the data where `fit` and `partial_fit` have not: before a direct `fit_loop`."""
        if self.codec_ is None:
            self.learn_data(X, y, reset=True)

    def get_dataset(self, X: Any, y: Any = None) -> Any:
        """Return the dataset of X and y, with codes 0..n_classes-1 as labels.

        Parameters
        ----------
        X, y
            As in `fit`; y is None for prediction.

        Returns
        -------
        dataset : torch Dataset
        """
        X = self.get_input(X, reset=False)
        if y is None or self.codec_ is None:
            return super().get_dataset(X, y)
        codes = self.codec_.encode(check_labels(y))
        if not is_dataset(X):
            return super().get_dataset(X, codes)
        inside = np.asarray(read_labels(X))
        # A Subset is wrapped: fitted attributes are about its rows, not about the whole.
        is_same = inside.dtype.kind in "iu" and np.array_equal(inside, codes)
        return X if is_same and not isinstance(X, Subset) else RelabelledDataset(X, codes)

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> tuple[Any, Any]:
        """Return the datasets of the training and of the validation rows, or None for these.

        Parameters
        ----------
        X, y, **fit_params
            As in `fit`.

        Returns
        -------
        dataset_train, dataset_valid : torch Dataset
        """
        if y is not None:
            y = check_labels(y)
        elif (inside := self.get_labels(X, None)) is not None:
            # To codes; the split is called without y, as in skorch.
            X = self.get_dataset(X, inside)
        train, valid = super().get_split_datasets(X, y, **fit_params)
        is_foreign = valid is not None and innermost(valid) is not innermost(train)
        if is_foreign and self.codec_ is not None and (labels := read_labels(valid)) is not None:
            valid = self.get_dataset(valid, labels)
        return train, valid

    def get_input(self, X: Any, *, reset: bool) -> Any:
        """Return X as skorch takes it, checked where it is made of arrays.

        Parameters
        ----------
        X : input data
        reset : bool
            Whether to learn the number and the names of the features, or to check them.
        """
        if is_dataset(X) or isinstance(X, SliceDataset):
            return X
        X = check_kind(X)
        if sparse.issparse(X):  # before Mapping, which a dok_matrix is
            X = self._validate(X, reset=reset, accept_sparse="csr")
            # skorch takes rows of sparse matrices, which those of sparse arrays are not.
            return sparse.csr_matrix(X)
        if is_tensor(X):
            if X.ndim == 2:
                self._validate(X, reset=reset, skip_check_array=True)
            return check_finite(X)
        if isinstance(X, Mapping) or (isinstance(X, list | tuple) and len(X) and np.ndim(X[0]) > 1):
            return check_finite(apply_to_leaves(X, check_kind))
        if hasattr(X, "iloc") and takes_names(self._get_forward(), X.columns):
            return check_finite(X)
        if isinstance(X, np.ndarray) and X.ndim == 1 and X.dtype.kind in "OUS":
            return X  # raw items, for a dataset of the user's own
        if isinstance(X, np.ndarray) and X.ndim > 2:
            return check_array(X, allow_nd=True, input_name="X")
        return check_kind(self._validate(X, reset=reset, dtype="numeric"))

    def _validate(self, X: Any, *, reset: bool, **kwargs: Any) -> Any:
        return validate_data(self, X, reset=reset or not hasattr(self, "n_features_in_"), **kwargs)

    def _get_forward(self) -> Any:
        module = unwrap(getattr(self, "module_", self.module))
        return getattr(module, "forward", module)

    # -- the module -----------------------------------------------------------------------

    def get_seed(self, purpose: str, epoch: int = 0) -> int:
        """Return the seed for one purpose in one epoch: all draws of a training come of these.

        Parameters
        ----------
        purpose : str
        epoch : int, default=0

        Returns
        -------
        seed : int
        """
        if "seed_" not in vars(self):
            self.seed_ = processes.share(self, draw_seed(self.random_state))
        return derive_seed(self.seed_, purpose, epoch)

    def initialize_module(self) -> LabelledNet:
        """Initialize the module, with sizes from the data where it takes them.

        Returns
        -------
        self : LabelledNet
        """
        with OwnDraws(self.get_seed("weights")):
            if isinstance(self.module, nn.Module):
                return super().initialize_module()
            self.module_ = self.initialized_instance(self.module, self.get_module_params())
        return self

    def get_module_params(self) -> dict[str, Any]:
        """Return what the module's class is called with: what is given, and sizes of the data."""
        takes = {p.name for p in get_parameters(self.module)}
        inferred = getattr(self, "inferred_params_", {})
        sizes = {name: size for name, size in inferred.items() if name in takes}
        return sizes | self.get_params_for("module")

    def infer(self, x: Any, **fit_params: Any) -> Any:
        """Run the module on a batch, brought to the precision of its weights.

        Parameters
        ----------
        x : input data
            What the iterator gives as X.
        **fit_params : dict
            Passed on to the module's forward.

        Returns
        -------
        output : tensor or tuple of tensors
            Of an object with an attribute `logits`, as those of transformers, that tensor. In
            bfloat16, which numpy does not know, they become float32.
        """
        output = super().infer(match_precision(x, self.module_), **fit_params)
        output = output if isinstance(output, tuple) else get_logits(output)
        if isinstance(output, tuple):
            return tuple(map(widen, output))
        return widen(output)

    def initialize_history(self) -> Any:
        """Initialize the history of the epochs; the one before stays as it was.

        Returns
        -------
        self : object
        """
        # A copy, as the one before may be needed again, and may be of a class of the user's own.
        before = vars(self).get("history_")
        self.history_ = History() if before is None else copy.copy(before)
        self.history_.clear()
        return self

    # -- what others see ------------------------------------------------------------------

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call the net's own method of an event, then the callbacks.

        They see labels as they were given.

        Parameters
        ----------
        method_name : str
        **cb_kwargs : dict
        """
        codec = self.codec_
        if codec is not None and not codec.is_identity:
            if "batch" in cb_kwargs:
                x, y = cb_kwargs["batch"]
                cb_kwargs["batch"] = x, codec.decode(y.cpu() if torch.is_tensor(y) else y)
            for name in ("dataset_train", "dataset_valid"):
                if name in cb_kwargs:
                    cb_kwargs[name] = with_labels(cb_kwargs[name], codec.decode)
        super().notify(method_name, **cb_kwargs)

    def predict(self, X: Any) -> np.ndarray:
        """Return the predicted labels.

        Parameters
        ----------
        X : input data
            As in `fit`.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Of the kind of the labels given to fit. After `load_params` alone, which restores
            no classes, the columns of the module's output.
        """
        codes = super().predict(X)
        return codes if self.codec_ is None else self.codec_.decode(codes)

    def __repr__(self) -> str:
        """Show, above what skorch shows, the package's parameters that are not the defaults."""
        head, *rest = super().__repr__().split("\n")
        classes = [cls for cls in type(self).__mro__ if issubclass(cls, LabelledNet)]
        own = {p.name: p.default for cls in classes[::-1] for p in get_parameters(cls)}
        shown = [
            f"  {name}={getattr(self, name)!r},"
            for name, default in own.items()
            if name not in ("module", "kwargs") and hasattr(self, name)
            if repr(getattr(self, name)) != repr(default)
        ]
        return "\n".join([head, *shown, *rest])

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def widen(output: Any) -> Any:
    """Return a tensor of bfloat16 as float32, and anything else as it is."""
    is_short = torch.is_tensor(output) and output.dtype == torch.bfloat16
    return output.float() if is_short else output


def match_precision(x: Any, module: Any) -> Any:
    """Bring floats to the precision of the module's weights.

    Parameters
    ----------
    x : array, tensor, or dict or list of such
    module : torch.nn.Module

    Returns
    -------
    x : the same with tensors in place of arrays
    """
    if isinstance(x, Mapping):
        return {key: match_precision(value, module) for key, value in x.items()}
    if type(x) in (list, tuple):  # not what has fields, as packed sequences
        return type(x)(match_precision(value, module) for value in x)
    x = torch.as_tensor(x) if isinstance(x, np.ndarray) else x
    if not torch.is_tensor(x) or not isinstance(module, nn.Module):
        return x
    weight = next(module.parameters(), None)
    if weight is None or not weight.is_floating_point():
        return x
    return x.to(weight.dtype) if x.is_floating_point() else x
