"""
Five methods on one noisy set
=============================

Every method of the package is an estimator with the parameters of a skorch net: to compare them on
data of your own is a loop.
"""

# %%
# Digits, 40 % of the training labels wrong. Network, optimizer, epochs and batches are the same for
# all; each method has its one default, and none is told how many labels are wrong.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from crust_sklearn import (
    CRUSTClassifier,
    NoisyLabelClassifier,
    find_label_issues,
    make_label_noise,
)
from crust_sklearn.baselines import (
    AUMClassifier,
    CoTeachingClassifier,
    ForwardCorrectionClassifier,
)
from crust_sklearn.modules import MLP

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(
    X / 16, y, test_size=0.3, stratify=y, random_state=0
)
noise = make_label_noise(y, "symmetric", 0.4, random_state=0)

methods = [
    NoisyLabelClassifier,  # plain training
    ForwardCorrectionClassifier,
    CoTeachingClassifier,
    AUMClassifier,
    CRUSTClassifier,
]
found = {}
for method in methods:
    clf = method(MLP, random_state=0, verbose=0).fit(X, noise.y)
    accuracy = clf.score(X_test, y_test)
    print(f"{method.__name__:28} {accuracy:.1%}", end="")
    if hasattr(clf, "noise_rate_"):
        issues = find_label_issues(clf, as_frame=False).rows
        precision, recall = (
            noise.is_wrong[issues].mean(),
            len(issues) / noise.is_wrong.sum(),
        )
        print(
            f"  {clf.noise_rate_:.0%} wrong, of those listed {precision:.0%} are",
            end="",
        )
        found[method.__name__] = (accuracy, precision, recall * precision)
    else:
        found[method.__name__] = (accuracy, np.nan, np.nan)
    print()

# %%
# All of them publish what they found of the rows under the same names, whatever they go by:
# ``label_quality_``, ``suggested_labels_`` and ``noise_rate_``, so that
# :func:`~crust_sklearn.find_label_issues` makes a list from each.
figure, axes = plt.subplots(1, 3, figsize=(10, 3), sharey=True, layout="constrained")
titles = "test accuracy", "listed rows that are wrong", "wrong rows that are listed"
for axis, title, values in zip(
    axes, titles, zip(*found.values(), strict=True), strict=True
):
    colors = ["#D55E00" if name == "CRUSTClassifier" else "#0072B2" for name in found]
    bars = axis.barh(list(found), np.nan_to_num(values), color=colors)
    axis.bar_label(bars, ["" if np.isnan(v) else f"{v:.0%}" for v in values], padding=3)
    axis.set(title=title, xlim=(0, 1.15), xticks=[])
    axis.spines[["top", "right", "bottom"]].set_visible(False)
axes[0].invert_yaxis()
plt.show()

# %%
# One set and one seed say little: :ref:`other_methods` has all methods on many sets, with what each
# assumes, what it has to be told, and what it costs.
