"""Grids of images as arrays, and PNG files of them."""

import io
from pathlib import Path
from typing import Any

import numpy as np

from sbvi.core.atomic import write_atomically
from sbvi.core.held import check_held


def grid(images: np.ndarray, columns: int, zoom: int | None = None) -> np.ndarray:
    """images (N, H, W) or (N, H, W, C) in [0, 1] -> one uint8 picture with thin borders.

    zoom repeats pixels; by default small images are enlarged so that each is about 56 pixels high.
    """
    count, height, width = images.shape[:3]
    rows = -(-count // columns)
    colour = images.shape[3:]
    canvas = np.full((rows * (height + 1) + 1, columns * (width + 1) + 1, *colour), 0.5)
    for position, image in enumerate(np.clip(np.nan_to_num(images), 0, 1)):
        top, left = (position // columns) * (height + 1) + 1, (position % columns) * (width + 1) + 1
        canvas[top : top + height, left : left + width] = image
    factor = zoom or max(1, 56 // height)
    picture = (canvas * 255).round().astype(np.uint8)
    picture = picture.repeat(factor, 0).repeat(factor, 1)
    return picture[..., 0] if colour == (1,) else picture


def shown(values: np.ndarray, event_shape: tuple[int, ...]) -> np.ndarray | None:
    """Flat values (N, D) as images (N, H, W[, C]); None when events are not images."""
    if len(event_shape) == 2 or (len(event_shape) == 3 and event_shape[-1] in (1, 3)):
        return values.reshape(-1, *event_shape)
    return None


def save_png(path: Path, picture: np.ndarray) -> None:
    """A picture (H, W) or (H, W, 3) uint8 as a file; an earlier one is there until it is whole."""
    from PIL import Image

    _save(path, Image.fromarray(picture), format="PNG")


def save_gif(path: Path, frames: np.ndarray, seconds: float = 5.0) -> None:
    """frames (T, H, W) or (T, H, W, 3) uint8, shown over so many seconds again and again."""
    from PIL import Image

    first, *rest = (Image.fromarray(frame) for frame in frames)
    each = max(20, round(1000 * seconds / len(frames)))  # milliseconds; viewers ignore less than two hundredths
    _save(path, first, format="GIF", save_all=True, append_images=rest, duration=each, loop=0)


def _save(path: Path, image: Any, **options: Any) -> None:
    drawn = io.BytesIO()
    image.save(drawn, **options)
    check_held(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, drawn.getvalue(), flush=False)
