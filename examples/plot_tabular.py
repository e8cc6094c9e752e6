"""
A table with categories, words as labels, and a rare class
==========================================================

A pandas frame of numbers and categories, labels that are words, and a
:class:`~sklearn.compose.ColumnTransformer` in front of the network:
:class:`~crust_sklearn.CRUSTClassifier` is the last step of a pipeline, like any other classifier.
"""

# %%
# A frame
# -------
# A made one, so that the true labels are known: customers of three kinds.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import ConfusionMatrixDisplay, recall_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from crust_sklearn import CRUSTClassifier, find_label_issues, make_label_noise
from crust_sklearn.modules import MLP

kinds = ["business", "family", "student"]
rng = np.random.default_rng(0)
code = rng.choice(3, 2000, p=[0.25, 0.4, 0.35])
y = pd.Series(
    np.array(kinds)[code], index=[f"customer {i}" for i in range(2000)], name="true"
)
pays_by = np.array([[0.1, 0.1, 0.8], [0.6, 0.3, 0.1], [0.4, 0.6, 0.0]])
X = pd.DataFrame(
    {
        "age": rng.normal(np.array([45, 39, 23])[code], 6).round(),
        "spent": rng.lognormal(np.array([4.6, 3.8, 2.6])[code], 0.5).round(2),
        "visits": rng.poisson(np.array([3, 5, 6])[code]),
        "paid_by": [
            rng.choice(["card", "phone", "invoice"], p=pays_by[c]) for c in code
        ],
        "weekday": rng.choice(["mon", "tue", "wed", "thu", "fri", "sat"], 2000),
    },
    index=y.index,
)
X, X_test, y, y_test = train_test_split(X, y, stratify=y, random_state=0)
X.head()

# %%
# Somebody has mixed up words: 40 % of the business customers are called families, and of the
# families students.
called = {"business": "family", "family": "student"}
y_given = make_label_noise(y, "asymmetric", 0.4, transition=called, random_state=0).y
pd.crosstab(y, y_given.rename("given"))

# %%
# The pipeline
# ------------
# How many columns there are after one-hot encoding, and how many classes, need not be said: the
# network is built when both are known. Words go in as labels, and words come out.
preprocess = make_column_transformer(
    (StandardScaler(), ["age", "spent", "visits"]),
    (OneHotEncoder(sparse_output=False), ["paid_by", "weekday"]),
)
crust = make_pipeline(
    preprocess,
    CRUSTClassifier(MLP, module__hidden_sizes=(64,), random_state=0, verbose=0),
)
crust.fit(X, y_given)
crust.predict(X_test)[:5]

# %%
# The same network trained on all rows, which is what ``coreset_size=1.0`` does, and a linear
# model:
plain = make_pipeline(
    preprocess, CRUSTClassifier(**crust[-1].get_params() | {"coreset_size": 1.0})
)
linear = make_pipeline(preprocess, LogisticRegression())
models = {
    "logistic regression": linear.fit(X, y_given),
    "network, all rows": plain.fit(X, y_given),
    "network, coreset": crust,
}
fig, axes = plt.subplots(1, 3, figsize=(10, 4.4), sharey=True, layout="constrained")
for ax, (name, model) in zip(axes, models.items(), strict=True):
    ConfusionMatrixDisplay.from_estimator(
        model, X_test, y_test, ax=ax, cmap="Blues", colorbar=False, normalize="true"
    )
    ax.set_title(f"{name}\naccuracy {model.score(X_test, y_test):.1%}", fontsize=11)
    ax.set(xlabel="predicted", ylabel="true" if ax is axes[0] else None)
plt.show()

# %%
# Who was called by the wrong word?
# ---------------------------------
# :func:`~crust_sklearn.find_label_issues` names the rows as the frame does.
issues = find_label_issues(crust[-1], y_given)
issues["true"] = y
issues.head(10)

# %%
is_wrong = issues["true"] != issues["given_label"]
n_wrong = (y != y_given).sum()
print(f"{len(issues)} labels listed, {is_wrong.mean():.1%} of them wrong;")
print(f"{is_wrong.sum()} of the {n_wrong} wrong labels are in the list.")

# %%
# A rare class
# ------------
# Now one customer in forty is a business. A fifth of the labels is drawn anew at random, so that
# more of those called a business are none than are one.
few = (y != "business") | (np.random.default_rng(1).random(len(y)) < 0.07)
X_few, y_few = X[few], y[few]
noisy = make_label_noise(y_few, "symmetric", 0.2, random_state=0)
print(y_few.value_counts())
called = noisy.y == "business"
print(
    f"called a business: {called.sum()}, "
    f"and are: {(called & (y_few == 'business')).sum()}"
)

# %%
# Accuracy says little of a rare class; its recall, and the mean over the classes (balanced
# accuracy), say more.
table = {}
sizes = {"all rows": 1.0, "trusted rows": "auto", "0.8 of each class": 0.8}
for name, size in sizes.items():
    net = CRUSTClassifier(**crust[-1].get_params() | {"coreset_size": size})
    model = make_pipeline(preprocess, net).fit(X_few, noisy.y)
    recalls = recall_score(y_test, model.predict(X_test), average=None, labels=kinds)
    table[name] = {"accuracy": model.score(X_test, y_test)}
    table[name] |= {"balanced accuracy": recalls.mean()}
    table[name] |= {
        f"recall, {kind}": r for kind, r in zip(kinds, recalls, strict=True)
    }
pd.DataFrame(table).round(3)

# %%
# **Here the default does harm.** What it keeps of the rare class is right, and too little: it has
# not learnt the class when it is asked, and its summary says so. All rows do best here, a size, a
# share of each class, nearly as well.
model = make_pipeline(preprocess, CRUSTClassifier(**crust[-1].get_params()))
model.fit(X_few, noisy.y)
print(model[-1].get_summary())
listed = find_label_issues(model, noisy.y)
of_class = listed[listed["given_label"] == "business"]
is_right = y_few[of_class.index] == "business"
print(
    f"listed of those called a business: {len(of_class)}, "
    f"{is_right.sum()} of them wrongly"
)

# %%
# Sets with classes of 1 %, measured: :ref:`rare_classes`.
