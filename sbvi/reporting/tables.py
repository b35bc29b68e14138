"""Tables as text: for a terminal, or as Markdown."""

import re
from collections.abc import Sequence

#: Characters that would break a row, or that no terminal shows: of names of folders, which may hold any.
_BREAKING = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]


def _in_a_row(row: Sequence[str]) -> list[str]:
    """The cells with such characters as Python escapes them."""
    return [_BREAKING.sub(lambda found: found.group().encode("unicode_escape").decode(), cell) for cell in row]


def _numeric(cell: str) -> bool:
    return not cell or cell[0].isdigit() or (cell[0] in "-+." and len(cell) > 1 and (cell[1].isdigit() or cell == "-"))


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns two spaces apart; columns of numbers are aligned right."""
    header, rows = _in_a_row(header), [_in_a_row(row) for row in rows]
    widths = _widths([header, *rows])
    right = [all(_numeric(row[i]) for row in rows) for i in range(len(header))]

    def line(row: Sequence[str]) -> str:
        cells = [c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True)]
        return "  ".join(cells).rstrip()

    return "\n".join([line(header), "  ".join("-" * w for w in widths), *(line(row) for row in rows)])


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; a bar inside a cell is escaped."""

    def line(row: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in _in_a_row(row)) + " |"

    return "\n".join([line(header), "|" + "---|" * len(header), *(line(row) for row in rows)])
