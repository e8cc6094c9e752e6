"""Decisions that could be taken for others, or for none, are refused."""

import io

import numpy as np
import pandas as pd
import pytest

from crust_sklearn import apply_review

Y = ["cat", "dog"] * 1000


def dropped(decisions, y=Y, **params):
    return np.flatnonzero(~apply_review(y, decisions, **params).is_kept).tolist()


def write(path, text):
    path.write_text(text)
    return path


def test_an_index_that_only_counts_names_no_rows():
    listed = pd.DataFrame({"given_label": ["dog", "dog"], "decision": "drop"}, index=[57, 91])
    assert dropped(listed) == [57, 91]
    again = pd.read_csv(io.StringIO(listed.to_csv()))
    for frame in (again, listed.reset_index(), listed.sort_values("decision", ignore_index=True)):
        with pytest.raises(ValueError, match="needs 'row'"):
            apply_review(Y, frame)


@pytest.mark.parametrize(
    "decisions",
    [pd.DataFrame({"Row": [7], "Decision": ["drop"]}), [{" ROW": 7, "decision ": "drop"}]],
    ids=["frame", "list"],
)
def test_columns_are_known_however_they_are_written(decisions):
    assert dropped(decisions) == [7]


@pytest.mark.parametrize("column", ["decisions", "decison", "Decsion"])
def test_a_column_that_is_misspelt_is_not_passed_over(tmp_path, column):
    text = f"row,given_label,{column},new_label\n7,dog,drop,"
    with pytest.raises(ValueError, match="Call it 'decision'"):
        apply_review(Y, write(tmp_path / "review.csv", text))
    with pytest.raises(ValueError, match="Call it 'decision'"):
        apply_review(Y, [{"row": 7, column: "drop", "new_label": ""}])


def test_two_columns_of_one_name(tmp_path):
    with pytest.raises(ValueError, match="2 columns 'decision'"):
        apply_review(Y, write(tmp_path / "a.csv", "row,decision,new_label,decision\n7,drop,,"))


@pytest.mark.parametrize("line", ["7,,,drop", "7,change,ham, eggs"])
def test_a_cell_beyond_the_header(tmp_path, line):
    path = write(tmp_path / "a.csv", f"row,decision,new_label\n{line}\n")
    with pytest.raises(ValueError, match="line 2, has 4 cells, and the header 3"):
        apply_review(Y, path)
    # Empty ones are what spreadsheets leave.
    assert dropped(write(tmp_path / "b.csv", "row,decision,new_label\n7,drop,,,,\n")) == [7]


@pytest.mark.parametrize("row", ["1,000", "1_0", "1e3000000", "-1e3000000"])
def test_numbers_that_may_be_others_are_none(row):
    with pytest.raises(ValueError, match="there is no row"):
        apply_review(Y, [{"row": row, "decision": "drop"}])


def test_a_comma_is_a_decimal_one_where_it_can_be():
    assert dropped([{"row": "7,0", "decision": "drop"}]) == [7]
    assert apply_review([7, 8], [{"row": 0, "new_label": "8,0"}]).y == [8, 8]
    with pytest.raises(ValueError, match="not among the classes"):
        apply_review([1, 1000], [{"row": 0, "new_label": "1,000"}])


def test_names_that_a_spreadsheet_has_made_one_of_two():
    names = ["1.1", "1.10", "1.2"]
    lines = [{"row": name, "decision": "drop"} for name in ("1.1", "1.1")]
    with pytest.raises(ValueError, match="several rows of y have names"):
        apply_review(Y[:3], lines, index=names)
    assert dropped([lines[0], {"row": "1.10", "decision": "drop"}], Y[:3], index=names) == [0, 1]
    # The same twice of a row that cannot be another's is no harm.
    assert dropped([{"row": "1.2", "decision": "drop"}] * 2, Y[:3], index=names) == [2]
