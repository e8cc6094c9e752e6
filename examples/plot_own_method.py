"""
A method of your own beside others
==================================

A method for wrong labels that the package does not have is a subclass of
:class:`~crust_sklearn.NoisyLabelClassifier` that fills in one or two steps. Here are two published
ones, of about ten and thirty lines, beside three that come with the package.
"""

# %%
# By the losses: bootstrapping
# ----------------------------
# Reed et al. (2015) mix the given label with the network's own, the class that it predicts.
# ``get_losses`` returns one loss for each example of a batch; ``super()`` has the criterion's.
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.ticker import MultipleLocator, PercentFormatter
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from skorch.dataset import Dataset
from skorch.helper import predefined_split

from crust_sklearn import (
    CRUSTClassifier,
    EpochPlan,
    NoisyLabelClassifier,
    make_label_noise,
)
from crust_sklearn.baselines import ELRClassifier
from crust_sklearn.modules import MLP


class HardBootstrapping(NoisyLabelClassifier):
    def __init__(self, module, *, beta=0.8, **kwargs):
        self.beta = beta
        super().__init__(module, **kwargs)

    def get_losses(self, y_pred, y_true, rows):
        given = super().get_losses(y_pred, y_true, rows)
        own = super().get_losses(y_pred, y_pred.argmax(dim=1), rows)
        return self.beta * given + (1 - self.beta) * own


# %%
# By the plan: the area under the margin
# --------------------------------------
# AUM (Pleiss et al., 2020) ranks rows by how far the logit of their label is above the best other
# one, averaged over epochs: wrong labels are learnt late, against what the other rows teach. The
# margins are kept by row, in the numbering of the X given to ``fit``, and ``plan_epoch`` says which
# rows the coming epoch trains on. The share to leave out is told here; the paper finds it by rows
# that it mislabels on purpose, and begins a new training where this one goes on.
class MarginRanking(NoisyLabelClassifier):
    def __init__(self, module, *, n_ranked=10, share=0.4, **kwargs):
        self.n_ranked = n_ranked
        self.share = share
        super().__init__(module, **kwargs)

    def get_losses(self, y_pred, y_true, rows):
        if self.state_.plan is None:  # still ranking
            is_given = torch.zeros_like(y_pred, dtype=bool)
            is_given[torch.arange(len(y_true)), y_true] = True
            best_other = y_pred.masked_fill(is_given, -torch.inf).amax(dim=1)
            margins = self.get_row_state("margins", 1)
            margins[rows, 0] += (y_pred[is_given] - best_other).detach()
        return super().get_losses(y_pred, y_true, rows)

    def plan_epoch(self, epoch):
        if epoch < self.n_ranked or self.state_.plan is not None:
            return self.state_.plan
        rows = self.training_.rows
        margins = self.get_row_state("margins", 1)[:, 0].cpu().numpy()
        n_out = round(self.share * len(rows))
        return EpochPlan(
            np.sort(rows[np.argsort(margins[rows], kind="stable")[n_out:]])
        )

    def get_fitted_attributes(self):
        margins = self.get_row_state("margins", 1)[:, 0].cpu().numpy()
        n_epochs = min(self.n_ranked, self.state_.epoch + 1)
        return super().get_fitted_attributes() | {"margins_": margins / n_epochs}


# %%
# Side by side
# ------------
# Digits, 40 % of the training labels wrong. The seed decides on split, noise, weights and batches;
# it is the same for all methods, and so are network, optimizer and epochs. skorch scores the test
# rows after every epoch, to watch; nothing is chosen by them.
methods = {
    "plain": NoisyLabelClassifier,
    "bootstrapping": HardBootstrapping,
    "margin ranking": MarginRanking,
    "ELR": ELRClassifier,
    "CRUST, default": CRUSTClassifier,
}
X_all, y_all = load_digits(return_X_y=True)
X_all = (X_all / 16).astype(np.float32)
curves = {name: [] for name in methods}
for seed in range(3):
    X, X_test, y, y_test = train_test_split(
        X_all, y_all, test_size=0.3, stratify=y_all, random_state=seed
    )
    noise = make_label_noise(y, "symmetric", 0.4, random_state=seed)
    for name, method in methods.items():
        clf = method(
            MLP,
            max_epochs=30,
            optimizer=torch.optim.SGD,
            optimizer__momentum=0.9,
            lr=0.05,
            train_split=predefined_split(Dataset(X_test, y_test)),
            random_state=seed,
            verbose=0,
        ).fit(X, noise.y)
        curves[name].append(clf.history[:, "valid_acc"])
        if name == "margin ranking":
            ranking = clf

print("test accuracy after the last epoch, three seeds")
for name, found in curves.items():
    last = np.array(found)[:, -1]
    print(f"{name:15} {last.mean():.1%} ({last.min():.1%} to {last.max():.1%})")

# %%
# Plain training is best early on, then gets worse. Bootstrapping puts this off. Margin ranking,
# which is told the share of wrong labels, ELR and the default, which are not, keep what has been
# learnt.
fig, axes = plt.subplots(
    1, 2, figsize=(9.5, 3.8), layout="constrained", width_ratios=(3, 2)
)
palette = "black", "#CC79A7", "#D55E00", "#0072B2", "#009E73"
colors = dict(zip(methods, palette, strict=True))
for position, (name, found) in enumerate(curves.items()):
    accuracy = np.array(found)
    epochs = 1 + np.arange(accuracy.shape[1])
    axes[0].plot(epochs, accuracy.mean(axis=0), color=colors[name], label=name)
    axes[1].scatter(accuracy[:, -1], [position] * 3, color=colors[name], s=24)
    axes[1].scatter(
        accuracy[:, -1].mean(), position, color=colors[name], marker="|", s=300
    )
axes[0].axvline(ranking.n_ranked + 0.5, color="gray", linestyle=":", linewidth=1)
axes[0].set(xlabel="epoch", title="test accuracy, mean of 3 seeds", ylim=(0.6, 1))
axes[0].legend(loc="lower left", ncols=2)
axes[1].invert_yaxis()
axes[1].margins(y=0.15)
axes[1].grid(axis="x", alpha=0.3)
axes[1].set_yticks(range(len(methods)), methods)
axes[1].set(title="last epoch: seeds, and their mean")
axes[1].xaxis.set_major_locator(MultipleLocator(0.05))
for axis in (axes[0].yaxis, axes[1].xaxis):
    axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
plt.show()

# %%
# What it found
# -------------
# The fitted attribute of the last net tells right labels from wrong ones, and ``coreset_indices_``
# are the rows that were left. Both are in the numbering of X.
kept = ranking.coreset_indices_
print(f"rows trained on in the last epochs: {len(kept)} of {len(X)}")
print(f"of these with a right label: {1 - noise.is_wrong[kept].mean():.1%}")
fig, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
bins = np.linspace(ranking.margins_.min(), ranking.margins_.max(), 41)
for is_wrong, color, label in ((False, "#0072B2", "right"), (True, "#D55E00", "wrong")):
    margins = ranking.margins_[noise.is_wrong == is_wrong]
    ax.hist(margins, bins, color=color, histtype="stepfilled", alpha=0.5, label=label)
ax.axvline(ranking.margins_[kept].min(), color="black", linestyle="--", linewidth=1)
ax.set(xlabel="mean margin over ten epochs", ylabel="training rows")
ax.legend(title="given label", loc="upper left")
plt.show()

# %%
# The methods are estimators: they can be searched, cloned and pickled, take validation splits and
# sample weights, and go on by ``partial_fit``. The page :ref:`own_method` has all that they can
# use.
