"""How a text table is written: its encoding, and what separates its fields, found by looking."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sbvi.core import UserError
from sbvi.data.formats.mixed_encodings import OTHER

#: What separates fields -> its name.
SEPARATORS = {";": "semicolon", "\t": "tab", ",": "comma", "|": "bar"}
#: The first row, whose fields in quotes may have several lines.
_FIRST = re.compile(r'(?:"[^"]*"|[^"\n])*')
_QUOTED = re.compile(r'"[^"]*"')
#: A field in quotes among those that bars separate, with the bar before it.
_BETWEEN_BARS = re.compile(r'(^|\|) *"(?:[^"]|"")*"', re.MULTILINE)
#: A number with a decimal comma.
COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
#: What stands in no text, spaces, tabs and ends of lines aside.
_CONTROL = re.compile(r"[\0-\x08\x0e-\x1f]")


class Dialect(NamedTuple):
    """How a file is written."""

    encoding: str
    separator: str
    decimal: str
    header: bool

    def __str__(self) -> str:
        encoding = "" if self.encoding in ("utf-8", "utf-8-sig") else f", {self.encoding}"
        return f"{SEPARATORS[self.separator]}-separated{', decimal comma' if self.decimal == ',' else ''}{encoding}"


def decoded(content: bytes, where: str) -> tuple[str, str]:
    """The text of a file, its lines ended as on Unix, and the encoding.

    Raises:
      UserError: it is no text.
    """
    for encoding in _encodings(content):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text or (encoding in _WITHOUT_MARK and _CONTROL.search(text)):
            break
        return text.replace("\r\n", "\n").replace("\r", "\n"), encoding
    raise UserError(f"{where} is not a text file.")


#: UTF-16 without a mark -> where it has the upper halves of characters, which are 0 of Latin ones.
_WITHOUT_MARK = {"utf-16-le": 1, "utf-16-be": 0}


def _encodings(content: bytes) -> tuple[str, ...]:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return ("utf-16",)
    for encoding, place in _WITHOUT_MARK.items():
        upper, lower = content[place::2], content[1 - place :: 2]
        if len(content) % 2 == 0 and 2 * upper.count(0) > len(upper) and not lower.count(0):
            return (encoding,)
    return ("utf-8-sig", OTHER)


def separator_of(text: str, path: Path) -> str:
    """What separates fields: the candidate that stands outside of quotes in the first row, semicolons before tabs
    before commas, since the others may stand within numbers; a bar where there is none of these, or commas within
    numbers between bars alone, and as many bars are in every row."""
    if ".tsv" in (s.lower() for s in path.suffixes):
        return "\t"
    row = _FIRST.match(text.lstrip(" \n"))
    first = _QUOTED.sub("", row.group()) if row else ""
    found = next((s for s in SEPARATORS if s in first), ",")
    if found not in ",|" or "|" not in first:
        return found
    rows = _BETWEEN_BARS.sub(r"\1", text).split("\n")
    parts = (part.strip() for line in rows if "," in line for part in line.split("|") if "," in part)
    return "|" if agreed(rows, "|") and (found == "|" or all(map(COMMA.fullmatch, parts))) else ","


def agreed(lines: Sequence[str], mark: str) -> bool:
    """Whether a mark stands in every line as often, outside of quotes; those that are empty are none."""
    counts = {_QUOTED.sub("", line).count(mark) for line in lines if line.strip()}
    return len(counts) == 1 and 0 not in counts
