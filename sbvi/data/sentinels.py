"""Numbers that stand for a missing value, as -999 does in many files."""

import logging
import re

import numpy as np

from sbvi.data.checks import line

log = logging.getLogger(__name__)

#: Nines alone, of which one is a number like others where it is not negative.
_NINES = re.compile(r"-9+|99+")


def sentinel(x: np.ndarray) -> float | None:
    """The number that likely stands for a missing value among a column's known ones (N,), if there is one: nines alone,
    more than once, farther from all others than these are from one another."""
    for far in (x.min(), x.max()) if len(x) else ():
        if not _NINES.fullmatch(f"{far:.15g}"):
            continue
        rest = x[x != far]
        if len(x) - len(rest) > 1 and len(rest) and float(np.abs(rest - far).min()) > max(float(np.ptp(rest)), 1.0):
            return float(far)
    return None


def warn_of_sentinel(name: str, x: np.ndarray, where: str, by_column: bool) -> None:
    """Say where a column's numbers (N,), NaN where missing, hold a sentinel, which is taken as any other number.

    by_column: whether the table may have gaps.
    """
    known = x[~np.isnan(x)]
    if (found := sentinel(known)) is None:
        return
    rows, rest = np.flatnonzero(x == found), known[known != found]
    log.warning(
        "%s: column %s holds %.15g in %d rows (the first is %s), far from its other numbers (%.6g to %.6g), and it is "
        "taken as a number; where it says that a value is missing, %s.",
        where, name, found, len(rows), line(int(rows[0]), where), rest.min(), rest.max(),
        f"set 'dataset.missing_values=[{found:.15g}]'" if by_column else "leave these cells empty",
    )  # fmt: skip
