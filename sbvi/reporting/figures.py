"""Matplotlib figures without a window system: as arrays of pixels, and as files."""

import io
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sbvi.core.atomic import write_atomically
from sbvi.core.held import check_held

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Figure
else:
    Figure = Any  # Matplotlib is imported where something is drawn

#: Okabe and Ito's colours, told apart by the colour-blind, without black and yellow: they stand out on white and on
#: dark grounds alike.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9")
#: Of text, axes and grids: readable on white and on dark grounds.
INK = "#7a7a7a"

_settings = threading.Lock()


def new_figure(width: float = 7, height: float = 4, dpi: float = 110, layout: Any = "constrained") -> Figure:
    """A figure of so many inches. layout: "none" where everything in it is given a place."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout=layout, dpi=dpi)
    FigureCanvasAgg(figure)
    return figure


def pixels(figure: Figure) -> np.ndarray:
    """(H, W, 3) uint8, on white."""
    canvas: Any = figure.canvas
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def save_figure(figure: Figure, *paths: Path) -> None:
    """A figure as files of the kinds that their suffixes say, such as .png and .pdf, without a ground: axes and text
    are readable on white and on dark pages. It is laid out once, and no more afterwards, whatever the user's
    settings of Matplotlib say.

    Raises:
      UserError: a file cannot be written; an earlier one is untouched then.
    """
    from matplotlib import rc_context

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
    # Points that train side by side draw in threads, and settings are the process's.
    with _settings, rc_context({"figure.autolayout": False, "figure.constrained_layout.use": False}):
        # "none" would stand in for an engine, for whose sake each file is drawn twice.
        figure.set_layout_engine(None)
        for path in paths:
            check_held(path)
            path.parent.mkdir(parents=True, exist_ok=True)
            dates: dict[str, Any] = {"metadata": {"CreationDate": None}} if path.suffix == ".pdf" else {}
            drawn = io.BytesIO()
            figure.savefig(drawn, format=path.suffix.removeprefix("."), transparent=True, **dates)
            write_atomically(path, drawn.getvalue(), flush=False)  # it can be drawn again
