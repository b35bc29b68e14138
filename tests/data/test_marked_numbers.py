"""Numbers with marks, read back from how they are written; and what is none."""

import logging

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import assume, given

from sbvi.data.marked_numbers import marked, plainly
from sbvi.data.sources.table import Table

MARKS = [(",", "."), (".", ","), ("'", "."), (" ", ","), ("\u202f", ",")]


@given(
    cents=st.integers(100_000, 10**12),
    decimals=st.booleans(),
    marks=st.sampled_from(MARKS),
    around=st.sampled_from([("", ""), ("$", ""), ("€ ", ""), ("", " %"), ("", "%"), ("", " EUR"), ("USD ", "")]),
    sign=st.sampled_from(["", "-", "+"]),
)
def test_a_marked_number_is_read_back(cents, decimals, marks, around, sign):
    thousands, decimal = marks
    written = f"{cents // 100:,}".replace(",", thousands) + (f"{decimal}{cents % 100:02d}" if decimals else "")
    value = (cents if decimals else cents // 100 * 100) / 100
    assume(decimals or thousands != "." or any(around) or cents >= 100_000_000)  # 1.000 is a plain number too
    found = plainly(f"{sign}{around[0]}{written}{around[1]}")
    assert float(found) == (-value if sign == "-" else value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_plain_numbers_have_no_marks(value):
    assert plainly(repr(value)) is None


@pytest.mark.parametrize(
    "text", ["", "abc", "12/3", "555 1234", "12,34,56", "10:30", "A12", "1.2.3", "2024-01-02", "%", "EUR"]
)
def test_other_texts_are_no_numbers(text):
    assert plainly(text) is None


def test_one_mark_among_plain_numbers_is_found_and_words_are_not_passed_over():
    assert marked(["12", "7.5", "1,200"]) == {"1,200": "1200"}
    assert marked(["12", "7.5"]) == {}
    assert marked(["45%", "n/a?", "12%"]) == {}


@pytest.mark.parametrize(
    ("write", "done", "cell", "plain"),
    [
        (lambda i: f"{1000 + 7 * i:,}", "left out", "1,000", "1000"),
        (lambda i: f"{i % 40} %", "taken as categorical", "0 %", "0"),
        (lambda i: f"${i % 2}", "taken as binary", "$0", "0"),
    ],
)
def test_a_column_of_marked_numbers_is_told(write, done, cell, plain, tmp_path, caplog):
    """Dropped, or made categories of, without a word it would be a loss that nobody sees."""
    path = tmp_path / "x.csv"
    x = np.random.default_rng(0).normal(size=200)
    path.write_text("a,b\n" + "".join(f'"{write(row)}",{value}\n' for row, value in enumerate(x)))
    with caplog.at_level(logging.INFO, "sbvi"):
        Table(path=str(path), types="found").load()
    (warning,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert (
        f"column a is {done}, since its numbers have marks, as {cell!r} in line 2; write them plainly ({plain})"
        in warning
    )
    told = done.removeprefix("taken as ").replace("left out", "ignored")
    assert warning.endswith(f"dataset.columns={{a: {told}}}.")
    assert f"numbers with marks: {cell!r}" in caplog.text
    caplog.clear()
    Table(path=str(path), types="found", columns={"a": told}).load()
    assert not [r for r in caplog.records if r.levelno == logging.WARNING]
