"""LabelledNet: what skorch's classifier takes, and scikit-learn's users expect it to take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from scipy import sparse
from sklearn.utils import Tags, check_array
from sklearn.utils.validation import validate_data
from skorch import NeuralNetClassifier
from skorch.utils import is_dataset
from torch import nn
from torch.utils.data import Subset

from ._doc_link import DocLinkMixin
from ._inputs import check_finite, get_parameters, is_tensor, takes_names
from .coreset_dataset import RelabelledDataset, read_labels, with_labels
from .labels import LabelCodec, check_labels


class LabelledNet(DocLinkMixin, NeuralNetClassifier):
    """A skorch classifier for labels of any kind, and for rows of any kind of array.

    Labels are codes 0..n_classes-1 inside, and what was given outside: in predictions, scores and
    callbacks. The sizes of the module are taken from the data where its signature has them.
    """

    def _get_labels(self, X: Any, y: Any) -> np.ndarray | None:
        if y is None and is_dataset(X):
            y = read_labels(X)
        return None if y is None else check_labels(y)

    def _get_codec(
        self, labels: np.ndarray | None, classes: Any, *, reset: bool
    ) -> LabelCodec | None:
        known = getattr(self, "codec_", None)
        if self.classes is not None and len(self.classes):
            codec = LabelCodec(self.classes)
            if labels is None or codec.knows(labels):
                return codec
            codes = LabelCodec(np.arange(len(self.classes)))
            return codes if codes.knows(labels) else codec
        if labels is None:
            return None
        if known is not None and not reset:
            known.encode(labels)
            return known
        found = np.unique(labels if classes is None else check_labels(classes))
        codec = LabelCodec(found)
        codec.encode(labels)
        return codec

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
        X = self._get_input(X, reset=False)
        codec = getattr(self, "codec_", None)
        if y is None or codec is None:
            return super().get_dataset(X, y)
        if not is_dataset(X):
            return super().get_dataset(X, codec.encode(check_labels(y)))
        codes, inside = codec.encode(check_labels(y)), read_labels(X)
        # A Subset is wrapped: fitted attributes are about its rows, not about the whole.
        if not isinstance(X, Subset) and np.array_equal(np.asarray(inside), codes):
            return X
        return RelabelledDataset(X, codes)

    def _get_input(self, X: Any, *, reset: bool) -> Any:
        """Return X as skorch takes it, checked where it is made of arrays."""
        if is_dataset(X):
            return X
        if sparse.issparse(X):  # before Mapping, which a dok_matrix is
            X = self._validate(X, reset=reset, accept_sparse="csr")
            # skorch takes rows of sparse matrices, which those of sparse arrays are not.
            return sparse.csr_matrix(X)
        if is_tensor(X):
            if X.ndim == 2:
                self._validate(X, reset=reset, skip_check_array=True)
            return check_finite(X)
        if isinstance(X, Mapping) or (isinstance(X, list | tuple) and len(X) and np.ndim(X[0]) > 1):
            return check_finite(X)
        if hasattr(X, "iloc") and takes_names(self._get_forward(), X.columns):
            return check_finite(X)
        if isinstance(X, np.ndarray) and X.ndim == 1 and X.dtype.kind in "OUS":
            return X  # raw items, for a dataset of the user's own
        if isinstance(X, np.ndarray) and X.ndim > 2:
            return check_array(X, allow_nd=True, input_name="X")
        return self._validate(X, reset=reset, dtype="numeric")

    def _validate(self, X: Any, *, reset: bool, **kwargs: Any) -> Any:
        return validate_data(self, X, reset=reset or not hasattr(self, "n_features_in_"), **kwargs)

    def _get_forward(self) -> Any:
        module = getattr(self, "module_", self.module)
        return getattr(module, "forward", module)

    def initialize_module(self) -> LabelledNet:
        """Initialize the module, with sizes from the data where it takes them.

        Returns
        -------
        self : CRUSTClassifier
        """
        if isinstance(self.module, nn.Module):
            return super().initialize_module()
        given = self.get_params_for("module")
        takes = {p.name for p in get_parameters(self.module)}
        sizes = {k: v for k, v in getattr(self, "inferred_params_", {}).items() if k in takes}
        self.module_ = self.initialized_instance(self.module, sizes | given)
        return self

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call the callbacks, which see labels as they were given.

        Parameters
        ----------
        method_name : str
        **cb_kwargs : dict
        """
        codec = getattr(self, "codec_", None)
        if codec is not None and not codec.is_identity:
            if method_name in ("on_batch_begin", "on_batch_end"):
                x, y = cb_kwargs["batch"]
                cb_kwargs["batch"] = x, codec.decode(y.cpu() if torch.is_tensor(y) else y)
            for name in ("dataset_train", "dataset_valid"):
                if name in cb_kwargs:
                    cb_kwargs[name] = with_labels(cb_kwargs[name], codec.decode)
        super().notify(method_name, **cb_kwargs)

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
        """
        return super().infer(_match_precision(x, self.module_), **fit_params)

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
        codec = getattr(self, "codec_", None)
        return codes if codec is None else codec.decode(codes)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _match_precision(x: Any, module: Any) -> Any:
    """Bring float64, scikit-learn's habit, to the precision of the module's weights."""
    if isinstance(x, Mapping):
        return {key: _match_precision(value, module) for key, value in x.items()}
    if isinstance(x, list | tuple):
        return [_match_precision(value, module) for value in x]
    x = torch.as_tensor(x) if isinstance(x, np.ndarray) else x
    if torch.is_tensor(x) and x.dtype == torch.float64 and isinstance(module, nn.Module):
        weight = next(module.parameters(), None)
        if weight is not None and weight.is_floating_point():
            return x.to(weight.dtype)
    return x
