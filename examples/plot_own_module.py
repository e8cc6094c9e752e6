"""
A module and a gradient layer of your own
=========================================

Any module that returns logits will do, and any criterion with a loss for each example. Rows are
judged at the module's last linear layer. It is found by itself; where there is no telling,
``gradient_layer`` names it.
"""

# %%
# A module with two heads
# -----------------------
# A small convolutional network. Its logits are the sum of what two linear layers say: one of them
# sees what the convolutions make of the digit, the other its ink per row and column of pixels.
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from crust_sklearn import CRUSTClassifier, make_label_noise


class TwoHeads(nn.Module):
    def __init__(self, num_classes, n_channels=16):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, n_channels, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(n_channels, 2 * n_channels, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(2 * n_channels * 16, 64),
            nn.ReLU(),
        )
        self.head = nn.Linear(64, num_classes)
        self.ink_head = nn.Linear(16, num_classes)

    def forward(self, X):
        ink = torch.cat([X.mean(dim=3), X.mean(dim=2)], dim=2).flatten(1)
        return self.head(self.body(X)) + self.ink_head(ink)


X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32).reshape(-1, 1, 8, 8)
X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
noise = make_label_noise(y, "symmetric", 0.4, random_state=0)

# %%
# ``num_classes`` is taken from the labels, because the signature has it. Which layer is the last
# one cannot be told from here, and gradients at its input, as the paper has them, are an error:
settings = {
    "max_epochs": 20,
    "optimizer": torch.optim.SGD,
    "optimizer__momentum": 0.9,
    "lr": 0.05,
    "verbose": 0,
}
try:
    CRUSTClassifier(TwoHeads, gradient="features", **settings).fit(X, noise.y)
except ValueError as error:
    print(error)


# %%
# The default, ``gradient="leave-one-out"``, makes do with the logits in place of the features.
#
# Name the layer
# --------------
# ``gradient_layer`` is a name from ``module.named_modules()``. "head" sees the richer features;
# "ink_head" shows what comes of naming a layer that sees less.
#
# A criterion of your own needs an attribute ``reduction`` that its forward honours, as torch's
# have. The default judges labels by the features, so that the criterion only trains; the other
# settings of ``gradient`` are the criterion's gradients, taken by autograd.
class SymmetricCrossEntropy(nn.Module):
    """Cross-entropy and its reverse, with -4 for log 0 (Wang et al., ICCV 2019)."""

    def __init__(self, alpha=0.1, beta=1.0, reduction="mean"):
        super().__init__()
        self.alpha, self.beta, self.reduction = alpha, beta, reduction

    def forward(self, logits, y):
        log_p = logits.log_softmax(dim=1).gather(1, y[:, None]).squeeze(1)
        losses = -self.alpha * log_p + self.beta * 4 * (1 - log_p.exp())
        return losses if self.reduction == "none" else losses.mean()


variants = {
    "gradient_layer=\nNone": {},
    'gradient_layer=\n"head"': {"gradient_layer": "head"},
    'gradient_layer=\n"ink_head"': {"gradient_layer": "ink_head"},
    '"head", own\ncriterion': {
        "gradient_layer": "head",
        "criterion": SymmetricCrossEntropy,
    },
}
results = {}
for name, options in variants.items():
    results[name] = []
    for seed in range(2):
        clf = CRUSTClassifier(TwoHeads, random_state=seed, **settings | options)
        clf.fit(X, noise.y)
        is_right = ~noise.is_wrong[clf.coreset_indices_]
        recall = is_right.sum() / (~noise.is_wrong).sum()
        results[name].append([is_right.mean(), recall, clf.score(X_test, y_test)])
    print(name.replace("\n", " "), *np.mean(results[name], axis=0).round(3))

# %%
# Precision and recall of the coreset, for rows with a right label, and the accuracy on the test
# rows:
fig, axes = plt.subplots(1, 3, figsize=(10, 3.2), sharey=True, layout="constrained")
titles = ("coreset: precision", "coreset: recall", "test accuracy")
for column, (ax, title) in enumerate(zip(axes, titles, strict=True)):
    for position, found in enumerate(results.values()):
        values = np.array(found)[:, column]
        ax.scatter(values, [position] * len(values), color="#0072B2", s=24)
    ax.set(title=title)
    ax.grid(alpha=0.3)
    ax.margins(y=0.15)
axes[0].set_yticks(range(len(results)), results)
axes[0].invert_yaxis()
fig.supxlabel("two seeds each", fontsize=10)
plt.show()

# %%
# The layer matters. By the features of "head" the coreset is the cleanest; by ink alone, fewer of
# the right labels come in, and more of the wrong ones. The logits are in between. The criterion
# was not tuned, and gains nothing on top of the selection.
