"""Networks that are ready to be trained, and augmentation as a module."""

from .augment import GaussianNoise, RandomCropFlip
from .cnn import SmallCNN
from .mlp import MLP
from .resnet import ResNet, ResNet20, ResNet32, ResNet44, ResNet56, ResNet110
from .whitened_cnn import WhitenedCNN

__all__ = [
    "MLP",
    "GaussianNoise",
    "RandomCropFlip",
    "ResNet",
    "ResNet20",
    "ResNet32",
    "ResNet44",
    "ResNet56",
    "ResNet110",
    "SmallCNN",
    "WhitenedCNN",
]
