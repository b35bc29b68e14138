"""A text table written back with its gaps filled: what was there keeps its own text."""

import csv
import gzip
import io
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from sbvi.data.formats.dialects import Dialect
from sbvi.data.formats.own_files import TEXTS, suffix
from sbvi.data.formats.text_tables import Texts, read_fields
from sbvi.data.tabular.cells import plain
from sbvi.data.tabular.columns import Column

if TYPE_CHECKING:
    import pandas


def own_texts(path: str, output: str | None) -> Texts | None:
    """The fields of a text file whose filled copy is to be text too; None of all others."""
    if output is None or suffix(Path(path)) not in TEXTS or suffix(Path(output)) not in TEXTS:
        return None
    return read_fields(Path(path).expanduser(), f"task.input={path}")


def filled_rows(
    texts: Texts, columns: tuple[Column, ...], frame: "pandas.DataFrame", numbers: np.ndarray, gaps: np.ndarray
) -> list[list[str]]:
    """The rows with source numbers (N, D) in the gaps (N, D) of these columns; all other fields as they are.

    A category is written as the column writes it elsewhere, a number with the file's decimal sign, and a whole one with
    the decimals that it has elsewhere.

    frame: what was read of the same file.
    """
    rows = [list(row) for row in texts.rows]
    places = {str(name): place for place, name in enumerate(texts.names)}
    labels = {str(name): name for name in frame.columns}
    for d, column in enumerate(columns):
        place, missing = places[column.name], np.flatnonzero(gaps[:, d])
        there = np.flatnonzero(~gaps[:, d])
        known = {}
        if column.coded:
            observed = frame[labels[column.name]].iloc[there]
            known = {plain(v): rows[r][place] for v, r in zip(observed[::-1], there[::-1], strict=True)}
        point = any(texts.dialect.decimal in rows[r][place] for r in there)
        for r, value in zip(missing, column.decoded(numbers[missing, d]), strict=True):
            text = known.get(plain(value))
            rows[r][place] = _text(value, texts.dialect.decimal, point) if text is None else text
    return rows


def _text(value: object, decimal: str, point: bool) -> str:
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
        return str(value)
    number = float(value)
    if number == np.rint(number) and abs(number) < 2**53:
        return f"{int(number)}{decimal}0" if point else str(int(number))
    return repr(number).replace(".", decimal)


def put_rows(file: BinaryIO, path: Path, texts: Texts, rows: list[list[str]]) -> None:
    """Rows below the file's own header, in UTF-8, separated as `separator` says, into a file that is to have this
    path."""
    content = io.StringIO()
    writer = csv.writer(content, delimiter=separator(path, texts.dialect), lineterminator="\n")
    writer.writerows([*([] if texts.header is None else [texts.header]), *rows])
    data = content.getvalue().encode()
    file.write(gzip.compress(data) if suffix(path).endswith(".gz") else data)


def separator(path: Path, dialect: Dialect) -> str:
    """Tabs in a .tsv; else the input's own, and where that is a tab a comma, or a semicolon beside decimal commas."""
    if suffix(path).startswith(".tsv"):
        return "\t"
    if dialect.separator != "\t":
        return dialect.separator
    return ";" if dialect.decimal == "," else ","
