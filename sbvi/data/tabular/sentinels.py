"""Numbers that stand for a missing value, as -999 does in many files."""

import logging
import re
from collections.abc import Mapping

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
        if len(x) - len(rest) < 2 or len(np.unique(rest)) < 2:
            continue
        if float(np.abs(rest - far).min()) > max(float(np.ptp(rest)), 1.0):
            return float(far)
    return None


def warn_of_sentinels(columns: Mapping[str, np.ndarray], where: str, by_column: bool) -> None:
    """Say which columns' numbers, name -> (N,), NaN where missing, hold a sentinel, which is taken as any other number.

    by_column: whether the table may have gaps.
    """
    held: dict[float, list[str]] = {}
    for name, x in columns.items():
        if (found := sentinel(x[~np.isnan(x)])) is not None:
            held.setdefault(found, []).append(name)
    for found, names in held.items():
        x = columns[names[0]]
        rows, rest = np.flatnonzero(x == found), x[(x != found) & ~np.isnan(x)]
        more = f", as it is in {len(names) - 1} more columns" if len(names) > 1 else ""
        log.warning(
            "%s: column %s holds %.15g in %d rows (the first is %s), far from its other numbers (%.6g to %.6g), and it "
            "is taken as a number%s; where it says that a value is missing, %s.",
            where, names[0], found, len(rows), line(int(rows[0]), where), rest.min(), rest.max(), more,
            f"set 'dataset.missing_values=[{found:.15g}]'" if by_column else "leave these cells empty",
        )  # fmt: skip
