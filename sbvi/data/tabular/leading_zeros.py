"""Whole numbers that a text file writes with zeros in front, as names are written: 00501 is a post code."""

import logging
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from sbvi.data.checks import line

if TYPE_CHECKING:
    import pandas

log = logging.getLogger(__name__)

#: Among a frame's `attrs`: of the file that it was read from the columns that have such fields, see `zeros_in_front`.
ZEROS = "sbvi.zeros_in_front"

#: Two digits are months, hours and days as well.
_FIELD = re.compile(r"\s*0\d{2,}\s*")


def zeros_in_front(
    frame: "pandas.DataFrame",
    content: str,
    separator: str,
    texts: Callable[[list[int]], Iterable["pandas.DataFrame"]],
) -> dict[str, tuple[int, str]]:
    """Names of columns of whole numbers alone -> the row and the text of their first field with a zero in front.

    content: what the frame was read from. texts: places of columns -> their texts, in parts of whole rows.
    """
    ends = re.escape(separator) + '\n" '
    # One look at the whole, in which 0 stands first for speed's sake: most files have no such field, see `_FIELD`.
    if not re.search(rf"0(?<![^{ends}]0)\d{{2,}}(?=[{ends}]|$)", content):
        return {}
    left = [place for place in range(frame.shape[1]) if _whole(frame.iloc[:, place])]
    found: dict[str, tuple[int, str]] = {}
    first = 0
    for part in texts(left) if left else ():
        for place, (_, column) in zip(left, part.items(), strict=True):
            name = str(frame.columns[place])
            hit = None if name in found else next(((i, v) for i, v in enumerate(column) if _FIELD.fullmatch(v)), None)
            if hit is not None:
                found[name] = first + hit[0], hit[1].strip()
        if len(found) == len(left):
            break
        first += len(part)
    return found


def _whole(column: "pandas.Series") -> bool:
    """Whether it was read as whole numbers, gaps aside."""
    if not isinstance(column.dtype, np.dtype) or column.dtype.kind not in "iuf":
        return False
    known = column.dropna().to_numpy()
    return bool(len(known)) and bool((np.rint(known) == known).all())


def warn_of_zeros(column: "pandas.Series", kind: str, most: int, where: str) -> None:
    """Say where a column that is taken as numbers or their ranks has zeros in front of them.

    most: of so many values a column can be one of categories.
    """
    told: dict[str, tuple[int, str]] = column.attrs.get(ZEROS, {})
    if (first := told.get(str(column.name))) is None or kind == "ignored":
        return
    few = column.nunique() <= most
    names: list[Any] = ["categorical", ", ignored to leave it out,"] if few else ["ignored", ", which leaves it out,"]
    log.warning(
        "%s: column %s is taken as %s, and holds %r in %s, with a zero in front as names have it; say what it is: "
        "'dataset.columns={%s: %s}' where these are names%s or %s where they are numbers.",
        where, column.name, kind, first[1], line(first[0], where), column.name, *names, kind,
    )  # fmt: skip
