"""Delimited text as a pandas frame: its dialect found by looking, and no row lost.

Every line is a row, the header aside; what is not so is refused with the number of the line. A file may start with a
byte order mark, have its fields in quotes, separate them by commas, semicolons or tabs, and write decimals with a comma
where semicolons or tabs separate.
"""

import csv
import gzip
import io
import re
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sbvi.core import UserError
from sbvi.core.memory import require
from sbvi.data.formats.missing_words import MISSING, USUAL, is_missing, is_number, numbers_beside_words, tell

if TYPE_CHECKING:
    import pandas

#: Rows that are looked at to find the dialect.
SAMPLE = 1000
#: Rows whose texts are held at once where the spellings of missing values are looked at.
PART = 50_000
#: A header that only counts is told from data by its length: the numbers 0, 1, .. in order.
COUNTED = 8
_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
_BLOCK = 1 << 24


class Dialect(NamedTuple):
    """How a file is written."""

    encoding: str
    separator: str
    decimal: str
    header: bool

    def __str__(self) -> str:
        named = {"\t": "tab", ",": "comma", ";": "semicolon"}[self.separator]
        encoding = "" if self.encoding in ("utf-8", "utf-8-sig") else f", {self.encoding}"
        return f"{named}-separated{', decimal comma' if self.decimal == ',' else ''}{encoding}"


def read_text(path: Path, where: str) -> tuple["pandas.DataFrame", Dialect]:
    """The frame, its columns named by the header or 0, 1, ..; and how the file is written.

    Raises:
      UserError: the file is empty, damaged, or has lines that are no rows; the sentence names the first.
    """
    import pandas as pd

    text, encoding = _text(path, where)
    lines = text.removesuffix("\n").split("\n")
    if not any(line.strip() for line in lines):
        raise UserError(f"{where} is empty.")
    separator = _separator(lines, path)
    count, first = _rows(lines, separator, where)
    decimal = "," if separator != "," and any(_COMMA.fullmatch(f.strip()) for row in first for f in row) else "."
    dialect = Dialect(encoding, separator, decimal, _is_header(first, where))
    if dialect.header and count == 1:
        raise UserError(f"{where} holds a header and no rows.")
    rows = lines[int(dialect.header) : count]
    names = _names(first[0], where) if dialect.header else list(range(len(first[0])))
    content = "\n".join(rows) + "\n"
    frame = _parsed(content, dialect, names, where, na_values=list(USUAL))
    if beside := numbers_beside_words(frame):
        again = _parsed(content, dialect, names, where, na_values=list(MISSING), usecols=beside)
        for name in again.columns:
            if pd.api.types.infer_dtype(again[name], skipna=True) in ("floating", "integer", "boolean", "empty"):
                frame[name] = again[name]
    parts = {"dtype": str, "na_filter": False, "chunksize": PART}
    tell(frame, lambda places: _parsed(content, dialect, names, where, usecols=places, **parts), where)
    if len(frame) != len(rows):
        raise UserError(f"{where} has {len(rows)} rows, and {len(frame)} could be read: check its quotes.")
    return frame, dialect


def _parsed(content: str, dialect: Dialect, names: list[Any], where: str, **options: Any) -> Any:
    """What pandas reads, of rows alone.

    Raises:
      UserError: it cannot, or would lose something.
    """
    import pandas as pd

    exact: Any = {} if _release(pd.__version__) >= (3, 1) else {"float_precision": "round_trip"}  # later the default
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # pandas warns where it would lose something
            return pd.read_csv(
                io.StringIO(content),
                sep=dialect.separator,
                decimal=dialect.decimal,
                header=None,
                names=names,
                index_col=False,
                keep_default_na=False,
                skip_blank_lines=False,
                skipinitialspace=True,
                low_memory=False,
                **exact,
                **options,
            )
    except (ValueError, OverflowError, Warning) as error:
        raise UserError(f"{where} cannot be read as a table ({str(error).splitlines()[0][:160]}).") from None


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])


