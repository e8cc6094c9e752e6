"""Classes of different sizes: accuracy and balanced accuracy, and the list of wrong labels.

    python benchmarks/rare_classes.py

prints the tables of the page from ``results/unseen.csv`` and ``results/audit.csv``: the mean of
the four ways to train, and the precision and recall of what is listed. `python -m benchmarks run`
and audit.py fill these files.
"""

import audit
from _markdown import print_table
from _places import RESULTS
from _results import Results
from protocol.figures import Figures
from protocol.runs import KEY, MEASURES
from protocol.sets import IMBALANCED

METHODS = {"plain": "trained as usual", "default": "default", "oracle": "right rows only"}
LISTS = {"crust": "default", "cleanlab": "cleanlab, same network"}


def name_set(name):
    """Return the name of a set as the page has it."""
    for short, long in (
        *(("letter ", "letters "), ("penbased ", "pen strokes "), (" clean", ", clean")),
        *((" symmetric 20%", ", 20 % wrong"), (" asymmetric 20%", ", 20 % wrong one way")),
    ):
        name = name.replace(short, long)
    return name


def print_accuracies(figures):
    rows = []
    for name in (entry.name for entry in IMBALANCED):
        cells = [cell for cell in figures.cells if cell[0] == name]
        measures = "test_accuracy", "balanced_accuracy"
        means = [[100 * figures.get_mean(cells, m, of) for of in measures] for m in METHODS]
        rows.append([name_set(name), *(f"{mean:.1f} ({balanced:.1f})" for mean, balanced in means)])
    print_table(["set", *METHODS.values()], rows, is_aligned=False)


def print_lists(results):
    rows = []
    for entry in IMBALANCED:
        found = [results[entry.name, method, "0"] for method in LISTS]
        if entry.kind != "clean":
            shares = [f"{one['precision']:.0%} / {one['recall']:.0%}" for one in found]
            rows.append([name_set(entry.name), *shares])
    print("\nPrecision / recall of the listed rows\n")
    print_table(["set", *LISTS.values()], rows, is_aligned=False)


def main():
    print("Test accuracy, and in brackets balanced accuracy\n")
    print_accuracies(Figures.make(Results(RESULTS / "unseen.csv", KEY, MEASURES)))
    print_lists(Results(RESULTS / "audit.csv", audit.KEY, audit.MEASURES))


if __name__ == "__main__":
    main()
