"""Grids of images as arrays, and PNG files of them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

#: Rows of a picture of pairs, an original above its reconstruction.
ROWS_OF_PAIRS = 10


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
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)


def save_gif(path: Path, frames: np.ndarray, seconds: float = 5.0) -> None:
    """frames (T, H, W) or (T, H, W, 3) uint8, shown over so many seconds again and again."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    first, *rest = (Image.fromarray(frame) for frame in frames)
    each = max(20, round(1000 * seconds / len(frames)))  # milliseconds; viewers ignore less than two hundredths
    first.save(path, save_all=True, append_images=rest, duration=each, loop=0)


def save_panel(path: Path, picture: np.ndarray, title: str = "", rows: Sequence[str] = ()) -> None:
    """A grid of images as a page of its own, such as .pdf, with a title.

    rows: what its first rows are, told at their left.
    """
    from sbvi.reporting.figures import new_figure, save_figure

    height, width = picture.shape[:2]
    figure = new_figure(6, 6 * height / width + (0.4 if title else 0))
    axes = figure.add_subplot()
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="none")
    axes.set_xticks([])
    axes.set_yticks([])
    if rows:
        axes.set_yticks([height / ROWS_OF_PAIRS * (place + 0.5) for place in range(len(rows))], rows)
    axes.set_title(title, fontsize=9)
    save_figure(figure, path)
