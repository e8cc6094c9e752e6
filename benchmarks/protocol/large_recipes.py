"""How the papers train on the large sets of images; each set has a recipe of its own.

Networks are torchvision's, which has to be installed; pretrained weights are those in its cache, or
it loads them. All else stands here, and differs from the papers so:

webvision-mini
    J. Li, R. Socher, S. C. H. Hoi, DivideMix, ICLR 2020, and its code: SGD, 80 epochs, batches of
    32, a tenth of the rate after 40. Theirs is Inception-ResNet-v2, which torchvision does not
    have: ResNet-50, from scratch as well.
webvision-google, imagenet
    K. He, X. Zhang, S. Ren, J. Sun, CVPR 2016: 90 epochs of ResNet-50, batches of 256, a tenth of
    the rate after 30 and 60. Crops are of one size: images are cut to a square of 256 before.
clothing1m, food101n
    J. Han, P. Luo, X. Wang, Deep Self-Learning From Noisy Labels, ICCV 2019: a pretrained
    ResNet-50, batches of 128, a tenth of the rate every 5 of 15, and every 10 of 30 epochs. An
    epoch is all images; DivideMix draws 64 000 of Clothing1M, as many of each class.
animal10n
    H. Song, M. Kim, J.-G. Lee, SELFIE, ICML 2019: VGG-19 with batch normalization, 100 epochs,
    batches of 128, a fifth of the rate after 50 and 75. On top is one linear layer, as networks
    for small images have it, in place of torchvision's three.
"""

import os

import torch
from skorch.callbacks import LRScheduler
from torch import nn
from torch.optim.lr_scheduler import MultiStepLR

from crust_sklearn.modules import RandomCropFlip

IMAGENET_COLOURS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLOTHING_COLOURS = (0.6959, 0.6537, 0.6371), (0.3113, 0.3192, 0.3214)


class Standardize(nn.Module):
    """Subtract the mean of each channel, and divide by its deviation."""

    def __init__(self, mean, std):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).reshape(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std).reshape(-1, 1, 1))

    def forward(self, X):
        return (X - self.mean) / self.std


class CropFlip(nn.Module):
    """A square of a size out of each image: at random, and mirrored at random, in train mode; in
    eval mode the one in the middle.
    """

    def __init__(self, size):
        super().__init__()
        self.size = size

    def forward(self, X):
        height, width = X.shape[2] - self.size, X.shape[3] - self.size
        if not self.training:
            return self._cut(X, height // 2, width // 2)
        top = torch.randint(height + 1, (len(X),)).tolist()
        left = torch.randint(width + 1, (len(X),)).tolist()
        is_mirrored = (torch.rand(len(X)) < 0.5).tolist()
        parts = [self._cut(x, i, j) for x, i, j in zip(X, top, left, strict=True)]
        flipped = [
            part.flip(-1) if mirror else part
            for part, mirror in zip(parts, is_mirrored, strict=True)
        ]
        return torch.stack(flipped)

    def _cut(self, X, top, left):
        return X[..., top : top + self.size, left : left + self.size]


class TorchvisionNet(nn.Sequential):
    """A network of torchvision on standardized images, augmented in train mode.

    `crop` is the size of the squares cut out; None: images are padded by 8 pixels, and cut to
    their size.
    """

    def __init__(self, num_classes, in_channels=3, *, name, colours, crop=224, weights=None):
        if in_channels != 3:
            raise ValueError(f"in_channels={in_channels}: images in colours have three.")
        augment = RandomCropFlip(padding=8) if crop is None else CropFlip(crop)
        net = make_network(name, num_classes, weights)
        super().__init__(Standardize(*colours), augment, net)


def make_network(name, num_classes, weights=None):
    """Return a network of torchvision with a new linear layer on the features' means."""
    from torchvision.models import get_model

    net = get_model(name, weights=weights)
    if hasattr(net, "fc"):
        net.fc = nn.Linear(net.fc.in_features, num_classes)
    else:  # VGG
        net.avgpool = nn.AdaptiveAvgPool2d(1)
        net.classifier = nn.Linear(net.features[-4].num_features, num_classes)
    return net


def train_by_steps(lr, batch_size, max_epochs, milestones, weight_decay, *, gamma=0.1, **module):
    """Return skorch's parameters for SGD with momentum, its rate multiplied at some epochs."""
    n_workers = min(8, os.cpu_count() or 1)
    return {
        "module": TorchvisionNet,
        **{f"module__{name}": value for name, value in module.items()},
        "optimizer": torch.optim.SGD,
        "optimizer__momentum": 0.9,
        "optimizer__weight_decay": weight_decay,
        "lr": lr,
        "batch_size": batch_size,
        "max_epochs": max_epochs,
        "callbacks": [("schedule", LRScheduler(MultiStepLR, milestones=milestones, gamma=gamma))],
        "device": "cuda" if torch.cuda.is_available() else "cpu",
        "iterator_train__num_workers": n_workers,
        "iterator_valid__num_workers": n_workers,
    }


RESNET = {"name": "resnet50", "colours": IMAGENET_COLOURS}
PRETRAINED = RESNET | {"weights": "IMAGENET1K_V1"}
BY_SET = {
    "webvision-mini": train_by_steps(0.01, 32, 80, [40], 5e-4, crop=227, **RESNET),
    "webvision-google": train_by_steps(0.1, 256, 90, [30, 60], 1e-4, **RESNET),
    "imagenet": train_by_steps(0.1, 256, 90, [30, 60], 1e-4, **RESNET),
    "clothing1m": train_by_steps(
        *(0.002, 128, 15, [5, 10], 5e-3), **PRETRAINED | {"colours": CLOTHING_COLOURS}
    ),
    "food101n": train_by_steps(0.002, 128, 30, [10, 20], 5e-3, **PRETRAINED),
    "animal10n": train_by_steps(
        *(0.1, 128, 100, [50, 75], 1e-3),
        gamma=0.2,
        name="vgg19_bn",
        colours=IMAGENET_COLOURS,
        crop=None,
    ),
}
