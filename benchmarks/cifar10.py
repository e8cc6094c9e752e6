"""CRUST on CIFAR-10 with synthetic and with human label noise, beside plain training and an oracle.

    python benchmarks/cifar10.py --data DIR                                    # for a CPU
    python benchmarks/cifar10.py --data DIR --setting paper --device cuda --noise symmetric

DIR holds ``cifar-10-batches-py`` (the "python version" from the CIFAR-10 site, unpacked) and, for
``--noise human``, ``CIFAR-10_human.pt`` of CIFAR-10N. Every finished run is a row of the CSV file,
and is not run again: stop at any time, and go on with the same command.

All methods have the same network, optimizer, schedule, epochs, batch size and seed, and so the
same images and the same wrong labels. `plain` and `oracle` are skorch's own NeuralNetClassifier;
`oracle` is given the correctly labelled rows alone. All settings below were fixed beforehand, none
was tuned on test accuracy, and the accuracy reported is that of the last epoch.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _cifar10 import read_human_labels, read_images
from _command import make_parser
from _markdown import print_table
from _places import RESULTS
from _results import Results
from protocol.noise import Noise
from sklearn.model_selection import train_test_split
from skorch import NeuralNetClassifier
from skorch.callbacks import LRScheduler
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, MultiStepLR
from torch.utils.data import default_collate

from crust_sklearn import CRUSTClassifier
from crust_sklearn.data import fetch_rows
from crust_sklearn.modules import RandomCropFlip, ResNet32, SmallCNN
from crust_sklearn.settings import PAPER, REFERENCE

RATES = {"symmetric": 0.5, "asymmetric": 0.4, "human": None}
# What CRUSTClassifier is given; None: plain training.
METHODS = {"plain": None, "paper": PAPER, "reference": REFERENCE, "default": {}, "oracle": None}


@dataclass
class Setting:
    """What is the same for every method."""

    net: type[nn.Module]
    n_images: int
    epochs: int
    warmup: int
    lr: float
    schedule: dict[str, Any]
    augment: bool
    on_device: bool  # data on the device, whole batches at once, bfloat16, channels last


SETTINGS = {
    "paper": Setting(
        net=ResNet32,
        n_images=50_000,
        epochs=120,
        warmup=5,
        lr=0.1,
        schedule={"policy": MultiStepLR, "milestones": [80, 100], "gamma": 0.1},
        augment=True,
        on_device=True,
    ),
    "cpu": Setting(
        net=SmallCNN,
        n_images=8_000,
        epochs=24,
        warmup=3,
        lr=0.05,
        schedule={"policy": CosineAnnealingLR, "T_max": 24},
        augment=False,
        on_device=False,
    ),
    # Does the setting of the paper run at all? The figures mean nothing.
    "trial": Setting(
        net=ResNet32,
        n_images=1_000,
        epochs=2,
        warmup=1,
        lr=0.05,
        schedule={"policy": MultiStepLR, "milestones": [1], "gamma": 0.1},
        augment=True,
        on_device=True,
    ),
}


class ImageNet(nn.Module):
    """A network behind standardization and, in train mode, augmentation, on the device."""

    def __init__(self, net, mean, std, augment, mixed_precision=False):
        super().__init__()
        self.mixed_precision = mixed_precision
        self.register_buffer("mean", torch.tensor(mean).reshape(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).reshape(1, -1, 1, 1))
        self.augment = RandomCropFlip() if augment else nn.Identity()
        self.net = net(num_classes=10)
        if mixed_precision:
            self.net = self.net.to(memory_format=torch.channels_last)

    def forward(self, X):
        X = self.augment((X - self.mean) / self.std)
        if not self.mixed_precision:
            return self.net(X)
        with torch.autocast(X.device.type, torch.bfloat16):
            logits = self.net(X.contiguous(memory_format=torch.channels_last))
        return logits.float()


class Batches:
    """The batches of a dataset, each by one indexing, also where its rows are on the device."""

    def __init__(self, dataset, batch_size, shuffle=False):
        self.dataset, self.batch_size, self.shuffle = dataset, batch_size, shuffle

    def __iter__(self):
        n_rows = len(self.dataset)
        order = torch.randperm(n_rows) if self.shuffle else torch.arange(n_rows)
        for rows in order.split(self.batch_size):
            if hasattr(self.dataset, "__getitems__"):
                yield self.dataset.__getitems__(rows.numpy())
            else:
                yield fetch_rows(self.dataset, rows.numpy(), default_collate)

    def __len__(self):
        return -(-len(self.dataset) // self.batch_size)


def draw_training_rows(X, y, human, *, n_images, noise, rate, seed):
    """Return images, given labels and which of these are right, for one seed."""
    rows = np.arange(len(y))
    if n_images < len(y):
        rows, _ = train_test_split(rows, train_size=n_images, stratify=y, random_state=seed)
    true = y[rows]
    if noise == "human":
        given = human[rows]
    else:
        # Asymmetric: of the five classes that are taken for another one, `rate` of the rows.
        transition = "cifar10" if noise == "asymmetric" else None
        given = Noise(noise, rate, transition).draw(None, true, seed)
    return X[rows], given, given == true


def make_net(method, setting, X, seed, device):
    """Return an untrained net."""
    common = {
        "module__net": setting.net,
        "module__mean": X.mean(axis=(0, 2, 3)).tolist(),
        "module__std": X.std(axis=(0, 2, 3)).tolist(),
        "module__augment": setting.augment,
        "criterion": nn.CrossEntropyLoss,
        "optimizer": torch.optim.SGD,
        "optimizer__momentum": 0.9,
        "optimizer__weight_decay": 5e-4,
        "lr": setting.lr,
        "batch_size": 128,
        "max_epochs": setting.epochs,
        "iterator_train__shuffle": True,
        "train_split": None,
        "callbacks": [("schedule", LRScheduler(**setting.schedule))],
        "device": device,
        "verbose": 0,
    }
    if setting.on_device:
        common |= {"module__mixed_precision": True}
        common |= {"iterator_train": Batches, "iterator_valid": Batches}
    # skorch draws from the global generators, and so do `Batches`.
    torch.manual_seed(seed)
    if METHODS[method] is None:
        return NeuralNetClassifier(ImageNet, **common)
    settings = METHODS[method]
    if "warmup_epochs" in settings:
        settings = settings | {"warmup_epochs": setting.warmup}
    return CRUSTClassifier(ImageNet, **settings, random_state=seed, **common)


def run(method, setting, data, test, seed, device):
    """Train one net and return what was measured."""
    X, given, is_right = data
    kept = is_right if method == "oracle" else slice(None)
    net = make_net(method, setting, X, seed, device)
    if setting.on_device:
        X, test = torch.as_tensor(X, device=device), (torch.as_tensor(test[0]).to(device), test[1])
    net.fit(X[kept], given[kept])
    coreset = getattr(net, "coreset_indices_", slice(None))
    return {
        "test_accuracy": net.score(*test),
        "given_labels_fitted": net.score(X[kept], given[kept]),
        "clean_fraction": is_right[kept][coreset].mean(),
        "base_rate": is_right.mean(),
        "seconds": sum(net.history[:, "dur"]),
    }


# -- the results ------------------------------------------------------------------------------

KEY = ("setting", "noise", "rate", "method", "seed")
MEASURES = ("test_accuracy", "given_labels_fitted", "clean_fraction", "base_rate", "seconds")


def find_twin(method):
    """Return the method before this one that has the same settings, or None."""
    if METHODS[method] is None:
        return None

    def settings(name):
        return CRUSTClassifier(ImageNet, **METHODS[name]).get_params(deep=False)

    others = list(METHODS)[: list(METHODS).index(method)]
    same = [o for o in others if METHODS[o] is not None and settings(o) == settings(method)]
    return same[0] if same else None


def print_report(results, args):
    """Print a markdown table of means over seeds, one row per noise and method."""
    rows = []
    for noise in args.noise:
        rate = get_rate(args, noise)
        found = {
            method: {
                key[4]: measured
                for key, measured in results.items()
                if key[:4] == (args.setting, noise, rate, find_twin(method) or method)
            }
            for method in args.methods
        }
        for method, runs in found.items():
            if runs:
                rows.append(make_row(noise, rate, method, runs, found))
    print()
    header = ("seeds", "test accuracy", "gap closed", "clean in coreset", "time")
    print_table(("noise", "method", *header), rows, n_text=2, is_aligned=False)
    setting = SETTINGS[args.setting]
    print(
        f"\n{args.setting}: {setting.net.__name__}, {setting.n_images} images, {setting.epochs} "
        f"epochs, warm-up {setting.warmup} (default: its own). Test accuracy: true labels, all "
        "10 000 test images, "
        "last epoch, mean ± standard deviation over seeds. Gap closed: of that from plain to "
        "oracle. Clean: correctly labelled rows in the last coreset (plain: in all rows). Time: "
        "of training, plain = 1, median over seeds."
    )
    for method in args.methods:
        if twin := find_twin(method):
            print(f"`{method}` has the same settings as `{twin}` and was not run again.")


def make_row(noise, rate, method, runs, found):
    """Return one row of the table."""

    def accuracy(of):
        return np.array([run["test_accuracy"] for run in found.get(of, {}).values()])

    mine, plain, oracle = accuracy(method), accuracy("plain"), accuracy("oracle")
    spread = f" ± {100 * mine.std(ddof=1):.1f}" if len(mine) > 1 else ""
    gap = ratio = ""
    if len(plain) and len(oracle):
        closed = (mine.mean() - plain.mean()) / (oracle.mean() - plain.mean())
        gap = f"{100 * closed + 0.0:.0f}%"
    both = [seed for seed in runs if seed in found.get("plain", {})]
    if both:
        ratio = np.median([runs[s]["seconds"] / found["plain"][s]["seconds"] for s in both])
        ratio = f"{ratio:.2f}"
    clean = np.mean([run["clean_fraction"] for run in runs.values()])
    name = noise if noise == "human" else f"{noise} {float(rate):.0%}"
    return name, method, str(len(runs)), f"{mine.mean():.1%}{spread}", gap, f"{clean:.1%}", ratio


# -- the command ------------------------------------------------------------------------------


def get_rate(args, noise):
    """Return the rate as it stands in the CSV file."""
    if noise == "human":
        return ""
    return str(RATES[noise] if args.rate is None else args.rate)


def parse_args():
    parser = make_parser(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the CIFAR-10 files")
    parser.add_argument("--setting", choices=SETTINGS, default="cpu")
    parser.add_argument("--noise", choices=RATES, nargs="+", default=list(RATES))
    parser.add_argument(
        "--rate", type=float, help="of synthetic noise (default: symmetric 0.5, asymmetric 0.4)"
    )
    parser.add_argument("--methods", choices=METHODS, nargs="+", default=list(METHODS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--device", default="cpu", help="torch device (default: cpu)")
    parser.add_argument(
        "--csv", type=Path, help="default: results/cifar10_SETTING.csv beside this script"
    )
    args = parser.parse_args()
    args.csv = args.csv or RESULTS / f"cifar10_{args.setting}.csv"
    return args


def main():
    args = parse_args()
    setting = SETTINGS[args.setting]
    X, y, *test = read_images(args.data)
    human = read_human_labels(args.data) if "human" in args.noise else None
    results = Results(args.csv, KEY, MEASURES)
    methods = [method for method in args.methods if find_twin(method) not in args.methods]
    todo = [(s, n, m) for s in args.seeds for n in args.noise for m in methods]
    for i, (seed, noise, method) in enumerate(todo, start=1):
        key = (args.setting, noise, get_rate(args, noise), method, str(seed))
        if key in results:
            continue
        start = time.perf_counter()
        data = draw_training_rows(
            X,
            y,
            human,
            n_images=setting.n_images,
            noise=noise,
            rate=float(key[2] or 0),
            seed=seed,
        )
        results.add(key, run(method, setting, data, test, seed, args.device))
        print(
            f"{i:3} of {len(todo)}  seed {seed}  {noise:10}  {method:9}  test accuracy "
            f"{results[key]['test_accuracy']:6.1%}  {time.perf_counter() - start:5.0f} s",
            flush=True,
        )
    print_report(results, args)


if __name__ == "__main__":
    main()
