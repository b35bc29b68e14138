"""Numbers that are text for their marks: thousands kept apart, another decimal mark, a currency, per cent."""

import re
from collections.abc import Sequence

#: Without marks.
_PLAIN = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*")
_CURRENCY = r"[$€£¥]|[A-Z]{3}(?=\s|$)"
_SPACE = r"[ \u00a0\u202f]"
#: Thousands are kept apart by one and the same mark, which is none of the decimals'.
_WHOLE = (
    r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d{1,3}(?:\.\d{3})+(?:,\d+)?"
    r"|\d{1,3}(?P<mark>['\u2019 \u00a0\u202f])\d{3}(?:(?P=mark)\d{3})*(?:[.,]\d+)?"
)
_MARKED = re.compile(
    rf"\s*(?P<sign>[-+]?)(?:{_CURRENCY})?{_SPACE}?(?P<number>{_WHOLE}|\d+(?:[.,]\d+)?){_SPACE}?(?:%|{_CURRENCY})?\s*"
)


def plainly(text: str) -> str | None:
    """A number with marks as it is written without them; None of what is no such number, or has no marks."""
    found = None if _PLAIN.fullmatch(text) else _MARKED.fullmatch(text)
    if found is None:
        return None
    number = found["number"]
    whole, _, decimals = number.replace(",", ".").rpartition(".")
    grouped = re.fullmatch(r"\d{1,3}([,.]\d{3})+", number)
    if grouped or not whole:  # no decimals: all that is no digit keeps thousands apart
        whole, decimals = number, ""
    return found["sign"].replace("+", "") + re.sub(r"\D", "", whole) + (f".{decimals}" if decimals else "")


def marked(texts: Sequence[str]) -> dict[str, str]:
    """Of texts of which nine in ten are numbers, those with marks -> how each is written plainly; of others none."""
    plain = {text: p for text in texts if (p := plainly(text)) is not None}
    numbers = len(plain) + sum(_PLAIN.fullmatch(text) is not None for text in texts)
    return plain if 10 * numbers >= 9 * len(texts) else {}
