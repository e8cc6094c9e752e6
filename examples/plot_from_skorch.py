"""
A skorch user's net
===================

You have a skorch net with a module, callbacks and a schedule of your own. What changes if its
labels are partly wrong: the name of the class.
"""

# %%
# The net as it is
# ----------------
# A module that returns logits, a schedule, and a column of your own in ``history``.
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from skorch import NeuralNetClassifier
from skorch.callbacks import EpochScoring, LRScheduler
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from crust_sklearn import CRUSTClassifier, find_label_issues, make_label_noise

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
noise = make_label_noise(y, "symmetric", 0.4, random_state=0)


class Mine(nn.Module):
    def __init__(self, n_units=128):
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(64, n_units), nn.ReLU(), nn.Dropout(0.1))
        self.out = nn.Linear(n_units, 10)

    def forward(self, X):
        return self.out(self.hidden(X))


def score_on_true_labels(net, X=None, y=None):
    return net.score(X_test, y_test)


on_true_labels = EpochScoring(
    score_on_true_labels, name="test", on_train=True, use_caching=False
)
schedule = LRScheduler(CosineAnnealingLR, T_max=60)
settings = {
    "module__n_units": 200,
    "criterion": nn.CrossEntropyLoss,
    "optimizer": torch.optim.SGD,
    "optimizer__momentum": 0.9,
    "lr": 0.1,
    "max_epochs": 60,
    "batch_size": 64,
    "iterator_train__shuffle": True,
    "train_split": None,
    "callbacks": [("test", on_true_labels), ("schedule", schedule)],
    "verbose": 0,
}
torch.manual_seed(0)
before = NeuralNetClassifier(Mine, **settings).fit(X, noise.y)

# %%
# Another name
# ------------
# Every parameter stays. ``random_state`` takes the place of seeding torch.
after = CRUSTClassifier(Mine, random_state=0, **settings).fit(X, noise.y)
for net in (before, after):
    print(f"{type(net).__name__:20} last epoch: {net.history[-1, 'test']:.1%}")

# %%
# What is there besides
# ---------------------
# The rows trained on, an estimate of the share of wrong labels, a list of these, and columns of
# ``history``. ``dataset_train`` in callbacks is all training rows, as ever.
print(
    f"{len(after.coreset_indices_)} of {len(X)} rows trained on,",
    f"{after.noise_rate_:.0%} seem wrong",
)
issues = find_label_issues(after)
print(
    f"{len(issues)} listed,",
    f"{noise.is_wrong[issues.index].mean():.1%} of them wrong indeed",
)
print([name for name in after.history[-1] if name not in before.history[-1]])

fig, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
for net, color in ((before, "black"), (after, "#0072B2")):
    ax.plot(
        net.history[:, "epoch"],
        net.history[:, "test"],
        color=color,
        label=type(net).__name__,
    )
ax.set(
    xlabel="epoch",
    ylabel="accuracy on true labels",
    title="40 % of the labels are wrong",
)
ax.legend(loc="lower left")
plt.show()

# %%
# Without ``criterion``, ``optimizer`` and the like the two differ in their defaults, all of which
# are in :ref:`working_with_skorch`. Schedules that change with every batch have to know how many
# there will be: ``count_steps``.
