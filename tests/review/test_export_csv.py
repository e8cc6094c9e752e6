"""export_review_csv: what is in the table, and what comes back when it was filled in."""

import csv
import io
import random
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn.exceptions import NotFittedError

from crust_sklearn import LabelAuditor, apply_review, export_review_csv
from crust_sklearn.labels import check_labels
from crust_sklearn.review.cells import quote, unquote

# Any text that UTF-8 can hold; NumPy drops zeros from the end of a text.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
NASTY = st.sampled_from(
    [
        "",
        "'",
        "=1+1",
        "'=1+1",
        "''",
        "-1",
        "@SUM(A1)",
        "+a",
        "a,b",
        "a;b",
        'a"b',
        "a\nb",
        "\r\n",
        "\t",
    ]
    + [
        "x;=1+1",
        "x,@y",
        "a\t+2",
        'q";"=2',
        "c\r\n =3",
        "x;'-4",
        "NA",
        "'null",
        "None",
        "nan",
        "<NA>",
    ]
    + ["007", "7", "7.0", "True", "TRUE", "1e3", "1000", " a", "a ", "é", "e\u0301", "<b>", "k"]
)
LABELS = st.one_of(
    st.lists(TEXTS | NASTY, min_size=2, max_size=5, unique=True),
    st.lists(st.integers(-(2**40), 2**40), min_size=2, max_size=5, unique=True),
    st.lists(st.integers(-5, 5).map(float), min_size=2, max_size=5, unique=True),
    st.just([False, True]),
)


def write(clf, folder, *args, **params):
    path = Path(folder) / "review.csv"
    export_review_csv(clf, path, *args, **params)
    return path


def read(path):
    text = path.read_bytes().decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_what_is_written(tmp_path, judged):
    clf = judged(["a", "b", "=b", "a"], quality=[0.3, 0.7, 0.1, np.nan])
    path = write(clf, tmp_path)
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    assert path.read_text(encoding="utf-8-sig").splitlines() == [
        "row,given_label,suggested_label,score,decision,new_label",
        "2,'=b,a,0.1000,,",
        "0,a,b,0.3000,,",
    ]


def test_nothing_to_decide(tmp_path, judged):
    path = write(judged(["a", "b"], quality=[0.9, 0.9]), tmp_path)
    assert read(path) == []
    assert apply_review(["a", "b"], path).y == ["a", "b"]


def test_the_worst_only_and_rows_by_name(tmp_path, judged):
    y = pd.Series([1, 2, 1], index=["-x", "y", "z"])
    rows = read(write(judged(y), tmp_path, y, n_issues=2))
    assert [row["row"] for row in rows] == ["'-x", "y"]
    rows = read(write(judged(y), tmp_path, index=[7, 8, 9]))
    assert [row["row"] for row in rows] == ["7", "8", "9"]


@pytest.mark.parametrize(
    ("args", "params", "error", "sentence"),
    [
        ([[1, 1]], {}, ValueError, "y is not what was given"),
        ([], {"index": [1]}, ValueError, "index has 1 entries"),
        ([], {"index": ["a", "a"]}, ValueError, "Several rows are called 'a'"),
        ([], {"index": ["01", "1"]}, None, None),
        ([], {"n_issues": 0}, ValueError, "n_issues must be"),
        ([], {"n_issues": 1.5}, TypeError, "n_issues must be"),
    ],
)
def test_refused(tmp_path, judged, args, params, error, sentence):
    clf = judged([1, 2])
    if error is None:
        write(clf, tmp_path, *args, **params)
    else:
        with pytest.raises(error, match=sentence):
            write(clf, tmp_path, *args, **params)


def test_not_fitted(tmp_path):
    with pytest.raises(NotFittedError):
        write(LabelAuditor(), tmp_path)


@pytest.mark.parametrize("text", ["=1+1", "+x", "-x", "@x", "\tx", "\rx", "\nx", "'=x", "", "'"])
def test_no_cell_begins_as_a_formula_does(text):
    assert quote(text)[0] == "'"
    assert unquote(quote(text)) == text


@given(TEXTS | NASTY | st.text("'=-;, \t\n\"aNA", max_size=12))
def test_quoting_can_be_taken_back(text):
    assert unquote(quote(text)) == text


def begins_formula(cell):
    return cell.lstrip(" \"'\t\r\n") != "" and cell.strip(' "\t\r\n')[:1] in {"=", "+", "@", "-"}


