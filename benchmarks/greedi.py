"""Facility location in parts: the package's parts along directions against GreeDi's random parts.

    python benchmarks/greedi.py                # about an hour
    python benchmarks/greedi.py --short        # less than a minute
    python benchmarks/greedi.py --data DIR     # principal components of CIFAR-10 too

GreeDi (Mirzasoleiman, Karbasi, Sarkar, Krause, "Distributed submodular maximization", JMLR 2016):
random parts; greedy's k of each part; greedy's k of the union of all these, by the distances of a
random sample of rows; the better of that and of the best part. The union has to fit into memory
with the sample: where it does not, each part gives fewer than k. Where not even k in all fit, there
is no second round, and each part gives its share.

"directions, sample" has the parts of "directions", and GreeDi's second round.

The rows are gradients of an MLP on noisy copies of scikit-learn's digits, of 64 numbers, and, with
``--data``, a folder that holds ``cifar-10-batches-py``, 64 principal components of its images, four
times flipped and shifted where there are more rows than images. The objective (paper, Eq. 6) is the
mean distance of a sample of rows, the same for all ways, to the nearest chosen row. A seed draws
the rows, the labels and the parts.
"""

import math
import time
from pathlib import Path

import numpy as np
from _cifar10 import read_images
from _command import make_parser
from _gradients import get_gradients, train_on_digits
from _markdown import print_table
from numpy.random import RandomState
from sklearn import config_context
from sklearn.decomposition import PCA

from crust_sklearn.strategies import FacilityLocation
from crust_sklearn.strategies.base import Part, make_coreset
from crust_sklearn.strategies.distances import cross_distances, nearest_rows
from crust_sklearn.strategies.facility_location import lazy_greedy
from crust_sklearn.strategies.parts import split_at_random

N_FEATURES = 64
# Rows whose distances are averaged, beside the chosen ones.
N_EVALUATED = 20_000


