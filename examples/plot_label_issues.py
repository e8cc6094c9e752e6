"""
Find and fix wrong labels
=========================

The training that leaves wrong labels out also knows which ones they are.
:func:`~crust_sklearn.find_label_issues` lists them, the worst first.
"""

# %%
# Train
# -----
# Digits, a quarter of the labels wrong.
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from skorch import NeuralNetClassifier

from crust_sklearn import CRUSTClassifier, find_label_issues, make_label_noise
from crust_sklearn.inspection import ClusterDisplay, LabelIssuesDisplay
from crust_sklearn.modules import MLP

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
y_given = make_label_noise(y, "symmetric", 0.25, random_state=0).y

settings = {
    "max_epochs": 40,
    "optimizer": torch.optim.SGD,
    "optimizer__momentum": 0.9,
    "lr": 0.05,
    "batch_size": 64,
    "iterator_train__shuffle": True,
    "verbose": 0,
}
clf = CRUSTClassifier(MLP, random_state=0, **settings).fit(X, y_given)

# %%
# List
# ----
# The frame has the row, its label, the label that the other rows suggest, and the score: the
# lower, the surer that the label is wrong.
issues = find_label_issues(clf)
issues.head()

# %%
# Look
# ----
# :class:`~crust_sklearn.inspection.LabelIssuesDisplay` shows what to look at first.
LabelIssuesDisplay.from_estimator(
    clf, X, n_issues=15, image_shape=(8, 8), cmap="gray_r"
)
plt.show()

# %%
# How good is the list?
# ---------------------
# Here it is known which labels are wrong. Down the list, at first all of them are:
is_wrong = y[issues.index] != issues["given_label"].to_numpy()
n_wrong = (y != y_given).sum()
precision = is_wrong.cumsum() / np.arange(1, len(issues) + 1)
recall = is_wrong.cumsum() / n_wrong
print(f"{len(issues)} labels listed, {n_wrong} are wrong")
print(f"precision {precision[-1]:.1%}, recall {recall[-1]:.1%}")
is_right = issues["suggested_label"].to_numpy() == y[issues.index]
print(f"the suggested label is the true one in {is_right.mean():.1%}")

fig, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
length = np.arange(1, len(issues) + 1)
ax.plot(
    length, precision, color="#0072B2", label="precision: listed labels that are wrong"
)
ax.plot(
    length, recall, color="#D55E00", linestyle="--", label="recall: wrong labels listed"
)
ax.set(xlabel="length of the list", ylim=(0, 1.03))
ax.legend(loc="center right")
plt.show()

# %%
# Fix
# ---
# Three things to do with the list, for any classifier: drop its rows, take the suggested labels
# unseen, or have somebody look at the first hundred rows and put those right. The classifier here
# is the same network in plain skorch, on three seeds.
rows = issues.index.to_numpy()
kept = np.setdiff1d(np.arange(len(X)), rows)
relabelled, checked = y_given.copy(), y_given.copy()
relabelled[rows] = issues["suggested_label"]
checked[rows[:100]] = y[rows[:100]]
repairs = {
    "labels as given": (X, y_given),
    "100 labels checked": (X, checked),
    "listed rows dropped": (X[kept], y_given[kept]),
    "suggested labels": (X, relabelled),
    "all labels right": (X, y),
}
accuracy = {}
for name, (X_fit, y_fit) in repairs.items():
    accuracy[name] = []
    for seed in range(3):
        torch.manual_seed(seed)
        net = NeuralNetClassifier(
            MLP,
            module__in_features=64,
            module__num_classes=10,
            criterion=torch.nn.CrossEntropyLoss,
            train_split=None,
            **settings,
        )
        accuracy[name].append(net.fit(X_fit, y_fit).score(X_test, y_test))
    print(f"{name:20} test accuracy {np.mean(accuracy[name]):.1%}")
print(f"{'(CRUSTClassifier':20} test accuracy {clf.score(X_test, y_test):.1%})")

fig, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for position, found in enumerate(accuracy.values()):
    ax.scatter(found, [position] * 3, color="#0072B2", s=20)
    ax.scatter(
        np.mean(found), position, color="#D55E00", marker="|", s=300, linewidth=2
    )
ax.invert_yaxis()
ax.margins(y=0.15)
ax.grid(axis="x", alpha=0.3)
ax.set_yticks(range(len(accuracy)), accuracy)
ax.set(xlabel="test accuracy (3 seeds, and their mean)")
plt.show()

# %%
# Dropping all listed rows, or taking the suggested labels, brings most of what right labels would.
# Checking a hundred brings little here: two thirds of the wrong labels are still in.
#
# Clusters
# --------
# Strategies that choose medoids tell more: for each chosen row the rows that it stands for. In
# this one, each predicted class is a group of its own. Members of a cluster look alike to the
# network, and nearly all have the label of their medoid: a wrong label changes the gradient, and
# so puts the row into another cluster.
medoids = CRUSTClassifier(
    MLP,
    selector="facility-location",
    coreset_size=100,
    gradient="features",
    group_by="prediction",
    random_state=0,
    **settings,
)
medoids.fit(X, y_given)
medoid_of_row = medoids.coreset_indices_[medoids.coreset_assignment_]
print(
    "rows with the label of their medoid:",
    f"{(y_given[medoid_of_row] == y_given).mean():.1%}",
)
ClusterDisplay.from_estimator(
    medoids, X, y_given, n_members=15, image_shape=(8, 8), cmap="gray_r"
)
plt.show()
