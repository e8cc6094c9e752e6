"""
Quick start: digits with wrong labels
=====================================

Four in ten training labels are wrong. A network that is trained on them as usual learns the wrong
ones by heart. :class:`~crust_sklearn.CRUSTClassifier` trains the same network on the rows that it
trusts, and says which these are.
"""

# %%
# The data
# --------
# Scikit-learn's digits, of which 40 % of the training labels are replaced by another one at
# random. The test labels stay right. They are for watching only: nothing below is chosen by them.
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from skorch import NeuralNetClassifier
from skorch.dataset import Dataset
from skorch.helper import predefined_split

from crust_sklearn import CRUSTClassifier, make_label_noise
from crust_sklearn.modules import MLP

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
noise = make_label_noise(y, "symmetric", 0.4, random_state=0)
y_noisy = noise.y

# %%
# Two classifiers that differ in one thing
# ----------------------------------------
# :class:`~crust_sklearn.CRUSTClassifier` is a :class:`skorch.NeuralNetClassifier`: module,
# optimizer, callbacks and ``fit`` are the same. skorch scores the test rows after every epoch,
# because they are given as its validation split.
settings = {
    "max_epochs": 60,
    "optimizer": torch.optim.SGD,
    "optimizer__momentum": 0.9,
    "lr": 0.05,
    "batch_size": 64,
    "iterator_train__shuffle": True,
    "train_split": predefined_split(Dataset(X_test, y_test)),
    "verbose": 0,
}
seeds = range(3)
plain, crust = [], []
for seed in seeds:
    torch.manual_seed(seed)
    net = NeuralNetClassifier(
        MLP,
        module__in_features=64,
        module__num_classes=10,
        criterion=torch.nn.CrossEntropyLoss,
        **settings,
    )
    plain.append(net.fit(X, y_noisy))
    crust.append(CRUSTClassifier(MLP, random_state=seed, **settings).fit(X, y_noisy))

# %%
# Learning curves
# ---------------
# Plain training is best early on and then gets worse, epoch by epoch, as it learns the wrong
# labels. Stopping it in time would need right labels to tell the time by.
fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for name, nets, color in (
    ("plain skorch", plain, "black"),
    ("CRUSTClassifier", crust, "#0072B2"),
):
    accuracy = np.array([net.history[:, "valid_acc"] for net in nets])
    epochs = 1 + np.arange(accuracy.shape[1])
    ax.plot(epochs, accuracy.mean(axis=0), color=color, label=name)
    ax.fill_between(
        epochs, accuracy.min(axis=0), accuracy.max(axis=0), color=color, alpha=0.15
    )
    print(f"{name:16} last epoch {accuracy[:, -1].mean():.1%}")
ax.set(
    xlabel="epoch",
    ylabel="test accuracy",
    title="40 % wrong labels; mean and range of 3 seeds",
)
ax.legend(loc="lower left")
plt.show()

# %%
# What it found out
# -----------------
# Nobody said how many labels are wrong. ``noise_rate_`` is its own estimate, and
# ``coreset_indices_`` are the rows of the last epochs' training. Here we know which labels are
# wrong, and can check both.
clf = crust[0]
rows = clf.coreset_indices_
print(f"wrong labels: {noise.rate:.1%}, estimated: {clf.noise_rate_:.1%}")
print(f"rows trained on in the last epoch: {len(rows)} of {len(X)}")
print(f"of these with a right label: {1 - noise.is_wrong[rows].mean():.1%}")

# %%
# ``label_quality_`` says how well each label agrees with what the other rows predict for it. Below
# 0.5, another label does better.
fig, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
bins = np.linspace(0, 1, 41)
ax.hist(
    clf.label_quality_[~noise.is_wrong], bins, color="#0072B2", alpha=0.7, label="right"
)
ax.hist(
    clf.label_quality_[noise.is_wrong],
    bins,
    color="#D55E00",
    histtype="step",
    lw=2,
    label="wrong",
)
ax.axvline(0.5, color="black", linestyle="--", linewidth=1)
ax.set(xlabel="label_quality_", ylabel="training rows")
ax.legend(title="given label", loc="upper center")
plt.show()

# %%
# :ref:`sphx_glr_auto_examples_plot_label_issues.py` goes on from here: to the list of labels that
# are probably wrong.
