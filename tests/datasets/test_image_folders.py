"""The readers of image folders, on made trees of the layouts in which the sets come."""

import hashlib
import json

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from torch.utils.data import DataLoader

from crust_sklearn.datasets import (
    find_unreadable,
    load_animal10n,
    load_clothing1m,
    load_food101n,
    load_imagenet,
    load_webvision,
)


def write(folder, lists=None, images=()):
    """Write text files by name, and small images, each of a grey of its own."""
    for name, lines in (lists or {}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    for i, name in enumerate(images):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (9, 7), 10 * i).save(folder / name, "PNG")
    return folder


def assert_rows(bunch, filenames, target):
    assert bunch.filenames.tolist() == list(filenames)
    assert bunch.target.tolist() == list(target)
    assert bunch.target.dtype == np.int64
    assert len(bunch.data) == len(filenames)
    np.testing.assert_array_equal(bunch.data.targets, bunch.target)
    for name, (X, y), label in zip(filenames, bunch.data, target, strict=True):
        with Image.open(bunch.data.folder / name) as image:
            grey = image.convert("L").getpixel((4, 3))
        assert y == label and round(float(X.mean()) * 255) == grey


# What all have in common ------------------------------------------------------------------------


@pytest.fixture
def webvision(tmp_path):
    lists = {
        # Neither by class nor by name; a line of a class beyond 50; one line twice.
        "info/train_filelist_google.txt": [
            *("google/q0002/b.jpg 1", "google/q0001/z.jpg 0", "google/q0001/a.jpg 0"),
            *("google/q0900/c.jpg 50", "google/q0051/d.jpg 49", "google/q0002/b.jpg 1"),
        ],
        "info/train_filelist_flickr.txt": ["flickr/q0001/f.jpg 999"],
        "info/train_filelist_all.txt": ["google/q0001/a.jpg 0", "flickr/q0001/f.jpg 999"],
        "info/val_filelist.txt": ["val000002.jpg 50", "val000001.jpg 49"],
        "info/synsets.txt": [f"n{i:08} name {i}, other" for i in range(1000)],
    }
    images = [
        *("google/q0002/b.jpg", "google/q0001/z.jpg", "google/q0001/a.jpg", "google/q0900/c.jpg"),
        *("google/q0051/d.jpg", "flickr/q0001/f.jpg"),
        *("val_images_256/val000001.jpg", "val_images_256/val000002.jpg"),
    ]
    return write(tmp_path, lists, images)


MINI = ["google/q0002/b.jpg", "google/q0001/z.jpg", "google/q0001/a.jpg", "google/q0051/d.jpg"]


