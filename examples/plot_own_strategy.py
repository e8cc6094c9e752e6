"""
A strategy of your own
======================

A strategy says which k of n rows to choose. One that you write is a class with one method; it then
works in :class:`~crust_sklearn.CoresetSelector`, in :class:`~crust_sklearn.CRUSTClassifier`, in a
grid search, and by name.
"""

# %%
# One method
# ----------
# :class:`~crust_sklearn.strategies.BaseDistanceStrategy` validates, computes the distances between
# the rows, and works out weights and assignment; ``_pick`` fills in the choice. (A strategy that
# goes by the rows themselves derives from :class:`~crust_sklearn.strategies.BaseStrategy`, whose
# ``_pick`` is given X instead.)
#
# The idea of this one: right labels have gradients that lie close together, wrong labels have
# scattered ones. So it takes the rows in the densest places: those with the smallest distance to
# their m-th nearest neighbour.
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, StratifiedKFold, train_test_split

from crust_sklearn import CoresetSelector, CRUSTClassifier, make_label_noise
from crust_sklearn.metrics import dmi_scorer
from crust_sklearn.modules import MLP
from crust_sklearn.strategies import STRATEGIES, BaseDistanceStrategy


class Densest(BaseDistanceStrategy):
    """Choose the rows whose n_neighbors-th nearest neighbour is nearest."""

    def __init__(self, n_neighbors=10, metric=None):
        super().__init__(metric=metric)
        self.n_neighbors = n_neighbors

    def _pick(self, distances, n_select, sample_weight, random_state):
        # Entry 0 of a sorted row is the row itself.
        nth = min(self.n_neighbors, len(distances) - 1)
        radius = np.partition(distances, nth, axis=1)[:, nth]
        return np.argsort(radius, kind="stable")[:n_select]


# %%
# It selects
# ----------
rng = np.random.default_rng(0)
X_2d = np.vstack([rng.normal(0, 0.5, (100, 2)), rng.uniform(-4, 4, (100, 2))])
fig, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
for ax, n_neighbors in zip(axes, (1, 10, 100), strict=True):
    chosen = (
        CoresetSelector(Densest(n_neighbors), coreset_size=80).fit(X_2d).sample_indices_
    )
    ax.scatter(*X_2d.T, s=12, color="#BBBBBB")
    ax.scatter(*X_2d[chosen].T, s=12, color="#0072B2")
    ax.set(title=f"n_neighbors={n_neighbors}", xticks=[], yticks=[], aspect="equal")
fig.suptitle("80 of 200 rows")
plt.show()

# %%
# It trains
# ---------
# With its name in ``STRATEGIES``, the class is as good as a built-in one. The names below differ
# in nothing but the strategy: half of the rows of each label are chosen by the gradients at the
# input of the last layer, as in the paper and its published code.
STRATEGIES["densest"] = Densest

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
noise = make_label_noise(y, "symmetric", 0.4, random_state=0)


def make_classifier(strategy, seed=0):
    return CRUSTClassifier(
        MLP,
        selector=CoresetSelector(strategy, coreset_size=0.5),
        gradient="features",
        warmup_epochs=5,
        max_epochs=30,
        optimizer=torch.optim.SGD,
        optimizer__momentum=0.9,
        lr=0.05,
        random_state=seed,
        verbose=0,
    )


names = ["densest", "centrality", "facility-location", "uniform"]
accuracy, clean = {}, {}
for name in names:
    fitted = [make_classifier(name, seed).fit(X, noise.y) for seed in range(3)]
    accuracy[name] = [clf.score(X_test, y_test) for clf in fitted]
    clean[name] = [1 - noise.is_wrong[clf.coreset_indices_].mean() for clf in fitted]
    print(
        f"{name:18} test accuracy {np.mean(accuracy[name]):.1%}, "
        f"right labels in the coreset {np.mean(clean[name]):.1%}"
    )

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 3), sharey=True, layout="constrained")
for ax, found, title in zip(
    axes,
    (clean, accuracy),
    ("right labels in the last coreset", "test accuracy"),
    strict=True,
):
    for position, name in enumerate(names[::-1]):
        color = "#D55E00" if name == "densest" else "#0072B2"
        ax.barh(position, np.mean(found[name]), color=color, alpha=0.35)
        ax.scatter(found[name], [position] * 3, color=color, s=14, zorder=3)
    ax.set(title=title, xlim=(0, 1), yticks=range(len(names)), yticklabels=names[::-1])
axes[0].axvline(0.6, color="black", linestyle="--", linewidth=1)
axes[0].text(0.61, -0.6, "all rows", va="bottom", fontsize=9)
plt.show()

# %%
# It is searched
# --------------
# Its parameters are parameters of the selector, and so of the classifier. The score is one that
# noisy labels do not mislead in expectation, :data:`~crust_sklearn.metrics.dmi_scorer`.
search = GridSearchCV(
    make_classifier(Densest()),
    {"selector__strategy__n_neighbors": [1, 10, 40]},
    scoring=dmi_scorer,
    cv=StratifiedKFold(2, shuffle=True, random_state=0),
)
search.fit(X, noise.y)
for params, score in zip(
    search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True
):
    print(params, f"{score:.3f}")
print(f"test accuracy of the best: {search.best_estimator_.score(X_test, y_test):.1%}")

# %%
# A name is known until it is taken out again:
del STRATEGIES["densest"]
