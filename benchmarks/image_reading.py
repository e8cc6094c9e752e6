"""How fast images are read: from their files, and from a memory map, beside torchvision.

    python benchmarks/image_reading.py                  # a minute on idle cores
    python benchmarks/image_reading.py --folder DIR     # of the images below a folder

JPEG files of 341 x 256 pixels, as those of WebVision's archive, are made of random parts of
scikit-learn's two photographs, or of the images below a folder. They are read in an order drawn
anew, in batches of 64, by ImageFiles and torchvision's ImageFolder, to the same square tensors; and
from the map that cache_images has made of them, image by image, and as X, where a batch is one
indexing and stays uint8. All take turns, so that a busy machine slows all; workers are started
before. Images a second are those of the shortest turn; beside it the median of the ratios to
ImageFiles without workers, turn by turn; and without workers the least milliseconds of the
processor for an image, which others on the machine disturb least. Files and map are in the system's
cache.
"""

import csv
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
from _command import make_parser
from _markdown import print_table
from _places import RESULTS
from _turns import compare_times, print_not_run, take_turns
from PIL import Image, ImageOps
from sklearn.datasets import load_sample_images
from skorch.dataset import Dataset
from torch.utils.data import DataLoader

from crust_sklearn.data import BatchedDataset, keep_batch
from crust_sklearn.datasets import ImageFiles, cache_images

WIDTH, HEIGHT = 341, 256
BASE = "ImageFiles", 0
HEADER = ("reader", "workers", "images a second")
HEADER += ("to ImageFiles without workers", "processor's ms for an image")


def draw_images(folder, n_images):
    """Yield images of the size: parts of photographs, each of at least half of their height."""
    rng = np.random.default_rng(0)
    paths = sorted(p for p in folder.rglob("*") if p.is_file()) if folder else []
    if folder and not paths:
        raise FileNotFoundError(f"There are no images below {folder}.")
    photographs = [Image.fromarray(pixels) for pixels in load_sample_images().images]
    for i in range(n_images):
        if paths:
            whole = Image.open(paths[i % len(paths)]).convert("RGB")
            yield ImageOps.fit(whole, (WIDTH, HEIGHT))
            continue
        whole = photographs[i % 2]
        height = int(rng.integers(whole.height // 2, whole.height))
        width = height * WIDTH // HEIGHT
        left = int(rng.integers(whole.width - width + 1))
        top = int(rng.integers(whole.height - height + 1))
        yield whole.resize((WIDTH, HEIGHT), box=(left, top, left + width, top + height))


def write_images(root, folder, n_images):
    """Write JPEG files in two folders of classes, and return their names."""
    names = [f"{i % 2}/{i:05}.jpg" for i in range(n_images)]
    for name, image in zip(names, draw_images(folder, n_images), strict=True):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        image.save(root / name, quality=90)
    return names


def make_readers(root, names):
    """Return the datasets by name; that of torchvision is an error where it does not import."""
    files = ImageFiles(names, np.arange(len(names)) % 2, folder=root, size=HEIGHT)
    cached = cache_images(files, root.with_name("cache"))
    readers = {
        "ImageFiles": files,
        "CachedImages": cached,
        "map as X": BatchedDataset(Dataset(cached.images, cached.targets)),
    }
    try:
        from torchvision.datasets import ImageFolder
        from torchvision.transforms import CenterCrop, Compose, Resize, ToTensor
    except (ImportError, RuntimeError) as error:  # of another torch
        print(f"not run: torchvision's ImageFolder: {error}")
        return readers
    square = Compose([Resize(HEIGHT), CenterCrop(HEIGHT), ToTensor()])
    readers["torchvision's ImageFolder"] = ImageFolder(root, square)
    return readers


def read(loader, turn):
    """Read all images once, and return the processor's seconds in this process."""
    start = time.process_time()
    for _ in loader:
        pass
    return time.process_time() - start


def measure(readers, workers, n_turns):
    """Return images a second, the ratio, and the processor's milliseconds for an image, of every
    reader and number of workers.
    """
    calls = {}
    for name, dataset in readers.items():
        for n_workers in workers:
            loader = DataLoader(
                dataset,
                batch_size=64,
                shuffle=True,
                num_workers=n_workers,
                persistent_workers=n_workers > 0,
                collate_fn=keep_batch if isinstance(dataset, BatchedDataset) else None,
            )
            calls[name, n_workers] = partial(read, loader)
    take_turns(calls, 1)  # starts the workers
    measured = take_turns(calls, n_turns)
    print_not_run(measured)
    n_images = len(readers["ImageFiles"])
    return [
        (*key, n_images / least, 1 / ratio, 1000 * min(measured[key].results) / n_images)
        for key, (least, _, ratio) in compare_times(measured, BASE).items()
    ]


def main():
    parser = make_parser(__doc__)
    parser.add_argument("--folder", type=Path, help="of images to make the files of")
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--csv", type=Path, default=RESULTS / "image_reading.csv")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name, "images")
        names = write_images(root, args.folder, args.images)
        rows = measure(make_readers(root, names), sorted({0, *args.workers}), args.turns)
    shown = [
        (reader, n, f"{speed:.0f}", f"{ratio:.2f}", "" if n else f"{cpu:.2f}")
        for reader, n, speed, ratio, cpu in rows
    ]
    print_table(HEADER, shown)
    with open(args.csv, "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([HEADER, *shown])


if __name__ == "__main__":
    main()
