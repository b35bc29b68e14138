"""Delimited text as a pandas frame: its dialect found by looking, and no row lost.

Every line is a row, the header aside, and a field in quotes may have several lines; what is not so is refused with the
number of the line. How a file may be written is in `dialects.py`; decimals may have a comma where no comma separates.
"""

import csv
import gzip
import io
import itertools
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sbvi.core import UserError
from sbvi.core.memory import require
from sbvi.data.formats.dialects import COMMA, Dialect, agreed, decoded, separator_of
from sbvi.data.formats.headers import is_header, names_of
from sbvi.data.formats.missing_words import MISSING, USUAL, numbers_beside_words, tell
from sbvi.data.formats.mixed_encodings import OTHER, tell_mixed
from sbvi.data.tabular.leading_zeros import ZEROS, zeros_in_front
from sbvi.data.tabular.marked_numbers import DECIMAL

if TYPE_CHECKING:
    import pandas

#: Rows that are looked at to find the dialect.
SAMPLE = 1000
#: Rows whose texts are held at once where the spellings of missing values are looked at.
PART = 50_000
_BLOCK = 1 << 24


def read_text(path: Path, where: str) -> tuple["pandas.DataFrame", Dialect, int]:
    """The frame, its columns named by the header or 0, 1, ..; how the file is written; and the number of the first
    row's line, 0 where rows have several lines.

    Raises:
      UserError: the file is empty, damaged, or has lines that are no rows; the sentence names the first.
    """
    import pandas as pd

    lines, layout, dialect = _looked(path, where)
    if dialect.encoding == OTHER:
        tell_mixed(lines, where)
    rows = lines[layout.begin if dialect.header else 0 : layout.end]
    names = _labels(layout, dialect, where)
    content = "\n".join(rows) + "\n"
    frame = _parsed(content, dialect, names, where, na_values=list(USUAL))
    if beside := numbers_beside_words(frame):
        again = _parsed(content, dialect, names, where, na_values=list(MISSING), usecols=beside)
        for name in again.columns:
            if pd.api.types.infer_dtype(again[name], skipna=True) in ("floating", "integer", "boolean", "empty"):
                frame[name] = again[name]

    def texts(places: list[int]) -> Any:
        parts = {"dtype": str, "na_filter": False, "chunksize": PART}
        return _parsed(content, dialect, names, where, usecols=places, **parts)

    tell(frame, texts, where)
    if len(frame) != layout.number - dialect.header:
        raise UserError(
            f"{where} has {layout.number - dialect.header} rows, and {len(frame)} could be read: check its quotes."
        )
    frame.attrs[DECIMAL] = dialect.decimal
    if zeros := zeros_in_front(frame, content, dialect.separator, texts):
        frame.attrs[ZEROS] = zeros
    return frame, dialect, 0 if layout.several else 1 + dialect.header


class Texts(NamedTuple):
    """The fields of a file as they are written: the header's, those of each row, and what a frame calls columns."""

    header: list[str] | None
    rows: list[list[str]]
    names: list[Any]
    dialect: Dialect


def read_fields(path: Path, where: str) -> Texts:
    """Every field's own text; see `read_text`."""
    lines, layout, dialect = _looked(path, where)
    records = (fields for _, _, fields in _fields(lines, dialect.separator, where))
    rows = list(itertools.islice(records, layout.number))
    header = rows.pop(0) if dialect.header else None
    return Texts(header, rows, _labels(layout, dialect, where), dialect)


class _Rows(NamedTuple):
    """How many rows there are, the header among them; the fields of the first ones; the lines at which the first and
    the last row end; and whether one has several lines."""

    number: int
    first: list[list[str]]
    begin: int
    end: int
    several: bool


def _looked(path: Path, where: str) -> tuple[list[str], _Rows, Dialect]:
    text, encoding = decoded(_content(path, where), where)
    lines = text.removesuffix("\n").split("\n")
    if not any(line.strip() for line in lines):
        raise UserError(f"{where} is empty.")
    separator = separator_of(text, path)
    if separator not in lines[0] and lines[0].lstrip().startswith("#") and any(agreed(lines[1:], m) for m in ";\t|"):
        _no_comment(lines, where)
    layout = _rows(lines, separator, where)
    fields = (field.strip() for row in layout.first for field in row)
    decimal = "," if separator != "," and any(map(COMMA.fullmatch, fields)) else "."
    dialect = Dialect(encoding, separator, decimal, is_header(layout.first, where))
    if dialect.header and layout.number == 1:
        raise UserError(f"{where} holds a header and no rows.")
    return lines, layout, dialect


def _labels(layout: _Rows, dialect: Dialect, where: str) -> list[Any]:
    return names_of(layout.first[0], where) if dialect.header else list(range(len(layout.first[0])))


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


def _content(path: Path, where: str) -> bytes:
    try:
        with path.open("rb") if path.suffix.lower() != ".gz" else gzip.open(path, "rb") as file:
            parts, size = [], 0
            while part := file.read(_BLOCK):
                parts.append(part)
                size += len(part)
                require(4 * size, where)  # a small file can unpack to more than there is
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{where} cannot be read ({getattr(error, 'strerror', None) or error}).") from None
    return b"".join(parts)


def _fields(lines: list[str], separator: str, where: str) -> Iterator[tuple[int, int, list[str]]]:
    """(numbers of the first and the last line, fields) of every row."""
    if not any('"' in line for line in lines):
        for number, line in enumerate(lines, 1):
            yield number, number, line.split(separator)
        return
    ended = (f"{line}\n" for line in lines)
    reader = csv.reader(ended, delimiter=separator, strict=True, skipinitialspace=True)
    last = 0
    try:
        for fields in reader:
            yield last + 1, reader.line_num, fields or [""]
            last = reader.line_num
    except csv.Error as error:
        raise UserError(f"{where}: line {last + 1} cannot be read ({error}).") from None


def _no_comment(lines: list[str], where: str) -> None:
    """Refuse a first line that is no row like the others, and begins as a comment does.

    Raises:
      UserError: it begins so.
    """
    if lines[0].lstrip().startswith("#"):
        raise UserError(
            f"{where}: line 1 begins with # and has not the fields of the others; leave it out, since every line is a "
            "row or the header."
        )


def _rows(lines: list[str], separator: str, where: str) -> _Rows:
    """What rows there are.

    Raises:
      UserError: a line is empty where rows have several fields, or rows differ in length.
    """
    first: list[list[str]] = []
    count = begin = end = 0
    several = False
    for number, last, fields in _fields(lines, separator, where):
        if first and len(fields) != len(first[0]):
            if fields == [""] or not lines[number - 1].strip():
                if all(not line.strip() for line in lines[number - 1 :]):  # how files end
                    break
                raise UserError(f"{where}: line {number} is empty.")
            _no_comment(lines, where)
            raise UserError(f"{where}: line {number} has {len(fields)} fields, and the first line has {len(first[0])}.")
        count += 1
        begin, end, several = begin or last, last, several or last > number
        if count <= SAMPLE:
            first.append(fields)
    return _Rows(count, first, begin, end, several)
