"""
A callback, a checkpoint and a resumed run
==========================================

:class:`~crust_sklearn.CRUSTClassifier` is a skorch net: skorch's callbacks work on it, one of your
own can watch the coreset, and a training that was cut off goes on where it stopped.
"""

# %%
# A callback of your own
# ----------------------
# After each epoch, record how many rows came into the coreset since the epoch before. What is
# recorded in ``history`` is printed, saved and plotted along with skorch's own columns.
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from skorch.callbacks import Callback, Checkpoint

from crust_sklearn import CRUSTClassifier, make_label_noise
from crust_sklearn.modules import MLP


class CountNewRows(Callback):
    """Record the number of rows that are new in the coreset."""

    def on_train_begin(self, net, **kwargs):
        self.rows_ = getattr(net, "coreset_indices_", np.array([], dtype=int))

    def on_epoch_end(self, net, **kwargs):
        rows = getattr(net, "coreset_indices_", self.rows_)  # none yet in the warm-up
        net.history.record("new_rows", len(np.setdiff1d(rows, self.rows_)))
        self.rows_ = rows


X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
y_noisy = make_label_noise(y, "symmetric", 0.4, random_state=0).y

# %%
# A checkpoint
# ------------
# :class:`skorch.callbacks.Checkpoint` writes weights, optimizer and history, and the net writes
# ``history.state.pt`` beside them, which holds everything; with ``monitor=None`` after every epoch,
# else after those that are the best by some column. Do not let it go by a score
# on noisy labels without a thought: the best may be the one that knows the noise by heart.
folder = tempfile.TemporaryDirectory()
checkpoint = Checkpoint(monitor=None, dirname=folder.name)
settings = {
    "module__in_features": 64,
    "module__num_classes": 10,
    "optimizer": torch.optim.SGD,
    "optimizer__momentum": 0.9,
    "lr": 0.05,
    "random_state": 0,
    "verbose": 0,
}
callbacks = [("new_rows", CountNewRows()), ("checkpoint", checkpoint)]
cut_off = CRUSTClassifier(MLP, max_epochs=12, callbacks=callbacks, **settings)
cut_off.fit(X, y_noisy)
print(sorted(path.name for path in Path(folder.name).iterdir()))
for epoch, size, n_new in cut_off.history[:, ("epoch", "coreset_size", "new_rows")]:
    print(f"epoch {epoch:2}: {size:4} rows, {n_new:3} of them new")

# %%
# A resumed run
# -------------
# In another process, say. A new net is built, this time with its sizes, as there is no data to
# take them from yet; it takes up the saved state and goes on by ``partial_fit``, as if it had never
# stopped. (With :class:`skorch.callbacks.LoadInitState` among the callbacks, a script that was
# killed is just run again: see the user guide.)
resumed = CRUSTClassifier(MLP, max_epochs=18, callbacks=callbacks, **settings)
resumed.initialize().load_params(checkpoint=checkpoint)
print(f"epochs so far: {len(resumed.history)}")
resumed.partial_fit(X, y_noisy)
print(f"epochs now: {len(resumed.history)}")
folder.cleanup()

# %%
# Against a run that was never cut off:
whole = CRUSTClassifier(MLP, max_epochs=30, callbacks=callbacks[:1], **settings).fit(
    X, y_noisy
)
for name, clf in {"cut off": cut_off, "resumed": resumed, "whole": whole}.items():
    print(f"{name:8} test accuracy {clf.score(X_test, y_test):.1%}")

fig, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
for ax, column in zip(axes, ("train_loss", "new_rows"), strict=True):
    for name, clf, style in (
        ("never cut off", whole, {"color": "black", "linestyle": "--"}),
        ("resumed", resumed, {"color": "#D55E00"}),
        ("cut off", cut_off, {"color": "#0072B2", "linewidth": 2.5}),
    ):
        ax.plot(clf.history[:, "epoch"], clf.history[:, column], label=name, **style)
    ax.axvline(12.5, color="gray", linewidth=1, linestyle=":")
    ax.set(
        xlabel="epoch",
        title=column,
        yscale="log" if column == "train_loss" else "symlog",
    )
axes[0].legend()
axes[1].set_ylim(0, 2000)
plt.show()

# %%
# The spikes on the right are the selections, every third epoch; the resumed run has the same ones
# as the run that was never cut off.
