"""Numbers with marks, read back from how they are written; and what is none."""

import logging
import time

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import assume, given

from sbvi.data.sources.table import Table
from sbvi.data.tabular.marked_numbers import marked, plainly

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
    assume(decimals or thousands != "." or cents >= 100_000_000)  # 1.000 may be either
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


@given(
    parts=st.lists(st.tuples(st.integers(1, 10**9), st.integers(1, 5), st.integers(0, 10**5)), min_size=1, max_size=5),
    marks=st.sampled_from(MARKS),
    file=st.sampled_from(".,"),
    minus=st.sampled_from(["-", "\u2212"]),
)
def test_decimals_of_any_length_are_read_back_where_the_column_says_their_mark(parts, marks, file, minus):
    """However many digits follow: that 0.5 and 1.234 are of one column says what the point is."""
    thousands, decimal = marks
    values = {f"{minus}0{decimal}5": "-0.5"}
    for whole, places, part in parts:
        decimals = f"{part:05d}"[-places:]
        values[f"{whole:,}".replace(",", thousands) + decimal + decimals] = f"{whole}.{decimals}"
    found = marked(list(values), file)
    for text, value in values.items():
        read = found.get(text, text)  # those that are plain already are not told
        assert float(read.replace(file, ".")) == float(value)
        assert not set(read) - set(f"-0123456789{file}")


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("1,234.567", "1234.567"), ("1.234,567", "1234.567"), ("0,123", "0.123"), ("0.125%", "0.125"),
        ("\u22125,5", "-5.5"), ("12-", "-12"), ("$-12", "-12"), ("$.50", "0.50"), ("\u20b91,200.50", "1200.50"),
        ("1,5e3", "1.5e3"), ("3,203E+04", "3.203E+04"), ("1_000", "1000"), ("(12)", None), ("-5-", None),
        ("$5 EUR", None), ("12,34,567", "1234567"), ("\u20b9 1,00,000.5", "100000.5"), ("R$ 1.200,50", "1200.50"),
        ("US$1,200", "1200"), ("12,50 kr", "12.50"), ("kr. 5", "5"), ("krone 5", None), ("1200 z\u0142", "1200"),
    ],
)  # fmt: skip
def test_signs_decimals_and_currencies_of_all_sorts(text, plain):
    assert plainly(text) == plain


def test_long_cells_take_no_time():
    """A pattern that tries all ways to divide their digits would take minutes."""
    begin = time.process_time()
    assert marked(["1" * 50_000 + "x"]) == marked(["1" + ",234" * 20_000 + "x"]) == {}
    assert time.process_time() - begin < 5


def test_a_column_says_what_its_marks_are():
    assert marked(["0,123", "1,234"]) == {"0,123": "0.123", "1,234": "1.234"}
    assert marked(["1.5", "1,234"]) == {"1,234": "1234"}
    assert marked(["1.234.567", "1.234"]) == {"1.234.567": "1234567", "1.234": "1234"}
    assert marked(["(1.50)", "2.50"]) == {"(1.50)": "-1.50"}
    assert marked(["(1)", "(2)"]) == {}  # footnotes
    for words in (["12 JAN", "3 FEB"], ["ABC 123", "XYZ 456"], ["USD 5", "EUR 7"]):
        assert marked(words) == {}
    assert marked(["20 %", "?", "10 %"]) == {"20 %": "20", "10 %": "10"}


@pytest.mark.parametrize("decimal", [".", ","])
def test_where_nothing_says_which_both_are_told(decimal):
    """A price of three decimals is not a thousand times itself; a mark that the file has not for decimals is sure."""
    text, other = f"$3{decimal}999", f"$3{',' if decimal == '.' else '.'}999"
    assert marked([text], decimal) == {text: f"3{decimal}999, or 3999 where its mark keeps thousands apart"}
    assert marked([text, f"$2{decimal}5"], decimal)[text] == f"3{decimal}999"
    assert marked([other], decimal) == {other: "3999"}


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


@pytest.mark.parametrize("write", [lambda v: f"{v:,.2f}", lambda v: f"{v:.2f}", lambda v: f"{v:_.2f}"])
def test_what_is_told_of_a_file_with_a_decimal_comma_serves(write, tmp_path, caplog):
    """Written as the warning says the column is of numbers, which it would not be with a point."""
    path = tmp_path / "x.csv"
    values = np.random.default_rng(0).uniform(0, 1e5, size=100)
    texts = [write(value) for value in values]

    def loaded(cells):
        path.write_text("a;b\n" + "".join(f"{cell};0,{row}\n" for row, cell in enumerate(cells)))
        caplog.clear()
        columns = Table(path=str(path), types="found").load().preprocessing.columns
        return columns, [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]

    columns, (warning,) = loaded(texts)
    assert columns == ("b",)
    plain = marked(texts, ",")
    assert f"as {texts[0]!r} in line 2; write them plainly ({plain[texts[0]]})" in warning
    columns, warnings = loaded([plain[text] for text in texts])
    assert (columns, warnings) == (("a", "b"), [])
