"""Each strategy and its peers on the same rows in one run: time, memory, objective, error.

    python benchmarks/peers.py                    # an hour or so, most of it the peers'
    python benchmarks/peers.py --short            # half a minute
    python benchmarks/peers.py --only greedy      # one section of the four below
    python benchmarks/peers.py --data DIR         # on gradients of CIFAR-10 too

`make bench` makes the environment of ``benchmarks/requirements.txt``; scikit-learn-extra, whose
wheel needs NumPy 1, is called in the environment of ``make test-numpy1``. A peer that is not there
is reported as not run. Competitors take turns. Ratios are to the first row of a table: of the least
seconds, which a busy machine disturbs least, and the median of the turns' own ratios.

The rows are gradients at the last layer's input (64 numbers; greedy, k-medoids) or of the last
layer's weights (640 numbers; low-rank, quality) of an MLP after 5 epochs on scikit-learn's digits
with 40 % symmetric noise; where more than 1 797 are wanted, of noisy copies of the digits too.
With ``--data``, a folder that holds ``cifar-10-batches-py``, also those of a SmallCNN on CIFAR-10
with 50 %. Gaussian clusters of the same shape beside them are generated.

- greedy: exact greedy facility location with its distances, in one group, half of the rows kept;
  the extra memory is what a fresh process needs at its peak above imports, kernels and rows.
- k-medoids: FasterPAM, over seeds. The package `kmedoids` gets the same float32 distances as ours.
- low-rank: the error of the span of the chosen rows, relative to the best subspace.
- quality: what all strategies choose, by every measure.
"""

from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from _command import make_parser
from _peers.greedy import print_greedy
from _peers.k_medoids import print_k_medoids
from _peers.low_rank import print_low_rank
from _peers.low_rank_errors import check_errors
from _peers.quality import print_quality
from _peers.rows import make_all_rows
from _peers.scikit_learn_extra import SOLVERS, print_extra

PACKAGES = (
    *("crust-sklearn", "apricot-select", "submodlib-py", "kmedoids", "skmatter"),
    *("numpy", "scikit-learn", "numba"),
)
SECTIONS = ("greedy", "k-medoids", "low-rank", "quality")


def print_versions():
    found = []
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found.append(f"{name} {version(name)}")
    print(", ".join(found))


def print_sections(sections, rows, n_turns, limit, short):
    """Print the tables of the sections on rows of each kind."""
    few, long, judged = rows
    for what, X in few.items():
        if "greedy" in sections:
            print_greedy(what, X, n_turns, short)
        if "k-medoids" in sections:
            sizes = (len(X) // 2,) if short else (1_000, 2_000, len(X))
            print_k_medoids(what, X, sizes, n_turns)
            solvers, numbers = (SOLVERS[:1], (10,)) if short else (SOLVERS, (500, 100, 10))
            print_extra(what, X[: sizes[0]], solvers, numbers, n_turns, limit)
    if "low-rank" in sections:
        check_errors()
        for what, A in long.items():
            print_low_rank(what, A, (50,) if short else (100, 300, 1_000), n_turns, limit, short)
    if "quality" in sections:
        for what, rows_of in judged.items():
            print_quality(what, rows_of, (0.05,) if short else (0.5, 0.05), 1 if short else n_turns)


def main():
    parser = make_parser(__doc__)
    parser.add_argument("--short", action="store_true", help="few rows, few turns")
    parser.add_argument("--only", choices=SECTIONS, help="one section")
    parser.add_argument("--data", type=Path, help="folder that holds cifar-10-batches-py")
    parser.add_argument("--turns", type=int, help="number of turns and seeds (default: 5)")
    parser.add_argument(
        "--limit", type=float, help="seconds for CUR and for a solver of scikit-learn-extra"
    )
    args = parser.parse_args()
    n_turns = args.turns or (2 if args.short else 5)
    limit = args.limit or (3.0 if args.short else 300.0)
    sections = SECTIONS if args.only is None else (args.only,)
    print_versions()
    rows = make_all_rows(sections, args.short, args.data)
    print_sections(sections, rows, n_turns, limit, args.short)


if __name__ == "__main__":
    main()