def test_bunch_says_what_was_read(webvision):
    bunch = load_webvision(webvision)
    assert bunch.counts == {"listed": 5, "doubled": 1, "absent": 0, "left_out": 0, "used": 4}
    assert "5 listed, 1 doubled, 0 absent, 0 left out, 4 used" in bunch.DESCR
    assert "65 944" in bunch.DESCR
    listed, synsets = bunch.provenance["files"]
    content = (webvision / "info/train_filelist_google.txt").read_bytes()
    assert listed == {
        "name": "train_filelist_google.txt",
        "url": "https://data.vision.ee.ethz.ch/cvl/webvision/info.tar",
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    assert synsets["name"] == "synsets.txt"
    assert bunch.provenance["licence"] and "Webly" not in bunch.provenance["citation"]


def test_images_have_one_size_or_their_own_or_what_the_transform_makes(webvision):
    assert load_webvision(webvision).data[0][0].shape == (3, 256, 256)
    assert load_webvision(webvision, size=None).data[0][0].shape == (3, 7, 9)
    sizes = load_webvision(webvision, size=4, transform=lambda image: image.size).data
    assert sizes[0] == ((4, 4), 1)


def test_X_and_y_are_the_dataset_and_its_labels(webvision):
    X, y = load_webvision(webvision, size=4, return_X_y=True)
    assert y.tolist() == X.targets.tolist() == [1, 0, 0, 49]
    batch, labels = next(iter(DataLoader(X, batch_size=4, num_workers=1)))
    assert batch.shape == (4, 3, 4, 4) and labels.tolist() == y.tolist()


def test_absent_images_are_left_out_with_a_warning(webvision):
    (webvision / MINI[1]).unlink()
    with pytest.warns(UserWarning, match=r"1 of 4 images are not in .*google/q0001/z\.jpg") as seen:
        bunch = load_webvision(webvision)
    assert seen[0].filename == __file__
    assert_rows(bunch, [MINI[0], *MINI[2:]], [1, 0, 49])
    assert (bunch.counts["absent"], bunch.counts["used"]) == (1, 3)


def test_unreadable_images_are_found_and_left_out(webvision):
    (webvision / MINI[2]).write_text("<html>")
    broken = find_unreadable(load_webvision(webvision).data)
    assert broken == [MINI[2]]
    bunch = load_webvision(webvision, leave_out=broken)
    assert_rows(bunch, [*MINI[:2], MINI[3]], [1, 0, 49])
    assert (bunch.counts["left_out"], bunch.counts["used"]) == (1, 3)
    assert load_webvision(webvision, leave_out=np.array(broken)).counts == bunch.counts


@pytest.mark.parametrize("leave_out", ["google/q0001/a.jpg", [3]])
def test_what_is_no_list_of_names_is_refused(webvision, leave_out):
    with pytest.raises(TypeError, match="leave_out=.* is not a list of file names"):
        load_webvision(webvision, leave_out=leave_out)


@pytest.mark.parametrize(
    ("load", "looked_for", "where"),
    [
        (load_webvision, "info/train_filelist_google.txt", "data.vision.ee.ethz.ch"),
        (load_clothing1m, "noisy_label_kv.txt, annotations/noisy_label_kv.txt", "on request"),
        (load_food101n, "Food-101N_release/meta/imagelist.tsv", "kuanghuei.github.io"),
        (load_imagenet, "train", "image-net.org"),
        (load_animal10n, "training, raw_image/training", "dm.kaist.ac.kr"),
    ],
)
def test_missing_files_are_named_with_where_to_get_them(tmp_path, load, looked_for, where):
    with pytest.raises(FileNotFoundError, match=looked_for) as caught:
        load(tmp_path)
    assert str(tmp_path) in str(caught.value) and where in str(caught.value)
    with pytest.raises(FileNotFoundError, match="There is no folder") as caught:
        load(tmp_path / "nowhere")
    assert where in str(caught.value)


@pytest.mark.parametrize(
    "load", [load_webvision, load_clothing1m, load_food101n, load_imagenet, load_animal10n]
)
def test_misspelt_part_is_refused(tmp_path, load):
    with pytest.raises(ValueError, match="part='trian' is not valid.*Did you mean 'train'"):
        load(tmp_path, part="trian")


# WebVision --------------------------------------------------------------------------------------


def test_mini_webvision_is_googles_images_of_the_first_50_classes(webvision):
    bunch = load_webvision(webvision)
    assert_rows(bunch, MINI, [1, 0, 0, 49])
    assert bunch.target_true is None
    assert len(bunch.target_names) == 50
    assert bunch.target_names[49] == "n00000049 name 49, other"
    val = load_webvision(webvision, part="val")
    assert_rows(val, ["val_images_256/val000001.jpg"], [49])
    assert val.target_true.tolist() == [49]


@pytest.mark.parametrize(
    ("subset", "target"), [("google", [1, 0, 0, 50, 49]), ("flickr", [999]), ("all", [0, 999])]
)
def test_other_subsets_have_all_classes(webvision, subset, target):
    bunch = load_webvision(webvision, subset=subset)
    assert bunch.target.tolist() == target
    assert len(bunch.target_names) == 1000
    val = load_webvision(webvision, subset=subset, part="val")
    assert val.target.tolist() == [50, 49]


def test_webvision_without_names_of_classes_has_numbers(webvision):
    (webvision / "info/synsets.txt").unlink()
    assert load_webvision(webvision).target_names == [str(i) for i in range(50)]
    with pytest.raises(ValueError, match="subset='maxi' is not valid. Choose one of 'mini'"):
        load_webvision(webvision, subset="maxi")


def test_line_that_cannot_be_read_is_shown(webvision):
    write(webvision, {"info/train_filelist_google.txt": ["google/q0001/a.jpg"]})
    with pytest.raises(ValueError, match=r"google\.txt: the line 'google/q0001/a\.jpg' is not"):
        load_webvision(webvision)


def test_label_without_a_class_is_refused(webvision):
    write(webvision, {"info/train_filelist_google.txt": ["google/q0001/a.jpg 1000"]})
    with pytest.raises(ValueError, match="labels from 1000 to 1000 .* 1000 classes"):
        load_webvision(webvision, subset="google")


def test_images_that_were_not_unpacked_are_asked_for(webvision):
    for name in MINI:
        (webvision / name).unlink()
    with pytest.raises(FileNotFoundError, match="none of the 5 images .* Unpack the archives"):
        load_webvision(webvision)


# Clothing1M -------------------------------------------------------------------------------------

ODD = "images/0/00/20 15,3 4.jpg"  # a comma and blanks in its name


@pytest.fixture(params=["", "annotations/"])
def clothing(request, tmp_path):
    root = request.param
    lists = {
        "noisy_label_kv.txt": [
            f"{ODD} 13",
            "images/1/01/b,b.jpg 0",
            "images/9/99/both.jpg 5",
            "images/1/01/b,b.jpg 0",
        ],
        "clean_label_kv.txt": ["images/9/99/both.jpg 6", "images/2/02/v.jpg 1"],
        # One without the folder, as some copies are.
        "noisy_train_key_list.txt": ["1/01/b,b.jpg", ODD, "images/1/01/b,b.jpg"],
        "clean_train_key_list.txt": ["images/9/99/both.jpg"],
        "clean_val_key_list.txt": ["images/2/02/v.jpg"],
        "clean_test_key_list.txt": ["images/9/99/both.jpg", "images/2/02/v.jpg"],
    }
    images = [ODD, "images/1/01/b,b.jpg", "images/9/99/both.jpg", "images/2/02/v.jpg"]
    return write(tmp_path, {f"{root}{name}": lines for name, lines in lists.items()}, images)


def test_clothing1m_has_the_labels_of_each_part(clothing):
    train = load_clothing1m(clothing)
    assert_rows(train, ["images/1/01/b,b.jpg", ODD], [0, 13])
    assert train.counts["doubled"] == 1
    assert train.target_true is None
    assert train.target_names[13] == "Underwear" and len(train.target_names) == 14
    for part, names, labels in (
        ("clean_train", ["images/9/99/both.jpg"], [6]),
        ("val", ["images/2/02/v.jpg"], [1]),
        ("test", ["images/9/99/both.jpg", "images/2/02/v.jpg"], [6, 1]),
    ):
        bunch = load_clothing1m(clothing, part=part)
        assert_rows(bunch, names, labels)
        assert bunch.target_true.tolist() == labels


def test_clothing1m_has_both_labels_where_there_are_both(clothing):
    both = load_clothing1m(clothing, part="both")
    assert_rows(both, ["images/9/99/both.jpg"], [5])
    assert both.target_true.tolist() == [6]
    # A training image with a label by hand, in some other release.
    root = clothing if (clothing / "clean_label_kv.txt").exists() else clothing / "annotations"
    with open(root / "clean_label_kv.txt", "a") as file:
        file.write(f"{ODD} 2\n")
    assert load_clothing1m(clothing).target_true.tolist() == [-1, 2]


def test_clothing1m_warns_of_labels_that_are_two_or_none(clothing):
    root = clothing if (clothing / "clean_label_kv.txt").exists() else clothing / "annotations"
    with open(root / "noisy_label_kv.txt", "a") as file:
        file.write(f"{ODD} 2\n")
    with pytest.warns(UserWarning, match="two labels to 1 images, as images/0/00/20 15") as seen:
        assert load_clothing1m(clothing).target.tolist() == [0, 13]
    assert seen[0].filename == __file__
    with open(root / "clean_val_key_list.txt", "a") as file:
        file.write("images/3/03/none.jpg\n")
    with pytest.warns(UserWarning, match="1 of 2 images of part='val' have no label"):
        assert load_clothing1m(clothing, part="val").target.tolist() == [1]
    (root / "clean_val_key_list.txt").write_text("images/3/03/none.jpg\n")
    with pytest.raises(ValueError, match="no image of part='val' has a label"):
        load_clothing1m(clothing, part="val")


# Food-101N --------------------------------------------------------------------------------------


@pytest.fixture
def food(tmp_path):
    meta = "Food-101N_release/meta/"
    lists = {
        f"{meta}classes.txt": ["class_name", "waffles", "apple_pie"],
        f"{meta}imagelist.tsv": [
            *("class_name/key", "waffles/k1.jpg", "apple_pie/k2.jpg", "apple_pie/k1.jpg"),
            *("waffles/k3.jpg", "apple_pie/k4.jpg"),
        ],
        f"{meta}verified_train.tsv": [
            "class_name/key\tverification_label",
            *("waffles/k1.jpg\t0", "apple_pie/k1.jpg\t1", "apple_pie/k1.jpg\t1"),
        ],
        f"{meta}verified_val.tsv": ["class_name/key\tverification_label", "waffles/k3.jpg\t1"],
        "food-101/meta/classes.txt": ["apple_pie", "waffles"],
    }
    images = [
        f"Food-101N_release/images/{line}" for line in lists[f"{meta}imagelist.tsv"] if "." in line
    ]
    test = {"waffles": ["waffles/9", "waffles/10"], "apple_pie": ["apple_pie/7"]}
    images += [f"food-101/images/{name}.jpg" for names in test.values() for name in names]
    write(tmp_path, lists, images)
    (tmp_path / "food-101/meta/test.json").write_text(json.dumps(test))
    return tmp_path


def test_food101n_has_sorted_classes_without_the_header(food):
    train = load_food101n(food)
    assert train.target_names == ["apple_pie", "waffles"]
    names = ["waffles/k1", "apple_pie/k2", "apple_pie/k1", "waffles/k3", "apple_pie/k4"]
    assert_rows(train, [f"images/{name}.jpg" for name in names], [1, 0, 0, 1, 0])


def test_food101n_knows_what_was_verified_and_no_more(food):
    train = load_food101n(food)
    # The image k1 is in two classes: wrong in one, right in the other.
    assert train.is_right.tolist() == [0, -1, 1, 1, -1]
    assert train.target_true.tolist() == [-1, -1, 0, 1, -1]
    verified = load_food101n(food, part="verified_train")
    assert_rows(verified, ["images/waffles/k1.jpg", "images/apple_pie/k1.jpg"], [1, 0])
    assert verified.is_right.tolist() == [0, 1]
    val = load_food101n(food / "Food-101N_release", part="verified_val")
    assert_rows(val, ["images/waffles/k3.jpg"], [1])
    left = load_food101n(food, leave_out=["images/waffles/k1.jpg"])
    assert left.is_right.tolist() == [-1, 1, 1, -1]


def test_food101n_without_verification_knows_nothing(food):
    for name in ("verified_train.tsv", "verified_val.tsv"):
        (food / "Food-101N_release/meta" / name).unlink()
    train = load_food101n(food)
    assert train.target_true is None and set(train.is_right) == {-1}
    with pytest.raises(FileNotFoundError, match=r"verified_val\.tsv"):
        load_food101n(food, part="verified_val")


def test_food101n_warns_of_verified_labels_of_another_class(food):
    # As the key a49e6fb26e356c6c41a37b5c18176355: verified in a class where it is not listed.
    with open(food / "Food-101N_release/meta/verified_train.tsv", "a") as file:
        file.write("waffles/k4.jpg\t0\n")
    with pytest.warns(UserWarning, match=r"1 labels were verified .* waffles/k4\.jpg") as seen:
        assert load_food101n(food).is_right.tolist() == [0, -1, 1, 1, -1]
    assert seen[0].filename == __file__


def test_test_set_is_that_of_food101(food):
    expected = [f"images/{name}.jpg" for name in ("apple_pie/7", "waffles/10", "waffles/9")]
    for folder in (food, food / "food-101", food / "Food-101N_release"):
        test = load_food101n(folder, part="test")
        assert_rows(test, expected, [0, 1, 1])
        assert test.target_true.tolist() == [0, 1, 1] and test.is_right.tolist() == [1, 1, 1]


def test_food101n_of_an_unknown_class_is_refused(food):
    with open(food / "Food-101N_release/meta/imagelist.tsv", "a") as file:
        file.write("soup/k9.jpg\n")
    with pytest.raises(ValueError, match=r"imagelist\.tsv names images of \['soup'\]"):
        load_food101n(food)


# ImageNet ---------------------------------------------------------------------------------------

WNIDS = ["n01440764", "n01443537", "n02084071"]


@pytest.fixture
def imagenet(tmp_path):
    return write(
        tmp_path,
        {"train/n01443537/notes.txt": [""], "train/readme.txt": [""]},
        [
            *("train/n01443537/b.JPEG", "train/n01443537/a.jpeg", "train/n01440764/c.JPEG"),
            *("train/n01440764/._c.JPEG", "train/n02084071/d.PNG", "val/n02084071/v.JPEG"),
        ],
    )


def write_devkit(folder, truth=(1, 2, 2)):
    """Write a devkit in which the numbers of classes are not those of the sorted WordNet ids."""
    dtype = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("num_children", "O")]
    rows = [(1, WNIDS[2], "dog", 0), (2, WNIDS[0], "tench", 0), (3, WNIDS[1], "goldfish", 0)]
    synsets = np.array([*rows, (4, "n00001740", "entity", 3)], dtype=dtype).reshape(-1, 1)
    data = folder / "ILSVRC2012_devkit_t12/data"
    data.mkdir(parents=True)
    savemat(data / "meta.mat", {"synsets": synsets})
    write(data, {"ILSVRC2012_validation_ground_truth.txt": truth})


