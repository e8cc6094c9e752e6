"""How well wrong labels are found: `label_quality_` and cleanlab, by a network and by the inputs.

    python benchmarks/audit.py --tables DIR --keel WHEEL    # what the protocol takes, too
    python benchmarks/audit.py --report                     # the tables, from the CSV file alone

- crust: CRUSTClassifier, fitted once, with its defaults.
- cleanlab: from probabilities predicted in 5-fold cross-validation by plain training of the same
  network, with the same settings.
- auditor: LabelAuditor, on the inputs as they are.
- cleanlab-linear: from probabilities of a logistic regression on the inputs, likewise.

cleanlab's scores are those of its `get_label_quality_scores` ("self_confidence"), and its list that
of its `find_label_issues`. Scored is the ranking of all training rows: the area under the ROC curve
and the average precision for wrong labels; and the list of issues: precision and recall, and on
sets without wrong labels how many rows it has. Every finished run is a row of the CSV file.
"""

import time
import warnings

import numpy as np
import torch
from _command import run_on_tables
from _markdown import print_table
from protocol.methods import Rows, make_plain
from protocol.recipes import RECIPES
from protocol.sets import IMBALANCED, TABLES
from protocol.sets import SETS as ALL_SETS
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from crust_sklearn import CRUSTClassifier, LabelAuditor, find_label_issues

KEY = ("set", "method", "seed")
MEASURES = ("auroc", "average_precision", "precision", "recall", "listed", "seconds")
CLEAN = tuple(entry.name for entry in (*TABLES, *IMBALANCED) if entry.kind == "clean")
NOISY = tuple(entry.name for entry in (*TABLES, *IMBALANCED) if entry.kind != "clean")
SETS = NOISY + CLEAN
OPTIONS = RECIPES["constant"].make_options


def judge_by_crust(rows):
    """Return the quality of every label, and the rows that are listed as issues."""
    clf = CRUSTClassifier(**OPTIONS(), random_state=rows.seed).fit(rows.X, rows.given)
    return clf.label_quality_, find_label_issues(clf, as_frame=False).rows


def judge_by_auditor(rows):
    """Return the same, of the inputs alone."""
    auditor = LabelAuditor().fit(rows.X, rows.given)
    return auditor.label_quality_, find_label_issues(auditor, as_frame=False).rows


def judge_by_cleanlab(rows):
    """Return the same, of cleanlab and the network."""
    return ask_cleanlab(make_plain(rows, OPTIONS()), rows)


def judge_by_cleanlab_linear(rows):
    """Return the same, of cleanlab and a logistic regression."""
    return ask_cleanlab(LogisticRegression(max_iter=1000), rows)


def ask_cleanlab(classifier, rows):
    """Return cleanlab's scores, and its list, for probabilities out of folds."""
    from cleanlab.filter import find_label_issues as find_by_cleanlab
    from cleanlab.rank import get_label_quality_scores

    folds = StratifiedKFold(5, shuffle=True, random_state=rows.seed)
    found = cross_val_predict(classifier, rows.X, rows.given, cv=folds, method="predict_proba")
    issues = find_by_cleanlab(
        rows.given, found, return_indices_ranked_by="self_confidence", n_jobs=1
    )
    return get_label_quality_scores(rows.given, found, method="self_confidence"), issues


METHODS = {
    "crust": judge_by_crust,
    "cleanlab": judge_by_cleanlab,
    "auditor": judge_by_auditor,
    "cleanlab-linear": judge_by_cleanlab_linear,
}


def run(name, method, seed, places):
    """Return what was measured, in one thread."""
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")  # of folds without rare classes
    data = ALL_SETS[name].load(places, int(seed))
    rows = Rows(data.X, data.given, data.n_classes, int(seed))
    start = time.perf_counter()
    quality, issues = METHODS[method](rows)
    seconds = time.perf_counter() - start
    is_wrong = ~data.is_right
    has_wrong = is_wrong.any()
    return {
        "auroc": roc_auc_score(is_wrong, -quality) if has_wrong else np.nan,
        "average_precision": average_precision_score(is_wrong, -quality) if has_wrong else np.nan,
        "precision": is_wrong[issues].mean() if len(issues) else 1.0,
        "recall": is_wrong[issues].sum() / is_wrong.sum() if has_wrong else np.nan,
        "listed": len(issues) / len(is_wrong),
        "seconds": seconds,
    }


def print_report(results):
    """Print means over seeds for every set, and over all sets."""

    def mean(name, method, measure):
        found = [m[measure] for key, m in results.items() if key[:2] == (name, method)]
        return np.mean(found) if found else np.nan

    def print_means(title, sets, show, *measures):
        sets = [name for name in sets if any(key[0] == name for key in results)]
        if not sets:
            return
        found = np.array([[[mean(n, m, x) for x in measures] for m in METHODS] for n in sets])
        rows = zip([*sets, "mean"], [*found, found.mean(axis=0)], strict=True)
        print(f"\n{title}\n")
        cells = [[name, *(show_cell(show, values) for values in row)] for name, row in rows]
        print_table(("set", *METHODS), cells, is_aligned=False)

    both = "{:.3f} / {:.3f}".format, "{:.0%} / {:.0%}".format
    print_means("AUROC / average precision", NOISY, both[0], "auroc", "average_precision")
    print_means("List: precision / recall", NOISY, both[1], "precision", "recall")
    print_means("No label is wrong: rows listed", CLEAN, "{:.1%}".format, "listed")
    print_means("Seconds", SETS, "{:.2f}".format, "seconds")


def show_cell(show, values):
    """Return the values as text, and a dash for what was not run."""
    return "-" if np.isnan(values).any() else show(*values)


def main():
    print_report(
        run_on_tables(
            __doc__, "audit.csv", run, KEY, MEASURES, tuple(METHODS), sets=SETS, seeds=[0, 1]
        )
    )


if __name__ == "__main__":
    main()
