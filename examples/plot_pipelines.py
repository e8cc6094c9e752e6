"""
A selector in pipelines
=======================

Three ways to use a selection with estimators that know nothing of it, by what becomes of the rows:
:class:`~crust_sklearn.CoresetSelector` keeps them all and makes features,
:class:`~crust_sklearn.CoresetClassifier` trains on the chosen ones with their weights, and
:class:`~crust_sklearn.CoresetSampler` drops the others inside an imbalanced-learn pipeline.
"""

# %%
# The data
# --------
# Digits with their right labels: this is about size, not about noise. All figures below are of the
# same test rows, for coresets of 20 to 160 rows out of 1257.
import matplotlib.pyplot as plt
import numpy as np
from imblearn.pipeline import make_pipeline as make_sampling_pipeline
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from crust_sklearn import CoresetClassifier, CoresetSampler, CoresetSelector

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
sizes = [20, 40, 80, 160]

# %%
# As a transformer
# ----------------
# ``transform`` gives the distances of every row to the chosen ones, as
# :class:`~sklearn.cluster.KMeans` does to its centres: a transformer must keep its rows. A linear
# model of these distances is not linear in X.
features = make_pipeline(
    MinMaxScaler(), CoresetSelector(coreset_size=80), LogisticRegression(max_iter=3000)
)
features.fit(X, y)
print(features[:-1].transform(X_test).shape)
print(f"test accuracy {features.score(X_test, y_test):.1%}")

# %%
# As a meta-estimator
# -------------------
# :class:`~crust_sklearn.CoresetClassifier` fits any classifier that takes ``sample_weight`` on the
# coreset; a row that stands for many counts as many. The parameters are reached through
# ``selector__``, also in a grid search.
weighted = make_pipeline(
    MinMaxScaler(),
    CoresetClassifier(
        LogisticRegression(max_iter=3000), CoresetSelector(coreset_size=80)
    ),
)
weighted.fit(X, y)
print(weighted[-1].selector_.sample_weight_[:5])
print(f"test accuracy {weighted.score(X_test, y_test):.1%}")

# %%
# As a sampler
# ------------
# :class:`~crust_sklearn.CoresetSampler` follows imbalanced-learn's protocol: rows are dropped in
# ``fit`` and left alone in ``predict``. The weights cannot travel along, so it suits estimators
# that take none, such as nearest neighbours.
sampled = make_sampling_pipeline(
    MinMaxScaler(), CoresetSampler(coreset_size=80), KNeighborsClassifier(1)
)
sampled.fit(X, y)
print(sampled[-1].n_samples_fit_, "rows in the index")
print(f"test accuracy {sampled.score(X_test, y_test):.1%}")

# %%
# Chosen against random
# ---------------------
# The same three with ``strategy="uniform"``, five draws each. It is a parameter, so ``set_params``
# will do.
pipelines = {
    "CoresetSelector,\nlogistic regression": (features, "coresetselector"),
    "CoresetClassifier,\nlogistic regression": (
        weighted,
        "coresetclassifier__selector",
    ),
    "CoresetSampler,\n1-nearest neighbour": (sampled, "coresetsampler"),
}


def score(pipeline, prefix, **params):
    pipeline.set_params(
        **{f"{prefix}__{name}": value for name, value in params.items()}
    )
    return pipeline.fit(X, y).score(X_test, y_test)


fig, axes = plt.subplots(1, 3, figsize=(10, 3.8), sharey=True, layout="constrained")
for ax, (title, (pipeline, prefix)) in zip(axes, pipelines.items(), strict=True):
    chosen = [
        score(pipeline, prefix, strategy="facility-location", coreset_size=size)
        for size in sizes
    ]
    random = np.array(
        [
            [
                score(
                    pipeline,
                    prefix,
                    strategy="uniform",
                    coreset_size=size,
                    random_state=seed,
                )
                for seed in range(5)
            ]
            for size in sizes
        ]
    )
    ax.plot(sizes, chosen, marker="o", color="#0072B2", label="facility-location")
    ax.plot(sizes, random.mean(axis=1), marker="s", color="#D55E00", label="uniform")
    ax.fill_between(
        sizes,
        random.min(axis=1),
        random.max(axis=1),
        color="#D55E00",
        alpha=0.15,
        linewidth=0,
    )
    ax.set_xscale("log", base=2)
    ax.set_xticks(sizes, sizes)
    ax.set(xlabel="coreset_size", title=title)
axes[0].set_ylabel("test accuracy")
axes[0].legend(loc="lower right")
plt.show()

# %%
# Where the rows are trained on, few chosen ones are worth more than as many random ones. As
# landmarks for distances, random rows do as well.
