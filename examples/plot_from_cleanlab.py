"""
A cleanlab user's pipeline
==========================

cleanlab takes out-of-fold probabilities of any model and ranks the labels by them. The same steps
here, side by side; cleanlab is not needed to run this page, its calls stand in comments.
"""

# %%
# Probabilities by cross-validation
# ---------------------------------
# Five trainings. Any classifier will do for cleanlab, and so will this package's:
# a network that leaves wrong labels out gives better probabilities.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_predict, train_test_split

from crust_sklearn import (
    CRUSTClassifier,
    NoisyLabelClassifier,
    find_label_issues,
    make_label_noise,
)
from crust_sklearn.metrics import estimate_transition_matrix
from crust_sklearn.modules import MLP

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(
    X / 16, y, train_size=600, stratify=y, random_state=0
)
noise = make_label_noise(y, "symmetric", 0.3, random_state=0)
labels = noise.y
settings = {"max_epochs": 12, "random_state": 0, "verbose": 0}
pred_probs = {
    method.__name__: cross_val_predict(
        method(MLP, **settings), X, labels, cv=5, method="predict_proba"
    )
    for method in (NoisyLabelClassifier, CRUSTClassifier)
}
# cleanlab.filter.find_label_issues(labels, pred_probs, return_indices_ranked_by=...)
# cleanlab.rank.get_label_quality_scores(labels, pred_probs)
scores = {
    f"5 folds, {name}": probabilities[np.arange(len(labels)), labels]  # self-confidence
    for name, probabilities in pred_probs.items()
}

# %%
# One training
# ------------
# Every row is judged by a last layer that has not seen its label, so that no folds are needed.
# cleanlab.classification.CleanLearning(model).fit(X, labels)
clf = CRUSTClassifier(MLP, **settings).fit(X, labels)
scores["one training, label_quality_"] = (
    clf.label_quality_
)  # get_label_issues()["label_quality"]
issues = find_label_issues(clf, all_rows=True)  # CleanLearning.get_label_issues()
print(issues.head())
print(f"test accuracy {clf.score(X_test, y_test):.1%}")

# %%
# The two rankings
# ----------------
# How many of the first k rows of each ranking are wrong indeed?
fig, ax = plt.subplots(figsize=(7.5, 4), layout="constrained")
k = np.arange(1, noise.is_wrong.sum() + 1)
for (name, score), style in zip(scores.items(), (":", "--", "-"), strict=True):
    wrong = noise.is_wrong[np.argsort(score, kind="stable")]
    ax.plot(k, (np.cumsum(wrong)[: len(k)] / k), style, label=name, linewidth=2)
    print(f"{name:34} {wrong[: len(k)].mean():.1%} of the first {len(k)}")
ax.set(xlabel="first k rows", ylabel="share that is wrong", ylim=(0.6, 1.01))
ax.legend(loc="lower left")
plt.show()

# %%
# The noise matrix
# ----------------
# Rows are the true classes here, columns in cleanlab's. The confident joint is the same idea.
# cleanlab.count.estimate_py_and_noise_matrices_from_probabilities(labels, pred_probs)
estimate = estimate_transition_matrix(labels, pred_probs["CRUSTClassifier"])
print(
    np.round(np.diag(estimate), 2), "of each class labelled rightly, about 0.7 in truth"
)

# %%
# Name by name, and what cleanlab does better: :ref:`coming_from`.
