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
    return Tables(tmp_path)


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
    ],
)
def test_a_source_is_a_cell(tables, source, number):
    assert tables.get(source) == pytest.approx(number)


@pytest.mark.parametrize(
    "source",
    [
        "two > default > gap",
        "one > defaults > gap",
        "one > default > gaps",
        "one#Third > default > gap",
        "one > plain > gap > 2",
        "one > oracle > worst",
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
    texts = {"81 % of 5 sets": ["one > default > gap"]}
    (fault,) = check_page("81 % of 5 sets", texts, tables, complete=True)
    assert "2 sources" not in fault and "1 sources" in fault
