"""Reading many run directories: what differs between them, and which settings did best over seeds."""

import json
import math
import os
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sbvi.core import UserError
from sbvi.core.quantities import QUANTITIES, quantity
from sbvi.runs.directory import RunDirectory
from sbvi.runs.words import flat, words

#: Keys that repeat a setting and do not change it.
REPEATS = ("seed",)


@dataclass(frozen=True)
class RunSummary:
    """One run as its directory tells it.

    status: completed, stopped, failed, running, interrupted, or unreadable.  note: why, or how far.
    config: flat, dotted keys.  curve: (step, value) of the monitored bound on validation data.
    """

    path: Path
    status: str
    note: str
    config: Mapping[str, Any]
    metrics: Mapping[str, float]
    curve: Sequence[tuple[int, float]]


@dataclass(frozen=True)
class Group:
    """Completed runs that differ in their seed alone."""

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


def find_runs(folders: Iterable[Path | str]) -> list[Path]:
    """Every run directory at or below the given folders.

    Raises:
      UserError: a folder is not there, or holds no run.
    """
    runs: dict[Path, None] = {}
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise UserError(f"{folder} is not a directory.")
        below = sorted(path.parent for path in folder.rglob("run.json"))
        if not below:
            raise UserError(f"{folder} holds no run: there is no run.json in it or below it.")
        runs |= dict.fromkeys(below)
    return list(runs)


def read_summary(path: Path) -> RunSummary:
    """Whatever state a run is in; a broken one is said to be `unreadable`."""
    directory = RunDirectory(path)
    try:
        config = flat(words(directory.read_run()["config"]))
        result = directory.read_result()
    except UserError as error:
        return RunSummary(path, "unreadable", str(error), {}, {}, [])
    lines = _lines(path / "metrics.jsonl")
    curve = _first_tag(lines, ("validation/bound", "validation/elbo", "validation/log_likelihood"))
    if result is not None:
        metrics = {**result.get("metrics", {})}
        for key in ("examples_per_second", "train_seconds", "wall_seconds"):
            if result.get(key) is not None:
                metrics[key] = result[key]
        return RunSummary(path, str(result.get("status")), str(result.get("reason", "")), config, metrics, curve)
    alive = _holder_lives(path / ".lock")
    note = f"step {lines[-1]['step']}" if lines else "no step yet"
    latest = {name: value for line in lines for name, value in line.items() if "/" in name}
    return RunSummary(path, "running" if alive else "interrupted", note, config, latest, curve)


def _first_tag(lines: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[tuple[int, float]]:
    """The points of the first of these scalars that was written."""
    for name in names:
        points = [(line["step"], line[name]) for line in lines if name in line]
        if points:
            return points
    return []


def _lines(path: Path) -> list[dict[str, Any]]:
    """Whole lines of metrics.jsonl; the last one of a killed run may be torn."""
    lines = []
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return []
    for line in text.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict) and isinstance(value.get("step"), int):
            lines.append(value)
    return lines


def _holder_lives(lock: Path) -> bool:
    """Whether the process named in the lock file is there; taking the lock could refuse a run that starts."""
    try:
        words = lock.read_text(encoding="utf-8").split()
        process, host = int(words[1]), words[3]
    except (OSError, ValueError, IndexError):
        return False
    if host != socket.gethostname():
        return True  # cannot be told from here
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def differing(runs: Sequence[RunSummary]) -> list[str]:
    """Keys whose values differ between runs, seeds left out."""
    keys = sorted({key for run in runs for key in run.config})
    readable = [run for run in runs if run.config]
    return [
        key
        for key in keys
        if key not in REPEATS and len({json.dumps(r.config.get(key), sort_keys=True) for r in readable}) > 1
    ]


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


def grouped(runs: Sequence[RunSummary], metric: str) -> list[Group]:
    """Completed runs grouped over seeds, best mean first.

    Raises:
      UserError: no completed run has the metric; names those that exist.
    """
    keys = differing(runs)
    done = [run for run in runs if run.status == "completed"]
    having = [run for run in done if metric in run.metrics]
    if done and not having:
        names = sorted({name for run in done for name in run.metrics})
        raise UserError(f"--metric {metric} is in none of the completed runs; there is: {', '.join(names)}.")
    groups: dict[str, list[RunSummary]] = {}
    for run in having:
        groups.setdefault(json.dumps([run.config.get(key) for key in keys], sort_keys=True), []).append(run)
    over_seeds = [
        Group({key: same[0].config.get(key) for key in keys}, same, [float(run.metrics[metric]) for run in same])
        for same in groups.values()
    ]
    return sorted(over_seeds, key=lambda group: group.mean if less_is_better(metric) else -group.mean)
