"""Real values moved from their range to [0, 1], and back."""

import numpy as np

#: A range that lies so many times its width from 0 is moved in float64: float32 would take four and more of its 24
#: digits off the values. Nearer ones are moved in float32, as what runs recorded of their data was.
FAR = 16


def far(low: float, high: float) -> bool:
    """Whether the range is far from 0; see `FAR`."""
    return max(abs(low), abs(high)) > FAR * (high - low)


def to_unit(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """(x - low) / (high - low) in the arithmetic of x's own dtype."""
    return x if (low, high) == (0, 1) else (x - x.dtype.type(low)) / x.dtype.type(high - low)


def from_unit(u: np.ndarray, low: float, high: float) -> np.ndarray:
    """low + (high - low) u in the arithmetic of u's own dtype."""
    return u * u.dtype.type(high - low) + u.dtype.type(low)
