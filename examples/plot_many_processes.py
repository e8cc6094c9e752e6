"""
Several GPUs
============

One script trains on one GPU, on several, or on several machines: each process holds the whole
network and a part of every batch, and all go by one coreset. Here two processes of a CPU take the
place of two GPUs.
"""

# %%
# Rows and labels as files
# ------------------------
# Each process is given all rows. From a file they are mapped into memory, and there once.
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from skorch.history import History

from crust_sklearn import CRUSTClassifier, make_label_noise
from crust_sklearn.modules import MLP

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
noise = make_label_noise(y, "symmetric", 0.4, random_state=0)
temporary = tempfile.TemporaryDirectory()
folder = Path(temporary.name)
np.save(folder / "X.npy", X)
np.save(folder / "y.npy", noise.y)

# %%
# The script
# ----------
# What is new is the class, the accelerator, and that ``batch_size`` counts the rows of one process.
# On GPUs it is ``Accelerator()``.
SCRIPT = """
import numpy as np
from accelerate import Accelerator
from skorch.hf import AccelerateMixin
from crust_sklearn import CRUSTClassifier
from crust_sklearn.modules import MLP
from skorch.utils import noop


class SharedCRUST(AccelerateMixin, CRUSTClassifier):
    pass


accelerator = Accelerator(cpu=True)
n = accelerator.num_processes
X, y = np.load("X.npy", mmap_mode="r"), np.load("y.npy")
clf = SharedCRUST(
    MLP,
    accelerator=accelerator,
    batch_size=64 // n,
    max_epochs=15,
    random_state=0,
    callbacks__print_log__sink=noop,
)
clf.fit(X, y)
clf.save_params(f_params=f"weights_{n}.pt", f_history=f"history_{n}.json")
if accelerator.is_main_process:
    np.save(f"coreset_{n}.npy", clf.coreset_indices_)
accelerator.print(f"processes: {n}, trusted rows: {len(clf.coreset_indices_)}")
accelerator.end_training()
"""
(folder / "train.py").write_text(SCRIPT)

# %%
# Start it
# --------
# In a shell: ``torchrun --standalone --nproc-per-node=2 train.py``, and for one
# ``python train.py``.
launchers = {
    1: [],
    2: ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"],
}
for launcher in launchers.values():
    done = subprocess.run(
        [sys.executable, *launcher, "train.py"],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    print(done.stdout, end="")

# %%
# Two are as one
# --------------
# Sums of gradients are made in another order, so the last digits of the weights differ, and in the
# end perhaps a row at the threshold.
one, two = (np.load(folder / f"coreset_{n}.npy") for n in launchers)
print(f"rows in one coreset alone: {len(np.setxor1d(one, two))}")
is_right = ~noise.is_wrong
print(f"right labels: {is_right.mean():.0%}, in the coreset {is_right[two].mean():.0%}")

fig, ax = plt.subplots(figsize=(6, 3.2))
for n, style in zip(launchers, ("-", "o"), strict=True):
    history = History.from_file(folder / f"history_{n}.json")
    ax.plot(
        range(1, 16),
        history[:, "train_loss"],
        style,
        mfc="none",
        label=f"processes: {n}",
    )
ax.set(xlabel="Epoch", ylabel="Training loss")
ax.legend()
plt.show()

# %%
# Use it anywhere
# ---------------
# The file of weights is that of the module, whoever has trained it.
clf = CRUSTClassifier(
    MLP,
    module__in_features=64,
    module__num_classes=10,
    classes=np.arange(10),
    verbose=0,
)
clf.initialize().load_params(f_params=folder / "weights_2.pt")
print(f"accuracy on true labels: {clf.score(X, y):.1%}")

# %%
# What is sent, what is refused, and what differs from one process: :ref:`many_processes`.
