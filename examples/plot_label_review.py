"""
Have wrong labels looked at
===========================

A list of doubtful labels is the half of it: somebody has to look. The doubtful rows go to a page,
a person decides on each, and what was decided comes back and is trained on.
"""

# %%
# Find
# ----
# Digits, a fifth of the labels wrong.
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from skorch import NeuralNetClassifier

from crust_sklearn import (
    CRUSTClassifier,
    apply_review,
    export_review_csv,
    export_review_html,
    find_label_issues,
    make_label_noise,
)
from crust_sklearn.inspection import ReviewDisplay
from crust_sklearn.modules import MLP
from crust_sklearn.nets.row_outputs import compute_row_outputs

X, y_true = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
X, X_test, y_true, y_test = train_test_split(
    X, y_true, test_size=0.3, stratify=y_true, random_state=0
)
y = make_label_noise(y_true, "symmetric", 0.2, random_state=0).y

settings = {
    "max_epochs": 40,
    "optimizer": torch.optim.SGD,
    "optimizer__momentum": 0.9,
    "lr": 0.05,
    "batch_size": 64,
    "iterator_train__shuffle": True,
    "verbose": 0,
}
clf = CRUSTClassifier(MLP, random_state=0, **settings).fit(X, y)
issues = find_label_issues(clf)
print(f"{len(issues)} of {len(y)} labels are in doubt, {(y != y_true).sum()} are wrong")

# %%
# Write the page
# --------------
# One HTML file, to be opened in any browser. Beside each row are the nearest ones that have the
# suggested label; here they are the nearest to the network, by what goes into its last layer. The
# digits are drawn dark on white.
folder = Path(tempfile.mkdtemp())
features = compute_row_outputs(clf, clf.get_dataset(X, y)).features
export_review_html(
    clf, folder / "review.html", 1 - X, features=features, image_shape=(8, 8)
)
print(f"{(folder / 'review.html').stat().st_size / 1000:.0f} kB")

# %%
# Decide
# ------
# In life, a person presses K, C or D on each, and *Save decisions*. Here a program that knows the
# true labels fills in the same file, as a table: it keeps and changes as they say, but drops every
# tenth row, as if it could not tell.
export_review_csv(clf, folder / "decisions.csv")
table = pd.read_csv(folder / "decisions.csv")
true = y_true[table["row"]]
table["decision"] = np.where(table["given_label"] == true, "keep", "change")
table["new_label"] = (
    pd.Series(true).where(table["decision"] == "change").astype("Int64")
)
table.loc[::10, ["decision", "new_label"]] = ["drop", pd.NA]
table.to_csv(folder / "decisions.csv", index=False)
print(table.head(12).to_string(index=False, na_rep=""))

# %%
# Apply
# -----
# The labels with what was changed, and which rows to train on.
reviewed = apply_review(y, folder / "decisions.csv")
print(
    pd.Series(reviewed.decision).replace("", "(not decided)").value_counts().to_string()
)

ReviewDisplay.from_review(y, reviewed)
plt.show()

# %%
# Train again
# -----------
# Scored on the true labels of rows that no training has seen: this classifier, and the same network
# trained plainly, each the mean of three seeds.
X_kept, y_kept = X[reviewed.is_kept], reviewed.y[reviewed.is_kept]
print(f"labels right: {np.mean(y == y_true):.1%} before, ", end="")
print(f"{np.mean(y_kept == y_true[reviewed.is_kept]):.1%} after")


def score_crust(X_fit, y_fit, seed):
    net = CRUSTClassifier(MLP, random_state=seed, **settings)
    return net.fit(X_fit, y_fit).score(X_test, y_test)


def score_plain(X_fit, y_fit, seed):
    torch.manual_seed(seed)
    net = NeuralNetClassifier(
        MLP,
        module__in_features=64,
        module__num_classes=10,
        criterion=torch.nn.CrossEntropyLoss,
        train_split=None,
        **settings,
    )
    return net.fit(X_fit, y_fit).score(X_test, y_test)


for name, score in {
    "CRUSTClassifier": score_crust,
    "plain training": score_plain,
}.items():
    before = np.mean([score(X, y, seed) for seed in range(3)])
    after = np.mean([score(X_kept, y_kept, seed) for seed in range(3)])
    print(f"{name:16} test accuracy {before:.1%} before, {after:.1%} after")