@pytest.mark.parametrize("text", ["x;=1+1", "x,=1", "a\t+2", 'q;"=2"', "x; =3", "c\n@x", ";;-4+a"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_no_formula_in_a_table_that_is_opened_with_another_separator(
    tmp_path, judged, text, delimiter
):
    path = write(judged([text, "b"]), tmp_path)
    lines = path.read_bytes().decode("utf-8-sig").splitlines()
    # As a reader that knows no quotes splits it, which is the worst.
    cells = [cell for line in lines for cell in line.split(delimiter)]
    assert not any(map(begins_formula, cells))
    assert begins_formula(text.replace(delimiter, ";").split(";")[-1]) or delimiter not in text
    filled = [{"row": 1, "new_label": read(path)[0]["given_label"]}]
    assert apply_review([text, "b"], filled).y == [text, text]


@pytest.mark.parametrize("sep", [",", ";"])
def test_classes_that_pandas_takes_for_missing(tmp_path, judged, sep):
    y = ["NA", "null", "None", "nan", "N/A", "", "#NA", "<NA>", "x"]
    path = write(judged(y), tmp_path)
    frame = pd.read_csv(path)
    assert not frame[["given_label", "suggested_label"]].isna().any().any()
    frame["decision"] = "change"
    frame.to_csv(path, sep=sep, index=False)
    expected = judged(y).suggested_labels_.tolist()
    assert apply_review(y, path).y == expected
    assert apply_review(y, frame).y == expected


@pytest.mark.parametrize(
    ("y", "index", "sentence"),
    [
        (["a", "b\ud800"], None, r"The label 'b\\ud800' cannot be written in UTF-8.*other labels"),
        (["a", "b"], ["x", "\udfff"], r"The name '\\udfff' cannot be written.*by `index`"),
    ],
)
def test_half_a_surrogate_pair_leaves_the_file_that_is_there(tmp_path, judged, y, index, sentence):
    path = tmp_path / "review.csv"
    path.write_text("decided")
    with pytest.raises(ValueError, match=sentence):
        write(judged(y), tmp_path, index=index)
    assert path.read_text() == "decided"
    assert [file.name for file in tmp_path.iterdir()] == ["review.csv"]


@pytest.mark.parametrize(
    "y",
    [
        pd.Series([True, False, True], dtype="boolean", index=[7, 8, 9], name="y"),
        pd.DataFrame({"y": [True, False, True]}, dtype="boolean", index=[7, 8, 9]),
        pd.DataFrame({"y": ["a", "b", "a"]}, index=[7, 8, 9]),
    ],
    ids=["boolean", "boolean-frame", "frame"],
)
@pytest.mark.filterwarnings("ignore:A column-vector y")
def test_labels_of_pandas_through_a_table(tmp_path, judged, y):
    clf = judged(check_labels(y))
    frame = pd.read_csv(write(clf, tmp_path, y))
    frame["decision"] = ["change", "keep", "drop"]
    frame.to_csv(tmp_path / "review.csv", index=False)
    expected = y.copy()
    expected.iloc[[0]] = expected.iloc[[1]].to_numpy()
    for decisions in (tmp_path / "review.csv", frame):
        reviewed = apply_review(y, decisions)
        assert type(reviewed.y) is type(y)
        assert reviewed.y.equals(expected)
        assert reviewed.is_kept.tolist() == [True, True, False]


class Filled:
    """A review of labels, decisions about it, and what they come to; drawn at random."""

    def __init__(self, draw, judged):
        classes = draw(LABELS)
        y = draw(st.lists(st.sampled_from(classes), min_size=2, max_size=12))
        self.y = y + classes  # each at least once
        self.clf = judged(self.y)
        self.decisions = [
            draw(
                st.just(("", None))
                | st.just(("keep", None))
                | st.just(("drop", None))
                | st.just(("change", None))
                | st.sampled_from(classes).map(lambda label: ("change", label))
            )
            for _ in self.y
        ]

    def fill(self, rows, write_label):
        for row in rows:
            decision, label = self.decisions[int(row["row"])]
            row["decision"] = decision
            if label is not None:
                row["new_label"] = write_label(label)
        return rows

    def check(self, reviewed):
        suggested = self.clf.suggested_labels_.tolist()
        for row, (decision, label) in enumerate(self.decisions):
            new = suggested[row] if decision == "change" and label is None else label
            new = new if decision == "change" else self.y[row]
            assert reviewed.y[row] == new
            assert type(reviewed.y[row]) is type(self.y[row])
            assert reviewed.is_kept[row] == (decision != "drop")
            if decision == "change" and new == self.y[row]:
                decision = "keep"
            assert reviewed.decision[row] == decision


@settings(max_examples=25)
@given(st.data())
def test_round_trip_through_a_table(judged, data):
    filled = Filled(data.draw, judged)
    delimiter = data.draw(st.sampled_from(",;\t"))
    with tempfile.TemporaryDirectory() as folder:
        path = write(filled.clf, folder)
        rows = filled.fill(read(path), lambda label: quote(str(label)))
        random.Random(0).shuffle(rows)
        with open(
            path, "w", encoding=data.draw(st.sampled_from(["utf-8", "utf-8-sig"])), newline=""
        ) as file:
            header = ["note", *rows[0]]
            writer = csv.DictWriter(file, header, delimiter=delimiter, restval="x")
            writer.writeheader()
            writer.writerows(rows)
        filled.check(apply_review(filled.y, path))


@settings(max_examples=15)
@given(st.data())
def test_round_trip_through_a_frame(judged, data):
    filled = Filled(data.draw, judged)
    with tempfile.TemporaryDirectory() as folder:
        # Texts as they are: that "007" is no number is for `apply_review` to see, too.
        frame = pd.DataFrame(read(write(filled.clf, folder)))
    rows = filled.fill(frame.to_dict("records"), lambda label: quote(str(label)))
    frame = pd.DataFrame(rows).replace({"decision": {"": None}, "new_label": {"": None}})
    filled.check(apply_review(filled.y, frame.sample(frac=1, random_state=0)))


@pytest.mark.parametrize("n_rows", [200])
def test_pandas_reads_and_writes_it(tmp_path, judged, n_rows):
    y = np.random.default_rng(0).integers(3, size=n_rows) * 10
    path = write(judged(y), tmp_path)
    frame = pd.read_csv(path)
    frame.loc[frame["row"] < 50, "new_label"] = 20
    frame.to_csv(path, sep=";", index=False)
    expected = np.where(np.arange(n_rows) < 50, 20, y)
    assert_array_equal(apply_review(y, path).y, expected)
    assert_array_equal(apply_review(y, frame).y, expected)
