"""How far a mean over examples may be from that over all examples there could be."""

import numpy as np


def standard_error(values: np.ndarray) -> float:
    """The standard error of the mean of values (N,), sd / sqrt(N) with N - 1 in the variance.

    It is computed in all digits. Of one value, whose spread is not known, it is NaN; and of values that are not finite,
    which are told by name, without a warning.
    """
    with np.errstate(invalid="ignore"):
        spread = np.std(values, dtype=np.float64)
    return float(spread / np.sqrt(len(values) - 1)) if len(values) > 1 else float("nan")
