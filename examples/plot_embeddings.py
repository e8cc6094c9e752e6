"""
Embeddings of a frozen network, without training one
====================================================

Where a pretrained network has turned rows into vectors, wrong labels can be found in seconds:
:class:`~crust_sklearn.LabelAuditor` fits a linear layer to all rows but one, for every row, in
closed form.
"""

# %%
# Vectors
# -------
# In life they come from a pretrained network, ``model.encode(texts)`` say, and are read from a
# file. None can be downloaded here, so we train a small one on half of the digits and embed the
# other half by its last hidden layer: the rows to be audited have not been seen by it.
import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from crust_sklearn import LabelAuditor, find_label_issues, make_label_noise

X, y = load_digits(return_X_y=True)
X_before, X, y_before, y = train_test_split(X / 16, y, test_size=0.5, random_state=0)
encoder = MLPClassifier((64,), max_iter=200, early_stopping=True, random_state=0)
encoder.fit(X_before, y_before)


def embed(X):
    return np.maximum(X @ encoder.coefs_[0] + encoder.intercepts_[0], 0)


X, X_test, y, y_test = train_test_split(embed(X), y, test_size=0.3, random_state=0)
noise = make_label_noise(y, "symmetric", 0.3, random_state=0)
print(X.shape, f"{noise.rate:.0%} of the labels are wrong")

# %%
# The audit
# ---------
# It is an estimator, so that scaling comes before it in a pipeline.
start = time.perf_counter()
auditor = make_pipeline(StandardScaler(), LabelAuditor()).fit(X, noise.y)
issues = find_label_issues(auditor)
print(f"{time.perf_counter() - start:.1f} s")
print(auditor[-1].get_summary())
print(issues.head().round(3))

# %%
# The list can be checked here:
is_wrong, found = noise.is_wrong, issues.index
print(f"listed: {len(found)}, of which wrong: {is_wrong[found].mean():.1%}")
print(
    f"wrong: {is_wrong.sum()}, "
    f"of which listed: {is_wrong[found].sum() / is_wrong.sum():.1%}"
)

# %%
# A classifier on what is left
# ----------------------------
# Dropped, as suggested, or as they were; a linear classifier on top, as is common for embeddings.
dropped = np.setdiff1d(np.arange(len(y)), found)
suggested = noise.y.copy()
suggested[found] = issues["suggested_label"]
options = {
    "given labels": (X, noise.y),
    "listed ones dropped": (X[dropped], noise.y[dropped]),
    "suggested labels": (X, suggested),
    "true labels": (X, y),
}
accuracies = {}
for name, (rows, labels) in options.items():
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    accuracies[name] = model.fit(rows, labels).score(X_test, y_test)
    print(f"{name:20} test accuracy {accuracies[name]:.1%}")

fig, axes = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
quality = auditor[-1].label_quality_
bins = np.linspace(0, 1, 31)
axes[0].hist(quality[~is_wrong], bins, color="#0072B2", alpha=0.7, label="right")
axes[0].hist(
    quality[is_wrong], bins, color="#D55E00", histtype="step", lw=2, label="wrong"
)
axes[0].set(xlabel="label_quality_", ylabel="rows", yscale="log")
axes[0].legend(title="given label", loc="upper center")
bars = axes[1].barh(list(accuracies), list(accuracies.values()), color="#0072B2")
axes[1].bar_label(bars, [f"{value:.1%}" for value in accuracies.values()], padding=3)
axes[1].set(title="test accuracy", xlim=(0, 1.2), xticks=[])
axes[1].invert_yaxis()
axes[1].spines[["top", "right", "bottom"]].set_visible(False)
plt.show()

# %%
# Features that a linear layer cannot tell apart make a poor list: on raw inputs train a network,
# :class:`~crust_sklearn.CRUSTClassifier`. Files larger than memory: :ref:`large_data`.
