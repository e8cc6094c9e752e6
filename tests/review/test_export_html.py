"""export_review_html: what is in the page; nothing of the data can get out of its place."""

import json
import re
from base64 import b64encode
from hashlib import sha256
from html import unescape

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError

from crust_sklearn import (
    CRUSTClassifier,
    LabelAuditor,
    export_review_html,
    make_label_noise,
)
from crust_sklearn.inspection import LabelIssuesDisplay
from crust_sklearn.modules import MLP

EVIL = [
    "</script><script>window.pwned = 1</script>",
    "<img src=x onerror='window.pwned = 1'>",
    "<!--",
    "\"'&amp;\u2028\u2029",
    "=HYPERLINK(1)",
    "@@data@@",
]
QUALITY = [0.4, 0.9, 0.1, 0.9, np.nan, 0.2]
Y = np.array(["a", "b", "a", "b", "b", "b"])
X = np.arange(12.0).reshape(6, 2)
X[3] -= 0.5  # nearer to row 2 than row 1 is


def write(folder, clf, X, *args, **params):
    path = folder / "review.html"
    export_review_html(clf, path, X, *args, **params)
    return path.read_text(encoding="utf-8")


def get_data(page):
    return json.loads(re.search(r'<script type="application/json"[^>]*>(.*?)</script>', page)[1])


def test_what_is_in_it(tmp_path, judged):
    data = get_data(write(tmp_path, judged(Y, quality=QUALITY), X, index=list("uvwxyz")))
    issues = data["issues"]
    assert [issue["name"] for issue in issues] == ["w", "z", "u"]
    assert [issue["score"] for issue in issues] == ["0.1000", "0.2000", "0.4000"]
    assert issues[0]["content"] == {"cells": ["4", "5"]}
    assert [issue["given"] for issue in issues] == [0, 1, 0]
    assert [issue["suggested"] for issue in issues] == [1, 0, 1]
    # Nearest first, of those with the suggested label that are not in doubt.
    assert [issue["neighbors"] for issue in issues] == [[3, 1, 4], [], [1, 3, 4]]
    assert data["others"]["3"] == {"name": "x", "content": {"cells": ["5.5", "6.5"]}}
    assert data["features"] == ["x0", "x1"]


def test_neighbors_by_other_features(tmp_path, judged):
    texts = [f"text {i}" for i in range(6)]
    clf = judged(Y, quality=QUALITY)
    data = get_data(write(tmp_path, clf, texts, features=X[::-1] ** 2, n_neighbors=1))
    assert [issue["neighbors"] for issue in data["issues"]] == [[3], [], [1]]
    for data in (
        get_data(write(tmp_path, clf, texts)),
        get_data(write(tmp_path, clf, X, n_neighbors=0)),
    ):
        assert data["others"] == {}


def test_names_of_classes(tmp_path, judged):
    clf = judged([-1, 1, -1])
    found = get_data(write(tmp_path, clf, X[:3], class_names=["no", "yes"]))["labels"]
    assert found == [{"cell": "-1", "name": "no"}, {"cell": "1", "name": "yes"}]
    with pytest.raises(ValueError, match="class_names has 1 entries"):
        write(tmp_path, clf, X[:3], class_names=["no"])


def test_nothing_to_decide(tmp_path, judged):
    assert get_data(write(tmp_path, judged(Y, quality=[0.9] * 6), X))["issues"] == []


def test_the_worst_only(tmp_path, judged):
    page = write(tmp_path, judged(Y, quality=QUALITY), X, n_issues=1)
    assert [issue["name"] for issue in get_data(page)["issues"]] == ["2"]


def test_nothing_gets_out_of_its_place(tmp_path, judged):
    y = np.array(EVIL)
    frame = pd.DataFrame({name: EVIL for name in EVIL})
    for shown in (EVIL, frame):
        page = write(tmp_path, judged(y), shown, index=EVIL, features=X, title=EVIL[0] + EVIL[3])
        # The page's own elements, and no others.
        assert len(re.findall("<script", page)) == len(re.findall("</script", page)) == 2
        assert "<!--" not in page
        assert "<img" not in page
        assert unescape(re.search("<title>(.*?)</title>", page)[1]) == EVIL[0] + EVIL[3]
        data = get_data(page)
        assert [issue["name"] for issue in data["issues"]] == EVIL
        assert sorted(label["name"] for label in data["labels"]) == sorted(EVIL)
        assert "'=HYPERLINK(1)" in [label["cell"] for label in data["labels"]]
        assert "'=HYPERLINK(1)" in [issue["cell"] for issue in data["issues"]]


def test_the_policy_allows_its_own_parts_only(tmp_path, judged):
    page = write(tmp_path, judged(Y), X)
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', page)[1]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["img-src"] == "data:"
    for name, part in {
        "style-src": re.search("<style>(.*?)</style>", page, re.DOTALL)[1],
        "script-src": re.search("<script>(.*?)</script>", page, re.DOTALL)[1],
    }.items():
        digest = b64encode(sha256(part.encode()).digest()).decode()
        assert rules[name] == f"'sha256-{digest}'"
    assert not re.search(r"https?://|innerHTML|\bstyle=|\bon\w+=", page)


@pytest.mark.parametrize(
    ("shown", "params", "error", "sentence"),
    [
        (X[:3], {}, ValueError, "X has 3 entries, and 6 rows were given to fit"),
        ({"a": X}, {}, ValueError, "not known how to show a row"),
        (X, {"n_neighbors": -1}, ValueError, "n_neighbors must be"),
        (X, {"n_issues": 0}, ValueError, "n_issues must be"),
        (X, {"n_issues": "all"}, TypeError, "n_issues must be"),
        (X, {"features": X[:3]}, ValueError, "features has the shape"),
        (X, {"image_shape": (3, 3)}, ValueError, "image_shape"),
        (X, {"y": Y[::-1]}, ValueError, "y is not what was given to fit"),
        (X, {"index": list("aabcde")}, ValueError, "Several rows are called 'a'"),
    ],
)
def test_refused(tmp_path, judged, shown, params, error, sentence):
    with pytest.raises(error, match=sentence):
        write(tmp_path, judged(Y), shown, **params)
    assert not (tmp_path / "review.html").exists()


def test_texts_that_are_no_unicode(tmp_path, judged):
    path = tmp_path / "review.html"
    path.write_text("before")
    with pytest.raises(ValueError, match="cannot be written in UTF-8"):
        export_review_html(judged(["a", "b\ud800"]), path, ["x", "y"])
    assert path.read_text() == "before"
    export_review_html(judged(["a", "b"]), path, ["one \ud800 two", "y"])
    assert "one ? two" in path.read_text(encoding="utf-8")


def test_not_fitted(tmp_path):
    with pytest.raises(NotFittedError):
        write(tmp_path, LabelAuditor(), X)


def test_classes_that_are_names_of_columns(tmp_path):
    """Labels are columns then, and what they are called has no say in what is written."""
    X, true = make_blobs(120, centers=3, random_state=0)
    y = make_label_noise(true, "symmetric", 0.2, random_state=0).y
    X, names = X.astype(np.float32), ["ant", "bee", "cow"]
    clf = CRUSTClassifier(MLP, classes=names, max_epochs=2, random_state=0, verbose=0).fit(X, y)
    assert clf.classes_.tolist() == names
    data = get_data(write(tmp_path, clf, X, class_names=names))
    assert [label["name"] for label in data["labels"]] == names
    display = LabelIssuesDisplay.from_estimator(clf, X, class_names=names)
    assert set(display.given_label) <= set(names)
