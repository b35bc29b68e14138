"""Run directories in brief: every one at or below some folders, in whatever state it is."""

import json
import os
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sbvi.core import UserError
from sbvi.core.places import is_folder
from sbvi.core.quantities import monitor_of
from sbvi.reporting.metrics import read_lines
from sbvi.runs.changes import of_numbers
from sbvi.runs.directory import RunDirectory
from sbvi.runs.experiment import Experiment
from sbvi.runs.words import flat, words

#: The file of data of the user's own.
FILE = "dataset.path"


@dataclass(frozen=True)
class RunSummary:
    """One run as its directory tells it.

    status: completed, pruned, stopped, failed, running, interrupted, or unreadable.  note: why, or how far.
    config: flat, dotted keys.  metrics: the final ones, of the monitor the best.  curve: (step, value) of the monitor.
    data: digest of the data set.  scored: what p is of where that is no probability of x: see `_scored`.
    likelihood: how the final test found log p(x), as `Evaluator.how` says it; empty where that is not recorded.
    monitor: the scalar that validation scores the run by.  units: of the data's values, as far as they are recorded.
    lost: names of final metrics that were not finite.
    """

    path: Path
    status: str
    note: str
    config: Mapping[str, Any]
    metrics: Mapping[str, float]
    curve: Sequence[tuple[int, float]]
    data: str = ""
    scored: str = ""
    monitor: str = ""
    units: str = ""
    likelihood: str = ""
    lost: Sequence[str] = ()

    @property
    def identity(self) -> str:
        """What two runs share that are one and the same: config, seed and data, wherever they were computed."""
        kept = {key: self.setting(key) for key in self.config if of_numbers(key)}
        return json.dumps([kept, self.data], sort_keys=True)

    def why_left(self, metric: str) -> str:
        """Why it is not ranked by a metric: what is said of the run, or of the metric."""
        return self.note or (f"{metric} is not finite" if metric in self.lost else f"has no {metric}")

    def setting(self, key: str) -> str:
        """A value to compare by; that of a key which the run lacks is no value of any. Where data lies is none of it
        once the data is known: arrays given to `sbvi.train` lie in each run's own directory."""
        if key not in self.config:
            return ""
        known = key == FILE and self.data
        return self.units if known else json.dumps(self.config[key], sort_keys=True)


def find_runs(folders: Iterable[Path | str]) -> list[Path]:
    """Every run directory at or below the given folders.

    Raises:
      UserError: a folder is not there, or holds no run.
    """
    runs: dict[Path, Path] = {}
    for given in folders:
        if not str(given):  # as of a shell's variable that is not set
            raise UserError("An empty text names no folder: give one with runs in it or below it, such as outputs.")
        folder = Path(given)
        if not is_folder(folder, str(folder)):
            raise UserError(f"{folder} is not a directory.")
        below = sorted(_below(folder))
        if not below:
            raise UserError(f"{folder} holds no run: there is no run.json in it or below it.")
        for path in below:
            runs.setdefault(path.resolve(), path)  # a run that is named twice is one
    return list(runs.values())


def _below(folder: Path) -> Iterator[Path]:
    """Folders with a run.json, at or below; behind symbolic links too, each real folder once."""
    met = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in met:
            folders.clear()
            continue
        met.add(real)
        if "run.json" in files:
            yield Path(place)


def _experiment(config: Mapping[str, Any]) -> Experiment | None:
    """What a config says, with the defaults of keys that came after it; None where this version cannot read it."""
    try:
        return Experiment.from_config(config, recorded=True)
    except UserError:
        return None


def _scored(data: Mapping[str, Any], experiment: Experiment | None) -> str:
    """Of tables whether p is of the places of gaps too; of whole numbers whether it is a density, of values with noise
    or of the bare numbers; empty for probabilities and for other data."""
    if experiment is not None and experiment.model.scores_gaps:
        return "with the places of gaps"
    recorded = data.get("preprocessing") or {}
    if recorded.get("dequantize"):
        return "densities"
    if data.get("levels") is None or data.get("binary") or experiment is None or experiment.model.discrete:
        return ""
    return "densities" if not recorded and experiment.model.dequantizes else "densities without noise"


def read_summary(path: Path) -> RunSummary:
    """Whatever state a run is in; a broken one is said to be `unreadable`."""
    directory = RunDirectory(path)
    try:
        record = directory.read_run()
        data, experiment = str(record["data"].get("digest", "")), _experiment(record["config"])
        config = flat(words(record["config"] if experiment is None else experiment.to_config()))
        scored, units = _scored(record["data"], experiment), json.dumps(record["data"].get("preprocessing"))
        result = directory.read_result()
        metrics = {} if result is None else _metrics(result)
    except UserError as error:
        return RunSummary(path, "unreadable", str(error), {}, {}, [])
    lines = _lines(path / "metrics.jsonl")
    monitor = str((result or {}).get("monitor") or monitor_of({name for line in lines for name in line}) or "")
    curve = [(line["step"], line[monitor]) for line in lines if monitor in line]
    if result is not None:
        status, reason = str(result.get("status")), str(result.get("reason", ""))
        if result.get("pruned"):
            status, reason = "pruned", f"stopped at step {result.get('steps')} by its search"
        best = result.get("best_validation")
        if monitor and best is not None:
            metrics[monitor] = best
        how = str(result.get("likelihood", ""))
        lost = [name for name, value in result.get("metrics", {}).items() if value is None]
        return RunSummary(path, status, reason, config, metrics, curve, data, scored, monitor, units, how, lost)
    alive = _holder_lives(path / ".lock")
    note = f"step {lines[-1]['step']}" if lines else "no step yet"
    latest = {name: value for line in lines for name, value in line.items() if "/" in name}
    return RunSummary(
        path, "running" if alive else "interrupted", note, config, latest, curve, data, scored, monitor, units
    )


def _metrics(result: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a result.json; null, which was not finite, is none."""
    speeds = {key: result.get(key) for key in ("examples_per_second", "train_seconds", "wall_seconds")}
    return {name: value for name, value in {**result.get("metrics", {}), **speeds}.items() if value is not None}


def _lines(path: Path) -> list[dict[str, Any]]:
    """Whole lines of metrics.jsonl; the last one of a killed run may be torn."""
    try:
        return read_lines(path)
    except OSError:
        return []


def _holder_lives(lock: Path) -> bool:
    """Whether the process named in the lock file is there; taking the lock could refuse a run that starts."""
    try:
        words = lock.read_text(encoding="utf-8").split()
        process, host, written = int(words[1]), words[3], lock.stat().st_mtime
    except (OSError, ValueError, IndexError):
        return False
    if host != socket.gethostname():
        return True  # cannot be told from here
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return not _began_after(process, written)


def _began_after(process: int, time: float) -> bool:
    """Whether a process is younger than a time in Unix seconds, as another with a dead one's number is; False where
    the system does not tell."""
    try:
        ticks = int(Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[19])
        boot = int(Path("/proc/stat").read_text().split("\nbtime ", 1)[1].split()[0])
    except (OSError, ValueError, IndexError):
        return False
    return boot + ticks / os.sysconf("SC_CLK_TCK") > time + 60  # clocks are set now and then
