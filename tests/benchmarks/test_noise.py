import numpy as np
import pytest
from protocol.noise import Noise, get_noisy_labels

from crust_sklearn import make_label_noise

TRUE = np.arange(200) % 4
NAME, NOISE = "letter 60/40 symmetric 50%", Noise("symmetric", 0.5)


def get(folder, true=TRUE, seed=3):
    return get_noisy_labels(folder, NAME, NOISE, None, true, seed)


def test_manifest_reproduces_the_labels_without_drawing_again(tmp_path, monkeypatch):
    drawn = get(tmp_path)
    expected = make_label_noise(TRUE, "symmetric", 0.5, random_state=np.random.RandomState(3)).y
    np.testing.assert_array_equal(drawn, expected)
    monkeypatch.setattr(Noise, "draw", None)
    np.testing.assert_array_equal(get(tmp_path), drawn)
    assert drawn.dtype == TRUE.dtype


def test_manifest_says_seed_rows_and_labels(tmp_path):
    drawn = get(tmp_path)
    (path,) = tmp_path.iterdir()
    assert path.name == "letter_60-40_symmetric_50_3.npz"
    with np.load(path) as manifest:
        np.testing.assert_array_equal(manifest["rows"], np.flatnonzero(drawn != TRUE))
        np.testing.assert_array_equal(manifest["was"], TRUE[drawn != TRUE])
        np.testing.assert_array_equal(manifest["became"], drawn[drawn != TRUE])
        assert manifest["seed"] == 3


def test_every_seed_has_a_manifest_of_its_own(tmp_path):
    assert (get(tmp_path, seed=3) != get(tmp_path, seed=4)).any()
    assert len(list(tmp_path.iterdir())) == 2


def test_manifest_of_other_labels_is_refused(tmp_path):
    drawn = get(tmp_path)
    other = TRUE.copy()
    right = np.flatnonzero(drawn == TRUE)[0]  # a row of which the manifest says nothing
    other[right] = (other[right] + 1) % 4
    with pytest.raises(ValueError, match="other true labels.*--noise"):
        get(tmp_path, other)
