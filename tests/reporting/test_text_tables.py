"""Tables as text."""

import pytest

from sbvi.reporting.tables import markdown_table, text_table

pytestmark = pytest.mark.quick


def test_each_row_is_a_line_whatever_its_cells_hold():
    """As the name of a run's folder may hold a line break."""
    rows = [["1.5", "a\nb"], ["20", "größe\t\x1b\u2028\udcff"]]
    assert text_table(["nll", "run"], rows).splitlines() == [
        "nll  run",
        "---  -----------------------",
        "1.5  a\\nb",
        " 20  größe\\t\\x1b\\u2028\\udcff",
    ]
    assert markdown_table(["nll", "run"], rows[:1]).splitlines()[-1] == "| 1.5 | a\\nb |"
