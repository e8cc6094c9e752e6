"""
Selectors side by side in two dimensions
========================================

A :class:`~crust_sklearn.CoresetSelector` chooses k of n rows, and every strategy has its own idea
of which. In two dimensions the ideas can be seen.
"""

# %%
# The rows
# --------
# Three groups of unequal size and width, and twelve rows far from all of them. Inside
# :class:`~crust_sklearn.CRUSTClassifier`, the rows would be gradients: those of right labels lie
# together near the origin once the network has learnt them, those of wrong labels lie far out and
# apart. So this is a picture of gradient space too.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_blobs

from crust_sklearn import CoresetSelector
from crust_sklearn.strategies import STRATEGIES

n_far, n_select = 12, 15
groups, _ = make_blobs(
    [150, 90, 45],
    centers=[[0.0, 0.0], [3.5, 1.0], [1.5, 3.5]],
    cluster_std=[0.7, 0.45, 0.3],
    random_state=0,
)
angle = np.linspace(0, 2 * np.pi, n_far, endpoint=False)
far = [1.5, 1.5] + 5.5 * np.column_stack([np.cos(angle), np.sin(angle)])
X = np.vstack([groups, far])
is_far = np.arange(len(X)) >= len(groups)

# %%
# One selector for each name
# --------------------------
# Circles are the chosen rows; their area is the weight: how many rows each stands for.
fig, axes = plt.subplots(
    3, 3, figsize=(9, 9), sharex=True, sharey=True, layout="constrained"
)
for name, ax in zip(STRATEGIES, axes.flat, strict=True):
    selector = CoresetSelector(name, coreset_size=n_select, random_state=0).fit(X)
    chosen = selector.sample_indices_
    ax.scatter(*X.T, s=5, color="#999999")
    ax.scatter(
        *X[chosen].T,
        s=8 + 2.5 * selector.sample_weight_,
        facecolor="#0072B255",
        edgecolor="#0072B2",
    )
    ax.set_title(
        f"{name}\n{is_far[chosen].sum()} of {n_select} rows are far out", fontsize=11
    )
    ax.set(xticks=[], yticks=[], aspect="equal")
plt.show()

# %%
# - **facility-location** and **k-medoids** cover: every group gets rows, and so do some of the
#   rows far out, each of which is far from everything. The second goes on swapping rows where the
#   first has made its greedy choice for good.
# - **centrality** takes the middle of all rows. Nothing far out is chosen, and nothing of a group
#   aside either: within one class of gradients that is what keeps wrong labels out.
# - **smallest-norm** takes the rows nearest to the origin. Of gradients, these are the rows that
#   the network agrees with.
# - **greedy-css**, **greedy-low-rank**, **pivoted-qr** and **leverage** look for rows that span
#   the others. Two rows span the plane, so here they take long ones first.
# - **uniform** is random: the yardstick.

# %%
# The same in figures
# -------------------
# The k-medoids objective is the summed distance of all rows to their nearest chosen row: what a
# covering strategy makes small. The two that draw at random are averaged over ten draws.
print(f"{'strategy':18} {'objective':>9} {'chosen rows far out':>20}")
for name in STRATEGIES:
    objectives, far_out = [], []
    for seed in range(10 if name in ("leverage", "uniform") else 1):
        selector = CoresetSelector(name, coreset_size=n_select, random_state=seed).fit(
            X
        )
        objectives.append(selector.objective_)
        far_out.append(is_far[selector.sample_indices_].mean())
    print(f"{name:18} {np.mean(objectives):9.0f} {np.mean(far_out):20.0%}")

# %%
# No strategy is best at everything, and covering the rows is not the same as keeping wrong labels
# out: a strategy that covers well covers the wrong labels, too.