class BySample(FacilityLocation):
    """Parts along directions, and a second round by the distances of a sample of rows."""

    def merge(self, X, n_select, sample_weight, random_state, parts, coresets):
        own = [part.rows[c.indices] for part, c in zip(parts, coresets, strict=True)]
        union = np.concatenate(own)
        if len(union) == n_select:
            return super().merge(X, n_select, sample_weight, random_state, parts, coresets)
        n_sampled = min(len(X), int(self.get_max_rows()) ** 2 // len(union))
        sample = random_state.choice(len(X), n_sampled, replace=False)
        distances = cross_distances(X[union], X[sample], self.get_metric())
        distances = distances.astype(np.float32, copy=False)
        weights = sample_weight[sample].astype(np.float32)
        second, _ = lazy_greedy(distances, weights, n_select, distances.max())
        found, at = [(weights @ distances[second].min(axis=0), union[second])], 0
        for rows in own:
            if len(rows) == n_select:
                nearest = distances[at : at + len(rows)].min(axis=0)
                found.append((weights @ nearest, rows))
            at += len(rows)
        indices = min(found, key=lambda pair: pair[0])[1]
        return make_coreset(indices, *nearest_rows(X, indices, self.get_metric()), sample_weight)


class GreeDi(BySample):
    """Random parts, and a second round wherever one is possible."""

    def split_rows(self, X, limit, random_state):
        return split_at_random(len(X), limit, random_state)

    def split(self, X, n_select, random_state):
        limit = int(self.get_max_rows())
        n_parts = -(-len(X) // limit)
        share = min(n_select, limit // n_parts)
        if len(X) <= limit or share * n_parts < n_select:
            return super().split(X, n_select, random_state)
        rows = self.split_rows(X, limit, random_state)
        seeds = random_state.randint(2**31 - 1, size=n_parts)
        return [Part(r, min(share, len(r)), seed) for r, seed in zip(rows, seeds, strict=True)]


WAYS = {
    "directions": FacilityLocation(),
    "GreeDi": GreeDi(),
    "directions, sample": BySample(),
}


def make_gradients(n_rows, seed):
    net, X, noisy = train_on_digits(seed, n_rows, hidden_sizes=(256, N_FEATURES))
    return get_gradients(net, X, noisy.y)


def make_components(folder, n_rows, seed):
    """Return principal components of images; more rows than images: of flipped and shifted ones."""
    X = read_images(folder)[0]
    rng = np.random.default_rng(seed)
    pca = PCA(N_FEATURES, random_state=0).fit(X[::5].reshape(len(X[::5]), -1))
    copies = []
    for copy in range(-(-n_rows // len(X))):
        images = X
        if copy:
            images = X[..., ::-1] if copy % 2 else X
            images = np.roll(images, tuple(rng.integers(-4, 5, size=2)), axis=(2, 3))
        copies.append(pca.transform(images.reshape(len(X), -1)).astype(np.float32))
    return rng.permutation(np.concatenate(copies))[:n_rows]


def select(way, X, n_select, seed):
    """Return the seconds of a selection, and the mean distance to the nearest chosen row."""
    start = time.perf_counter()
    chosen = WAYS[way].select(X, n_select, random_state=seed).indices
    seconds = time.perf_counter() - start
    sample = RandomState(seed).permutation(len(X))[:N_EVALUATED]
    rows = np.concatenate([X[chosen], X[sample]])
    _, distance = nearest_rows(rows, np.arange(n_select))
    # Chosen rows of the sample are at a distance that is zero but for rounding.
    distance = np.where(np.isin(sample, chosen), 0.0, distance[n_select:])
    return seconds, distance.mean()


def print_comparison(what, make, sizes, shares, seeds):
    print(f"\n{what}, {len(seeds)} seeds: against parts along directions\n")
    rows = []
    for n_rows in sizes:
        found = {}
        for seed in seeds:
            X = make(n_rows, seed)
            for share in shares:
                for way in WAYS:
                    key = share, way
                    found.setdefault(key, []).append(select(way, X, int(share * n_rows), seed))
        for (share, way), pairs in found.items():
            seconds, distance = np.transpose(pairs)
            base_seconds, base = np.transpose(found[share, "directions"])
            change = distance / base - 1
            rows.append(
                (
                    f"{n_rows}",
                    f"{share:.1%}",
                    way,
                    f"{change.mean():+.2%}",
                    f"{change.min():+.2%} to {change.max():+.2%}",
                    f"{seconds.sum() / base_seconds.sum():.2f}",
                    f"{seconds.min():.1f}",
                )
            )
    header = ("rows", "kept", "way", "objective", "of the seeds", "time", "least seconds")
    print_table(header, rows, n_text=3)


def main():
    parser = make_parser(__doc__)
    parser.add_argument("--short", action="store_true", help="small sizes, one seed")
    parser.add_argument("--data", type=Path, help="folder that holds cifar-10-batches-py")
    parser.add_argument("--sizes", type=int, nargs="+", help="numbers of rows")
    parser.add_argument("--seeds", type=int, nargs="+")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.005, 0.01, 0.1, 0.5])
    parser.add_argument("--working-memory", type=int, help="MiB, scikit-learn's")
    args = parser.parse_args()
    sizes = args.sizes or ([5_000] if args.short else [50_000, 200_000])
    seeds = args.seeds or ([0] if args.short else [0, 1, 2])
    memory = args.working_memory or (10 if args.short else 1024)
    limit = max(1000, int(math.sqrt(memory * 2**20 / 5)))
    print(f"Parts of at most {limit} rows", flush=True)
    for way in WAYS.values():
        way.select(np.random.default_rng(0).standard_normal((500, 4)), 50, random_state=0)
    with config_context(working_memory=memory):
        print_comparison("Digits' gradients", make_gradients, sizes, args.shares, seeds)
        if args.data is not None:
            print_comparison(
                "Components of CIFAR-10",
                lambda n_rows, seed: make_components(args.data, n_rows, seed),
                sizes,
                args.shares,
                seeds,
            )


if __name__ == "__main__":
    main()
