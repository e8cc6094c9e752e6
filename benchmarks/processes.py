"""Two processes beside one, with the same batches: how equal they are, how fast, what is sent.

    python benchmarks/processes.py            # some minutes
    python benchmarks/processes.py --short    # a minute

Each net is trained by two processes of gloo, with accelerate, and by one of them alone while the
other waits; each process has one thread. The rows of a coreset that differ are those of the last
one that are in one of both only, beside its size; the label quality is that of all rows. The ratio
is that of the median epochs, selections included; what is sent is what one process tells the other
in a selection, the largest one. "nudged" is one process whose weights are changed after each batch
by their rounding errors, beside one that is not: what differs there, no process is to blame for.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from _command import make_parser
from _markdown import print_table
from sklearn.datasets import load_digits
from skorch.callbacks import Callback
from skorch.hf import AccelerateMixin
from skorch.utils import noop

from crust_sklearn import CRUSTClassifier, make_label_noise
from crust_sklearn.baselines import ELRClassifier, SmallLossClassifier
from crust_sklearn.modules import MLP, SmallCNN
from crust_sklearn.nets.processes import share
from crust_sklearn.settings import PAPER, REFERENCE

BATCH = 64
NUDGED = "nudged"
# The first rows of a data set, a module, a classifier and its parameters.
TABLE = {"module": MLP, "images": False}
IMAGES = {"module": SmallCNN, "images": True, "module__in_channels": 1}
NETS = {
    "default": TABLE,
    "default, averaged weights": TABLE | {"average_weights": True},
    "paper": TABLE | PAPER,
    "reference": TABLE | REFERENCE,
    "small loss": TABLE | {"cls": SmallLossClassifier},
    "ELR": TABLE | {"cls": ELRClassifier},
    "default, SmallCNN (BatchNorm)": IMAGES,
}


class Nudge(Callback):
    """Changes each weight by half a unit in its last place, up or down."""

    def on_batch_end(self, net, training=False, **kwargs):
        if training:
            generator = torch.Generator().manual_seed(len(net.history[-1, "batches"]))
            with torch.no_grad():
                for p in net.module_.parameters():
                    signs = torch.randint(2, p.shape, generator=generator) * 2 - 1
                    p.mul_(1 + 2**-24 * 1.01 * signs)


def load(images, n_rows):
    """Return the digits, as vectors or as images of 32x32, with 30 % wrong labels."""
    X, y = load_digits(return_X_y=True)
    X, y = (X[:n_rows] / 16).astype(np.float32), y[:n_rows]
    if images:
        X = X.reshape(-1, 1, 8, 8).repeat(4, axis=2).repeat(4, axis=3)
    return X, y, make_label_noise(y, "symmetric", 0.3, random_state=0).y


def fit(X, y, n_epochs, *, module, accelerator=None, cls=CRUSTClassifier, images=None, **params):
    """Return a net that was trained, by all processes if there is an accelerator."""
    params |= {"max_epochs": n_epochs, "random_state": 0, "verbose": 0}
    if accelerator is None:
        return cls(module, batch_size=BATCH, **params).fit(X, y)
    shared = type("Shared", (AccelerateMixin, cls), {})
    params["callbacks__print_log__sink"] = noop  # accelerate's print knows no `verbose`
    size = BATCH // accelerator.num_processes
    return shared(module, accelerator=accelerator, batch_size=size, **params).fit(X, y)


def describe(net, X, y):
    """Return what is compared of a net."""
    rows = getattr(net, "coreset_indices_", np.arange(len(X)))
    return {
        "rows": rows.tolist(),
        "quality": net.label_quality_.tolist(),
        "accuracy": net.score(X, y),
        "seconds": float(np.median(net.history[1:, "dur"])),
        "sent": max(row.get("selection_bytes", 0) for row in net.history),
    }


def work(path, n_rows, n_epochs):
    """Train all nets, in one of the processes; the main one writes what came of it."""
    from accelerate import Accelerator

    torch.set_num_threads(1)
    accelerator, found = Accelerator(cpu=True), {}
    for name, options in NETS.items():
        X, y, noisy = load(options["images"], n_rows)
        net = fit(X, noisy, n_epochs, accelerator=accelerator, **options)
        found[name] = {"two": describe(net, X, y)}
        if accelerator.is_main_process:
            found[name]["one"] = describe(fit(X, noisy, n_epochs, **options), X, y)
            nudged = fit(X, noisy, n_epochs, callbacks=[Nudge()], **options)
            found[name][NUDGED] = describe(nudged, X, y)
            print(name, flush=True)
        share(net, None)  # the others wait
    if accelerator.is_main_process:
        path.write_text(json.dumps(found))
    accelerator.end_training()


def launch(n_rows, n_epochs):
    """Return what two processes have found."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "found.json"
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        command += ["--nproc-per-node=2", __file__, "--work", str(path)]
        command += ["--rows", str(n_rows), "--epochs", str(n_epochs)]
        subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
        return json.loads(path.read_text())


def compare(first, second):
    """Return how many rows differ, and by how much the label quality does, at most."""
    gap = np.abs(np.subtract(first["quality"], second["quality"]))
    return len(np.setxor1d(first["rows"], second["rows"])), np.nanmax(gap)


def print_found(found):
    header = ("net", "rows that differ", "nudged", "label quality differs by", "nudged")
    header = (*header, "accuracy, two", "one", "seconds, two / one", "KiB sent")
    rows = []
    for name, nets in found.items():
        two, one = nets["two"], nets["one"]
        n_rows, gap = compare(two, one)
        n_nudged, gap_nudged = compare(nets[NUDGED], one)
        rows.append(
            (
                name,
                f"{n_rows} of {len(one['rows'])}",
                n_nudged,
                f"{gap:.1e}",
                f"{gap_nudged:.1e}",
                f"{two['accuracy']:.4f}",
                f"{one['accuracy']:.4f}",
                f"{two['seconds'] / one['seconds']:.2f}",
                f"{two['sent'] / 1024:.0f}",
            )
        )
    print_table(header, rows)


def main():
    parser = make_parser(__doc__)
    parser.add_argument("--short", action="store_true", help="600 rows and 8 epochs")
    parser.add_argument("--rows", type=int, help="number of rows (default: 1797)")
    parser.add_argument("--epochs", type=int, help="number of epochs (default: 20)")
    parser.add_argument("--work", type=Path, help="what the processes are started with")
    args = parser.parse_args()
    n_rows = args.rows or (600 if args.short else 1797)
    n_epochs = args.epochs or (8 if args.short else 20)
    if args.work is not None:
        work(args.work, n_rows, n_epochs)
    else:
        print_found(launch(n_rows, n_epochs))


if __name__ == "__main__":
    main()
