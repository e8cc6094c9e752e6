"""The binary form of ANIMAL-10N: records of an id, a label and an image."""

import numpy as np
import pytest

from crust_sklearn.datasets import load_animal10n


def write_records(path, ids, labels, order):
    rng = np.random.default_rng(len(labels))
    images = rng.integers(0, 256, (len(ids), 3, 64, 64)).astype(np.uint8)
    with open(path, "wb") as file:
        for number, label, image in zip(ids, labels, images, strict=True):
            file.write(np.array([number, label], dtype=f"{order}i4").tobytes() + image.tobytes())
    return images


@pytest.mark.parametrize("order", "<>")
def test_animal10n_reads_the_binary_form_in_either_byte_order(tmp_path, order):
    second = write_records(tmp_path / "data_batch_2.bin", [7], [3], order)
    first = write_records(tmp_path / "data_batch_1.bin", [5, 6], [9, 0], order)
    tenth = write_records(tmp_path / "data_batch_10.bin", [8, 9, 10], [1, 1, 2], order)
    test = write_records(tmp_path / "test_batch.bin", [1], [4], order)
    train = load_animal10n(tmp_path)
    images = np.concatenate([first, second, tenth])  # by number, not by name
    assert train.target.tolist() == [9, 0, 3, 1, 1, 2]
    assert train.filenames.tolist()[:3] == [
        *("data_batch_1.bin#5", "data_batch_1.bin#6", "data_batch_2.bin#7"),
    ]
    for i, (X, y) in enumerate(train.data):
        np.testing.assert_allclose(X, images[i] / np.float32(255))
        assert y == train.target[i]
    assert [f["name"] for f in train.provenance["files"]][1:] == [
        *("data_batch_2.bin", "data_batch_10.bin"),
    ]
    tested = load_animal10n(tmp_path, part="test")
    np.testing.assert_array_equal(tested.data.images, test)
    assert tested.target_true.tolist() == [4]
    left = load_animal10n(tmp_path, leave_out=["data_batch_1.bin#6"])
    assert left.target.tolist() == [9, 3, 1, 1, 2]
    np.testing.assert_array_equal(left.data.images[1], second[0])
    with pytest.raises(ValueError, match="size=32: images of the binary form"):
        load_animal10n(tmp_path, size=32)


def test_animal10ns_damaged_records_are_refused(tmp_path):
    path = tmp_path / "data_batch_1.bin"
    write_records(path, [5], [10], "<")
    with pytest.raises(ValueError, match=r"in neither byte order are all labels in 0\.\.9"):
        load_animal10n(tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="12295 bytes, which is not a number of records of 12296"):
        load_animal10n(tmp_path)
