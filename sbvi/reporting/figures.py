"""Matplotlib figures without a window system: as arrays of pixels, and as files."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sbvi.reporting.images import save_png

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Figure
else:
    Figure = Any  # Matplotlib is imported where something is drawn

#: Okabe and Ito's colours, told apart by the colour-blind, without black and yellow: they stand out on white and on
#: dark grounds alike.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9")
#: Of text, axes and grids: readable on white and on dark grounds.
INK = "#7a7a7a"
#: Rows of a picture of pairs, an original above its reconstruction.
ROWS_OF_PAIRS = 10
#: Of a grid of images: inches across, pixels across at least, and inches of room around it.
PANEL_INCHES, SHARP, EDGE = 6.0, 900, 0.06


def new_figure(width: float = 7, height: float = 4, dpi: float = 110) -> Figure:
    """A figure of so many inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", dpi=dpi)
    FigureCanvasAgg(figure)
    return figure


def pixels(figure: Figure) -> np.ndarray:
    """(H, W, 3) uint8, on white."""
    canvas: Any = figure.canvas
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def save_figure(figure: Figure, *paths: Path) -> None:
    """A figure as files of the kinds that their suffixes say, such as .png and .pdf, without a ground: axes and text
    are readable on white and on dark pages. It is laid out once, and no more afterwards."""
    for axes in figure.get_axes():
        axes.tick_params(colors=INK, labelsize=8)
        if not axes.get_images():
            axes.grid(color=INK, alpha=0.25, linewidth=0.6)
        for spine in axes.spines.values():
            spine.set_color(INK)
        for text in (axes.xaxis.label, axes.yaxis.label, axes.title):
            text.set_color(INK)
        if (legend := axes.get_legend()) is not None:
            for text in legend.get_texts():
                text.set_color(INK)
    if (engine := figure.get_layout_engine()) is not None:
        engine.execute(figure)  # a whole drawing would also bring every image to the screen's pixels
    figure.set_layout_engine("none")  # with one, every file would be laid out anew
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        dates: dict[str, Any] = {"metadata": {"CreationDate": None}} if path.suffix == ".pdf" else {}
        figure.savefig(path, transparent=True, **dates)


def save_picture(folder: Path, name: str, picture: np.ndarray | Figure) -> tuple[list[Path], np.ndarray]:
    """An array of pixels as .png, a figure as .png and .pdf. Gives the files, and the picture as pixels."""
    png, pdf = (folder / f"{name}{suffix}" for suffix in (".png", ".pdf"))
    if isinstance(picture, np.ndarray):
        save_png(png, picture)
        return [png], picture
    seen = pixels(picture)
    save_figure(picture, png, pdf)
    return [png, pdf], seen


def save_panel(picture: np.ndarray, title: str, rows: Sequence[str], *paths: Path) -> None:
    """A grid of images with a title, as files such as .png and .pdf. In the former each of its pixels is a square of
    whole pixels.

    rows: what its first rows are, told at their left.
    """
    height, width = picture.shape[:2]
    times = -(-SHARP // width)
    dpi = times * width / PANEL_INCHES
    figure = new_figure(dpi=dpi)
    figure.set_layout_engine("none")  # which would bring the picture to whatever room is left
    axes: Any = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    coloured = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, -1)  # a map of greys would round
    image = axes.imshow(coloured, interpolation="none", aspect="auto")
    for spine in axes.spines.values():
        spine.set_visible(False)  # the grid has borders of its own, which these would cover
    axes.set_xticks([])
    places = [height / ROWS_OF_PAIRS * (place + 0.5) for place in range(len(rows))]
    axes.set_yticks(places, rows, fontsize=8)
    axes.tick_params(length=0)
    axes.set_title(title, fontsize=9)
    # Pixels, of which the picture begins and ends on whole ones: around it there is room for the words.
    edge = round(dpi * EDGE)
    box = axes.get_tightbbox()
    whole = axes.get_window_extent()
    left, top = (edge + math.ceil(max(0.0, room)) for room in (whole.x0 - box.x0, box.y1 - whole.y1))
    wide, high = left + times * width + edge, top + times * height + edge
    figure.set_size_inches((wide + 0.01) / dpi, (high + 0.01) / dpi)  # files round down
    axes.set_position((left / wide, edge / high, times * width / wide, times * height / high))
    image.make_image = _squares(image, coloured, times, left, edge)
    save_figure(figure, *paths)


def _squares(image: Any, picture: np.ndarray, times: int, left: int, bottom: int) -> Callable[..., Any]:
    """Stands for an image's `make_image`, whose resampling to the same squares takes most of a panel's time."""
    make = image.make_image

    def made(renderer: Any, magnification: float = 1.0, unsampled: bool = False) -> Any:
        if unsampled:  # a PDF has the picture as it is
            return make(renderer, magnification, unsampled=True)
        opaque = np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])
        return opaque[::-1].repeat(times, 0).repeat(times, 1), left, bottom, None

    return made
