"""Figures of the pages, and the results that they come from."""

import pytest
from check_figures import Tables, check_all, check_page

TABLE = """
First

| method | gap | time |
|---|--:|--:|
| plain | 0% | 1.00 |
| default | 81% / 12% | 0.94 |

Second

| method | gap | worst |
|---|--:|--:|
| default | 70% | -15.4 (bupa 3) |
| oracle | 100% |  |
"""


@pytest.fixture
def tables(tmp_path):
    (tmp_path / "one.md").write_text(TABLE)
    rows = 'reader,workers,ratio\n"files, all",0,1.00\n"files, all",2,1.93\n'
    (tmp_path / "two.csv").write_text(rows)
    return Tables(tmp_path / "empty", tmp_path)


def test_the_pages_say_what_the_committed_results_say():
    assert check_all() == []


@pytest.mark.parametrize(
    ("source", "number"),
    [
        ("one > plain > gap", 0),
        ("one > default > gap", 81),
        ("one > default > gap > 2", 12),
        ("one#Second > default > gap", 70),
        ("one > default > worst", -15.4),
        ("-one > default > worst", 15.4),
        ("one > oracle > gap minus one > default > gap", 19),
        ("two > files, all > ratio", 1),
        ("two > files, all, 2 > ratio", 1.93),
    ],
)
def test_a_source_is_a_cell(tables, source, number):
    assert tables.get(source) == pytest.approx(number)


@pytest.mark.parametrize(
    "source",
    [
        "three > default > gap",
        "one > defaults > gap",
        "one > default > gaps",
        "one#Third > default > gap",
        "one > plain > gap > 2",
        "one > oracle > worst",
        "two > files, all, 1 > ratio",
    ],
)
def test_a_source_that_is_not_there_is_a_fault(tables, source):
    (fault,) = check_page("It is 3 %.", {"It is 3 %": [source]}, tables, complete=True)
    assert source.split(" > ")[0].partition("#")[0] in fault


@pytest.mark.parametrize("text", ["closes **81 %**", "closes\n81 %", "closes 81.0 %", "+81 closes"])
def test_a_right_number_is_accepted_however_it_is_set(tables, text):
    page = f"The default {text}."
    assert check_page(page, {text: ["one > default > gap"]}, tables, complete=True) == []


@pytest.mark.parametrize("text", ["80 %", "-81 %", "\N{MINUS SIGN}81 %", "81.1", "810 000"])
def test_a_wrong_number_is_a_fault(tables, text):
    (fault,) = check_page(f"It is {text}", {text: ["one > default > gap"]}, tables, complete=True)
    assert "is 81 by" in fault


def test_rounding_is_to_the_decimals_shown(tables):
    sources = {"0.9 of it": ["one > default > time"], "15 lost": ["-one > default > worst"]}
    assert check_page("0.9 of it, 15 lost", sources, tables, complete=True) == []


def test_a_number_without_a_source_is_a_fault_on_a_complete_page_alone(tables):
    page, texts = "It is 81 % and 7 % more.", {"is 81 %": ["one > default > gap"]}
    assert check_page(page, texts, tables, complete=False) == []
    (fault,) = check_page(page, texts, tables, complete=True)
    assert fault.startswith("7 is traced to nothing")


def test_code_links_tags_and_names_are_no_figures(tables):
    page = """CIFAR-10 and CIFAR-10N, v2, `x = 3`, [here](a/4.html), Python 3.11, <img width="5">

```python
x = 6
```
"""
    assert check_page(page, {}, tables, complete=True) == []


def test_a_text_that_has_left_the_page_is_a_fault(tables):
    (fault,) = check_page("Nothing.", {"It is 81": ["one > default > gap"]}, tables, complete=True)
    assert "is not on the page" in fault


def test_a_text_has_a_source_for_each_of_its_numbers(tables):
    texts = {"81 % and 47": ["one > default > gap"]}
    (fault,) = check_page("81 % and 47", texts, tables, complete=True)
    assert "2 sources" not in fault and "1 sources" in fault


def test_code_and_what_is_included_are_no_figures_of_a_page_in_rst(tables):
    page = """.. _part 7 %:

Title
=====

:cite:p:`li2020early` of ``x = 81 %``, :math:`2 \\cdot 3.5`, `7 % <https://a.b/70>`__:

>>> 81.5
81.5

1. First
12. Last

.. csv-table:: 7 %
   :file: 8.csv

   7.5

.. list-table::
   :widths: 30 70

   * - it is
     - 70.5
"""
    (fault,) = check_page(page, {}, tables, complete=True, suffix=".rst")
    assert fault.startswith("70.5 is traced to nothing")
    texts = {"it is - 70.5": "given"}
    assert check_page(page, texts, tables, complete=True, suffix=".rst") == []


@pytest.mark.parametrize(
    "text",
    ["20 000 images", "1 000 to 5 000 rows", "500 x 64", "18 small sets", "from 0 to 9", "is -1,"],
)
def test_what_is_chosen_is_no_figure(tables, text):
    assert check_page(f"Of {text}.", {}, tables, complete=True) == []


@pytest.mark.parametrize(
    "text",
    ["20.5 images", "18 %", "5 %", "1 to 6 %", "5 points", "3 GiB", "8 times", "47", "+12 rows"],
)
def test_what_is_measured_is_a_figure(tables, text):
    assert check_page(f"Of {text}.", {}, tables, complete=True) != []


def test_figures_of_python_files_have_a_unit_and_stand_in_docstrings_and_comments(tables):
    page = """
'''Costs 81 % of 45, or 0.3.'''
# The bar is 12 points.
bar = "13 points"  # 14 points

def f():
    '''Gains 0.4 to 0.6 points.'''
"""
    texts = {"Costs 81 %": ["one > default > gap"], "0.4 to 0.6 points": "cited"}
    (fault,) = check_page(page, texts, tables, complete=True, suffix=".py")
    assert fault.startswith("12 is traced to nothing")


@pytest.mark.parametrize("word", ["given", "cited"])
def test_a_number_is_not_compared_where_it_was_not_measured_here(tables, word):
    for sources in (word, ["one > default > gap", word]):
        texts = {"81 % of 7 % more": sources}
        assert check_page("81 % of 7 % more", texts, tables, complete=True) == []
