"""Matplotlib figures without a window system: as arrays of pixels, and as files."""

from collections.abc import Sequence
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


def new_figure(width: float = 7, height: float = 4, dpi: int = 110) -> Figure:
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


def save_panel(path: Path, picture: np.ndarray, title: str = "", rows: Sequence[str] = ()) -> None:
    """A grid of images as a page of its own, such as .pdf, with a title.

    rows: what its first rows are, told at their left.
    """
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
