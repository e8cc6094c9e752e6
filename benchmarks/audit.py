"""How well wrong labels are found: `label_quality_` beside cleanlab on the same network.

    python benchmarks/audit.py --tables DIR     # the folder that robustness.py takes, too
    python benchmarks/audit.py --report         # the table, from the CSV file alone

cleanlab's scores are those of its `get_label_quality_scores` ("self_confidence"), and its list that
of its `find_label_issues`, both from probabilities predicted in 5-fold cross-validation by plain
training of the same network, with the same settings. CRUSTClassifier is fitted once, with its
defaults. Scored is the ranking of all training rows: the area under the ROC curve and the average
precision for wrong labels; and the list of issues: precision and recall. Every finished run is a
row of the CSV file.
"""

import argparse
import time
import warnings
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import torch
from _results import Results
from _sets import TABLES, get_kind, load
from robustness import add_sizes, make_common
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from skorch import NeuralNetClassifier

from crust_sklearn import CRUSTClassifier, find_label_issues

HERE = Path(__file__).resolve().parent
KEY = ("set", "method", "seed")
MEASURES = ("auroc", "average_precision", "precision", "recall", "seconds")
METHODS = ("crust", "cleanlab")
SETS = tuple(name for name in TABLES if get_kind(name) != "clean")


def score_crust(options, data, seed):
    """Return the quality of every label, and the rows that are listed as issues."""
    clf = CRUSTClassifier(**options, random_state=seed).fit(data.X, data.given)
    return clf.label_quality_, find_label_issues(clf, data.given, as_frame=False).rows


def score_cleanlab(options, data, seed):
    """Return the same, of cleanlab."""
    from cleanlab.filter import find_label_issues as find_by_cleanlab
    from cleanlab.rank import get_label_quality_scores

    torch.manual_seed(seed)
    net = NeuralNetClassifier(**add_sizes(options, data))
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    logits = cross_val_predict(net, data.X, data.given, cv=folds, method="predict_proba")
    issues = find_by_cleanlab(
        data.given, logits, return_indices_ranked_by="self_confidence", n_jobs=1
    )
    return get_label_quality_scores(data.given, logits, method="self_confidence"), issues


def run(name, method, seed, tables):
    """Return what was measured, in one thread."""
    torch.set_num_threads(1)
    seed = int(seed)
    warnings.filterwarnings("ignore")  # of folds without rare classes
    data = load(name, tables, None, seed)
    start = time.perf_counter()
    score = {"crust": score_crust, "cleanlab": score_cleanlab}[method]
    quality, issues = score(make_common(name, seed), data, seed)
    seconds = time.perf_counter() - start
    is_wrong = ~data.is_right
    return {
        "auroc": roc_auc_score(is_wrong, -quality),
        "average_precision": average_precision_score(is_wrong, -quality),
        "precision": is_wrong[issues].mean() if len(issues) else 1.0,
        "recall": is_wrong[issues].sum() / is_wrong.sum(),
        "seconds": seconds,
    }


def print_report(results):
    """Print means over seeds for every set, and over all sets."""
    names = [n for n in SETS if any(key[0] == n for key in results)]
    print(
        "\n| set | AUROC: crust | cleanlab | average precision: crust | cleanlab "
        "| list, precision / recall: crust | cleanlab | time, crust / cleanlab |\n"
        "|---|--:|--:|--:|--:|--:|--:|--:|"
    )

    def mean(name, method, measure):
        found = [m[measure] for key, m in results.items() if key[:2] == (name, method)]
        return np.mean(found) if found else np.nan

    rows = []
    for name in names:
        row = [mean(name, m, what) for what in MEASURES[:4] for m in METHODS]
        rows.append([*row, mean(name, "crust", "seconds") / mean(name, "cleanlab", "seconds")])
        print_row(name, rows[-1])
    print_row("mean", np.mean(rows, axis=0))


def print_row(name, row):
    a, b, c, d, e, f, g, h, ratio = row
    print(
        f"| {name} | {a:.3f} | {b:.3f} | {c:.3f} | {d:.3f} | {e:.0%} / {g:.0%} | {f:.0%} / {h:.0%} "
        f"| {ratio:.2f} |"
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tables", type=Path, help="folder of the .npz files")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS, metavar="SET")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--csv", type=Path, default=HERE / "results" / "audit.csv")
    parser.add_argument("--report", action="store_true", help="run nothing")
    args = parser.parse_args()
    results = Results(args.csv, KEY, MEASURES)
    if not args.report:
        if args.tables is None:
            parser.error("give --tables, or --report to read the CSV file alone")
        keys = ((n, m, str(s)) for s, n, m in product(args.seeds, args.sets, METHODS))
        results.fill(keys, partial(run, tables=args.tables), args.jobs)
    print_report(results)


if __name__ == "__main__":
    main()