def test_imagenet_has_classes_by_sorted_wordnet_ids(imagenet):
    train = load_imagenet(imagenet)
    names = ["n01440764/c.JPEG", "n01443537/a.jpeg", "n01443537/b.JPEG", "n02084071/d.PNG"]
    assert_rows(train, [f"train/{name}" for name in names], [0, 1, 1, 2])
    assert train.target_names == WNIDS
    assert train.target_true.tolist() == [0, 1, 1, 2]
    # The validation images have one class, and its number is that of the training images.
    val = load_imagenet(imagenet, part="val")
    assert_rows(val, ["val/n02084071/v.JPEG"], [2])
    assert val.target_names == WNIDS
    assert load_imagenet(imagenet, n_classes=1).target_names == WNIDS[:1]
    assert_rows(load_imagenet(imagenet, n_classes=1), ["train/n01440764/c.JPEG"], [0])


def test_imagenets_flat_validation_images_have_the_devkits_classes(imagenet):
    for path in (imagenet / "val/n02084071").iterdir():
        path.unlink()
    (imagenet / "val/n02084071").rmdir()
    names = [f"val/ILSVRC2012_val_{i:08}.JPEG" for i in (1, 2, 3)]
    write(imagenet, {"val/readme.txt": [""]}, names)
    with pytest.raises(FileNotFoundError, match="ILSVRC2012_devkit_t12/data/meta.mat"):
        load_imagenet(imagenet, part="val")
    write_devkit(imagenet)
    val = load_imagenet(imagenet, part="val")
    assert_rows(val, names, [2, 0, 0])  # not 0, 1, 1
    assert val.target_names == WNIDS
    assert [f["name"] for f in val.provenance["files"]] == [
        "meta.mat",
        "ILSVRC2012_validation_ground_truth.txt",
    ]
    assert load_imagenet(imagenet, part="val", n_classes=2).target.tolist() == [0, 0]


