"""What differs between many runs, and which settings did best over seeds."""

import difflib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sbvi.core import UserError
from sbvi.core.quantities import QUANTITIES, quantity
from sbvi.runs.changes import CHOSEN_ELSEWHERE, of_numbers
from sbvi.runs.summaries import RunSummary

#: Keys that repeat a setting and do not change it.
REPEATS = ("seed",)
#: Units of metrics that depend on where a run is computed and how often it is told; no other number does.
OF_SPEED = ("s", "examples/s")


@dataclass(frozen=True)
class Group:
    """Completed runs that differ in their seed alone. settings: of the keys that differ between groups, those that
    these runs have."""

    settings: Mapping[str, Any]
    runs: Sequence[RunSummary]
    values: Sequence[float]

    @property
    def mean(self) -> float:
        return sum(self.values) / len(self.values)

    @property
    def stderr(self) -> float:
        """Standard error of the mean; NaN for a single run."""
        count = len(self.values)
        if count < 2:
            return math.nan
        return math.sqrt(sum((v - self.mean) ** 2 for v in self.values) / (count - 1) / count)


def differing(runs: Sequence[RunSummary], metric: str = "") -> list[str]:
    """Keys whose values differ between runs, seeds left out, and what the metric does not depend on.

    A key that only some runs have, such as a setting of one model's, is told where the names of what was chosen do not
    say it already: where runs that agree in all of them differ in it.
    """
    readable = [run for run in runs if run.config]
    varying = [
        key
        for key in sorted({key for run in readable for key in run.config})
        if _tells(key, metric) and len({run.setting(key) for run in readable}) > 1
    ]
    kept = [key for key in varying if all(key in run.config for run in readable)]
    for key in sorted((key for key in varying if key not in kept), key=lambda key: not _is_name(key)):
        told: dict[tuple[str, ...], str] = {}
        names = [other for other in kept if _is_name(other)]
        if any(told.setdefault(_settings(run, names), run.setting(key)) != run.setting(key) for run in readable):
            kept.append(key)
    return sorted(kept)


def _tells(key: str, metric: str) -> bool:
    """Whether a key may tell runs apart that a metric ranks."""
    if key in REPEATS or key in CHOSEN_ELSEWHERE or key.startswith("logger."):
        return False
    return of_numbers(key) or _of_speed(metric)


def _of_speed(metric: str) -> bool:
    asked = quantity(metric)
    return asked is not None and asked.unit in OF_SPEED


def _is_name(key: str) -> bool:
    return key.rpartition(".")[2] == "name"


def _settings(run: RunSummary, keys: Iterable[str]) -> tuple[str, ...]:
    return tuple(run.setting(key) for key in keys)


def _told_data(run: RunSummary, runs: Sequence[RunSummary]) -> dict[str, str]:
    """The digest of a run's data as a setting, where it is not the same for all."""
    return {"data": run.data[:12]} if len({other.data for other in runs}) > 1 else {}


def less_is_better(metric: str) -> bool:
    """Whether the least value of a metric is the best.

    Raises:
      UserError: the metric has no better direction, or none that is known.
    """
    asked = quantity(metric)
    if asked is None or asked.better is None:
        ranked = sorted(name for name, known in QUANTITIES.items() if known.better is not None)
        raise UserError(f"--metric {metric} has no better direction; runs are ranked by: {', '.join(ranked)}.")
    return asked.better == "lower"


def counted_once(runs: Sequence[RunSummary], metric: str = "") -> list[RunSummary]:
    """The runs, where those that repeat another (same config, seed and data) are said to, and count no more. Of speed
    each is a measurement of its own, unless its numbers are another's."""

    def same(run: RunSummary) -> str:
        return json.dumps([run.identity, run.metrics if _of_speed(metric) else None], sort_keys=True)

    first: dict[str, RunSummary] = {}
    told = []
    for run in runs:
        if run.status == "completed" and (known := first.setdefault(same(run), run)) is not run:
            run = replace(run, status="repeated", note=f"the same run as {known.path}: counted once")
        told.append(run)
    return told


def grouped(runs: Sequence[RunSummary], metric: str) -> list[Group]:
    """Completed runs grouped over seeds, best mean first.

    Raises:
      UserError: no completed run has the metric, or a finite one; names the nearest, or else all that exist.
    """
    keys = differing(runs, metric)
    done = [run for run in runs if run.status == "completed"]
    having = [run for run in done if metric in run.metrics]
    if done and not having:
        names = sorted({name for run in done for name in run.metrics})
        near = difflib.get_close_matches(metric, names, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there is: {', '.join(names)}."
        if any(metric in run.lost for run in done):
            there = ", ".join(names) or "none that is"
            raise UserError(f"--metric {metric} is finite in none of the completed runs; there is: {there}.")
        raise UserError(f"--metric {metric} is in none of the completed runs; {hint}")
    groups: dict[str, list[RunSummary]] = {}
    for run in having:
        same_as = json.dumps([*_settings(run, keys), run.data])
        groups.setdefault(same_as, []).append(run)
    over_seeds = [
        Group(
            {key: same[0].config[key] for key in keys if key in same[0].config} | _told_data(same[0], having),
            same,
            [float(run.metrics[metric]) for run in same],
        )
        for same in groups.values()
    ]
    return sorted(over_seeds, key=lambda group: group.mean if less_is_better(metric) else -group.mean)
