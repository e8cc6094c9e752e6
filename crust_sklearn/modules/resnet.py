"""Residual networks for small images, as in section 4.2 of He et al. (2016)."""

from inspect import cleandoc
from typing import TypeVar

import torch
from torch import nn
from torch.nn import functional as F

from ._checks import check_count, check_images

_STAGE_CHANNELS = (16, 32, 64)


def _conv3x3(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)


class _PadShortcut(nn.Module):
    """Option A of the paper: subsample by `stride`, fill the new channels with zeros."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.before = (out_channels - in_channels) // 2
        self.after = out_channels - in_channels - self.before

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        X = X[:, :, :: self.stride, :: self.stride]
        return F.pad(X, (0, 0, 0, 0, self.before, self.after))


class _Block(nn.Module):
    """Two 3x3 convolutions around which the input is carried."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _conv3x3(in_channels, out_channels, stride)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = _conv3x3(out_channels, out_channels)
        self.bn2 = nn.BatchNorm2d(out_channels)
        same_shape = in_channels == out_channels and stride == 1
        self.shortcut = (
            nn.Identity() if same_shape else _PadShortcut(in_channels, out_channels, stride)
        )

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        out = F.relu(self.bn1(self.conv1(X)))
        out = self.bn2(self.conv2(out))
        return F.relu(out + self.shortcut(X))


def _stage(in_channels: int, out_channels: int, n_blocks: int) -> nn.Sequential:
    first_stride = 1 if in_channels == out_channels else 2
    blocks = [_Block(in_channels, out_channels, first_stride)]
    blocks += [_Block(out_channels, out_channels, 1) for _ in range(n_blocks - 1)]
    return nn.Sequential(*blocks)


class ResNet(nn.Module):
    """Residual network for small images, of the CIFAR kind.

    A 3x3 convolution, three stages of residual blocks with 16, 32 and 64 channels, global average
    pooling and one linear layer. Shortcuts that change the shape subsample the image and pad the
    channels with zeros (option A), so that no shortcut has parameters. Weights start from Kaiming's
    normal initialization.

    Parameters
    ----------
    depth : int
        Number of layers with weights, ``6 n + 2`` with ``n >= 1`` residual blocks in each stage.
    num_classes : int, default=10
        Number of classes, the columns of the output.
    in_channels : int, default=3
        Number of channels of the images.

    Attributes
    ----------
    fc : torch.nn.Linear
        The last layer, from 64 features to the logits.

    Raises
    ------
    ValueError
        If `depth` is not ``6 n + 2``, or if a count is not positive.
    TypeError
        If a parameter is not an integer.

    See Also
    --------
    SmallCNN : Several times faster on a CPU.

    References
    ----------
    K. He, X. Zhang, S. Ren, J. Sun. "Deep Residual Learning for Image Recognition", CVPR 2016,
    arXiv 1512.03385.

    Examples
    --------
    >>> import torch
    >>> from crust_sklearn.modules import ResNet
    >>> net = ResNet(depth=8, num_classes=5, in_channels=1)
    >>> net(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 5])
    """

    def __init__(self, depth: int, num_classes: int = 10, in_channels: int = 3) -> None:
        super().__init__()
        depth = check_count("depth", depth)
        if depth < 8 or (depth - 2) % 6:
            raise ValueError(f"depth must be 6 n + 2 with n >= 1 (8, 14, 20, ...), got {depth}.")
        self.depth = depth
        n_blocks = (depth - 2) // 6
        width = _STAGE_CHANNELS[0]
        self.conv1 = _conv3x3(check_count("in_channels", in_channels), width)
        self.bn1 = nn.BatchNorm2d(width)
        self.stages = nn.Sequential(
            *(
                _stage(before, after, n_blocks)
                for before, after in zip((width, *_STAGE_CHANNELS), _STAGE_CHANNELS, strict=False)
            )
        )
        self.fc = nn.Linear(_STAGE_CHANNELS[-1], check_count("num_classes", num_classes))
        self.apply(_init_weights)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Compute the logits.

        Parameters
        ----------
        X : torch.Tensor of shape (n_samples, in_channels, height, width)
            Images of any size and any real dtype; they are cast to the dtype of the weights, and
            not rescaled.

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
        X = F.relu(self.bn1(self.conv1(X)))
        return self.fc(self.stages(X).mean(dim=(2, 3)))


def _init_weights(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight)


# What the docs of all networks of a fixed depth end with.
_DOC = """
    Parameters
    ----------
    num_classes : int, default=10
        Number of classes, the columns of the output.
    in_channels : int, default=3
        Number of channels of the images.

    Attributes
    ----------
    fc : torch.nn.Linear
        The last layer, from 64 features to the logits.

    Raises
    ------
    ValueError
        If a count is not positive.
    TypeError
        If a count is not an integer.

    See Also
    --------
    ResNet : The same for any depth, with the architecture and its source.

    Examples
    --------
    >>> import torch
    >>> from crust_sklearn.modules import {name}
    >>> {name}()(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
"""


class _FixedDepth(ResNet):
    """A ResNet whose class says how deep it is."""

    def __init__(self, num_classes: int = 10, in_channels: int = 3) -> None:
        super().__init__(self.depth, num_classes, in_channels)


_Network = TypeVar("_Network", bound=type[_FixedDepth])


def _document(network: _Network) -> _Network:
    parts = network.__doc__ or "", _DOC.format(name=network.__name__)
    network.__doc__ = "\n\n".join(map(cleandoc, parts))
    return network


@_document
class ResNet20(_FixedDepth):
    """Residual network of 20 layers for small images.

    It has 0.27 million parameters.
    """

    depth = 20


@_document
class ResNet32(_FixedDepth):
    """Residual network of 32 layers for small images.

    It has 0.46 million parameters, and is the network of the CRUST paper.
    """

    depth = 32


@_document
class ResNet44(_FixedDepth):
    """Residual network of 44 layers for small images.

    It has 0.66 million parameters.
    """

    depth = 44


@_document
class ResNet56(_FixedDepth):
    """Residual network of 56 layers for small images.

    It has 0.85 million parameters.
    """

    depth = 56


@_document
class ResNet110(_FixedDepth):
    """Residual network of 110 layers for small images.

    It has 1.7 million parameters.
    """

    depth = 110
