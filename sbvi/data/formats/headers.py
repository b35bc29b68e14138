"""Whether a text table begins with the names of its columns, and what they are."""

import itertools

from sbvi.core import UserError
from sbvi.data.formats.missing_words import is_missing, is_number

#: A header that only counts is told from data by its length: the numbers 0, 1, .. in order.
COUNTED = 8
#: Numbers that name columns by the year.
YEARS = range(1900, 2101)


def is_header(rows: list[list[str]], where: str) -> bool:
    """Whether the first row names columns: with words alone, also over words where these are repeated and the first
    row's are not; with words and numbers that count from 0 or 1; with years at even steps, where no other row has years
    in their places; or, where it is as long as COUNTED or stands over row numbers, with numbers from 0 or 1 alone.

    Raises:
      UserError: it has words where numbers follow, and numbers that are no names.
    """
    first = rows[0]
    numbers = [f for f in first if is_number(f)]
    counts = numbers in [[str(i) for i in range(start, start + len(numbers))] for start in (0, 1)]
    words = [c for c, f in enumerate(first) if not is_number(f) and not is_missing(f)]
    if _by_year(rows) and all(_is_new(rows, column) for column in words):
        return True
    if not words:
        over_index = not first[0] and all(row[0] == str(i) for i, row in enumerate(rows[1:]))
        return counts and len(rows) > 1 and (len(numbers) >= COUNTED or (over_index and len(numbers) == len(first) - 1))
    if all(_is_text_column(rows, column) for column in words):
        return not numbers and _names_no_category(rows, words)
    commented = first[0].lstrip().startswith("#")
    if commented and len(numbers) == len(first) - 1 and is_number(first[0].lstrip()[1:]):
        raise UserError(f"{where}: line 1 begins with #, which says neither that it is a row nor that it is none.")
    if numbers and not (counts and len(numbers) > 1):
        raise UserError(
            f"{where}: line 1 holds {first[words[0]]!r} among numbers: it names no columns and is no row; correct it, "
            f"or, where it names columns, call them by words alone (as y_{numbers[0].strip()}) or give the table as "
            ".parquet."
        )
    return True


def _is_text_column(rows: list[list[str]], column: int) -> bool:
    """Whether a word stands below the first row."""
    return any(not is_number(row[column]) and not is_missing(row[column]) for row in rows[1:])


def _by_year(rows: list[list[str]]) -> bool:
    """Whether the first row's numbers are two or more years at even steps, and no other row's are years in their
    places."""
    places = [c for c, f in enumerate(rows[0]) if is_number(f)]
    if len(places) < 2 or len(rows) < 2 or any(_year(rows[0][c]) is None for c in places):
        return False
    years = [int(rows[0][c]) for c in places]
    steps = {after - before for before, after in itertools.pairwise(years)}
    return len(steps) == 1 and 0 not in steps and all(any(_year(row[c]) is None for c in places) for row in rows[1:])


def _year(field: str) -> int | None:
    text = field.strip()
    return int(text) if len(text) == 4 and text.isdecimal() and int(text) in YEARS else None


def _is_new(rows: list[list[str]], column: int) -> bool:
    """Whether no row below the first has its word."""
    return all(row[column].strip() != rows[0][column].strip() for row in rows[1:])


def _names_no_category(rows: list[list[str]], columns: list[int]) -> bool:
    """Whether columns repeat their words below the first row, at least one of them, and none that of the first row."""
    repeats = False
    for column in columns:
        below = [row[column].strip() for row in rows[1:] if not is_missing(row[column])]
        if rows[0][column].strip() in below:
            return False
        repeats |= len(set(below)) <= 0.5 * len(below)
    return repeats


def names_of(first: list[str], where: str) -> list[str]:
    """Column names; a mark of a comment before the first, which NumPy writes, is no part of it."""
    names = [name.strip() for name in first]
    names[0] = names[0].removeprefix("#").strip()
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"{where} has more than one column named {twice[0] or 'nothing'}.")
    return names
