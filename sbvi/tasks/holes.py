"""What is removed from the run's own data to be filled in again, and the picture of how that went."""

from typing import Literal

import numpy as np

from sbvi.core import UserError
from sbvi.reporting.images import grid, shown

Hole = Literal["random", "square", "lower_half"]
SHOWN = 8  # examples of a picture


def holes(kind: Hole, fraction: float, seed: int, count: int, event_shape: tuple[int, ...]) -> np.ndarray:
    """Places removed, (N, D) of bool: at random, or of images the same for all. fraction: of values removed at random,
    or of the square's area.

    Raises:
      UserError: a square or a half of what is no image.
    """
    size = int(np.prod(event_shape))
    if kind == "random":
        return np.random.default_rng(seed).random((count, size)) < fraction
    if len(event_shape) < 2:
        raise UserError(f"task.missing={kind} needs images, and the data has shape {event_shape}.")
    height, width = event_shape[:2]
    hole = np.zeros(event_shape, bool)
    if kind == "lower_half":
        hole[height // 2 :] = True
    else:
        sides = [round(np.sqrt(fraction) * side) for side in (height, width)]
        top, left = (height - sides[0]) // 2, (width - sides[1]) // 2
        hole[top : top + sides[0], left : left + sides[1]] = True
    return np.broadcast_to(hole.reshape(1, -1), (count, size)).copy()


def spread_out(count: int) -> np.ndarray:
    """Places of the examples that a picture shows, evenly spaced: a split may be sorted, as static MNIST's test set is
    by label."""
    return np.unique(np.linspace(0, count - 1, min(SHOWN, count)).astype(int))


def picture(
    truth: np.ndarray | None, x: np.ndarray, missing: np.ndarray, courses: np.ndarray, event_shape: tuple[int, ...]
) -> np.ndarray | None:
    """Row by row as in the paper's figure 5: the truth, what is left of it, and a chain's course (T, N, D); None of
    what is no image."""
    if shown(x[:1], event_shape) is None:
        return None
    rows = []
    for row in range(len(x)):
        first = [truth[row]] if truth is not None else []
        left = np.where(missing[row], 0.5, x[row])
        chain = [np.where(missing[row], values, x[row]) for values in courses[:, row]]
        rows += [*first, left, *chain]
    columns = len(rows) // len(x)
    images = shown(np.stack(rows), event_shape)
    assert images is not None
    return grid(images, columns)
