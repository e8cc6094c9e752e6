"""apply_review: what decisions from anywhere do to labels of any kind; what is refused."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_array_equal

from crust_sklearn import LabelAuditor, apply_review, find_label_issues
from crust_sklearn.review.lookup import Lookup

Y = np.array(["cat", "dog", "cat", "emu"])
# Row 1 is changed, 2 kept, 3 dropped; nothing is said of row 0.
TABLE = "row,decision,new_label\n3,drop,\n1,change,cat\n2,keep,\n"
RECORDS = [
    {"row": 3, "decision": "drop"},
    {"row": 1, "decision": "change", "new_label": "cat"},
    {"row": 2, "decision": "keep"},
]


def write(folder, text, name="review.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def check(reviewed):
    assert_array_equal(reviewed.y, ["cat", "cat", "cat", "emu"])
    assert_array_equal(reviewed.is_kept, [True, True, True, False])
    assert_array_equal(reviewed.decision, ["", "change", "keep", "drop"])


# -- where decisions come from ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (TABLE, "utf-8"),
        (TABLE, "utf-8-sig"),
        (TABLE.replace("\n", "\r\n"), "utf-8"),
        (TABLE.replace(",", ";"), "utf-8-sig"),
        (TABLE.replace(",", "\t"), "utf-8"),
        (TABLE.replace("drop", " DROP ").replace("row", "Row "), "utf-8"),
        (TABLE.replace("drop", "d").replace("change", "C").replace("keep", "k"), "utf-8"),
        (TABLE.replace("change", ""), "utf-8"),  # a new label is enough
        (TABLE + ",,\n\n0,,\n", "utf-8"),
        (TABLE + "1,change,cat\n1,,\n", "utf-8"),  # said twice; and not undone by nothing
        ("note,new_label,row,decision\nx,,3,drop\n,cat,1,change\n,,2,keep\n", "utf-8"),
        ('"row","decision","new_label"\n"3.0","drop",""\n"1.0",,"cat"\n"2.0","keep",""\n', "utf-8"),
    ],
)
def test_a_table_in_a_file(tmp_path, text, encoding):
    path = write(tmp_path, text, encoding=encoding)
    check(apply_review(Y, path))
    check(apply_review(Y, str(path)))


def test_a_file_of_json(tmp_path):
    check(apply_review(Y, write(tmp_path, json.dumps(RECORDS), "review.json")))


@pytest.mark.parametrize(
    "decisions",
    [
        RECORDS,
        iter(RECORDS),
        pd.DataFrame(RECORDS),
        pd.DataFrame(RECORDS).set_index("row"),
        pd.DataFrame(RECORDS).astype({"row": float}),
        pd.DataFrame(RECORDS).convert_dtypes(),
    ],
)
def test_records_and_frames(decisions):
    check(apply_review(Y, decisions))


def test_the_list_of_issues_itself():
    X = np.repeat([[0.0], [1.0]], 20, axis=0)
    y = np.repeat(["a", "b"], 20)
    y[[3, 30]] = ["b", "a"]
    issues = find_label_issues(LabelAuditor().fit(X, y))
    reviewed = apply_review(y, issues.assign(decision="change"))
    assert_array_equal(reviewed.y, np.repeat(["a", "b"], 20))
    assert_array_equal(np.flatnonzero(reviewed.decision == "change"), [3, 30])


def test_nothing_decided():
    reviewed = apply_review(Y, [])
    assert_array_equal(reviewed.y, Y)
    assert reviewed.is_kept.all()
    assert not (reviewed.decision != "").any()


# -- labels and rows of any kind --------------------------------------------------------------


@pytest.mark.parametrize(
    ("y", "new", "expected"),
    [
        ([1, 2, 1], "2", [1, 2, 2]),
        ([1, 2, 1], "2.0", [1, 2, 2]),
        ((1, 2, 1), 2, (1, 2, 2)),
        (["a", "b, c", "a"], "b, c", ["a", "b, c", "b, c"]),
        ([True, False, True], "FALSE", [True, False, False]),
        (np.array([1.0, 2.0, 1.0]), "2,0", np.array([1.0, 2.0, 2.0])),
        (np.array([-1, 1, -1], np.int8), 1, np.array([-1, 1, 1], np.int8)),
        (np.array([1, -1, 1], np.int8), "-1", np.array([1, -1, -1], np.int8)),
        (np.array(["a", "b"] * 2, object)[:3], "b", np.array(["a", "b", "b"], object)),
        (np.array([["a"], ["b"], ["a"]]), "b", np.array([["a"], ["b"], ["b"]])),
        (np.array(["007", "010", "007"]), "10", np.array(["007", "010", "010"])),
        (np.array(["1", "01", "1"]), "01", np.array(["1", "01", "01"])),
        (np.array(["a", "b\r\nc", "a"]), "b\nc ", np.array(["a", "b\r\nc", "b\r\nc"])),
        (np.array(["a", "é", "a"]), "e\u0301", np.array(["a", "é", "é"])),
        (torch.tensor([5, 9, 5]), "9", torch.tensor([5, 9, 9])),
        (torch.tensor([[5], [9], [5]]), 9, torch.tensor([[5], [9], [9]])),
        (torch.tensor([True, False, True]), "FALSE", torch.tensor([True, False, False])),
        (
            torch.tensor([[True], [False], [True]]),
            "False",
            torch.tensor([[True], [False], [False]]),
        ),
        (pd.Series([1, 2, 1], name="y"), 2, pd.Series([1, 2, 2], name="y")),
        (
            pd.Series([True, False, True], dtype="boolean"),
            "false",
            pd.Series([True, False, False], dtype="boolean"),
        ),
        (pd.Series([1, 2, 1], dtype="Int64"), 2, pd.Series([1, 2, 2], dtype="Int64")),
        (pd.Series(list("aba"), dtype="string"), "b", pd.Series(list("abb"), dtype="string")),
        (pd.Series(list("aba"), dtype="category"), "b", pd.Series(list("abb"), dtype="category")),
    ],
)
@pytest.mark.filterwarnings("ignore:A column-vector y")
def test_labels_keep_their_type(y, new, expected):
    before = str(y)
    reviewed = apply_review(y, [{"row": 2, "new_label": new}])
    assert type(reviewed.y) is type(expected)
    if isinstance(expected, pd.Series):
        pd.testing.assert_series_equal(reviewed.y, expected)
    elif isinstance(expected, list | tuple):
        assert reviewed.y == expected
        assert [type(label) for label in reviewed.y] == [type(label) for label in expected]
    else:
        assert reviewed.y.dtype == expected.dtype
        assert_array_equal(reviewed.y, expected)
    assert str(y) == before, "y itself has changed"


@pytest.mark.parametrize(
    ("y", "classes", "dtype"),
    [
        (np.array(["a", "b"]), ["a", "b", "longer"], "<U6"),
        (np.array(["a", "b"]), ["longer"], "<U6"),
        (np.array([1, 2], np.int8), [1, 2, 300], np.int64),
        (np.array([1, 2], np.int8), [1, 2, 3], np.int8),
        (pd.Series(["a", "b"], dtype="category"), ["a", "b", "longer"], None),
        (np.array([True, False]), [False, True, 2], np.int64),
        (torch.tensor([True, False]), [0, 1, 2], torch.int64),
        (torch.tensor([[True], [False]]), [0, 1, 2], torch.int64),
        (torch.tensor([1, 2], dtype=torch.uint8), [1, 2, 300], torch.int64),
        (torch.tensor([1, 2], dtype=torch.uint8), [1, 2, 3], torch.uint8),
        (torch.tensor([1.0, 2.0]), [1, 2, 3], torch.float32),
        (pd.Series([True, False], dtype="boolean"), [0, 1, 2], np.int64),
        (pd.Series([True, False]), [0, 1, 2], np.int64),
    ],
)
@pytest.mark.filterwarnings("ignore:A column-vector y")
def test_a_new_class(y, classes, dtype):
    reviewed = apply_review(y, [{"row": 1, "new_label": classes[-1]}], classes=classes)
    assert list(reviewed.y) == [y[0], classes[-1]]
    assert dtype is None or reviewed.y.dtype == dtype


@pytest.mark.parametrize(
    ("index", "name"),
    [
        (["x", "y", "z"], "y"),
        ([30, 10, 20], 10),
        (["007", "008", "009"], "8"),
        (["=1+1", "=2+2", "3"], "'=2+2"),
        (pd.date_range("2026-01-01", periods=3), pd.Timestamp("2026-01-02")),
        (pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)]), ("a", 2)),
    ],
)
def test_rows_by_name(index, name):
    decisions = [{"row": name, "decision": "drop"}]
    for y, given in ((pd.Series([1, 2, 1], index=index), None), ([1, 2, 1], index)):
        reviewed = apply_review(y, decisions, index=given)
        assert_array_equal(reviewed.is_kept, [True, False, True])


def test_a_change_to_the_given_label_is_none():
    reviewed = apply_review(Y, [{"row": 1, "decision": "change", "new_label": "dog"}])
    assert reviewed.decision[1] == "keep"


def test_a_change_without_a_new_label_is_to_the_suggested_one():
    line = {"row": 1, "decision": "change", "new_label": None, "suggested_label": "emu"}
    assert apply_review(Y, [line]).y[1] == "emu"


def test_the_empty_text_is_a_label():
    reviewed = apply_review(["", "a", "b"], [{"row": 1, "new_label": "'", "suggested_label": "b"}])
    assert reviewed.y == ["", "", "b"]


def test_the_mask_is_a_sample_weight():
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=40)
    X = y[:, None] + rng.normal(size=(40, 1))
    reviewed = apply_review(y, [{"row": row, "decision": "drop"} for row in range(0, 40, 5)])
    by_weight = LabelAuditor().fit(X, reviewed.y, sample_weight=reviewed.is_kept)
    by_mask = LabelAuditor().fit(X[reviewed.is_kept], reviewed.y[reviewed.is_kept])
    np.testing.assert_allclose(by_weight.noise_rate_, by_mask.noise_rate_)


# -- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ("4,drop,", "line 2: there is no row '4' in y, whose rows are 0 to 3"),
        ("-1,drop,", "there is no row '-1'"),
        ("0.5,drop,", "there is no row '0.5'"),
        ("cat,drop,", "there is no row 'cat'"),
        ("1,,cow", r"new label 'cow', which is not among the classes: 'cat', 'dog', 'emu'"),
        ("1,,cats", "Did you mean 'cat'"),
        ("2,keep,\n1,remove,", "line 3: row '1' has the decision 'remove'. Choose one of"),
        ("1,change,", "row '1' is to be changed, and neither new_label nor suggested_label"),
        ("1,keep,cat", "row '1' has the decision 'keep' and the new label 'cat'"),
        ("1,drop,cow", "new label 'cow', which is not among"),
        ("1,,cat\n2,keep,\n1,drop,", "line 4: row '1' is to be dropped, and .*line 2 says changed"),
        ("1,,cat\n1,,emu", "to be changed to 'emu', and .*, line 2 says changed to 'cat'"),
        (",drop,", "there is a decision, and no row"),
        ('1,drop,"', "line 2, is not CSV"),
    ],
)
def test_refused_lines(tmp_path, lines, sentence):
    path = write(tmp_path, f"row,decision,new_label\n{lines}\n")
    with pytest.raises(ValueError, match=sentence) as caught:
        apply_review(Y, path)
    assert "review.csv, line" in str(caught.value)


def test_the_line_is_told_also_after_cells_of_several(tmp_path):
    path = write(tmp_path, 'row,decision,note\n1,keep,"a\nb\nc"\n9,drop,\n')
    with pytest.raises(ValueError, match="line 5: there is no row '9'"):
        apply_review(Y, path)


def test_decisions_about_other_labels_are_refused():
    line = {"row": 1, "given_label": "emu", "decision": "keep"}
    with pytest.raises(ValueError, match="reviewed with the label 'emu', and has 'dog' in y"):
        apply_review(Y, [line])
    assert apply_review(Y, [line | {"given_label": ""}]).decision[1] == "keep"


def test_names_and_labels_that_several_have():
    with pytest.raises(ValueError, match="2 rows of y are called 'a'"):
        apply_review(pd.Series([1, 2, 1], index=list("aba")), [{"row": "a", "decision": "drop"}])
    with pytest.raises(ValueError, match="may be any of .*'01'"):
        apply_review(["1", "01", "2"], [{"row": 2, "new_label": "1.0"}])


@pytest.mark.parametrize(
    ("text", "name", "sentence"),
    [
        ("a,b\n1,2\n", "x.csv", r"x.csv has the columns \['a', 'b'\]"),
        ("row\n1\n", "x.csv", "and 'decision' or 'new_label' or both"),
        ("", "x.csv", r"has the columns \[\]"),
        ("[{", "x.json", "x.json is not JSON"),
        ('[{"decision": "drop"}]', "x.json", "x.json, entry 1, has the columns"),
    ],
)
def test_refused_files(tmp_path, text, name, sentence):
    with pytest.raises(ValueError, match=sentence):
        apply_review(Y, write(tmp_path, text, name))


def test_a_file_in_another_encoding(tmp_path):
    path = write(tmp_path, "row,new_label\n1,é\n", encoding="cp1252")
    with pytest.raises(ValueError, match="not in UTF-8.*CSV UTF-8"):
        apply_review(Y, path)


@pytest.mark.parametrize("decisions", [3, None, {"row": 1}, [1, 2], b"review.csv"])
def test_refused_kinds(decisions):
    with pytest.raises(TypeError, match="give the path of a review file, or a DataFrame"):
        apply_review(Y, decisions)


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        apply_review(Y, tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"index": ["a"]}, "index has 1 entries, and 4 rows"),
        ({"classes": [1, 2]}, "Some labels are strings and some are numbers"),
        ({"classes": []}, "classes holds no rows"),
    ],
)
def test_refused_parameters(parameters, sentence):
    with pytest.raises(ValueError, match=sentence):
        apply_review(Y, RECORDS, **parameters)


def test_texts_go_before_meanings():
    lookup = Lookup(["1", "1.0", "=1", "'=1", "a "])
    assert lookup.find("1.0") == [1]
    assert lookup.find("1.00") == [0, 1]
    assert lookup.find("'=1") == [2]
    assert lookup.find("''=1") == [3]
    assert lookup.find("a") == [4]
