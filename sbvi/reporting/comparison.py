"""The picture of a comparison: a metric against each swept value, and learning curves."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sbvi.core.configs import spelled
from sbvi.core.quantities import with_unit
from sbvi.reporting.figures import COLOURS, INK, new_figure, save_figure

#: Settings with a colour of their own, and a line in the legend.
MOST_LABELS = 6
REST = "#8a8a8a"
#: Panels beside each other, and inches of each.
MOST_COLUMNS = 3
WIDTH, HEIGHT = 4.5, 3.6


@dataclass(frozen=True)
class Series:
    """Runs of one setting. label: the setting in a few words. settings: key -> value. values: the metric of each run.
    curves: of each run the points (step, value) of what validation scores it by."""

    label: str
    settings: Mapping[str, Any]
    values: Sequence[float]
    curves: Sequence[Sequence[tuple[int, float]]]


@dataclass(frozen=True)
class Part:
    """Series that can be ranked against each other, best first. title: what they are of, where there are other parts.
    keys: the settings that differ between them. monitors: each thing that validation scores one of its runs by, such as
    `validation/elbo`."""

    title: str
    keys: Sequence[str]
    series: Sequence[Series]
    monitors: Sequence[str] = ()


def save_comparison(path: Path, metric: str, parts: Sequence[Part]) -> None:
    """Of each part a panel of the metric against each of its keys, or by itself where no key differs, and one of the
    curves, as .png or .pdf; parts stand below each other, each with a legend of its settings.

    A mark is a run; a dash is the mean over the runs of one setting, with its standard error. The first MOST_LABELS
    series of a part have a colour, which is the same in all its panels.
    """
    keys: list[Sequence[str | None]] = [part.keys or ([None] if part.series else []) for part in parts]
    counts = [len(own) + 1 for own in keys]
    columns = min(max(counts), MOST_COLUMNS)
    rows = [-(-count // columns) for count in counts]
    figure = new_figure(WIDTH * columns, sum(HEIGHT * number + 0.4 for number in rows))
    rooms = figure.subfigures(len(parts), 1, height_ratios=rows, squeeze=False)[:, 0]
    for room, part, own, height in zip(rooms, parts, keys, rows, strict=True):
        panels = [room.add_subplot(height, columns, place + 1) for place in range(len(own) + 1)]
        for axes, key in zip(panels, own, strict=False):
            _panel(axes, key, part.series)
            axes.set_ylabel(with_unit(metric))
        _curves(panels[-1], part)
        panels[0].set_title(part.title, fontsize=9, loc="left", color=INK)
        _legend(room, part, 72 * WIDTH * columns)
    save_figure(figure, path)


def _colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)] if place < MOST_LABELS else REST


def _worst_first(series: Sequence[Any]) -> list[Any]:
    """(place, ...) from the last place on, so that the best are drawn over the others."""
    return list(enumerate(series))[::-1]


def _legend(room: Any, part: Part, width: float) -> None:
    """What colours and dashes mean, below the panels. width: points that there are."""
    from matplotlib.lines import Line2D

    named = [(_colour(place), one.label) for place, one in enumerate(part.series[:MOST_LABELS])]
    named += [(REST, "others")] if len(part.series) > MOST_LABELS else []
    if len(named) < 2:
        named = []  # nothing to be told apart
    marks = [Line2D([], [], color=colour, marker="o", markersize=5, label=label) for colour, label in named]
    if any(len(one.values) > 1 for one in part.series):
        dash = Line2D([], [], color=INK, marker="_", markersize=12, linestyle="none", markeredgewidth=2)
        dash.set_label("mean and standard error over seeds")
        marks.append(dash)
    if marks:
        longest = max(len(str(mark.get_label())) for mark in marks)
        fitting = max(1, int(width // (4.2 * longest + 40)))
        room.legend(handles=marks, loc="outside lower center", ncols=fitting, frameon=False, fontsize=7, labelcolor=INK)


def _curves(axes: Any, part: Part) -> None:
    for place, one in _worst_first(part.series):
        for curve in one.curves:
            if not curve:
                continue
            mark = "o" if len(curve) == 1 else None  # a single point has no line
            steps, values = zip(*curve, strict=True)
            axes.plot(steps, values, color=_colour(place), marker=mark, linewidth=1.2)
    axes.set_xlabel("step")
    axes.set_ylabel(with_unit(part.monitors[0]) if len(part.monitors) == 1 else "validation score")


def _panel(axes: Any, key: str | None, series: Sequence[Series]) -> None:
    """The metric against a key; without one, of a single setting, against nothing."""
    having: list[tuple[int, Series, Any]]
    if key is None:
        count = sum(len(one.values) for one in series)
        having = [(place, one, f"{count} run{'s' if count > 1 else ''}") for place, one in _worst_first(series)]
    else:
        having = [(place, one, one.settings[key]) for place, one in _worst_first(series) if key in one.settings]
    values = [value for _, _, value in having]
    numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    names = sorted({spelled(v) for v in values})
    for place, one, value in having:
        x, colour = value if numeric else names.index(spelled(value)), _colour(place)
        axes.plot([x] * len(one.values), one.values, "o", color=colour, markersize=5, alpha=0.6, zorder=2)
        if len(one.values) > 1:
            mean = statistics.fmean(one.values)
            error = statistics.stdev(one.values) / math.sqrt(len(one.values))
            axes.scatter([x], [mean], marker="_", s=260, linewidth=2, color=colour, zorder=2)
            axes.vlines([x], mean - error, mean + error, linewidth=2, color=colour, zorder=2)
    if not values:
        return
    if numeric:
        swept_ticks(axes, values)
    else:
        crowded = sum(_points(name) for name in names) > AXIS
        turned: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if crowded else {}
        axes.set_xticks(range(len(names)), names, **turned)
        axes.set_xlim(-0.5, len(names) - 0.5)
    axes.set_xlabel(key or "")


#: Points along a panel's axis; those of a character of a tick's label, and between two labels.
AXIS, CHARACTER, GAP = 250.0, 5.0, 6.0


def _points(label: str) -> float:
    return CHARACTER * len(label) + GAP


def swept_ticks(axes: Any, values: Sequence[float]) -> None:
    """The swept values are the ticks of the x axis, whose scale is logarithmic where they span a factor of ten; where
    labels would touch, those of some are left out, and never those of the ends."""
    swept = sorted(set(values))
    logarithmic = swept[0] > 0 and swept[-1] >= 10 * swept[0]
    if logarithmic:
        axes.set_xscale("log")
    places = [math.log(value) if logarithmic else value for value in swept]
    span = (places[-1] - places[0]) or 1.0
    labels = [f"{value:.3g}" if isinstance(value, float) else str(value) for value in swept]

    def apart(one: int, other: int) -> bool:
        room = (places[other] - places[one]) / span * 0.9 * AXIS  # an axis has margins
        return room >= (_points(labels[one]) + _points(labels[other])) / 2

    last = len(swept) - 1
    kept = [0]
    for place in range(1, last):
        if apart(kept[-1], place) and apart(place, last):
            kept.append(place)
    kept += [last] if last else []
    axes.set_xticks([swept[place] for place in kept], [labels[place] for place in kept])
    axes.set_xticks([], minor=True)
    if not last:  # a range of one value would have no width
        axes.set_xlim(swept[0] - 1, swept[0] + 1)
