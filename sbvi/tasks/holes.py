"""What is removed from the run's own data to be filled in again, and the picture of how that went."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from sbvi.core import UserError
from sbvi.reporting.images import grid, shown
from sbvi.reporting.panels import Panel

Hole = Literal["random", "square", "lower_half"]
SHOWN = 8  # examples of a picture
#: Of missing pixels: magenta, which no grey is and the frame is not.
GAP = np.array([1.0, 0.0, 1.0])


def holes(kind: Hole, fraction: float, seed: int, count: int, event_shape: tuple[int, ...]) -> np.ndarray:
    """Places removed, (N, D) of bool: at random, or of images the same for all. fraction: of values removed at random,
    or of the square's area.

    Raises:
      UserError: a square or a half of what is no image, or nothing is removed, whose errors would all be none.
    """
    removed = _removed(kind, fraction, seed, count, event_shape)
    if not removed.any():
        raise UserError(
            f"task.fraction={fraction} with task.missing={kind} removes no value of {count} examples of shape "
            f"{event_shape}, so that there is nothing to fill in; allowed: a greater task.fraction."
        )
    return removed


def _removed(kind: Hole, fraction: float, seed: int, count: int, event_shape: tuple[int, ...]) -> np.ndarray:
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
    truth: np.ndarray | None,
    x: np.ndarray,
    missing: np.ndarray,
    courses: np.ndarray,
    event_shape: tuple[int, ...],
    steps: Sequence[int],
    chain: bool,
) -> Panel | None:
    """Row by row as in the paper's figure 5: the truth, what is left of it, and means of the missing values; None of
    what is no image.

    truth, x, missing: (N, D).  courses: means at some steps, (T, N, D).  steps: these, from 0 on.
    chain: whether they are a chain's, and not of draws that are independent.
    """
    columns = {} if truth is None else {"truth": truth}
    columns |= {"given": np.where(missing, np.nan, x)}
    columns |= {f"{step + 1:,}": np.where(missing, at, x) for step, at in zip(steps, courses, strict=True)}
    title = f"missing pixels in magenta, then their means at {'iterations of a chain' if chain else 'draws'}"
    return side_by_side(columns, event_shape, title)


def side_by_side(columns: Mapping[str, np.ndarray], event_shape: tuple[int, ...], title: str) -> Panel | None:
    """Head -> values (N, D) in [0, 1], as a row of images for each of the N examples; None of what is no image. NaN is
    missing."""
    images = shown(np.stack(list(columns.values()), 1).reshape(-1, int(np.prod(event_shape))), event_shape)
    return None if images is None else Panel(grid(coloured(images), len(columns)), title, columns=tuple(columns))


def coloured(images: np.ndarray) -> np.ndarray:
    """Images (N, H, W) or (N, H, W, C) in [0, 1] as (N, H, W, 3), what is NaN in a colour that no grey is."""
    whole = images if images.ndim == 4 else images[..., None]
    whole = np.broadcast_to(whole, (*whole.shape[:3], 3))
    return np.where(np.isnan(whole).any(-1, keepdims=True), GAP, whole)
