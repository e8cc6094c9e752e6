"""Augmentation as a module, so that it runs on the device and rests in eval mode."""

import torch
from torch import nn
from torch.nn import functional as F

from .._validation import check_number
from ._checks import check_count, check_images


class RandomCropFlip(nn.Module):
    """Random crop of the zero-padded image and random mirroring, for each example on its own.

    The usual augmentation for CIFAR. It acts in train mode only: in eval mode, and so when
    gradients for a coreset are computed or when predicting, images pass through unchanged. Random
    numbers come from torch's generator of the device of the images, as for
    :class:`torch.nn.Dropout`.

    Parameters
    ----------
    padding : int, default=4
        Width of the zeros around the image. The image is shifted by up to `padding` pixels each
        way. 0: no crop.
    flip : bool, default=True
        Mirror left and right with probability one half. Turn it off where it changes the class, as
        with digits.

    Raises
    ------
    ValueError
        If `padding` is negative.
    TypeError
        If `padding` is not an integer.

    Notes
    -----
    Zeros are the mean colour where images were standardized before.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from crust_sklearn.modules import RandomCropFlip, ResNet20
    >>> net = nn.Sequential(RandomCropFlip(), ResNet20())
    >>> net(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    >>> X = torch.arange(16.0).reshape(1, 1, 4, 4)
    >>> torch.equal(RandomCropFlip().eval()(X), X)
    True
    """

    def __init__(self, padding: int = 4, flip: bool = True) -> None:
        super().__init__()
        self.padding = check_count("padding", padding, minimum=0)
        self.flip = flip

    def extra_repr(self) -> str:
        """Show the parameters in the module's repr."""
        return f"padding={self.padding}, flip={self.flip}"

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Crop and mirror in train mode, do nothing in eval mode.

        Parameters
        ----------
        X : torch.Tensor of shape (n_samples, channels, height, width)
            Images of any dtype.

        Returns
        -------
        torch.Tensor of shape (n_samples, channels, height, width)
            Images of the same dtype.

        Raises
        ------
        ValueError
            If `X` is not 4-d.
        """
        X = check_images(X, X)
        if not self.training:
            return X
        rows, columns = self._draw_positions(X)
        padded = F.pad(X, (self.padding,) * 4)
        example = torch.arange(len(X), device=X.device)[:, None, None]
        cropped = padded[example, :, rows[:, :, None], columns[:, None, :]]
        return cropped.permute(0, 3, 1, 2)

    def _draw_positions(self, X: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return, per example, the rows and the columns of the padded image to take."""
        n_samples, _, height, width = X.shape
        top, left = torch.randint(2 * self.padding + 1, (2, n_samples, 1), device=X.device)
        columns = torch.arange(width, device=X.device).expand(n_samples, width)
        if self.flip:
            mirrored = torch.rand(n_samples, 1, device=X.device) < 0.5
            columns = torch.where(mirrored, columns.flip(1), columns)
        return top + torch.arange(height, device=X.device), left + columns


class GaussianNoise(nn.Module):
    """Normal noise on each feature, for tables of standardized features.

    It acts in train mode only: in eval mode, and so when predicting, rows pass through unchanged.
    Random numbers come from torch's generator of the device of the rows, as for
    :class:`torch.nn.Dropout`.

    Parameters
    ----------
    std : float, default=0.1
        The standard deviation of the noise, in units of the features. Where these are standardized,
        it is a share of their own. 0: no noise.

    Raises
    ------
    ValueError
        If `std` is negative.
    TypeError
        If `std` is not a number.

    Notes
    -----
    A tenth of the standard deviation seldom changes the class of a row. One-hot columns get noise
    as all others do.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from crust_sklearn.modules import MLP, GaussianNoise
    >>> net = nn.Sequential(GaussianNoise(), MLP(in_features=4, num_classes=3))
    >>> net(torch.zeros(2, 4)).shape
    torch.Size([2, 3])
    >>> X = torch.arange(8.0).reshape(2, 4)
    >>> torch.equal(GaussianNoise().eval()(X), X)
    True
    """

    def __init__(self, std: float = 0.1) -> None:
        super().__init__()
        self.std = float(check_number("std", std, low=0))

    def extra_repr(self) -> str:
        """Show the parameter in the module's repr."""
        return f"std={self.std:g}"

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Add noise in train mode, do nothing in eval mode.

        Parameters
        ----------
        X : torch.Tensor of shape (n_samples, ...)
            Features, of any dtype.

        Returns
        -------
        torch.Tensor of shape (n_samples, ...)
            Features of the same dtype; in train mode, integers become float32.
        """
        if not self.training:
            return X
        X = X if X.is_floating_point() else X.float()
        return X + self.std * torch.randn_like(X)
