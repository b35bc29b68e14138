"""The picture of a comparison: a metric against each swept value, and learning curves."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sbvi.reporting.figures import new_figure, pixels

MOST_LABELS = 10


def draw_comparison(
    metric: str,
    keys: Sequence[str],
    points: Sequence[tuple[Mapping[str, Any], Sequence[float]]],
    curves: Sequence[tuple[str, Sequence[tuple[int, float]]]],
) -> np.ndarray:
    """One panel for each key (dots are runs), then the curves of the monitored bound; (H, W, 3) uint8."""
    count = len(keys) + 1
    figure = new_figure(4.5 * min(count, 3), 3.6 * -(-count // 3))
    for place, key in enumerate(keys):
        axes = figure.add_subplot(-(-count // 3), min(count, 3), place + 1)
        _panel(axes, key, points)
        axes.set_ylabel(metric)
    axes = figure.add_subplot(-(-count // 3), min(count, 3), count)
    for name, curve in curves:
        axes.plot(*zip(*curve, strict=True), linewidth=1, label=name if len(curves) <= MOST_LABELS else None)
    axes.set_xlabel("step")
    axes.set_ylabel("validation bound, nats")
    if curves and len(curves) <= MOST_LABELS:
        axes.legend(frameon=False, fontsize=7)
    return pixels(figure)


def _panel(axes: Any, key: str, points: Sequence[tuple[Mapping[str, Any], Sequence[float]]]) -> None:
    values = [settings[key] for settings, _ in points]
    numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    names = sorted({str(v) for v in values})
    for (_, results), value in zip(points, values, strict=True):
        x = value if numeric else names.index(str(value))
        axes.plot([x] * len(results), results, "o", color="C0", markersize=4, alpha=0.7)
    if numeric and values and min(values) > 0 and max(values) >= 10 * min(values):
        axes.set_xscale("log")
    if not numeric:
        axes.set_xticks(range(len(names)), names, fontsize=8)
    axes.set_xlabel(key)
    axes.grid(alpha=0.3)
