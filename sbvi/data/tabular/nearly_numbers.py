"""Columns of text that are nearly columns of numbers, of which the log warns: a typing error, or marks in numbers."""

import logging
from typing import TYPE_CHECKING, Any

from sbvi.data.checks import line
from sbvi.data.formats.missing_words import is_number
from sbvi.data.tabular.cells import plain
from sbvi.data.tabular.marked_numbers import DECIMAL, marked

if TYPE_CHECKING:
    import pandas

log = logging.getLogger(__name__)


def among_numbers(column: "pandas.Series", values: list[Any], kind: str, where: str) -> str:
    """What the log's table adds of a column of text of which nearly all cells are numbers, with a warning: a typing
    error makes categories of its numbers, or drops it. Of other columns what `_marks` says."""
    allowed = max(1, int(column.notna().sum()) // 10)
    words = {str(v) for v in values if not is_number(str(v))}
    odd = [row for row, v in enumerate(column) if str(plain(v)) in words] if 0 < len(words) <= allowed else []
    if not 0 < len(odd) <= allowed or len(words) == len(values):
        return _marks(column, values, kind, where)
    place, cell = line(odd[0], where), str(column.iloc[odd[0]])[:40]
    other = ", or categorical" if kind == "ignored" else ""
    log.warning(
        "%s: column %s is %s, since it holds %r in %s%s among numbers; correct the cell or leave it empty, or "
        "give the column's kind: dataset.columns={%s: %s}%s.",
        where, column.name, _done(kind), cell, place, f" and {len(odd) - 1} more texts" if len(odd) > 1 else "",
        column.name, kind, other,
    )  # fmt: skip
    return f", of which {len(values) - len(words)} are numbers; {place} holds {cell!r}"


def _done(kind: str) -> str:
    """What is done with a column that is taken for this kind, in words."""
    return "left out" if kind == "ignored" else f"taken as {kind}"


def _marks(column: "pandas.Series", values: list[Any], kind: str, where: str) -> str:
    """The same of a column whose numbers are text for the marks that they have; of others nothing."""
    written = marked([str(v) for v in values], column.attrs.get(DECIMAL, "."))
    if not written:
        return ""
    row, cell = next((row, str(v)) for row, v in enumerate(column) if str(v) in written)
    log.warning(
        "%s: column %s is %s, since its numbers have marks, as %r in %s; write them plainly (%s), or give the column's "
        "kind: dataset.columns={%s: %s}.",
        where, column.name, _done(kind), cell[:40], line(row, where), written[cell], column.name, kind,
    )  # fmt: skip
    return f", numbers with marks: {cell[:40]!r}"
