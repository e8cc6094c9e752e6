"""
Grid search when the validation labels are wrong, too
=====================================================

:class:`~sklearn.model_selection.GridSearchCV` chooses by a score, and the score is taken on labels
of which many are wrong. Accuracy on such labels can choose badly; :mod:`crust_sklearn.metrics` has
scores that were made for them.
"""

# %%
# Noise in half of the classes
# ----------------------------
# 45 % of the zeros are called sixes, of the ones sevens, and so on for five of the ten digits; the
# labels of the other five are right. Half of the data is kept for the test, with its right labels.
# The search never sees them.
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn import config_context
from sklearn.datasets import load_digits
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    cross_val_predict,
    train_test_split,
)

from crust_sklearn import CRUSTClassifier, make_label_noise
from crust_sklearn.metrics import (
    dmi_scorer,
    estimate_transition_matrix,
    make_corrected_accuracy_scorer,
    trusted_accuracy_scorer,
)
from crust_sklearn.modules import MLP

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
X, X_test, y, y_test = train_test_split(X, y, test_size=0.5, stratify=y, random_state=0)
called = {0: 6, 1: 7, 2: 3, 4: 9, 5: 8}
y_noisy = make_label_noise(y, "asymmetric", 0.45, transition=called, random_state=0).y

clf = CRUSTClassifier(
    MLP,
    module__hidden_sizes=(64,),
    max_epochs=30,
    optimizer=torch.optim.SGD,
    optimizer__momentum=0.9,
    lr=0.05,
    random_state=0,
    verbose=0,
)
cv = StratifiedKFold(3, shuffle=True, random_state=0)

# %%
# What is known about the noise decides on the score
# --------------------------------------------------
# - Nothing: :data:`~crust_sklearn.metrics.dmi_scorer`, the determinant based mutual information.
#   In expectation, noise that depends on the class alone leaves the order of the models as it is.
# - Its transition matrix, or an estimate of it: accuracy corrected by the matrix. The estimate is
#   made once, from out-of-fold probabilities, and is the same for all sizes.
# - A few labels for sure: accuracy on these. Here, one label in ten was checked and put right.
y_given = y_noisy.copy()
trusted = np.random.default_rng(0).random(len(y)) < 0.1
y_given[trusted] = y[trusted]

proba = cross_val_predict(clf, X, y_given, cv=cv, method="predict_proba")
transition_matrix = estimate_transition_matrix(y_given, proba)
scoring = {
    "accuracy": "accuracy",
    "dmi": dmi_scorer,
    "corrected": make_corrected_accuracy_scorer(transition_matrix),
    "trusted": trusted_accuracy_scorer,
}

# %%
# ``coreset_size`` is a parameter like any other. ``trusted`` reaches its scorer by scikit-learn's
# metadata routing.
sizes = [0.2, 0.4, 0.6, 0.8, 1.0]
search = GridSearchCV(clf, {"coreset_size": sizes}, scoring=scoring, refit="dmi", cv=cv)
with config_context(enable_metadata_routing=True):
    search.fit(X, y_given, trusted=trusted)
print(f"chosen by DMI: {search.best_params_}")

# %%
# What each score chooses, and what that is worth
# -----------------------------------------------
# The truth, which the search did not know: accuracy on the test labels, after a fit of all
# training rows.
truth = [
    clf.set_params(coreset_size=size).fit(X, y_given).score(X_test, y_test)
    for size in sizes
]
print(f"{'score':10} {'chosen size':>11} {'test accuracy':>14}")
for name in scoring:
    best = np.argmax(search.cv_results_[f"mean_test_{name}"])
    print(f"{name:10} {sizes[best]:11.1f} {truth[best]:14.1%}")
print(f"{'(the best)':10} {sizes[np.argmax(truth)]:11.1f} {max(truth):14.1%}")

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
colors = dict(zip(scoring, ("#D55E00", "#0072B2", "#009E73", "#CC79A7"), strict=True))
markers = dict(zip(scoring, "os^D", strict=True))
for name in scoring:
    scores = search.cv_results_[f"mean_test_{name}"]
    best = np.argmax(scores)
    axes[0].plot(
        sizes,
        scores,
        color=colors[name],
        marker=markers[name],
        markersize=4,
        label=name,
    )
    axes[0].plot(
        sizes[best], scores[best], markers[name], color=colors[name], markersize=11
    )
axes[0].set(xlabel="coreset_size", title="cross-validated scores (large: its choice)")
axes[0].legend()
axes[1].plot(sizes, truth, color="black", marker="o")
axes[1].set(xlabel="coreset_size", title="test accuracy, true labels")
plt.show()

# %%
# Accuracy on noisy labels rewards a network that has learnt the noise along with the digits, and
# chooses too large a coreset here. The other three choose the size that true labels would have
# chosen. It is not always so: with other draws of the noise, accuracy may choose well, as it does
# in expectation where all classes are equally noisy. It is not to be relied on.
#
# None of the curves is a figure to report. Accuracy on noisy labels is far below the true one, DMI
# is no accuracy at all, the corrected accuracy is as good as the estimated matrix, and a tenth of
# the rows is a small sample.