def test_imagenets_devkit_that_does_not_fit_is_refused(imagenet):
    (imagenet / "val/n02084071/v.JPEG").unlink()
    write(imagenet, {}, ["val/ILSVRC2012_val_00000003.JPEG"])
    write_devkit(imagenet, truth=(1, 2))
    with pytest.raises(ValueError, match="has 2 lines: none for ILSVRC2012_val_00000003"):
        load_imagenet(imagenet, part="val")
    truth = imagenet / "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt"
    truth.write_text("1\n2\n4\n")
    with pytest.raises(ValueError, match=r"has the classes \[4\], which are not in"):
        load_imagenet(imagenet, part="val")


def test_imagenets_classes_are_numbered_with_those_of_the_devkit(imagenet):
    write_devkit(imagenet)
    for path in (imagenet / "train/n01440764").iterdir():
        path.unlink()
    (imagenet / "train/n01440764").rmdir()
    assert load_imagenet(imagenet).target.tolist() == [1, 1, 2]


def test_imagenet_that_was_not_unpacked_is_asked_for(tmp_path):
    write(tmp_path, {"train/n01440764.tar": [""]})
    with pytest.raises(FileNotFoundError, match="Unpack the inner archives"):
        load_imagenet(tmp_path)
    with pytest.raises(ValueError, match="n_classes must be an integer at least 1"):
        load_imagenet(tmp_path, n_classes=0)


