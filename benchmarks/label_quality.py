"""What it costs to judge labels, beside one product of the features.

    python benchmarks/label_quality.py            # a few minutes
    python benchmarks/label_quality.py --short    # a tenth of the rows, in some seconds

Float32 features and random labels of two shapes: 50 000 x 512 with ten classes, whose unit is the
gram matrix ``H.T @ H``, and 100 000 x 512 with 1 000 classes, whose unit is the product of the
features with a last layer's weights, n_features x n_classes. Beside it the leave-one-out
predictions, and the first update of a `LabelQuality`, which makes them and judges by them.

They take turns with the unit, so that a busy machine slows all. Ratios are of the least seconds,
which it disturbs least, and the median over the turns. The memory is what the largest resident
size of a fresh process grows by when the features are there: predictions and all.
"""

import numpy as np
from _command import make_parser
from _markdown import print_table
from _processes import peak_mib, resident_mib, run_fresh
from _turns import compare_times, print_not_run, take_turns
from threadpoolctl import threadpool_info

from crust_sklearn.label_noise import LabelQuality, leave_one_out_predictions

# Rows, features, classes.
SHAPES = {"gram matrix": (50_000, 512, 10), "product": (100_000, 512, 1_000)}
CALLS = ("leave_one_out_predictions", "LabelQuality.update")


def make_rows(n_rows, n_features, n_classes):
    """Return features around a mean of each class, and labels of which a fifth is drawn anew."""
    rng = np.random.default_rng(0)
    codes = rng.integers(n_classes, size=n_rows)
    H = rng.standard_normal((n_rows, n_features), dtype=np.float32)
    means = 0.3 * rng.standard_normal((n_classes, n_features), dtype=np.float32)
    H += means[codes]
    is_drawn = rng.random(n_rows) < 0.2
    return H, np.where(is_drawn, rng.integers(n_classes, size=n_rows), codes)


def make_calls(H, codes, n_classes):
    """Return what is measured, as functions of the turn's number that return nothing."""

    def predict(turn):
        leave_one_out_predictions(H, codes, n_classes, np.ones(len(H)))

    def update(turn):
        LabelQuality.start(codes, n_classes).update(H)

    return dict(zip(CALLS, (predict, update), strict=True))


def measure_memory(call, shape):
    """Return what a call adds to the memory; called in a fresh process."""
    few = make_rows(1_000, *shape[1:])
    make_calls(*few, shape[2])[call](0)  # loads what is loaded at the first call
    calls = make_calls(*make_rows(*shape), shape[2])
    before = resident_mib()
    calls[call](0)
    return {"added_mib": peak_mib() - before}


def make_unit(name, H, n_classes):
    """Return the product that the others are compared with."""
    left, right = (H.T, H) if name == "gram matrix" else (H, make_rows(H.shape[1], n_classes, 1)[0])

    def multiply(turn):
        np.matmul(left, right)

    return multiply


def print_costs(shapes, n_turns):
    rows = []
    for unit, shape in shapes.items():
        H, codes = make_rows(*shape)
        calls = {unit: make_unit(unit, H, shape[2])} | make_calls(H, codes, shape[2])
        measured = take_turns(calls, n_turns)
        print_not_run(measured)
        what = "{} x {}, {} classes".format(*shape)
        for name, (seconds, least, median) in compare_times(measured, unit).items():
            added = ""
            if name != unit:
                found = run_fresh("label_quality:measure_memory", {"call": name, "shape": shape})
                added = f"{found['added_mib']:.0f}"
            rows.append((what, name, f"{seconds:.2f}", f"{least:.2f}", f"{median:.2f}", added))
    header = ("rows x features", "", "least seconds", "least / unit", "median ratio", "added MiB")
    print_table(header, rows, n_text=2)


def main():
    parser = make_parser(__doc__)
    parser.add_argument("--short", action="store_true", help="a tenth of the rows, three turns")
    parser.add_argument("--turns", type=int, help="number of turns (default: 7)")
    args = parser.parse_args()
    shapes = {n: (s[0] // 10, *s[1:]) for n, s in SHAPES.items()} if args.short else SHAPES
    threads = {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
    print(f"float32, threads of the BLAS: {', '.join(map(str, threads))}\n", flush=True)
    print_costs(shapes, args.turns or (3 if args.short else 7))


if __name__ == "__main__":
    main()
