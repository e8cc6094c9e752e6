"""How well wrong labels are found: `label_quality_` beside cleanlab on the same network.

    python benchmarks/audit.py --tables DIR     # the folder that the protocol takes, too
    python benchmarks/audit.py --report         # the table, from the CSV file alone

cleanlab's scores are those of its `get_label_quality_scores` ("self_confidence"), and its list that
of its `find_label_issues`, both from probabilities predicted in 5-fold cross-validation by plain
training of the same network, with the same settings. CRUSTClassifier is fitted once, with its
defaults. Scored is the ranking of all training rows: the area under the ROC curve and the average
precision for wrong labels; and the list of issues: precision and recall. Every finished run is a
row of the CSV file.
"""

import time
import warnings

import numpy as np
import torch
from _command import run_on_tables
from _markdown import print_table
from protocol.methods import Rows, make_plain
from protocol.recipes import RECIPES
from protocol.sets import SETS as ALL_SETS
from protocol.sets import TABLES
from protocol.sources import Places
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from crust_sklearn import CRUSTClassifier, find_label_issues

KEY = ("set", "method", "seed")
MEASURES = ("auroc", "average_precision", "precision", "recall", "seconds")
METHODS = ("crust", "cleanlab")
SETS = tuple(entry.name for entry in TABLES if entry.kind != "clean")
RECIPE = RECIPES["constant"]


def score_crust(options, rows):
    """Return the quality of every label, and the rows that are listed as issues."""
    clf = CRUSTClassifier(**options, random_state=rows.seed).fit(rows.X, rows.given)
    return clf.label_quality_, find_label_issues(clf, as_frame=False).rows


def score_cleanlab(options, rows):
    """Return the same, of cleanlab."""
    from cleanlab.filter import find_label_issues as find_by_cleanlab
    from cleanlab.rank import get_label_quality_scores

    net = make_plain(rows, options)
    folds = StratifiedKFold(5, shuffle=True, random_state=rows.seed)
    logits = cross_val_predict(net, rows.X, rows.given, cv=folds, method="predict_proba")
    issues = find_by_cleanlab(
        rows.given, logits, return_indices_ranked_by="self_confidence", n_jobs=1
    )
    return get_label_quality_scores(rows.given, logits, method="self_confidence"), issues


def run(name, method, seed, tables):
    """Return what was measured, in one thread."""
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")  # of folds without rare classes
    data = ALL_SETS[name].load(Places(tables), int(seed))
    rows = Rows(data.X, data.given, data.n_classes, int(seed))
    start = time.perf_counter()
    score = {"crust": score_crust, "cleanlab": score_cleanlab}[method]
    quality, issues = score(RECIPE.make_options(), rows)
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

    def mean(name, method, measure):
        found = [m[measure] for key, m in results.items() if key[:2] == (name, method)]
        return np.mean(found) if found else np.nan

    means = {}
    for name in (n for n in SETS if any(key[0] == n for key in results)):
        row = [mean(name, m, what) for what in MEASURES[:4] for m in METHODS]
        ratio = mean(name, "crust", "seconds") / mean(name, "cleanlab", "seconds")
        means[name] = [*row, ratio]
    means["mean"] = np.mean(list(means.values()), axis=0)
    header = (
        *("set", "AUROC: crust", "cleanlab", "average precision: crust", "cleanlab"),
        *("list, precision / recall: crust", "cleanlab", "time, crust / cleanlab"),
    )
    print()
    print_table(header, [show(name, *row) for name, row in means.items()], is_aligned=False)


def show(name, a, b, c, d, e, f, g, h, ratio):
    """Return a row of the table: precision and recall of each method in one cell."""
    scores = (f"{score:.3f}" for score in (a, b, c, d))
    return name, *scores, f"{e:.0%} / {g:.0%}", f"{f:.0%} / {h:.0%}", f"{ratio:.2f}"


def main():
    print_report(
        run_on_tables(__doc__, "audit.csv", run, KEY, MEASURES, METHODS, sets=SETS, seeds=[0, 1])
    )


if __name__ == "__main__":
    main()
