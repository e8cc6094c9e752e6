"""A convolutional network that learns small images in minutes on a CPU."""

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

from ._checks import check_count, check_images

WIDTHS = (32, 128, 128)
# Images that the first layer is set by.
MAX_IMAGES = 512
# Added to the variances of the patches, as a share of their mean: what hardly varies is noise.
EPSILON = 5e-4


class _Whitening(nn.Module):
    """Convolution that whitens the patches of images; its weights are set by the first batch.

    Twice as many channels as a patch has numbers: the whitened patch and its negative, so that
    both signs outlive a ReLU. Until the first batch in train mode, patches pass as they are.
    """

    weight: torch.Tensor
    is_fitted: torch.Tensor

    def __init__(self, in_channels: int, size: int) -> None:
        super().__init__()
        self.size = size
        patches = torch.eye(in_channels * size**2).reshape(-1, in_channels, size, size)
        self.register_buffer("weight", torch.cat([patches, -patches]))
        self.register_buffer("is_fitted", torch.tensor(False))

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        if self.training and not self.is_fitted:
            self._fit(X)
        return F.conv2d(X, self.weight)

    @torch.no_grad()
    def _fit(self, X: torch.Tensor) -> None:
        patches = F.unfold(X[:MAX_IMAGES], self.size).transpose(1, 2).flatten(0, 1)
        # Second moments instead of the covariance: the mean goes into one direction.
        variances, directions = torch.linalg.eigh(patches.T @ patches / len(patches))
        # Of blank images, any number will do.
        least = (EPSILON * variances.mean()).clamp(min=torch.finfo(X.dtype).eps)
        scaled = directions / (variances.clamp(min=0) + least).sqrt()
        filters = scaled.T.reshape(-1, *self.weight.shape[1:])
        self.weight.copy_(torch.cat([filters, -filters]))
        self.is_fitted.fill_(True)


def _convolution(in_channels: int, out_channels: int) -> nn.Conv2d:
    """Return a 3x3 convolution whose first filters pass its input on, at first."""
    convolution = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
    nn.init.dirac_(convolution.weight[:in_channels])
    return convolution


def _block(in_channels: int, out_channels: int) -> list[nn.Module]:
    return [
        _convolution(in_channels, out_channels),
        # Before the normalization, as that takes most of the time on a CPU.
        nn.MaxPool2d(2),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
        _convolution(out_channels, out_channels),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    ]


class WhitenedCNN(nn.Module):
    """Convolutional network that learns small images within minutes on a CPU.

    The first layer whitens 2x2 patches, by the images of the first training batch [1]_, so that
    the next ones need not learn to. Blocks of two 3x3 convolutions with batch normalization and
    ReLU follow, each halving the image, and the maximum over its places goes into one linear layer.
    Convolutions begin as partial identities, as in [1]_. Made for images of about 32x32 pixels.

    Parameters
    ----------
    num_classes : int, default=10
        Number of classes, the columns of the output.
    in_channels : int, default=3
        Number of channels of the images.
    widths : tuple of int, default=(32, 128, 128)
        Channels of the blocks; each halves the image.
    mixed_precision : bool, default=False
        Whether the convolutions work in bfloat16 (autocast); the last layer stays as it is. It is
        for CPUs with instructions for it (AMX, AVX512_BF16), and for GPUs; others are slower by it.
    average_flips : bool, default=False
        Whether, in eval mode, the features are the mean of those of an image and of its mirror
        image (test-time augmentation [1]_), which takes twice the time there. For training on
        images mirrored at random, as by `RandomCropFlip`.

    Attributes
    ----------
    whitening : torch.nn.Module
        The first layer. Its weights are a buffer: they are saved, and not trained.
    features : torch.nn.Sequential
        The blocks.
    fc : torch.nn.Linear
        The last layer, from ``widths[-1]`` features to the logits.

    Raises
    ------
    ValueError
        If a parameter is not positive, or `widths` is empty.
    TypeError
        If a parameter is not an integer.

    See Also
    --------
    SmallCNN : Smaller, and for smaller images.
    ResNet32 : The network of the CRUST paper, made for a GPU.

    Notes
    -----
    On 20 000 standardized images of CIFAR-10, shifted by up to two pixels and mirrored, 24 epochs
    of SGD by a one-cycle schedule, with `average_flips`, reach 85 % (the recipe "cnn" of
    ``python -m benchmarks``).

    References
    ----------
    .. [1] K. Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", arXiv:2404.00498, 2024.

    Examples
    --------
    >>> import torch
    >>> from crust_sklearn.modules import WhitenedCNN
    >>> net = WhitenedCNN(num_classes=10, in_channels=1)
    >>> net(torch.rand(4, 1, 28, 28)).shape
    torch.Size([4, 10])
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 3,
        widths: tuple[int, ...] = WIDTHS,
        mixed_precision: bool = False,
        average_flips: bool = False,
    ) -> None:
        super().__init__()
        sizes = [check_count("widths", width) for width in widths]
        if not sizes:
            raise ValueError("widths must have at least one number; got an empty tuple.")
        self.mixed_precision, self.average_flips = mixed_precision, average_flips
        self.whitening = _Whitening(check_count("in_channels", in_channels), size=2)
        self.least = 2 ** len(sizes) + 1  # of which each block leaves a pixel
        sizes = [len(self.whitening.weight), *sizes]
        layers = [layer for pair in pairwise(sizes) for layer in _block(*pair)]
        self.features = nn.Sequential(nn.ReLU(), *layers)
        self.fc = nn.Linear(sizes[-1], check_count("num_classes", num_classes))

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Compute the logits.

        Parameters
        ----------
        X : torch.Tensor of shape (n_samples, in_channels, height, width)
            Images of any real dtype; they are cast to the dtype of the weights, and not rescaled.

        Returns
        -------
        torch.Tensor of shape (n_samples, num_classes)
            The logits.

        Raises
        ------
        ValueError
            If `X` is not 4-d, or smaller than the blocks need.
        """
        X = check_images(X, self.fc.weight)
        if min(X.shape[2:]) < self.least:
            raise ValueError(
                f"Images must have at least {self.least}x{self.least} pixels for as many `widths`; "
                f"got {X.shape[2]}x{X.shape[3]}. Give fewer of these, or larger images."
            )
        features = self._get_features(X)
        if self.average_flips and not self.training:
            features = (features + self._get_features(X.flip(-1))) / 2
        return self.fc(features)

    def _get_features(self, X: torch.Tensor) -> torch.Tensor:
        # With channels last, convolutions on a CPU take less time.
        patches = self.whitening(X.contiguous(memory_format=torch.channels_last))
        with torch.autocast(X.device.type, torch.bfloat16, enabled=self.mixed_precision):
            maps = self.features(patches)
        return maps.amax(dim=(2, 3)).to(self.fc.weight.dtype)
