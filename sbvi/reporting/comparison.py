"""The picture of a comparison: a metric against each swept value, and learning curves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sbvi.reporting.figures import COLOURS, new_figure, save_figure

#: Settings with a colour of their own, and a line in the legend.
MOST_LABELS = 6
REST = "#8a8a8a"
#: Panels beside each other.
MOST_COLUMNS = 3


@dataclass(frozen=True)
class Series:
    """Runs of one setting. label: the setting in a few words. settings: key -> value. values: the metric of each run.
    curves: of each run the points (step, value) of the bound on validation data."""

    label: str
    settings: Mapping[str, Any]
    values: Sequence[float]
    curves: Sequence[Sequence[tuple[int, float]]]


@dataclass(frozen=True)
class Part:
    """Series that can be ranked against each other, best first. title: what they are of, where there are other parts.
    keys: the settings that differ between them."""

    title: str
    keys: Sequence[str]
    series: Sequence[Series]


def save_comparison(path: Path, metric: str, parts: Sequence[Part]) -> None:
    """Of each part one panel of the metric against each of its keys, where a mark is a run, and one of the curves, as
    .png or .pdf; parts stand below each other.

    The first MOST_LABELS series of a part have a colour, which is the same in all its panels.
    """
    counts = [len(part.keys) + 1 for part in parts]
    columns = min(max(counts), MOST_COLUMNS)
    rows = [-(-count // columns) for count in counts]
    figure = new_figure(4.5 * columns, 3.6 * sum(rows))
    for number, part in enumerate(parts):
        first = columns * sum(rows[:number]) + 1
        panels = [figure.add_subplot(sum(rows), columns, first + place) for place in range(counts[number])]
        for axes, key in zip(panels, part.keys, strict=False):
            _panel(axes, key, part.series)
            axes.set_ylabel(metric)
        _curves(panels[-1], part.series)
        panels[0].set_title(part.title, fontsize=9, loc="left")
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
