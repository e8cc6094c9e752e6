"""The large sets of images, of which `--data` names the folder."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from skorch.helper import SliceDataset

from crust_sklearn.datasets import (
    load_animal10n,
    load_clothing1m,
    load_food101n,
    load_imagenet,
    load_webvision,
)

from .sources import Table


@dataclass(frozen=True)
class ImageFolder:
    """A set of image files, read when they are asked for.

    They lie in the folder that `--data` names, or in one of the name of `table` in it. `load` is
    given that folder, `part` and `size`. Where `knows_truth`, the true labels of the training
    images are those of the bunch; else they are not known, or not of all.
    """

    name: str
    table: str
    load: Callable
    test_part: str
    size: int | None = 256
    knows_truth: bool = False
    place = "data"
    is_image = True

    def read(self, places, seed):
        inner = places.data / self.table
        folder = inner if inner.is_dir() else places.data
        train, test = (
            self.load(folder, part=part, size=self.size) for part in ("train", self.test_part)
        )
        true = train.target_true if self.knows_truth else None
        # Rows that can be chosen from, which a Dataset alone does not offer.
        X, X_test = SliceDataset(train.data), SliceDataset(test.data)
        return Table(X, true, X_test, test.target, train.target)


WEBVISION_MINI = ImageFolder("webvision-mini", "webvision", load_webvision, "val")
WEBVISION_GOOGLE = ImageFolder(
    "webvision-google", "webvision", partial(load_webvision, subset="google"), "val"
)
CLOTHING1M = ImageFolder("clothing1m", "clothing1m", load_clothing1m, "test")
FOOD101N = ImageFolder("food101n", "food101n", load_food101n, "test")
ANIMAL10N = ImageFolder("animal10n", "animal10n", load_animal10n, "test", size=None)
IMAGENET = ImageFolder("imagenet", "imagenet", load_imagenet, "val", knows_truth=True)
