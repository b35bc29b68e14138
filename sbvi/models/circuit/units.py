"""A user's circuit, whose Gaussian leaves are in the source's units, as the model sees the data."""

from collections.abc import Sequence
from typing import Any

import numpy as np

Entry = dict[str, Any]


def as_seen(nodes: Sequence[Entry], location: np.ndarray | float, scale: np.ndarray | float) -> list[Entry]:
    """Plain data of a circuit (`algebra.to_data`) with N((mean - location) / scale, variance / scale^2) for N(mean,
    variance), as x = location + scale * what the model sees, by variable (D,) or of all. Other leaves are of whole
    numbers, whatever the model sees them as."""

    def moved(entry: Entry) -> Entry:
        if entry["kind"] != "gaussian":
            return entry
        at, wide = (
            float(v if np.ndim(v) == 0 else np.take(v, entry["variable"], mode="clip")) for v in (location, scale)
        )  # a variable that the data has not is refused where the circuit is built
        return entry | {"mean": (entry["mean"] - at) / wide, "variance": entry["variance"] / wide**2}

    return [moved(entry) for entry in nodes]
