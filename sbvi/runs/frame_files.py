"""The file in which `sbvi.train(x=frame)` keeps a frame: text where that is read back as the frame is, else Parquet.

Text is what everyone reads. Of a column of texts such as 01 and 02 it would be read back as numbers, and the frame's
own dtypes are to decide; so what was written is read once, and where it differs Parquet, which holds dtypes, is kept.
"""

import csv
import io
import itertools
import numbers
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sbvi.core import UserError
from sbvi.data.formats import parquet
from sbvi.data.formats.headers import is_header, names_of
from sbvi.data.formats.missing_words import USUAL
from sbvi.data.formats.quoting import quoting, texts_of
from sbvi.data.formats.text_tables import SAMPLE, read_text
from sbvi.data.tabular.cells import plain, spelled
from sbvi.data.tabular.columns import CODED
from sbvi.data.tabular.frame_names import labels as labels_of
from sbvi.data.tabular.frame_numbers import simple
from sbvi.data.tabular.kinds import column_kind
from sbvi.data.tabular.ranks import declared_ranks, names_by_dtype, of_categories
from sbvi.runs.directory import KEPT_PARQUET, KEPT_TEXT


def kept_frame(frame: Any, told: Mapping[str, Any] | None = None) -> tuple[str, bytes]:
    """The name of the file, and its content; told: what the user says of some columns.

    Raises:
      UserError: the frame has no rows or no columns; two of its names are the same; a text would be read as a missing
        value, or is no Unicode; it needs Parquet, and pyarrow is not there or cannot hold it; or see `simple`.
    """
    frame = _checked(frame)
    text, header = _as_text(frame)
    try:
        content = text.encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"x holds {error.object[error.start]!r}, half of a character, which no file can keep; allowed: whole ones."
        ) from None
    altered = _altered(frame, text, header, told or {})
    return (KEPT_TEXT, content) if altered is None else (KEPT_PARQUET, _as_parquet(frame, altered, told))


def same_content(path: Path, content: bytes) -> bool:
    """Whether a kept file holds a content; of Parquet the same frame, since its bytes are of a version of pyarrow."""
    there = path.read_bytes()
    if there == content or path.name != KEPT_PARQUET:
        return there == content
    try:
        one, other = map(parquet.read, (there, content))
    except Exception:  # cut short, say: not the content; of damaged bytes pandas and pyarrow raise errors of many kinds
        return False
    return bool((one.dtypes.astype(str).equals(other.dtypes.astype(str))) and one.equals(other))


def _checked(frame: Any) -> Any:
    """The frame, its names texts or whole numbers, as they are in what tells of its columns: pandas would write the
    name of a day as it does the day, and nothing for None."""
    if frame.columns.nlevels > 1:
        raise UserError(f"x has columns of {frame.columns.nlevels} levels; a name must be one text.")
    if not all(frame.shape):
        raise UserError(f"x has shape {frame.shape}; it must have rows and columns.")
    for name, label in labels_of(frame, "x").items():
        column = frame[label]
        simple(column, "x")
        if gap := [text for text in texts_of(column) if text.lstrip() in USUAL]:
            raise UserError(
                f"x: column {name} holds the text {gap[0]!r}, which is kept in a file, where it is a missing value; "
                "put None where a value is missing, or another word."
            )
    return frame.set_axis([n if isinstance(n, numbers.Integral) else str(n) for n in frame.columns], axis=1)


def _as_text(frame: Any) -> tuple[str, bool | None]:
    """A frame as text, and whether that begins with the names of the columns; None where who reads it could not tell,
    as of names that are numbers."""
    names = list(map(str, frame.columns))
    counted = names == list(map(str, range(len(names))))  # as what has no names is called
    for header in (True, False) if counted else (True,):
        quotes: Any = quoting(frame, header)
        text: str = frame.to_csv(index=False, header=header, quoting=quotes)
        first = _first_rows(text)
        if not first or _begins_with_names(first) == header:
            return text, header
    return text, None


def _begins_with_names(first: list[list[str]]) -> bool | None:
    """Whether the first row would be taken for names; None where it would be refused as neither that nor a row."""
    try:
        return is_header(first, "x")
    except UserError:
        return None


