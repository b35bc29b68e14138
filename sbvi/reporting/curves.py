"""Training curves, as .png and .pdf."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sbvi.reporting.figures import COLOURS, new_figure, save_figure

#: Points of a line up to which each has a mark.
MARKED = 40
#: The share of training at its start that may leave the picture, so that its end can be seen.
START = 0.1


def save_curves(path: Path, lines: Sequence[dict[str, Any]], monitor: str, chosen: int | None) -> None:
    """Draw what metrics.jsonl says of a monitor, in training and on validation data, against the step, as `path` and as
    the same in PDF.

    chosen: the step whose parameters the run keeps, which is marked; None where they are of no single step.
    """
    figure = new_figure()
    axes = figure.add_subplot()
    drawn = []
    for name, colour in zip((f"train/{monitor}", f"validation/{monitor}"), COLOURS, strict=False):
        points = np.array([(line["step"], line[name]) for line in lines if name in line])
        if len(points):
            mark = "o" if len(points) <= MARKED else None
            axes.plot(*points.T, label=name, color=colour, linewidth=1.5, marker=mark, markersize=3.5)
            drawn.append(points)
    if drawn and chosen is not None:
        label = f"chosen parameters: step {chosen:,}"
        axes.axvline(chosen, label=label, color=COLOURS[2], linestyle="--", linewidth=1.5, zorder=1)
    axes.set_xlabel("step")
    what = "bound" if monitor in ("elbo", "bound") else monitor.replace("_", " ")
    axes.set_ylabel(f"{what}, nats per example")
    if (limits := shown_range(drawn)) is not None:
        axes.set_ylim(*limits)
    if drawn:
        axes.legend(frameon=False, fontsize=8)
    save_figure(figure, path, path.with_suffix(".pdf"))


def shown_range(curves: Sequence[np.ndarray]) -> tuple[float, float] | None:
    """The range of values (steps, 2) after the first START of the steps; None where there is none.

    What comes before is often a hundred times what the rest of training gains.
    """
    last = max((float(points[-1, 0]) for points in curves), default=0.0)
    later = [points[points[:, 0] >= START * last, 1] for points in curves]
    values = np.concatenate(later) if later else np.zeros(0)
    values = values[np.isfinite(values)]
    if not len(values) or values.min() == values.max():
        return None
    room = 0.05 * (values.max() - values.min())
    return float(values.min() - room), float(values.max() + room)
