"""The committed tables are what the committed results say."""

import pytest
from tables import PAGES, TABLES, get_output


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_what_its_results_say(name):
    assert get_output(TABLES[name]) == (PAGES / f"{name}.md").read_text()


def test_every_committed_table_has_its_command():
    assert {path.stem for path in PAGES.glob("*.md")} == set(TABLES)
