import codecs
import io
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch

from crust_sklearn.datasets.safe_pickle import load_label_file, load_pickle

CONTENT = {"data": np.arange(12, dtype=np.uint8).reshape(2, 6), "labels": [3, 5]}


class Malicious:
    """Makes a file when it is loaded."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def get_payloads(victim):
    """Return objects whose pickles make a file, in ways that others have used."""
    make = f"open({str(victim)!r}, 'w').close()"
    return {
        "os.system": Malicious(os.system, f"touch {victim}"),
        "eval": Malicious(eval, make),
        "exec": Malicious(exec, make),
        "os.mkdir": Malicious(os.mkdir, str(victim)),
        "numpy": Malicious(np.save, str(victim), [1]),
        "beside arrays": {**CONTENT, "more": Malicious(os.system, f"touch {victim}")},
        "in an array": np.array([Malicious(os.system, f"touch {victim}")], dtype=object),
    }


PAYLOADS = list(get_payloads(""))


@pytest.fixture
def victim(tmp_path):
    return tmp_path / "victim"


def write(path, content):
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", PAYLOADS)
def test_payloads_work_where_pickles_are_trusted(victim, name):
    """Else the tests below would pass for another reason."""
    pickle.loads(pickle.dumps(get_payloads(victim)[name]))
    assert victim.exists() or victim.with_suffix(".npy").exists()


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("name", PAYLOADS)
def test_pickle_with_a_payload_is_refused(tmp_path, victim, name, protocol):
    path = write(tmp_path / "batch", pickle.dumps(get_payloads(victim)[name], protocol))
    with pytest.raises(ValueError, match=r"batch is refused: it asks for .* Nothing of it was run"):
        load_pickle(path)
    assert os.listdir(tmp_path) == ["batch"]


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("name", PAYLOADS)
def test_pt_file_with_a_payload_is_refused(tmp_path, victim, name, is_zip):
    path = tmp_path / "labels.pt"
    torch.save(get_payloads(victim)[name], path, _use_new_zipfile_serialization=is_zip)
    with pytest.raises(ValueError, match=r"labels.pt is refused: .* Nothing of it was run"):
        load_label_file(path)
    assert os.listdir(tmp_path) == ["labels.pt"]


@pytest.mark.parametrize("name", PAYLOADS)
def test_npy_file_with_a_payload_is_refused(tmp_path, victim, name):
    path = tmp_path / "labels.npy"
    content = np.empty((), dtype=object)
    content[()] = {"payload": get_payloads(victim)[name]}
    np.save(path, content)
    with pytest.raises(ValueError, match=r"labels.npy is refused: it asks for"):
        load_label_file(path)
    assert os.listdir(tmp_path) == ["labels.npy"]


def test_bytes_are_decoded_as_latin1_alone(tmp_path):
    """Other codecs decompress, or import modules."""
    text = pickle.dumps(b"abc", 2).replace(b"latin1", b"rot13 "[:6])
    with pytest.raises(ValueError, match="encodes text as 'rot13 '"):
        load_pickle(write(tmp_path / "batch", text))


class Python2Pickler(pickle._Pickler):
    """Writes str as Python 2 did, without an encoding, and NumPy's names of the time."""

    dispatch = pickle._Pickler.dispatch.copy()

    def save_string(self, text):
        text = text.encode("latin1") if isinstance(text, str) else text
        self.write(pickle.BINSTRING + len(text).to_bytes(4, "little") + text)
        self.memoize(text)

    dispatch[str] = dispatch[bytes] = save_string


def dump_as_python2(content):
    file = io.BytesIO()
    Python2Pickler(file, 2).dump(content)
    return file.getvalue().replace(b"numpy._core", b"numpy.core")  # by NumPy 2


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
def test_pickles_of_arrays_are_read(tmp_path, protocol):
    found = load_pickle(write(tmp_path / "batch", pickle.dumps(CONTENT, protocol)))
    np.testing.assert_array_equal(found["data"], CONTENT["data"])
    assert found["data"].dtype == np.uint8
    assert found["labels"] == [3, 5]


def test_pickles_of_python_2_are_read(tmp_path):
    content = dump_as_python2({**CONTENT, "filenames": ["a.png", "b.png"]})
    assert b"numpy.core.multiarray" in content and b"latin1" not in content
    found = load_pickle(write(tmp_path / "batch", content))
    np.testing.assert_array_equal(found[b"data"], CONTENT["data"])
    assert found[b"labels"] == [3, 5]
    assert found[b"filenames"] == [b"a.png", b"b.png"]


