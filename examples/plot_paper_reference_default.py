"""
Paper, reference code and default compared
==========================================

"CRUST" can mean three things: the algorithm as published, what the authors' published code does in
effect, and the defaults of this package. Each is one line.
"""

# %%
# Three settings
# --------------
# Paper: medoids of the gradients within each predicted class, weighted by the size of their
# clusters, mixed up inside them. Reference code: the rows of each given label whose gradients are
# nearest to all others of it. Default: the rows whose label the other rows predict. The settings
# themselves are dicts:
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.ticker import PercentFormatter
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from crust_sklearn import CRUSTClassifier, make_label_noise
from crust_sklearn.inspection import CoresetDisplay
from crust_sklearn.modules import MLP
from crust_sklearn.settings import PAPER, REFERENCE

for key in PAPER:
    print(f"{key:15} paper: {PAPER[key]!s:18} reference: {REFERENCE[key]}")

# %%
# One network, three selections
# -----------------------------
# Digits, of which 40 % of the training labels are wrong; the last epoch counts, and three seeds
# each decide on split, noise and weights.
settings = {"paper": PAPER, "reference code": REFERENCE, "default": {}}
X_all, y_all = load_digits(return_X_y=True)
X_all = (X_all / 16).astype(np.float32)
accuracy = {name: [] for name in settings}
first = {}
for seed in range(3):
    X, X_test, y, y_test = train_test_split(
        X_all, y_all, test_size=0.3, stratify=y_all, random_state=seed
    )
    noise = make_label_noise(y, "symmetric", 0.4, random_state=seed)
    for name, options in settings.items():
        clf = CRUSTClassifier(
            MLP,
            max_epochs=40,
            optimizer=torch.optim.SGD,
            optimizer__momentum=0.9,
            lr=0.05,
            random_state=seed,
            verbose=0,
            **options,
        )
        accuracy[name].append(clf.fit(X, noise.y).score(X_test, y_test))
        first.setdefault(name, (clf, ~noise.is_wrong))

for name, found in accuracy.items():
    print(
        f"{name:15} test accuracy {np.mean(found):.1%}",
        f"({min(found):.1%} to {max(found):.1%})",
    )

# %%
# How clean were the coresets?
# ----------------------------
# :class:`~crust_sklearn.inspection.CoresetDisplay` takes the classifier and, where it is known,
# which labels are right. The paper's selection, on the first seed:
CoresetDisplay.from_estimator(first["paper"][0], is_clean=first["paper"][1])
plt.show()

# %%
# The default:
CoresetDisplay.from_estimator(first["default"][0], is_clean=first["default"][1])
plt.show()

# %%
# The figures of a display can be had without its figure: here, to draw all three into one.
fig, axes = plt.subplots(
    1, 2, figsize=(9, 3.6), layout="constrained", width_ratios=[2, 1]
)
colors = {"paper": "#D55E00", "reference code": "#0072B2", "default": "#009E73"}
for position, (name, (clf, is_clean)) in enumerate(first.items()):
    display = CoresetDisplay.from_estimator(clf, is_clean=is_clean)
    plt.close(display.figure_)
    axes[0].plot(
        display.selection_epochs,
        display.clean_fraction,
        color=colors[name],
        linestyle="--" if name == "default" else "-",
        linewidth=2,
        label=name,
    )
    axes[1].bar(position, np.mean(accuracy[name]), color=colors[name], alpha=0.35)
    axes[1].scatter([position] * 3, accuracy[name], color=colors[name], s=14, zorder=3)
axes[0].axhline(0.6, color="black", linestyle=":", linewidth=1, label="all rows")
axes[0].set(xlabel="epoch", title="right labels in the coreset", ylim=(0, 1.03))
axes[0].legend(loc="upper right", bbox_to_anchor=(1, 0.93), ncols=2)
axes[1].set_xticks(range(3), ["paper", "reference\ncode", "default"])
axes[1].set(title="test accuracy, 3 seeds", ylim=(0, 1.03))
for ax in axes:
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
plt.show()

# %%
# The paper's medoids cover all gradients, and those of wrong labels are far from everything: a
# coreset of half the rows has fewer right labels than the data. The weights of the clusters make
# up for some of it. Both other selections keep (nearly) only right labels, the reference code
# because it is told to keep half of the rows, the default by itself, and so it keeps more of them.
#
# This is one data set with one kind of noise. The comparison over many is in the user guide.
