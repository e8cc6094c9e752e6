import hashlib
import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from crust_sklearn.datasets import extras, fetch_tiny_imagenet, load_tiny_imagenet, tiny_imagenet

IDS = ["n03", "n01", "n02"]  # as in wnids.txt: unsorted
WORDS = {"n01": "goldfish, Carassius auratus", "n02": "bullfrog", "n03": "tailed frog", "n9": "x"}
NUMBERS = (10, 2, 0)  # of the images of a class, as a listing may bring them


def make_jpeg(color, mode="RGB", side=64):
    file = io.BytesIO()
    Image.new(mode, (side, side), color).save(file, "JPEG", quality=95)
    return file.getvalue()


def make_files():
    """Return the files of the set: each class has its own amount of red, each image of green."""
    files = {"wnids.txt": "\n".join(IDS), "words.txt": ""}
    files["words.txt"] = "".join(f"{i}\t{words}\n" for i, words in WORDS.items())
    for code, wordnet_id in enumerate(sorted(IDS)):
        for number in NUMBERS:
            path = f"train/{wordnet_id}/images/{wordnet_id}_{number}.JPEG"
            files[path] = make_jpeg((50 + 50 * code, 10 * number, 0))
        files[f"train/{wordnet_id}/{wordnet_id}_boxes.txt"] = "n_0.JPEG\t0\t0\t9\t9\n"
    files["train/n02/images/n02_3.JPEG"] = make_jpeg(77, "L")
    lines = ["val_0.JPEG\tn02\t0\t32\t44\t62", "val_1.JPEG\tn01\t52\t55\t57\t59"]
    files["val/val_annotations.txt"] = "\n".join(lines) + "\n"
    files |= {f"val/images/val_{i}.JPEG": make_jpeg((0, 0, 100 * i)) for i in (0, 1)}
    files["test/images/test_0.JPEG"] = make_jpeg((1, 2, 3))
    return {name: c.encode() if isinstance(c, str) else c for name, c in files.items()}


@pytest.fixture
def folder(tmp_path):
    for name, content in make_files().items():
        path = tmp_path / "tiny-imagenet-200" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path


def test_classes_are_numbered_by_their_ids_and_images_by_their_numbers(folder):
    tiny = load_tiny_imagenet(folder)
    assert (tiny.data.shape, tiny.data.dtype) == ((10, 3, 64, 64), np.uint8)
    assert tiny.target.tolist() == [0, 0, 0, 1, 1, 1, 1, 2, 2, 2]
    assert tiny.target.dtype == np.int64
    np.testing.assert_array_equal(tiny.target_true, tiny.target)
    assert tiny.wordnet_ids == ["n01", "n02", "n03"]
    assert tiny.target_names == ["goldfish, Carassius auratus", "bullfrog", "tailed frog"]
    numbers = [int(name.rpartition("_")[2].removesuffix(".JPEG")) for name in tiny.filenames]
    assert numbers == [0, 2, 10, 0, 2, 3, 10, 0, 2, 10]
    in_color = np.delete(np.arange(10), 5)
    red, green = tiny.data[in_color, :2].mean(axis=(2, 3)).T
    np.testing.assert_allclose(red, 50 + 50 * tiny.target[in_color], atol=3)
    np.testing.assert_allclose(green, 10 * np.array(numbers)[in_color], atol=3)


def test_grey_images_have_three_channels(folder):
    grey = load_tiny_imagenet(folder).data[5]
    np.testing.assert_allclose(grey, 77, atol=2)
    assert (grey[0] == grey[1]).all() and (grey[0] == grey[2]).all()


def test_validation_images_are_the_test_set(folder):
    X, y = load_tiny_imagenet(folder / "tiny-imagenet-200", subset="test", return_X_y=True)
    assert y.tolist() == [1, 0]
    np.testing.assert_allclose(X[:, 2].mean(axis=(1, 2)), [0, 100], atol=3)


def test_provenance_of_a_folder(folder):
    files = load_tiny_imagenet(folder, subset="test").provenance["files"]
    assert [file["name"] for file in files] == ["wnids.txt", "words.txt", "val_annotations.txt"]
    wnids = make_files()["wnids.txt"]
    assert files[0]["sha256"] == hashlib.sha256(wnids).hexdigest()


def test_fetched_by_its_md5(tmp_path, server, monkeypatch):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for name, content in make_files().items():
            file.writestr(f"tiny-imagenet-200/{name}", content)
    md5 = hashlib.md5(archive.getvalue(), usedforsecurity=False).hexdigest()
    name = "tiny-imagenet-200.zip"
    remote = server.publish(name, archive.getvalue(), sha256=None, md5=md5)
    monkeypatch.setattr(tiny_imagenet, "ARCHIVE", remote)
    with pytest.raises(OSError, match="has no tiny-imagenet-200, and download_if_missing"):
        fetch_tiny_imagenet(data_home=tmp_path, download_if_missing=False)
    for _ in range(2):
        tiny = fetch_tiny_imagenet(data_home=tmp_path)
    assert tiny.target.tolist() == [0, 0, 0, 1, 1, 1, 1, 2, 2, 2]
    assert len(server.requests) == 1
    [file] = tiny.provenance["files"]
    assert (file["sha256"], file["md5"]) == (None, md5)


def test_published_address_is_https():
    assert tiny_imagenet.ARCHIVE.url == "https://cs231n.stanford.edu/tiny-imagenet-200.zip"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train/n01/images/n01_2.JPEG", b"no image", "n01_2.JPEG cannot be decoded"),
        ("train/n01/images/n01_2.JPEG", make_jpeg(0)[:300], "n01_2.JPEG cannot be decoded"),
        ("train/n01/images/n01_2.JPEG", make_jpeg(0, side=32), r"has \(32, 32\) pixels, not \(64"),
        ("wnids.txt", b"n01\nn05\n", "n05/images is missing"),
    ],
)
def test_damaged_files(folder, name, content, message):
    (folder / "tiny-imagenet-200" / name).write_bytes(content)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        load_tiny_imagenet(folder)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (b"val_0.JPEG\tn07\t0\t0\t9\t9\n", "val_0.JPEG.*has no class that is in wnids.txt"),
        (b"val_0.JPEG n01\n", "has no class that is in"),
        (b"val_7.JPEG\tn01\t0\t0\t9\t9\n", "val_7.JPEG"),
    ],
)
def test_damaged_annotations(folder, lines, message):
    (folder / "tiny-imagenet-200" / "val" / "val_annotations.txt").write_bytes(lines)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        load_tiny_imagenet(folder, subset="test")


def test_missing_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="has no tiny-imagenet-200/wnids.txt. Give"):
        load_tiny_imagenet(tmp_path)
    (tmp_path / "wnids.txt").write_text("n01")
    with pytest.raises(FileNotFoundError, match="words.txt is missing"):
        load_tiny_imagenet(tmp_path)


@pytest.mark.parametrize("load", [load_tiny_imagenet, fetch_tiny_imagenet])
def test_bad_options(load, tmp_path):
    place = {"folder" if load is load_tiny_imagenet else "data_home": tmp_path}
    with pytest.raises(ValueError, match="subset='val' is not valid. Choose one of 'train', 'tes"):
        load(**place, subset="val")
    with pytest.raises(TypeError, match="return_X_y=1 is neither"):
        load(**place, return_X_y=1)


def test_missing_package_names_the_extra(folder, monkeypatch):
    def fail(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(extras, "import_module", fail)
    with pytest.raises(ImportError, match=r"pillow, .*pip install 'crust-sklearn\[datasets\]'"):
        load_tiny_imagenet(folder)
