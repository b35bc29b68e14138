"""What spells a missing value in delimited text: what pandas takes for one, and beside numbers a few words more."""

import logging
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas

log = logging.getLogger(__name__)

_USUAL = "#N/A #NA -1.#IND -1.#QNAN -NaN -nan 1.#IND 1.#QNAN <NA> N/A NA NULL NaN None n/a nan null"
#: Spellings of a missing value in every column: the defaults of pandas.read_csv.
USUAL = frozenset(_USUAL.split()) | {"", "#N/A N/A"}
#: Further ones, of columns of numbers alone: in a column of texts they may be categories.
FURTHER = frozenset(["?", "-", "--", ".", "na", "NAN", "Null", "none", "NONE", "missing"])
#: All of them.
MISSING = USUAL | FURTHER

_NUMBER = re.compile(r"\s*([+-]?(\d+([.,]\d*)?|[.,]\d+)(e[+-]?\d+)?|[+-]?inf(inity)?|true|false)\s*", re.IGNORECASE)


def is_number(field: str) -> bool:
    return _NUMBER.fullmatch(field) is not None


def is_missing(field: str) -> bool:
    return field.strip() in MISSING


def numbers_beside_words(frame: "pandas.DataFrame") -> list[int]:
    """Places of columns of text that hold numbers beside FURTHER spellings and nothing else, or marks alone."""
    import pandas as pd

    places = []
    for place, (_, column) in enumerate(frame.items()):
        if pd.api.types.is_numeric_dtype(column.dtype):
            continue
        words = [str(word) for word in column.dropna().unique()]
        further = [word for word in words if word in FURTHER]
        others = [word for word in words if word not in FURTHER]
        if not further or not all(map(is_number, others)):
            continue
        if others or not any(map(str.isalpha, further)):
            places.append(place)
    return places


def tell(
    frame: "pandas.DataFrame",
    texts: Callable[[list[int]], Iterable["pandas.DataFrame"]],
    where: str,
) -> None:
    """Log what was taken as missing, and in which columns, where it is more than empty fields.

    texts: places of columns -> their texts, in parts of whole rows.
    """
    missing = frame.isna().to_numpy()
    gaps = missing.any(0).nonzero()[0].tolist()
    if not gaps:
        return
    spelled: dict[str, dict[str, None]] = {}
    first = 0
    for part in texts(gaps):
        for place, (_, column) in zip(gaps, part.items(), strict=True):
            words = column.to_numpy(object)[missing[first : first + len(part), place]]
            for word in dict.fromkeys(words.tolist()):
                if word.strip():
                    spelled.setdefault(word.strip(), {})[str(frame.columns[place])] = None
        first += len(part)
    if spelled:
        log.info("Taken as missing in %s: %s.", where, "; ".join(f"{w} in {_few(list(c))}" for w, c in spelled.items()))


def _few(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
