"""Years that name columns are told from a row of numbers."""

import pytest

from sbvi.core import UserError
from sbvi.data.formats.headers import is_header
from sbvi.data.formats.own_files import read_own

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("rows", "header"),
    [
        (["country,2019,2020", "fr,1.5,2.5", "de,1.0,"], True),  # words over words that do not repeat
        (["2018,2019,2020", "1,2,3", "4,5,6"], True),
        (["size,2000,2005,2010", "1,2,3,4", "5,6,7,2005"], True),
        ([",1999,1998", "fr,3,4", "de,2001,7"], True),
        (["a,2019,2020", "b,2018,2021", "c,2001,1999"], False),  # rows of years all of them
        (["a,2019,2020", "b,7,8", "a,5,6"], False),  # a is a category
        (["2018,2019,2025", "1,2,3", "4,5,6"], False),  # at uneven steps
        (["2020,2020", "1,2"], False),
        (["2019.0,2020", "1,2"], False),
        (["2019", "1"], False),
        (["a,1,2", "b,5,7"], False),
    ],
)
def test_years(rows, header):
    assert is_header([row.split(",") for row in rows], "x") is header


def test_columns_by_year_keep_their_rows(tmp_path):
    (tmp_path / "panel.csv").write_text("country;2019;2020\nfr;1,5;2\nde;0,5;\nit;3;4\n")
    table = read_own(str(tmp_path / "panel.csv"), "x")
    assert table.names() == ("country", "2019", "2020")
    assert table.frame["2019"].tolist() == [1.5, 0.5, 3]
    (tmp_path / "odd.csv").write_text("size,2019,2021,2022\n1,2,3,4\n")
    with pytest.raises(UserError, match="line 1 holds 'size' among numbers: it names no columns and is no row"):
        read_own(str(tmp_path / "odd.csv"), "x")
