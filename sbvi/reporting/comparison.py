"""The picture of a comparison: a metric against each swept value, and learning curves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sbvi.reporting.figures import COLOURS, new_figure, save_figure

#: Settings with a colour of their own, and a line in the legend.
MOST_LABELS = 6
REST = "#8a8a8a"


@dataclass(frozen=True)
class Series:
    """Runs of one setting. label: the setting in a few words. settings: key -> value. values: the metric of each run.
    curves: of each run the points (step, value) of the bound on validation data."""

    label: str
    settings: Mapping[str, Any]
    values: Sequence[float]
    curves: Sequence[Sequence[tuple[int, float]]]


def save_comparison(path: Path, metric: str, keys: Sequence[str], series: Sequence[Series]) -> None:
    """One panel of the metric against each key, where a mark is a run, and one of the curves, as .png or .pdf.

    series: best first; the first MOST_LABELS have a colour, which is the same in all panels.
    """
    count = len(keys) + 1
    figure = new_figure(4.5 * min(count, 3), 3.6 * -(-count // 3))
    for place, key in enumerate(keys):
        axes = figure.add_subplot(-(-count // 3), min(count, 3), place + 1)
        _panel(axes, key, series)
        axes.set_ylabel(metric)
    axes = figure.add_subplot(-(-count // 3), min(count, 3), count)
    _curves(axes, series)
    save_figure(figure, path)


def _colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)] if place < MOST_LABELS else REST


def _curves(axes: Any, series: Sequence[Series]) -> None:
    shown = 0
    for place, one in enumerate(series):
        for number, curve in enumerate(one.curves):
            if not curve:
                continue
            named = one.label if number == 0 and place < MOST_LABELS else None
            mark = "o" if len(curve) == 1 else None  # a single point has no line
            steps, values = zip(*curve, strict=True)
            axes.plot(steps, values, color=_colour(place), marker=mark, linewidth=1.2, label=named)
            shown += named is not None
    axes.set_xlabel("step")
    axes.set_ylabel("validation bound, nats")
    if shown > 1:
        axes.legend(frameon=False, fontsize=7)


def _panel(axes: Any, key: str, series: Sequence[Series]) -> None:
    having = [(place, one, one.settings[key]) for place, one in enumerate(series) if key in one.settings]
    values = [value for _, _, value in having]
    numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    names = sorted({str(v) for v in values})
    for place, one, value in having:
        x = value if numeric else names.index(str(value))
        axes.plot([x] * len(one.values), one.values, "o", color=_colour(place), markersize=5, alpha=0.8)
    if numeric and values and min(values) > 0 and max(values) >= 10 * min(values):
        axes.set_xscale("log")
    if not numeric:
        axes.set_xticks(range(len(names)), names, fontsize=8)
    axes.set_xlabel(key)
