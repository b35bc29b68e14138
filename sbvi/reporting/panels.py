"""Grids of images with words around them, and pictures of every kind as files."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sbvi.reporting.figures import Figure, new_figure, pixels, save_figure
from sbvi.reporting.images import save_png

#: Inches across, pixels across at least, and inches of room around.
PANEL_INCHES, SHARP, EDGE = 6.0, 900, 0.06


class Panel(NamedTuple):
    """A grid of images, (H, W) or (H, W, 3) uint8, and what it shows.

    rows, columns: of each of the grid's rows, and columns, what it is, told at its left and above it; or none.
    """

    picture: np.ndarray
    title: str = ""
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()


def save_picture(folder: Path, name: str, picture: np.ndarray | Panel | Figure) -> tuple[list[Path], np.ndarray]:
    """An array of pixels as .png, a panel or a figure as .png and .pdf. Gives the files, and the picture as pixels."""
    png, pdf = (folder / f"{name}{suffix}" for suffix in (".png", ".pdf"))
    if isinstance(picture, np.ndarray):
        save_png(png, picture)
        return [png], picture
    if isinstance(picture, Panel):
        save_panel(picture, png, pdf)
        return [png, pdf], picture.picture
    seen = pixels(picture)
    save_figure(picture, png, pdf)
    return [png, pdf], seen


def save_panel(panel: Panel, *paths: Path) -> None:
    """As files such as .png and .pdf. In the former each pixel of the grid is a square of whole pixels."""
    picture = panel.picture
    height, width = picture.shape[:2]
    times = -(-SHARP // width)
    dpi = times * width / PANEL_INCHES
    figure = new_figure(PANEL_INCHES, PANEL_INCHES * height / width, dpi, layout="none")
    axes: Any = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    coloured = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, -1)  # a map of greys would round
    image = axes.imshow(coloured, interpolation="none", aspect="auto")
    for spine in axes.spines.values():
        spine.set_visible(False)  # the grid has borders of its own, which these would cover
    axes.xaxis.tick_top()
    axes.set_xticks(_middles(width, len(panel.columns)), panel.columns, fontsize=8)
    axes.set_yticks(_middles(height, len(panel.rows)), panel.rows, fontsize=8)
    axes.tick_params(length=0)
    axes.set_title(panel.title, fontsize=9)
    # Pixels, of which the picture begins and ends on whole ones: around it there is room for the words.
    edge = round(dpi * EDGE)
    box = axes.get_tightbbox()
    whole = axes.get_window_extent()
    outside = (whole.x0 - box.x0, box.y1 - whole.y1, box.x1 - whole.x1)
    left, top, right = (edge + math.ceil(max(0.0, room)) for room in outside)
    wide, high = left + times * width + right, top + times * height + edge
    figure.set_size_inches((wide + 0.01) / dpi, (high + 0.01) / dpi)  # files round down
    axes.set_position((left / wide, edge / high, times * width / wide, times * height / high))
    image.make_image = _squares(image, coloured, times, left, edge)
    save_figure(figure, *paths)


def _middles(length: int, count: int) -> list[float]:
    """Places, in pixels, of the middles of so many images beside one another."""
    return [length / count * (place + 0.5) - 0.5 for place in range(count)]


def _squares(image: Any, picture: np.ndarray, times: int, left: int, bottom: int) -> Callable[..., Any]:
    """Stands for an image's `make_image`, whose resampling to the same squares takes most of a panel's time."""
    make = image.make_image

    def made(renderer: Any, magnification: float = 1.0, unsampled: bool = False) -> Any:
        if unsampled:  # a PDF has the picture as it is
            return make(renderer, magnification, unsampled=True)
        opaque = np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])
        return opaque[::-1].repeat(times, 0).repeat(times, 1), left, bottom, None

    return made
