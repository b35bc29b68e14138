"""The file in which `sbvi.train(x=frame)` keeps a frame: text where that is read back as the frame is, else Parquet.

Text is what everyone reads. Of a column of texts such as 01 and 02 it would be read back as numbers, and the frame's
own dtypes are to decide; so what was written is read once, and where it differs Parquet, which holds dtypes, is kept.
"""

import csv
import io
import itertools
import tempfile
from pathlib import Path
from typing import Any

from sbvi.core import UserError
from sbvi.data.cells import simple
from sbvi.data.columns import labels as labels_of
from sbvi.data.formats.headers import is_header
from sbvi.data.formats.missing_words import USUAL
from sbvi.data.formats.quoting import quoting, texts_of
from sbvi.data.formats.text_tables import SAMPLE, read_text
from sbvi.runs.directory import KEPT_PARQUET, KEPT_TEXT


def kept_frame(frame: Any) -> tuple[str, bytes]:
    """The name of the file, and its content.

    Raises:
      UserError: the frame's names cannot be told from rows, or two are the same; a text would be read as a missing
        value; it needs Parquet, and pyarrow is not there or cannot hold it; or see `simple`.
    """
    text = _as_text(frame).encode()
    altered = _altered(frame, text)
    return (KEPT_TEXT, text) if altered is None else (KEPT_PARQUET, _as_parquet(frame, altered))


def same_content(path: Path, content: bytes) -> bool:
    """Whether a kept file holds a content; of Parquet the same frame, since its bytes are of a version of pyarrow."""
    there = path.read_bytes()
    if there == content or path.name != KEPT_PARQUET:
        return there == content
    import pandas as pd

    try:
        one, other = (pd.read_parquet(io.BytesIO(each), engine="pyarrow") for each in (there, content))
    except (OSError, ValueError):  # cut short, say: not the content; pyarrow's errors are of these kinds
        return False
    return bool((one.dtypes.astype(str).equals(other.dtypes.astype(str))) and one.equals(other))


def _as_text(frame: Any) -> str:
    """A frame as text that is read back with the same names and gaps."""
    if frame.columns.nlevels > 1:
        raise UserError(f"x has columns of {frame.columns.nlevels} levels; a name must be one text.")
    named = labels_of(frame, "x")
    names = list(named)
    for name, label in named.items():
        column = frame[label]
        simple(column, "x")
        if gap := [text for text in texts_of(column) if text.lstrip() in USUAL]:
            raise UserError(
                f"x: column {name} holds the text {gap[0]!r}, which is kept in a file, where it is a missing value; "
                "put None where a value is missing, or another word."
            )
    quotes: Any = quoting(frame, names)
    counted = names == list(map(str, range(len(names))))  # as what has no names is called
    for header in (True, False) if counted else (True,):
        text: str = frame.to_csv(index=False, header=header, quoting=quotes)
        first = list(itertools.islice(csv.reader(io.StringIO(text)), SAMPLE))
        if first and is_header(first, "x") == header:
            return text
    raise UserError(
        f"x has the columns {', '.join(names[:5])}, which look like a row of the table; name them by words."
    )


def _altered(frame: Any, text: bytes) -> tuple[str, str] | None:
    """The first column, and a cell of it, that is read back from text as something else than the frame holds: a text as
    a number or a gap, or a length of time as a text; None where there is none."""
    suspects = [
        place for place, (_, column) in enumerate(frame.items()) if texts_of(column) or column.dtype.kind == "m"
    ]
    if not suspects:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / KEPT_TEXT
        path.write_bytes(text)
        back, _, _ = read_text(path, "x")
    for place in suspects:
        own, read = frame.iloc[:, place].to_numpy(object), back.iloc[:, place].to_numpy(object)
        times = frame.dtypes.iloc[place].kind == "m"
        for one, other in zip(own, read, strict=True):
            if (isinstance(one, str) and not (isinstance(other, str) and one == other)) or times:
                return str(frame.columns[place]), str(one)
    return None


def _as_parquet(frame: Any, altered: tuple[str, str]) -> bytes:
    name, cell = altered
    held = f"x: column {name} holds {cell!r}, which is read back from text as something else"
    try:
        import pyarrow
    except ImportError:
        raise UserError(f"{held}; to keep it as Parquet install pyarrow: pip install 'sbvi[parquet]'.") from None
    buffer = io.BytesIO()
    try:
        frame.to_parquet(buffer, engine="pyarrow", index=False)
    except (pyarrow.ArrowException, TypeError, ValueError) as error:
        raise UserError(
            f"{held}, and as Parquet it cannot be kept ({str(error).splitlines()[0][:100]}); give every column "
            "values of one type."
        ) from None
    return buffer.getvalue()
