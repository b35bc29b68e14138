"""Training curves as a PNG."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sbvi.reporting.figures import new_figure, pixels
from sbvi.reporting.images import save_png


def save_curves(path: Path, lines: Sequence[dict[str, Any]], names: Sequence[str]) -> None:
    """Draw the named scalars of metrics.jsonl against the step."""
    figure = new_figure()
    axes = figure.add_subplot()
    for name in names:
        points = [(line["step"], line[name]) for line in lines if name in line]
        if points:
            axes.plot(*zip(*points, strict=True), label=name, linewidth=1.5)
    axes.set_xlabel("step")
    axes.set_ylabel("nats per example")
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    save_png(path, pixels(figure))
