"""Numbers that likely stand for missing values are told, and no others."""

import logging

import numpy as np
import pytest

from sbvi.data.sources.table import Table
from sbvi.data.tabular.sentinels import sentinel

pytestmark = pytest.mark.quick
VALUES = np.random.default_rng(0).normal(20, 3, 200).round(2)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([*VALUES, -999, -999], -999),
        ([*VALUES - 20, -9, -9], None),  # as near as others are to one another
        ([*VALUES / 20, -9, -9, -9], -9),
        ([*range(1, 6), 99, 99], 99),
        ([1, 2, 3, 9, 9], None),  # nine is a rank as others are, where it is not negative
        ([*VALUES, 9999.0, 9999.0], 9999),
        ([*VALUES, 9999.5, 9999.5], None),
        ([*VALUES, -999], None),  # a single one may be what it says
        ([*range(2000), 999, 999], None),
        ([0, 200_000, 99_999, 99_999, 150_000], None),
        ([-99, -99], None),
        ([0, 0, 0, 99, 99], None),  # of two values the other may be far from any
        ([], None),
    ],
)
def test_sentinels(values, found):
    assert sentinel(np.asarray(values, np.float64)) == found


def test_columns_that_hold_the_same_one_are_told_together(tmp_path, caplog):
    values = np.tile(VALUES[:, None], (1, 30))
    values[3:9] = -999
    np.save(tmp_path / "x.npy", values)
    with caplog.at_level(logging.WARNING):
        Table(path=str(tmp_path / "x.npy"), types="found", columns={"29": "continuous"}).load()
    (said,) = [record.getMessage() for record in caplog.records if "missing" in record.getMessage()]
    assert "column 0 holds -999 in 6 rows (the first is row 3)" in said
    assert "is taken as a number, as it is in 28 more columns; where it says" in said  # not of one whose kind is told


@pytest.mark.parametrize("types", ["found", "numbers"])
def test_the_log_says_which_column_holds_one(types, tmp_path, caplog):
    a, b = VALUES.tolist(), (VALUES / 7).tolist()
    a[3] = a[11] = a[50] = -999
    (tmp_path / "x.csv").write_text("a,b\n" + "".join(f"{one},{two}\n" for one, two in zip(a, b, strict=True)))
    with caplog.at_level(logging.WARNING):
        Table(path=str(tmp_path / "x.csv"), types=types).load()
    said = [record.getMessage() for record in caplog.records if "missing" in record.getMessage()]
    others = [one for one in a if one > 0]
    assert said == [
        f"dataset.path={tmp_path}/x.csv: column a holds -999 in 3 rows (the first is line 5), far from its other "
        f"numbers ({min(others):.6g} to {max(others):.6g}), and it is taken as a number; where it says that a value is "
        + {"found": "missing, set 'dataset.missing_values=[-999]'.", "numbers": "missing, leave these cells empty."}[
            types
        ]
    ]
