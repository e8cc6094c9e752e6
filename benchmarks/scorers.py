"""Which score on noisy labels chooses the coreset size that true labels would choose?

    python benchmarks/scorers.py --tables DIR     # the folder that the protocol takes, too
    python benchmarks/scorers.py --report         # the table, from the CSV file alone

As in GridSearchCV over `coreset_size`: for every size, CRUSTClassifier is fitted in 3-fold
cross-validation on noisy labels, and the validation folds are scored by each score of
`crust_sklearn.metrics`. The truth is the accuracy on the test rows, with true labels, after a fit
on all training rows. Reported are Spearman's rank correlation of score and truth over the sizes,
and the regret: how many points the size of the best score is under the best size.

- corrected: with the transition matrix from the confident joint of out-of-fold probabilities of
  CRUSTClassifier with its defaults, the same for all sizes.
- trusted: a tenth of the rows has its true label, in training too, and only these are scored.
- true labels: accuracy on the true labels of the validation folds, which nobody has.
"""

import warnings

import numpy as np
import torch
from _command import run_on_tables
from _markdown import print_table
from protocol.recipes import RECIPES
from protocol.sets import SETS as ALL_SETS
from protocol.sets import TABLES
from scipy.stats import spearmanr
from sklearn.metrics import accuracy_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from crust_sklearn import CRUSTClassifier
from crust_sklearn.metrics import (
    corrected_accuracy_score,
    determinant_mutual_information,
    estimate_transition_matrix,
    trusted_accuracy_score,
)

SIZES = (0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 1.0)
SCORES = ("accuracy", "DMI", "corrected", "trusted", "true labels")
KEY = ("set", "seed")
MEASURES = tuple(
    f"{what} of {score}" for score in SCORES for what in ("rank correlation", "regret")
)
SETS = tuple(entry.name for entry in TABLES if entry.kind != "clean")


def make_classifier(size, seed):
    options = RECIPES["constant"].make_options() | {"max_epochs": 30}
    return CRUSTClassifier(**options, coreset_size=size, random_state=seed)


def score_size(size, seed, data, folds, matrix, trusted):
    """Return the score of each kind, the mean over the folds."""
    labels = np.unique(data.given)
    found = []
    for train, valid in folds:
        clf = make_classifier(size, seed).fit(data.X[train], data.given[train])
        predicted, given = clf.predict(data.X[valid]), data.given[valid]
        found.append(
            (
                accuracy_score(given, predicted),
                determinant_mutual_information(
                    given, predicted, labels=labels, normalize=True, floor=1.0
                ),
                corrected_accuracy_score(given, predicted, transition_matrix=matrix, labels=labels),
                trusted_accuracy_score(given, predicted, trusted=trusted[valid]),
                accuracy_score(data.true[valid], predicted),
            )
        )
    return np.mean(found, axis=0)


def run(name, seed, places):
    """Return rank correlation and regret of every score, in one thread."""
    torch.set_num_threads(1)
    seed = int(seed)
    warnings.filterwarnings("ignore")  # of folds without rare classes
    data = ALL_SETS[name].load(places, seed)
    trusted = np.random.default_rng(seed).random(len(data.given)) < 0.1
    data.given = np.where(trusted, data.true, data.given)
    folds = list(StratifiedKFold(3, shuffle=True, random_state=seed).split(data.X, data.given))
    proba = cross_val_predict(
        make_classifier("auto", seed), data.X, data.given, cv=folds, method="predict_proba"
    )
    matrix = estimate_transition_matrix(data.given, proba)
    scores = np.array([score_size(size, seed, data, folds, matrix, trusted) for size in SIZES])
    truth = np.array(
        [
            make_classifier(size, seed).fit(data.X, data.given).score(data.X_test, data.y_test)
            for size in SIZES
        ]
    )
    found = {}
    for score, column in zip(SCORES, scores.T, strict=True):
        found[f"rank correlation of {score}"] = spearmanr(column, truth).statistic
        found[f"regret of {score}"] = 100 * (truth.max() - truth[column.argmax()])
    return found


def print_report(results):
    """Print means over seeds for every set, and over all sets."""
    rows = []
    for name in (*(n for n in SETS if any(key[0] == n for key in results)), "mean"):
        runs = [m for key, m in results.items() if name in ("mean", key[0])]
        cells = []
        for score in SCORES:
            rank, regret = (
                np.mean([m[f"{what} of {score}"] for m in runs])
                for what in ("rank correlation", "regret")
            )
            cells.append(f"{rank:.2f} / {regret:.1f}")
        rows.append((name, *cells))
    print("\nRank correlation with the truth / regret in points\n")
    print_table(("set", *SCORES), rows, is_aligned=False)


def main():
    print_report(run_on_tables(__doc__, "scorers.csv", run, KEY, MEASURES, sets=SETS, seeds=[0]))


if __name__ == "__main__":
    main()
