"""The Jacobian's spectrum: against a dense SVD, its time and memory, and the claim about residuals.

    python benchmarks/jacobian.py                  # accuracy and claim; ResNet-32 on random images
    python benchmarks/jacobian.py --only accuracy  # or "claim", or "resnet"
    python benchmarks/jacobian.py --images DIR     # ResNet-32 on CIFAR-10's images
    python benchmarks/jacobian.py --only resnet --device cuda --components 100

accuracy: the largest relative difference of the leading singular values to those of the dense
Jacobian, float32 networks, the dense SVD in float64. resnet: seconds and peak memory (the largest
resident size, and what of it came after the network and the images were there) of
`jacobian_spectrum` for a ResNet-32 and `--rows` images of 3x32x32, in a fresh process. claim: the
share of the residual's energy in the leading directions, for clean and for wrong labels, of a
network that is trained the plain way on scikit-learn's digits with 40 % symmetric noise; kept in
benchmarks/results/jacobian.csv, and printed from there alone by `--report`.
"""

import time
from pathlib import Path

import numpy as np
import torch
from _cifar10 import read_images
from _command import make_parser
from _markdown import print_table
from _places import RESULTS
from _processes import peak_mib, resident_mib, run_fresh
from _results import Results
from sklearn.datasets import load_digits
from skorch import NeuralNetClassifier
from torch.func import functional_call, jacrev

from crust_sklearn import make_label_noise
from crust_sklearn.inspection import jacobian_spectrum, residual_alignment
from crust_sklearn.modules import MLP, ResNet32, SmallCNN

N_CLASSES = 10
# The claim: rows, numbers of leading directions, epochs; what is measured of each.
N_ROWS, DIRECTIONS, EPOCHS, PARTS = 500, (10, 50, 100), ("1", "5", "20", "60"), ("clean", "wrong")
MEASURES = ("right", "knee", *(f"{part} {k}" for k in DIRECTIONS for part in PARTS))


def make_net(module, **options):
    options = {"criterion": torch.nn.CrossEntropyLoss, "train_split": None, "verbose": 0} | options
    return NeuralNetClassifier(module, **options)


# Accuracy ----------------------------------------------------------------------------------------


def get_dense_values(module, X):
    """Return all singular values of the dense Jacobian, in float64."""
    module = module.double().eval()
    parameters = {name: p.detach() for name, p in module.named_parameters()}
    parts = jacrev(lambda p: functional_call(module, p, (X.double(),)))(parameters)
    J = torch.cat([part.flatten(2) for part in parts.values()], dim=2).flatten(0, 1)
    return torch.linalg.svdvals(J).numpy()


