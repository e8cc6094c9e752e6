"""How a network is trained, the same for every method; each one entry of RECIPES."""

from copy import deepcopy
from dataclasses import dataclass
from functools import partial

import torch
from skorch.callbacks import LRScheduler
from torch import nn
from torch.optim.lr_scheduler import MultiStepLR, OneCycleLR

from crust_sklearn.modules import MLP, RandomCropFlip, ResNet32, WhitenedCNN

from .large_recipes import BY_SET


class BatchNorm(nn.BatchNorm1d):
    """Batch normalization that takes the running statistics for a batch of one row."""

    def forward(self, X):
        if self.training and len(X) == 1:
            return nn.functional.batch_norm(
                X, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(X)


class DeepMLP(nn.Module):
    """Three hidden layers with batch normalization and dropout."""

    def __init__(self, in_features, num_classes, n_units=256):
        super().__init__()
        sizes = (in_features, n_units, n_units, n_units)
        self.hidden = nn.Sequential(
            *(
                nn.Sequential(nn.Linear(a, b), BatchNorm(b), nn.ReLU(), nn.Dropout(0.2))
                for a, b in zip(sizes[:-1], sizes[1:], strict=True)
            )
        )
        self.fc = nn.Linear(n_units, num_classes)

    def forward(self, X):
        return self.fc(self.hidden(X))


def is_bfloat16_fast():
    """Return whether the CPU has instructions for bfloat16; others take far longer by it."""
    has = getattr(torch.cpu, "get_capabilities", dict)()  # newer than the oldest torch
    return any(has.get(name, False) for name in ("amx_bf16", "avx512_bf16", "bf16"))


class AugmentedCNN(nn.Sequential):
    """A convolutional network, on images shifted and mirrored at random."""

    def __init__(self, num_classes, in_channels):
        options = {"mixed_precision": is_bfloat16_fast(), "average_flips": True}
        net = WhitenedCNN(num_classes, in_channels, **options)
        super().__init__(RandomCropFlip(padding=2), net)


class AugmentedResNet(nn.Sequential):
    """ResNet-32, on images shifted and mirrored at random."""

    def __init__(self, num_classes, in_channels):
        super().__init__(RandomCropFlip(padding=4), ResNet32(num_classes, in_channels))


@dataclass(frozen=True)
class Recipe:
    """`options` are skorch's parameters, beside those that all recipes share.

    `is_for_images` is None for a recipe of sets that name it. `package` must be installed.
    """

    name: str
    options: dict
    is_for_images: bool | None = False
    package: str = "torch"

    def make_options(self):
        """Return the parameters of a net, with callbacks of its own."""
        return SHARED | deepcopy(self.options)


SHARED = {
    "criterion": nn.CrossEntropyLoss,
    "iterator_train__shuffle": True,
    "train_split": None,
    "verbose": 0,
}
SGD = {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9, "lr": 0.05, "batch_size": 64}
ADAM = {"optimizer": torch.optim.Adam, "lr": 1e-3, "batch_size": 128}


def schedule(policy, **options):
    return [("schedule", LRScheduler(policy=policy, **options))]


N_CNN = 24  # epochs

make_steps = partial(schedule, MultiStepLR, milestones=[30, 45], gamma=0.1)

RECIPES = {
    recipe.name: recipe
    for recipe in (
        # MLP: 256 and 128 hidden units.
        Recipe("sgd", SGD | {"module": MLP, "max_epochs": 60, "callbacks": make_steps()}),
        Recipe("adam", ADAM | {"module": MLP, "max_epochs": 25}),
        Recipe("deep", ADAM | {"module": DeepMLP, "max_epochs": 40}),
        Recipe("linear", SGD | {"module": MLP, "module__hidden_sizes": (), "max_epochs": 60}),
        # The learning rate stays: what the tables of the user guide were measured with.
        Recipe("constant", SGD | {"module": MLP, "max_epochs": 60}),
        Recipe(
            "cnn",
            SGD
            | {
                "module": AugmentedCNN,
                "batch_size": 128,
                "max_epochs": N_CNN,
                "lr": 0.12,
                "optimizer__nesterov": True,
                "optimizer__weight_decay": 5e-4,
                "criterion__label_smoothing": 0.1,
                # By epochs, as those over a coreset have fewer steps.
                "callbacks": schedule(
                    OneCycleLR,
                    max_lr=0.12,
                    total_steps=N_CNN + 1,
                    pct_start=0.3,
                    div_factor=4,
                    final_div_factor=100,
                    cycle_momentum=False,
                ),
            },
            is_for_images=True,
        ),
        # As CRUST's paper trains on CIFAR, the whole of it.
        Recipe(
            "cifar",
            SGD
            | {
                "module": AugmentedResNet,
                "batch_size": 128,
                "max_epochs": 120,
                "lr": 0.1,
                "optimizer__weight_decay": 5e-4,
                "callbacks": make_steps(milestones=[80, 100]),
                "device": "cuda" if torch.cuda.is_available() else "cpu",
            },
            is_for_images=None,
        ),
        *(Recipe(name, options, None, "torchvision") for name, options in BY_SET.items()),
    )
}
DEFAULT = ("sgd", "adam", "deep", "linear", "cnn", "cifar", *BY_SET)
