"""Numbers that are text for their marks: thousands kept apart, another decimal mark or minus, a currency, per cent."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sbvi.data.formats.missing_words import MISSING

#: Among a frame's `attrs`: the mark of decimals in the file that it was read from.
DECIMAL = "sbvi.decimal"

_CURRENCY = r"[A-Z]{0,2}\$|[¢£¥\u058f\u0e3f\u20a0-\u20c0]|[A-Z]{3}(?=\s|$)|(?:kr|zł|Kč|Fr)\.?(?![^\W\d])"
_SPACE = r"[ \u00a0\u2009\u202f]"
_MINUS = r"\-\u2012\u2013\u2212"
#: Thousands are kept apart by one and the same mark, which is none of the decimals', and do not begin with 0.
_GROUPS = (
    r"[1-9]\d?(?:,\d{2})+,\d{3}(?:\.\d+)?"  # as in India
    r"|[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?|[1-9]\d{0,2}(?:\.\d{3})+(?:,\d+)?"
    r"|[1-9]\d{0,2}(?P<mark>['_\u2019 \u00a0\u2009\u202f])\d{3}(?:(?P=mark)\d{3})*(?:[.,]\d+)?"
)
_NUMBER = re.compile(
    rf"\s*(?P<minus>[+{_MINUS}]?)(?P<before>{_CURRENCY})?{_SPACE}?(?P<within>[{_MINUS}]?)"
    rf"(?P<number>{_GROUPS}|\d+(?:[.,]\d*)?|[.,]\d+)(?P<power>[eE][-+]?\d+)?"
    rf"{_SPACE}?(?P<after>%|{_CURRENCY})?(?P<behind>-?)\s*"
)
_BRACKETS = re.compile(r"\s*\(([^-+()]*)\)\s*")  # as accounts have what is below 0
#: With the mark of decimals, without others.
_PLAIN = {mark: re.compile(rf"\s*[-+]?(\d+(?:[{mark}]\d*)?|[{mark}]\d+)([eE][-+]?\d+)?\s*") for mark in ".,"}


class _Read(NamedTuple):
    """A number's digits and marks, its sign, its power of ten, and what it is of: a currency, % or nothing."""

    minus: bool
    bracketed: bool
    number: str
    power: str
    unit: str

    @property
    def certain(self) -> str:
        """The mark of its decimals, or that which can be one by where thousands are kept apart; "" where neither is
        said, as of 1,234."""
        marks = re.findall(r"[.,]", self.number)
        if len(set(marks)) == 2:
            return marks[-1]
        if len(marks) > 1:
            return "," if marks[0] == "." else "."
        either = not self.power and re.fullmatch(r"[1-9]\d{0,2}[.,]\d{3}", self.number)
        return "" if not marks or either else marks[0]

    def plainly(self, decimal: str, written: str) -> str:
        """As it is written without marks. decimal: that of this number; written: that of the plain spelling."""
        whole, _, decimals = self.number.partition(decimal)
        digits = re.sub(r"\D", "", whole) or "0"
        return ("-" if self.minus else "") + digits + (written + decimals if decimals else "") + self.power


def _read(text: str) -> _Read | None:
    bracketed = _BRACKETS.fullmatch(text)
    found = _NUMBER.fullmatch(bracketed[1] if bracketed else text)
    if found is None or (found["before"] and found["after"]):
        return None
    signs = [*filter(None, [bracketed, found["minus"], found["within"], found["behind"]])]
    if len(signs) > 1:
        return None
    minus, unit = bool(signs) and found["minus"] != "+", found["before"] or found["after"] or ""
    return _Read(minus, bool(bracketed), found["number"], found["power"] or "", unit)


def _decimal(read: Iterable[_Read]) -> str:
    """The mark of the decimals of a column's numbers where they say one and the same, else nothing."""
    said = {number.certain for number in read} - {""}
    return said.pop() if len(said) == 1 else ""


def plainly(text: str, decimal: str = ".") -> str | None:
    """A number with marks as it is written without them; None of what is no such number, or has no marks.

    decimal: the mark that decimals have where they are written plainly.
    """
    return marked([text], decimal).get(text)


def plain_number(text: str, decimal: str) -> bool:
    """Whether a text is a number without other marks than the one of its decimals."""
    return _PLAIN[decimal].fullmatch(text) is not None


def marked(texts: Sequence[str], decimal: str = ".") -> dict[str, str]:
    """Of a column's texts of which nine in ten are numbers, those with marks -> how each is written plainly; of others
    none.

    What spells a missing value is not counted. Numbers of more than one currency, or with other words in its place
    (12 JAN, ABC 123), or in brackets all of them, are none. Whether the 234 of 1,234 are decimals the others say, and
    where they do not, the file's mark; of that mark itself, as in $3.999, both spellings are told.
    decimal: the mark that decimals have where they are written plainly, which is the file's.
    """
    texts = [text for text in texts if text.strip() not in MISSING]
    read = {text: number for text in texts if (number := _read(text)) is not None}
    units = {number.unit for number in read.values()} - {""}
    if 10 * len(read) < 9 * len(texts) or len(units) > 1 or all(number.bracketed for number in read.values()):
        return {}
    own = _decimal(read.values())
    written = {}
    for text, number in read.items():
        if own in ("", decimal) and _PLAIN[decimal].fullmatch(text):
            continue
        written[text] = number.plainly(number.certain or own or decimal, decimal)
        if decimal in number.number and not (number.certain or own):
            thousands = number.plainly("," if decimal == "." else ".", decimal)
            written[text] += f", or {thousands} where its mark keeps thousands apart"
    return written