def compare_with_dense(n_components):
    X, y = load_digits(return_X_y=True)
    X, y = torch.tensor(X[:60] / 16, dtype=torch.float32), y[:60]
    torch.manual_seed(0)
    cases = {
        "MLP, 64-32-10": (MLP(64, N_CLASSES, hidden_sizes=(32,)), X),
        "SmallCNN, width 4": (SmallCNN(N_CLASSES, 1, width=4), X.reshape(-1, 1, 8, 8)),
    }
    rows = []
    for name, (module, images) in cases.items():
        net = make_net(module, max_epochs=10, lr=0.05).fit(images, y)
        for n_products in (2 * n_components, 4 * n_components):
            spectrum = jacobian_spectrum(
                net,
                images,
                n_components=n_components,
                n_products=n_products,
                random_state=0,
            )
            found = spectrum.singular_values
            values = get_dense_values(net.module_, images)[:n_components]
            net.module_.float()
            errors = np.abs(found / values - 1)
            first = errors[: n_components // 2].max()
            rows.append([name, n_products, f"{errors.max():.1e}", f"{first:.1e}"])
    print(f"\n60 digits, {n_components} of 600 singular values, relative difference to a dense SVD")
    print_table(["network", "products", "largest", "largest of the first half"], rows)


# Time and memory ---------------------------------------------------------------------------------


def measure_resnet(n_rows, n_components, batch_size, device, images, threads):
    """Return seconds and memory; called in a fresh process."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    if images is None:
        X = torch.randn(n_rows, 3, 32, 32)
    else:
        X = torch.as_tensor(read_images(Path(images))[0][:n_rows])
    net = make_net(ResNet32(num_classes=N_CLASSES), device=device).initialize()
    # Loads what torch loads at the first use of forward mode.
    jacobian_spectrum(net, X[:2], n_components=1, random_state=0)
    before = resident_mib()
    start = time.perf_counter()
    spectrum = jacobian_spectrum(
        net, X, n_components=n_components, batch_size=batch_size, random_state=0
    )
    seconds = time.perf_counter() - start
    on_device = torch.cuda.max_memory_allocated() / 2**20 if device == "cuda" else 0.0
    values = spectrum.singular_values[[0, -1]].tolist()
    return {
        "seconds": seconds,
        "added_mib": peak_mib() - before,
        "device_mib": on_device,
        "n_parameters": sum(p.numel() for p in net.module_.parameters()),
        "values": values,
    }


def report_resnet(args):
    options = {
        "n_rows": args.rows,
        "n_components": args.components,
        "batch_size": args.batch_size,
        "device": args.device,
        "images": None if args.images is None else str(args.images),
        "threads": args.threads,
    }
    found = run_fresh("jacobian:measure_resnet", options)
    size = args.rows * N_CLASSES * found["n_parameters"] * 4 / 2**20
    print(
        f"\nResNet-32, {args.rows} images, {args.components} singular values, {args.device}, "
        f"{args.threads} threads: {found['seconds']:.0f} s, peak {found['peak_mib']:.0f} MiB, of "
        f"which {found['added_mib']:.0f} MiB for the computation, {found['device_mib']:.0f} MiB on "
        f"the device; the dense Jacobian has {size:.0f} MiB. First and last value: "
        f"{found['values'][0]:.4g}, {found['values'][1]:.4g}",
        flush=True,
    )


# The claim ---------------------------------------------------------------------------------------


def measure_claim(epochs):
    """Return the shares of a net that was trained for so many epochs."""
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    given = make_label_noise(y, "symmetric", 0.4, random_state=0).y
    rows = np.random.RandomState(0).permutation(len(X))[:N_ROWS]
    torch.manual_seed(0)
    net = make_net(
        MLP(64, N_CLASSES), max_epochs=int(epochs), lr=0.1, iterator_train__shuffle=True
    ).fit(X, given)
    spectrum = jacobian_spectrum(net, X[rows], n_components=max(DIRECTIONS), random_state=0)
    found = residual_alignment(net, X[rows], given[rows], spectrum, y_true=y[rows])
    shares = {f"{part} {k}": getattr(found, part)[k - 1] for k in DIRECTIONS for part in PARTS}
    return {"right": np.mean(net.predict(X) == y), "knee": found.size} | shares


def print_claim(results):
    """Print the shares for every number of epochs."""
    print(
        f"\nMLP, digits, 40 % symmetric noise, plain training, {N_ROWS} rows: share of the "
        "residual's energy\nin the leading directions, clean / wrong labels; without structure "
        + ", ".join(f"{k / (N_ROWS * N_CLASSES):.1%}" for k in DIRECTIONS)
        + "\n"
    )
    table = [
        (
            epochs,
            f"{found['right']:.0%}",
            f"{found['knee']:.0f}",
            *(f"{found[f'clean {k}']:.1%} / {found[f'wrong {k}']:.1%}" for k in DIRECTIONS),
        )
        for (epochs,), found in results.items()
    ]
    header = ["epochs", "right on true labels", "knee", *(f"first {k}" for k in DIRECTIONS)]
    print_table(header, table, is_aligned=False)


def main():
    parser = make_parser(__doc__)
    parser.add_argument("--only", choices=("accuracy", "resnet", "claim"))
    parser.add_argument("--images", type=Path, help="folder of cifar-10-batches-py")
    parser.add_argument("--rows", type=int, default=1_000, help="images for ResNet-32")
    parser.add_argument("--components", type=int, default=20, help="singular values of ResNet-32")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--report", action="store_true", help="the claim, and run nothing")
    args = parser.parse_args()
    claim = Results(RESULTS / "jacobian.csv", ("epochs",), MEASURES)
    if args.report:
        print_claim(claim)
        return
    if args.only in (None, "accuracy"):
        compare_with_dense(n_components=20)
    if args.only in (None, "claim"):
        claim.fill([(epochs,) for epochs in EPOCHS], measure_claim, n_jobs=1)
        print_claim(claim)
    if args.only in (None, "resnet"):
        report_resnet(args)


if __name__ == "__main__":
    main()
