"""
How low is the rank of my Jacobian?
===================================

The argument behind CRUST: the Jacobian of a network is close to low rank, the residuals of right
labels lie along its few large directions, and those of wrong labels do not. Both can be looked at
on your own data.
"""

# %%
# Two networks, an early and a late one
# -------------------------------------
# Trained the plain way on digits with 40 % wrong labels: for 5 epochs, and for 100, by which it
# has begun to learn wrong labels by heart.
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from skorch import NeuralNetClassifier

from crust_sklearn import CRUSTClassifier, make_label_noise
from crust_sklearn.inspection import JacobianSpectrumDisplay, LowRankDisplay
from crust_sklearn.modules import MLP

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
noise = make_label_noise(y, "symmetric", 0.4, random_state=0)
settings = {
    "module__in_features": 64,
    "module__num_classes": 10,
    "module__hidden_sizes": (64,),
    "criterion": torch.nn.CrossEntropyLoss,
    "optimizer": torch.optim.SGD,
    "optimizer__momentum": 0.9,
    "lr": 0.05,
    "batch_size": 64,
    "iterator_train__shuffle": True,
    "train_split": None,
    "verbose": 0,
}
torch.manual_seed(0)
early = NeuralNetClassifier(MLP, max_epochs=5, **settings).fit(X, noise.y)
torch.manual_seed(0)
late = NeuralNetClassifier(MLP, max_epochs=100, **settings).fit(X, noise.y)
for name, net in {"early": early, "late": late}.items():
    fitted = net.predict(X) == noise.y
    print(
        f"{name:6} fits {fitted[~noise.is_wrong].mean():.1%} of the right labels and "
        f"{fitted[noise.is_wrong].mean():.1%} of the wrong ones"
    )

# %%
# The spectrum, and where the residuals lie
# -----------------------------------------
# :class:`~crust_sklearn.inspection.JacobianSpectrumDisplay` takes any fitted skorch net and some
# rows: here 200 with a right label and as many with a wrong one, because shares are to be compared
# between sets of the same size. The Jacobian of the logits has 4000 rows, ten for each example; it
# is never formed. On the left its singular values, with the knee; on the right the share of the
# residuals' energy that the leading directions explain.
rows = np.concatenate(
    [np.flatnonzero(~noise.is_wrong)[:200], np.flatnonzero(noise.is_wrong)[:200]]
)
for name, net in {"early": early, "late": late}.items():
    display = JacobianSpectrumDisplay.from_estimator(
        net, X[rows], noise.y[rows], y_true=y[rows], n_components=60, random_state=0
    )
    display.figure_.suptitle(f"{name} network")
    values = display.spectrum.singular_values
    print(
        f"{name}: the 10th singular value is "
        f"{values[9] / values[0]:.2f} of the first, ",
        end="",
    )
    print(f"the 60th {values[59] / values[0]:.2f}")
    for kind in ("clean", "wrong"):
        share = getattr(display.alignment, kind)
        print(
            f"  {kind}: {share[9]:.1%} of the energy in 10 directions,",
            f"{share[59]:.1%} in 60",
        )
plt.show()

# %%
# What is seen here supports the argument in its tendency and not in its strength. The values fall
# after about ten directions, one for each class, and slowly from there on: that is not a matrix of
# rank ten. The leading ten directions hold next to nothing of either residual. In the directions
# after them, right labels have about twice the share of wrong ones, early and late, and both have
# more than a vector without any structure. But most of both lies outside of all that are shown.

# %%
# Which rows span it?
# -------------------
# The selection is to find rows whose gradients span the leading subspace.
# :class:`~crust_sklearn.inspection.LowRankDisplay` compares strategies with the best subspace of
# the same dimension, on the gradients that a classifier selects by.
clf = CRUSTClassifier(
    MLP,
    selector="facility-location",
    gradient="last-layer",
    max_epochs=5,
    random_state=0,
    **settings,
)
clf.fit(X, noise.y)
display = LowRankDisplay.from_estimator(
    clf,
    X[rows],
    noise.y[rows],
    strategies=[
        "facility-location",
        "centrality",
        "pivoted-qr",
        "greedy-css",
        "uniform",
    ],
    sizes=[2, 5, 10, 20, 50, 100],
    n_repeats=3,
    random_state=0,
)
print(f"{'best subspace':18}", *(f"{error:5.2f}" for error in display.best_error))
for name, errors in display.errors.items():
    print(f"{name:18}", *(f"{error:5.2f}" for error in np.mean(errors, axis=1)))
plt.show()

# %%
# Greedy column subset selection and facility location come nearest to the best subspace.
# Centrality, the rule of the paper's published code, is worse than a random choice: it leaves out
# the rows far from the others, which span the most, and those with wrong labels among them.
# Spanning all gradients is one aim, keeping wrong labels out is another.