@pytest.mark.parametrize("core", ["numpy.core", "numpy._core"])
def test_pt_files_of_both_numpys_are_read(tmp_path, core):
    path = tmp_path / "labels.pt"
    labels = {"clean_label": np.arange(5), "coarse": [1, 2], "tensor": torch.arange(3)}
    torch.save(labels, tmp_path / "own.pt")
    with zipfile.ZipFile(tmp_path / "own.pt") as own, zipfile.ZipFile(path, "w") as other:
        for name in own.namelist():
            content = own.read(name)
            for written in (b"numpy._core.multiarray", b"numpy.core.multiarray"):
                content = content.replace(written, b"numpy.@.multiarray")
            other.writestr(name, content.replace(b"numpy.@", core.encode()))
    found = load_label_file(path)
    np.testing.assert_array_equal(found["clean_label"], np.arange(5))
    assert found["coarse"] == [1, 2]
    assert found["tensor"].tolist() == [0, 1, 2]


def test_npy_file_of_a_dict_is_read(tmp_path):
    path = tmp_path / "labels.npy"
    np.save(path, {"clean_label": np.arange(5)})
    np.testing.assert_array_equal(load_label_file(path)["clean_label"], np.arange(5))


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps(CONTENT, 2)[:-20]])
@pytest.mark.parametrize("name", ["labels.pt", "labels.npy", "batch"])
def test_damaged_files(tmp_path, content, name):
    path = write(tmp_path / name, content)
    with pytest.raises(ValueError, match=name):
        load_pickle(path) if name == "batch" else load_label_file(path)


@pytest.mark.parametrize("name", ["labels.pt", "labels.npy"])
def test_file_that_is_no_dict(tmp_path, name):
    path = tmp_path / name
    if name.endswith("pt"):
        torch.save(torch.arange(3), path)
    else:
        np.save(path, np.arange(3))
    with pytest.raises(ValueError, match=f"{name} holds no dict of labels"):
        load_label_file(path)


# -- addresses and offsets ------------------------------------------------------------------


class Filled:
    """Calls something, and fills what it gives with a state."""

    def __init__(self, function, args, state):
        self.parts = function, args, state

    def __reduce__(self):
        return self.parts


POINTERS = Malicious(np.ndarray, (2,), np.dtype("O"), b"\x41" * 16)
FAR = (3, "|", None, ("a",), {"a": (np.dtype("i8"), 1 << 20)}, 8, 1, 0)
BLANK = np.empty(0).__reduce__()[0], (np.ndarray, (0,), b"b")
FORGED = {
    "objects at addresses": POINTERS,
    "compared": Malicious(codecs.encode, POINTERS, POINTERS),
    "a dtype with an offset": Filled(np.dtype, ("V8", False, True), FAR),
    "an offset in a dtype of numbers": Filled(np.dtype, ("i8", False, True), FAR),
    "another size": Filled(np.dtype, ("S5", False, True), (3, "|", None, None, None, 500, 1, 0)),
    "objects out of bytes": Filled(*BLANK, (1, (2,), np.dtype("O"), False, b"\x41" * 16)),
    "more rows than bytes": Filled(*BLANK, (1, (9,), np.dtype("i8"), False, b"\x41" * 16)),
    "less than no rows": Filled(*BLANK, (1, (-1, -2), np.dtype("i8"), False, b"\x41" * 16)),
    "another class": Filled(
        BLANK[0], (np.memmap, (0,), b"b"), (1, (0,), np.dtype("i8"), False, b"")
    ),
}


@pytest.mark.parametrize("name", FORGED)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_memory_is_not_read_where_a_file_says(tmp_path, name, protocol):
    path = write(tmp_path / "batch", pickle.dumps({"data": FORGED[name]}, protocol))
    with pytest.raises(ValueError, match=r"batch (is refused|cannot be read)"):
        load_pickle(path)


@pytest.mark.parametrize("name", FORGED)
def test_memory_is_not_read_where_a_pt_file_says(tmp_path, name):
    torch.save({"labels": FORGED[name]}, tmp_path / "labels.pt")
    with pytest.raises(ValueError, match=r"labels.pt (is refused|cannot be read)"):
        load_label_file(tmp_path / "labels.pt")


@pytest.mark.parametrize("dtype", ["u1", ">i4", "<i8", "f4", "?", "U3", "S4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_are_what_they_were(tmp_path, dtype, order):
    array = np.array(np.arange(6).reshape(2, 3).astype(dtype), order=order)
    found = load_pickle(write(tmp_path / "batch", pickle.dumps([array, {"a": (array,)}], 2)))
    for other in (found[0], found[1]["a"][0]):
        assert type(other) is np.ndarray
        assert other.dtype == array.dtype.newbyteorder("=")
        np.testing.assert_array_equal(other, array)
