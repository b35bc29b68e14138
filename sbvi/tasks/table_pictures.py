"""What was filled into a table's gaps, drawn against the truth."""

from typing import Any

import numpy as np

from sbvi.core import UserError
from sbvi.data.tabular.columns import Column
from sbvi.evaluation.filling import Filled
from sbvi.reporting.figures import INK, Figure, new_figure


def picture(filled: Filled, values: np.ndarray, truth: np.ndarray, gaps: np.ndarray) -> Figure:
    """What was filled in, with its interval, against the truth; a panel for each column."""
    columns = [(d, c) for d, c in enumerate(filled.columns) if (gaps[:, d] & ~np.isnan(truth[:, d])).any()][:12]
    if not columns:
        raise UserError("No gap has a truth that is known.")
    across = min(4, len(columns))
    down = -(-len(columns) // across)
    figure = new_figure(3 * across, 2.8 * down)
    for place, (d, column) in enumerate(columns):
        axes = figure.add_subplot(down, across, place + 1)
        rows = np.flatnonzero(gaps[:, d] & ~np.isnan(truth[:, d]))[:150]
        _panel(axes, column, truth[rows, d], values[rows, d], filled.lower[rows, d], filled.upper[rows, d])
    return figure


def _panel(
    axes: Any, column: Column, true: np.ndarray, value: np.ndarray, lower: np.ndarray, upper: np.ndarray
) -> None:
    axes.set_title(column.name[:28], fontsize=9)
    axes.tick_params(labelsize=7)
    if column.coded:
        size = len(column.values)
        counts = np.zeros((size, size))
        np.add.at(counts, (value.astype(int), true.astype(int)), 1)
        axes.imshow(counts, origin="lower", cmap="Blues", aspect="auto")
        names = [f"{v:g}" if isinstance(v, float) else str(v)[:8] for v in column.values]
        axes.set_xticks(range(size), names)
        axes.set_yticks(range(size), names)
    else:
        inside = (lower <= true) & (true <= upper)
        for rows, colour in ((inside, "#1f77b4"), (~inside, "#d62728")):
            axes.vlines(true[rows], lower[rows], upper[rows], color=colour, alpha=0.25, linewidth=1)
            axes.plot(true[rows], value[rows], ".", color=colour, markersize=3)
        ends = [min(true.min(), lower.min()), max(true.max(), upper.max())]
        axes.plot(ends, ends, color=INK, linewidth=0.6)
        if column.kind == "positive":
            axes.set_xscale("log")
            axes.set_yscale("log")
    axes.set_xlabel("truth", fontsize=7)
    axes.set_ylabel("filled in", fontsize=7)