# ANIMAL-10N -------------------------------------------------------------------------------------


@pytest.mark.parametrize("root", ["", "raw_image/", "raw_image_ver/raw_image/"])
def test_animal10n_has_labels_by_the_names(tmp_path, root):
    names = ["9_b.JPG", "0_12.jpg", "0_a_3.jpg", "3_c.jpeg"]
    images = [f"{root}training/{name}" for name in names]
    write(tmp_path, {f"{root}training/Thumbs.db": [""]}, [*images, f"{root}testing/5_x.jpg"])
    train = load_animal10n(tmp_path)
    expected = ["0_12.jpg", "0_a_3.jpg", "3_c.jpeg", "9_b.JPG"]  # sorted
    assert_rows(train, [f"training/{name}" for name in expected], [0, 0, 3, 9])
    assert train.target_true is None
    assert train.target_names[5] == "jaguer" and len(train.target_names) == 10
    test = load_animal10n(tmp_path, part="test")
    assert_rows(test, ["testing/5_x.jpg"], [5])
    assert test.target_true.tolist() == [5]


def test_animal10n_without_a_label_in_a_name_is_refused(tmp_path):
    write(tmp_path, {}, ["training/cat.jpg"])
    with pytest.raises(ValueError, match=r"cat\.jpg does not begin with a label"):
        load_animal10n(tmp_path)
