"""A small convolutional network for CPUs."""

import torch
from torch import nn

from ._checks import check_count, check_images


def _block(in_channels: int, out_channels: int, stride: int) -> list[nn.Module]:
    return [
        nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    ]


class SmallCNN(nn.Module):
    """Small convolutional network that trains well on a CPU.

    Five blocks of 3x3 convolution, batch normalization and ReLU, three of which halve the image;
    the first one does, which is where a CPU spends its time. Global average pooling and one linear
    layer follow. Made for images from 8x8 to 32x32 pixels.

    Parameters
    ----------
    num_classes : int, default=10
        Number of classes, the columns of the output.
    in_channels : int, default=3
        Number of channels of the images.
    width : int, default=32
        Channels of the first block; the later ones have two and four times as many. The cost grows
        with its square.

    Attributes
    ----------
    features : torch.nn.Sequential
        The convolutions.
    fc : torch.nn.Linear
        The last layer, from ``4 * width`` features to the logits.

    Raises
    ------
    ValueError
        If a parameter is not positive.
    TypeError
        If a parameter is not an integer.

    See Also
    --------
    ResNet32 : More accurate on CIFAR-10, and made for a GPU.

    Examples
    --------
    >>> import torch
    >>> from crust_sklearn.modules import SmallCNN
    >>> net = SmallCNN(num_classes=10, in_channels=1)
    >>> net(torch.zeros(4, 1, 8, 8)).shape
    torch.Size([4, 10])
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 3, width: int = 32) -> None:
        super().__init__()
        width = check_count("width", width)
        layers = [
            *_block(check_count("in_channels", in_channels), width, stride=2),
            *_block(width, 2 * width, stride=2),
            *_block(2 * width, 2 * width, stride=1),
            *_block(2 * width, 4 * width, stride=2),
            *_block(4 * width, 4 * width, stride=1),
        ]
        self.features = nn.Sequential(*layers)
        self.fc = nn.Linear(4 * width, check_count("num_classes", num_classes))

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
            If `X` is not 4-d.
        """
        X = check_images(X, self.fc.weight)
        # With channels last, convolutions on a CPU take about three quarters of the time.
        X = X.contiguous(memory_format=torch.channels_last)
        return self.fc(self.features(X).mean(dim=(2, 3)))