def _text(path: Path, where: str) -> tuple[str, str]:
    try:
        with path.open("rb") if path.suffix.lower() != ".gz" else gzip.open(path, "rb") as file:
            parts, size = [], 0
            while part := file.read(_BLOCK):
                parts.append(part)
                size += len(part)
                require(4 * size, where)  # a small file can unpack to more than there is
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{where} cannot be read ({getattr(error, 'strerror', None) or error}).") from None
    content = b"".join(parts)
    encodings = ("utf-16",) if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "cp1252")
    for encoding in encodings:
        try:
            found = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in found:
            break
        return found.replace("\r\n", "\n").replace("\r", "\n"), encoding
    raise UserError(f"{where} is not a text file.")


def _separator(lines: list[str], path: Path) -> str:
    """What separates fields: the candidate that stands outside of quotes in the first line, semicolons before tabs
    before commas, since the others may stand within numbers."""
    if ".tsv" in (s.lower() for s in path.suffixes):
        return "\t"
    first = re.sub(r'"[^"]*"', "", next(line for line in lines if line.strip()))
    return next((s for s in ";\t," if s in first), ",")


def _fields(lines: list[str], separator: str, where: str) -> Iterator[tuple[int, list[str]]]:
    """(number of the line, fields) of every line."""
    if not any('"' in line for line in lines):
        for number, line in enumerate(lines, 1):
            yield number, line.split(separator)
        return
    reader = csv.reader(lines, delimiter=separator, strict=True, skipinitialspace=True)
    last = 0
    try:
        for fields in reader:
            if reader.line_num != last + 1:
                raise UserError(f"{where}: a field that begins in line {last + 1} goes on over several lines.")
            last = reader.line_num
            yield last, fields or [""]
    except csv.Error as error:
        raise UserError(f"{where}: line {last + 1} cannot be read ({error}).") from None


def _rows(lines: list[str], separator: str, where: str) -> tuple[int, list[list[str]]]:
    """How many rows there are, and the fields of the first of them.

    Raises:
      UserError: a line is empty where rows have several fields, or rows differ in length.
    """
    first: list[list[str]] = []
    count = 0
    for number, fields in _fields(lines, separator, where):
        if first and len(fields) != len(first[0]):
            if fields == [""] or not lines[number - 1].strip():
                if all(not line.strip() for line in lines[number - 1 :]):  # how files end
                    return count, first
                raise UserError(f"{where}: line {number} is empty.")
            raise UserError(f"{where}: line {number} has {len(fields)} fields, and the first line has {len(first[0])}.")
        count += 1
        if count <= SAMPLE:
            first.append(fields)
    return count, first


def _is_header(rows: list[list[str]], where: str) -> bool:
    """Whether the first row names columns: with words alone, with words and numbers that count from 0 or 1, or, where
    it is as long as COUNTED or stands over row numbers, with such numbers alone.

    Raises:
      UserError: it has words where numbers follow, and numbers that are no names.
    """
    first = rows[0]
    numbers = [f for f in first if is_number(f)]
    counts = numbers in [[str(i) for i in range(start, start + len(numbers))] for start in (0, 1)]
    words = [c for c, f in enumerate(first) if not is_number(f) and not is_missing(f)]
    if not words:
        over_index = not first[0] and all(row[0] == str(i) for i, row in enumerate(rows[1:]))
        return counts and len(rows) > 1 and (len(numbers) >= COUNTED or (over_index and len(numbers) == len(first) - 1))
    if all(_is_text_column(rows, column) for column in words):
        return False
    commented = first[0].lstrip().startswith("#")
    if commented and len(numbers) == len(first) - 1 and is_number(first[0].lstrip()[1:]):
        raise UserError(f"{where}: line 1 begins with #, which says neither that it is a row nor that it is none.")
    if numbers and not (counts and len(numbers) > 1):
        raise UserError(f"{where}: line 1 holds {first[words[0]]!r} among numbers: it names no columns and is no row.")
    return True


def _is_text_column(rows: list[list[str]], column: int) -> bool:
    """Whether a word stands below the first row."""
    return any(not is_number(row[column]) and not is_missing(row[column]) for row in rows[1:])


def _names(first: list[str], where: str) -> list[str]:
    """Column names; a mark of a comment before the first, which NumPy writes, is no part of it."""
    names = [name.strip() for name in first]
    names[0] = names[0].removeprefix("#").strip()
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"{where} has more than one column named {twice[0] or 'nothing'}.")
    return names
