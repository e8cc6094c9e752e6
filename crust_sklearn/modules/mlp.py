"""A multilayer perceptron."""

from collections.abc import Sequence

import torch
from torch import nn

from ._checks import check_count


class MLP(nn.Module):
    """Multilayer perceptron with ReLU, for tabular data or flattened images.

    Parameters
    ----------
    in_features : int
        Number of features of one example, after flattening.
    num_classes : int
        Number of classes, the columns of the output.
    hidden_sizes : sequence of int, default=(256, 128)
        Units of each hidden layer. Empty: a linear model.
    dropout : float, default=0.0
        Share of the hidden units that are dropped in training, in [0, 1).

    Attributes
    ----------
    hidden : torch.nn.Sequential
        The hidden layers.
    fc : torch.nn.Linear
        The last layer, from the last hidden units to the logits.

    Raises
    ------
    ValueError
        If a size is not positive, or `dropout` is not in [0, 1).
    TypeError
        If a size is not an integer.

    Examples
    --------
    >>> import torch
    >>> from crust_sklearn.modules import MLP
    >>> net = MLP(in_features=64, num_classes=3, hidden_sizes=(32,))
    >>> net(torch.zeros(5, 8, 8, dtype=torch.float64)).shape
    torch.Size([5, 3])
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        hidden_sizes: Sequence[int] = (256, 128),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {dropout!r}.")
        self.in_features = n_units = check_count("in_features", in_features)
        layers: list[nn.Module] = []
        for size in hidden_sizes:
            layers += [nn.Linear(n_units, check_count("hidden_sizes", size)), nn.ReLU()]
            if dropout:
                layers.append(nn.Dropout(dropout))
            n_units = size
        self.hidden = nn.Sequential(*layers)
        self.fc = nn.Linear(n_units, check_count("num_classes", num_classes))

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Compute the logits.

        Parameters
        ----------
        X : torch.Tensor of shape (n_samples, ...)
            Examples of any shape with `in_features` values, and of any real dtype: they are
            flattened and cast to the dtype of the weights.

        Returns
        -------
        torch.Tensor of shape (n_samples, num_classes)
            The logits.

        Raises
        ------
        ValueError
            If an example has another number of values than `in_features`.
        """
        X = X.flatten(start_dim=1).to(self.fc.weight.dtype)
        if X.shape[1] != self.in_features:
            raise ValueError(
                f"X has {X.shape[1]} features per example, but this MLP was built with "
                f"in_features={self.in_features}."
            )
        return self.fc(self.hidden(X))
