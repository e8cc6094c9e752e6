"""
Images in a folder, with augmentation
=====================================

One folder for each class, as images mostly come: read one by one from files, augmented in training,
and listed by file name where the folder is probably wrong.
"""

# %%
# The folder
# ----------
# Scikit-learn's digits, written as PNG files; 30 % of them lie in the folder of another digit. The
# file's name keeps the true one, for looking at the end.
import tempfile
from pathlib import Path

import matplotlib.image as mpimg
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import Dataset

from crust_sklearn import CRUSTClassifier, find_label_issues, make_label_noise
from crust_sklearn.modules import RandomCropFlip, SmallCNN

temporary = tempfile.TemporaryDirectory()
root = Path(temporary.name)
images, y = load_digits(n_class=6, return_X_y=True)
images, y = images.reshape(-1, 8, 8)[:900], y[:900]
given = make_label_noise(y[:600], "symmetric", 0.3, random_state=0).y
for part, labels in (("train", given), ("test", y[600:])):
    for number, label in enumerate(labels):
        n = number + (600 if part == "test" else 0)
        (root / part / str(label)).mkdir(parents=True, exist_ok=True)
        path = root / part / str(label) / f"{n:04}_is_{y[n]}.png"
        mpimg.imsave(path, images[n], cmap="gray_r")
print(*sorted(path.relative_to(root) for path in root.rglob("*.png"))[:3], sep="\n")

# %%
# A dataset that reads when it is asked
# -------------------------------------
# A torch ``Dataset`` of pairs, with the labels in ``targets``: they are needed before training, and
# reading them must not open every file. The order of the files is sorted, so that row numbers mean
# the same on every machine. (torchvision's ``ImageFolder`` is such a dataset.)


class PNGFolder(Dataset):
    def __init__(self, folder):
        self.paths = sorted(Path(folder).rglob("*.png"))
        self.targets = [int(path.parent.name) for path in self.paths]

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, i):
        image = mpimg.imread(self.paths[i])[
            ..., :3
        ]  # (height, width, channels) in [0, 1]
        return torch.as_tensor(image.transpose(2, 0, 1).copy()), self.targets[i]


train, test = PNGFolder(root / "train"), PNGFolder(root / "test")

# %%
# Augmentation belongs into the module
# ------------------------------------
# There it is on in training, and off where labels are judged: a crop that misses the object says
# nothing about the label. Digits are shifted, not mirrored.
module = nn.Sequential(
    RandomCropFlip(padding=1, flip=False), SmallCNN(num_classes=6, in_channels=3)
)
clf = CRUSTClassifier(module, max_epochs=12, lr=0.003, random_state=0, verbose=0)
clf.fit(train, None)
plain = CRUSTClassifier(**clf.get_params() | {"coreset_size": 1.0}).fit(
    train, None
)  # all rows
for name, net in (("all rows", plain), ("trusted rows", clf)):
    print(
        f"{name:13} test accuracy",
        f"{np.mean(net.predict(test) == np.array(test.targets)):.1%}",
    )

# %%
# So short a training, with augmentation, learns few wrong labels by heart, and nothing is gained
# in accuracy. What is known of the files is there anyway.

# %%
# Which files lie in the wrong folder?
# ------------------------------------
names = [f"{path.parent.name}/{path.name}" for path in train.paths]
issues = find_label_issues(clf, index=names)
true = issues.index.str.extract(r"_is_(\d)", expand=False)
print(issues.head())
print(
    f"{clf.noise_rate_:.0%} of the labels seem wrong; {len(issues)} files are listed, ",
    end="",
)
print(
    f"{np.mean(true.astype(int) != issues['given_label']):.0%} of them",
    "in the wrong folder indeed",
)

fig, axes = plt.subplots(2, 6, figsize=(9, 3.6), layout="constrained")
for axis, name in zip(axes.flat, issues.index, strict=False):
    axis.imshow(mpimg.imread(root / "train" / name))
    given_label, suggested = issues.loc[name, ["given_label", "suggested_label"]]
    axis.set_title(f"in {given_label}, rather {suggested}", fontsize=10)
    axis.axis("off")
plt.show()

# %%
# Moving a file to where it belongs is one line, once you have looked at it:
# ``path.rename(root / "train" / suggested / path.name)``. How many epochs there should be before
# labels are judged matters for images: :ref:`faq`.
temporary.cleanup()
