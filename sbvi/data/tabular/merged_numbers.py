"""Whole numbers so large that a float64, which all numbers of a table become, holds several of them as one.

A column of a text file that has gaps is of float64 as soon as it is read: which of its numbers were others is lost.
"""

import logging
from collections.abc import Iterable
from typing import Any

import numpy as np

log = logging.getLogger(__name__)

#: From here on a float64 does not hold every whole number.
HELD = 2**53
WHY = "whole numbers that float64 cannot tell apart"


def merged(cells: Iterable[Any], name: object, where: str) -> bool:
    """Whether some of a column's different cells are the same number in float64, of which the log warns."""
    whole = {int(cell) for cell in cells if isinstance(cell, int | np.integer) and not -HELD <= cell <= HELD}
    if (left := len(set(map(float, whole)))) == len(whole):
        return False
    log.warning(
        "%s: column %s holds %s (%d beyond 2^53 become %d); give them with a letter before them where they are names, "
        "or with their least taken off where they are numbers.",
        *(where, name, WHY, len(whole), left),
    )
    return True