def _first_rows(text: str) -> list[list[str]]:
    """The fields of the first rows as they are read back; none where they cannot be: `csv` has a limit of length."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    try:
        return list(itertools.islice(csv.reader(io.StringIO(lines)), SAMPLE))
    except csv.Error:
        return []


def _altered(frame: Any, text: str, header: bool | None, told: Mapping[str, Any]) -> str | None:
    """What is read back from text as something else than the frame holds: the names, or one of them, or of a column a
    cell, such as a text as a number or a gap, or a length of time as a text; None where there is nothing.

    header: see `_as_text`.
    """
    other = "which is read back from text as something else"
    if header is None:
        few = ", ".join(map(str, frame.columns[:5]))
        return f"x has the columns {few}, which in a file of text look like a row of the table"
    first = _first_rows(text)
    if not first:
        return "x holds a text that is too long to be read back"
    if header:
        try:
            read = names_of(first[0], "x")
        except UserError:  # two are the same
            read = [name.strip() for name in first[0]]
        for name, back in zip(map(str, frame.columns), read, strict=True):
            if name != back:
                return f"x has a column named {name!r}, {other}"
    if ordered := [name for name in frame.columns if declared_ranks(frame[name]) is not None]:
        return f"x has ordered categories in column {ordered[0]}, whose order is lost in text"
    if named := [name for name in frame.columns if _named(frame[name], told.get(str(name)))]:
        return f"x has numbers that are categories in column {named[0]}, which are numbers alone in text"
    kinds = [dtype.kind for dtype in frame.dtypes]
    suspects = _suspects(frame)
    if not suspects:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / KEPT_TEXT
        path.write_text(text, encoding="utf-8", newline="")
        try:
            table, _, _ = read_text(path, "x")
        except UserError:
            table = None
    if table is None or table.shape != frame.shape:
        return "x holds a text of which the rows cannot be told apart"
    for place in suspects:
        own, read = frame.iloc[:, place], table.iloc[:, place]
        if kinds[place] == "m" or (row := _first_altered(own, read)) is not None:
            cell = own.iloc[0 if kinds[place] == "m" else row]
            return f"x: column {frame.columns[place]} holds {str(cell)[:40]!r}, {other}"
    return None


def _named(column: Any, told: Any) -> bool:
    """Whether a column's numbers are names by its dtype, and would be of another kind without this."""
    if told is not None or not names_by_dtype(column):
        return False
    number = column.astype(object).map(float, na_action="ignore").astype(float)
    return column_kind(column, None, "x")[:2] != column_kind(number, None, "x")[:2]


def _suspects(frame: Any) -> list[int]:
    """Places of the columns whose cells are no plain numbers or times, and that a file may alter."""
    return [place for place, dtype in enumerate(frame.dtypes) if dtype.kind not in "buifM"]


def _first_altered(own: Any, read: Any) -> int | None:
    """The first row of a column that is read as something else; beside texts a number may be read as its own text,
    which is the same category, unless the column holds that text too."""
    texts = texts_of(own)
    spellings = {spelled(text) for text in texts}
    cells = zip(own.to_numpy(object), read.to_numpy(object), own.isna(), read.isna(), strict=True)
    for row, (one, other, gap, lost) in enumerate(cells):
        if gap or lost:
            if gap != lost:
                return row
            continue
        held, back = plain(one), plain(other)
        if held != back and (not texts or isinstance(one, str) or spelled(held) != spelled(back)):
            return row
        if not isinstance(one, str) and spelled(held) in spellings:
            return row
    return None


def _as_parquet(frame: Any, altered: str, told: Mapping[str, Any] | None = None) -> bytes:
    try:
        import pyarrow
    except ImportError:
        raise UserError(f"{altered}; to keep it as Parquet install pyarrow: pip install 'sbvi[parquet]'.") from None
    import pandas as pd

    try:
        content = parquet.written(
            pd.DataFrame({name: parquet.holdable(column) for name, column in frame.items()}), index=False
        )
        # pandas writes dtypes that it does not read, and others that it reads as something else
        back = parquet.read(content)
    except (pyarrow.ArrowException, TypeError, ValueError) as error:
        raise UserError(
            f"{altered}, and as Parquet it cannot be kept ({str(error).splitlines()[0][:100]}); give every column "
            "values of one type."
        ) from None
    for place in _suspects(frame):
        own = frame.iloc[:, place]
        lost = of_categories(own) and not _same_categories(own.dtype, back.dtypes.iloc[place])
        if lost and column_kind(own, (told or {}).get(str(own.name)), "x").kind in CODED:
            raise UserError(
                f"{altered}, and as Parquet it cannot be kept: column {frame.columns[place]} would come back without "
                "its categories; give them as texts."
            )
        values = own.cat.categories if isinstance(own.dtype, pd.CategoricalDtype) else own
        if pd.api.types.infer_dtype(values, skipna=True) == "string":  # which Parquet holds as they are
            continue
        if (row := _first_altered(own, back.iloc[:, place])) is not None:
            raise UserError(
                f"{altered}, and as Parquet it cannot be kept: column {frame.columns[place]} would come back with "
                f"{str(back.iloc[row, place])[:40]!r} for {str(own.iloc[row])[:40]!r}; give that column as texts."
            )
    return content


def _same_categories(own: Any, back: Any) -> bool:
    """Whether a dtype of categories was read back as what it is."""
    categories = getattr(back, "categories", ())
    return [*map(plain, own.categories)] == [*map(plain, categories)] and bool(own.ordered) == bool(back.ordered)
