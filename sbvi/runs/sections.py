"""Groups of runs that can be ranked against each other: of one data set, scored with as many samples, and of its whole
numbers either probabilities or densities."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sbvi.core import UserError
from sbvi.core.configs import spelled
from sbvi.core.quantities import monitor_of
from sbvi.runs.comparison import Group, differing
from sbvi.runs.summaries import RunSummary

#: The final test's likelihood; and what a classifier has in its place.
DEFAULT, OF_LABELS = "test/nll", "test/log_loss"
#: How a run was scored.
SAMPLES = "evaluation.num_samples"
#: Of the final test what takes no importance samples.
UNSAMPLED = ("test/exact_nll", "test/nll_independent", "test/accuracy", "test/log_loss", "test/calibration_error")
#: Settings of a data set that have a name of their own in a title; and letters of another in it, at most.
NAMED, SHORT = ("dataset.name", "dataset.path", "dataset.binarization"), 40
#: Settings beside a run that is not ranked, at most.
FEW = 5


@dataclass(frozen=True)
class Section:
    """Groups of one data set, best first. title: the data set, the number of samples where that differs, and whether
    they are densities.
    keys: the settings that differ between its groups."""

    title: str
    keys: Sequence[str]
    groups: Sequence[Group]


def metric_of(runs: Sequence[RunSummary], asked: str | None) -> tuple[str, str]:
    """What runs are ranked by, and a sentence where that is not what is usual."""
    if asked is not None:
        return asked, ""
    done = [run for run in runs if run.status == "completed"]
    if not done or any(DEFAULT in run.metrics for run in done):
        return DEFAULT, ""
    lost = any(DEFAULT in run.lost for run in done)
    missing = f"No completed run has a finite {DEFAULT}" if lost else f"No completed run has {DEFAULT}"
    if any(OF_LABELS in run.metrics for run in done):
        return OF_LABELS, f"{missing}: ranked by {OF_LABELS}."
    monitors = {run.monitor for run in done if run.monitor}
    shared = [name for run in done[:1] for name in run.metrics if all(name in other.metrics for other in done)]
    metric = next(iter(monitors)) if len(monitors) == 1 else monitor_of(shared) or monitor_of(monitors)
    if metric is None:
        return DEFAULT, ""
    return metric, f"{missing}{'' if lost else ' (evaluation.test=false?)'}: ranked by {metric}."


def sections(groups: Sequence[Group], metric: str) -> list[Section]:
    """The groups by data set and, where the metric depends on it, by the number of samples and by whether p is a
    density; their order is kept."""
    apart: dict[str, list[Group]] = {}
    sampled: dict[str, set[int | None]] = {}  # data, and what is scored -> numbers of samples
    for group in groups:
        if not _by_formula(group, metric):
            data, samples, scored = _apart(group, metric)
            sampled.setdefault(json.dumps([data, scored]), set()).add(samples)
    for group in groups:
        data, samples, scored = _apart(group, metric)
        others = sampled.get(json.dumps([data, scored]), set())
        if _by_formula(group, metric) and samples not in others:  # it stands with any number of samples, the most
            samples = max(filter(None, others), default=None)
        apart.setdefault(json.dumps([data, samples, scored]), []).append(group)
    parts = []
    titled = _titles([(each[0], json.loads(key)) for key, each in apart.items()])
    for own, title in zip(apart.values(), titled, strict=True):
        every = sorted({key for group in own for key in group.settings})
        keys = [key for key in every if len({_told(group.settings, key) for group in own}) > 1]
        parts.append(Section(title, keys, own))
    if len(parts) == 1:  # what is the same for all need not be said
        return [Section("", parts[0].keys, parts[0].groups)]
    return parts


def _apart(group: Group, metric: str) -> list[Any]:
    sampled = metric.startswith("test/") and metric not in UNSAMPLED
    scored = "" if metric.endswith("/bits_per_dimension") else group.runs[0].scored  # bits are of whole numbers in all
    return [group.settings.get("data"), group.runs[0].config.get(SAMPLES) if sampled else None, scored]


def _by_formula(group: Group, metric: str) -> bool:
    """Whether the metric is of a likelihood that takes no samples."""
    return metric in (DEFAULT, "test/bits_per_dimension") and group.runs[0].likelihood in ("exact", "quadrature")


def _told(settings: Mapping[str, Any], key: str) -> str:
    return json.dumps(settings[key]) if key in settings else ""


def _titles(firsts: Sequence[tuple[Group, list[Any]]]) -> list[str]:
    """What each section is of; among data sets of one name with what tells them apart, where that is short.

    firsts: a group of each, and what sets it apart.
    """
    titles = []
    for group, (data, samples, scored) in firsts:
        name = _dataset(group)["name"]
        alike = [told for other, _ in firsts if (told := _dataset(other))["name"] == name]
        keys = {key: None for told in alike for key in told}  # in their order
        varying = [key for key in keys if len({told.get(key) for told in alike}) > 1]
        apart = [said for key in varying if (said := _dataset(group).get(key))]
        title = " ".join([", ".join([name, *apart]), *([f"({data})"] if data else [])])
        title += f", S = {samples}" if samples is not None and SAMPLES in group.settings else ""
        titles.append(title + (f", {scored}" if scored else ""))
    return titles


def _dataset(group: Group) -> dict[str, str]:
    """The name of a group's data set, its file's, how it was made binary, and its other settings, as they are told."""
    config = group.runs[0].config
    path, binary = config.get("dataset.path"), config.get("dataset.binarization")
    known = {
        "name": str(config.get("dataset.name", "data")),
        "file": Path(path).name if isinstance(path, str) else "",
        "binarization": f"binarization {binary}" if binary is not None else "",
    }
    others = (key for key in config if key.startswith("dataset.") and key not in NAMED)
    told = {key: label(config, [key]) for key in others if config[key] is not None}
    return known | {key: said if len(said) <= SHORT else f"other {key}" for key, said in told.items()}


def left_keys(runs: Sequence[RunSummary], left: Sequence[RunSummary], apart: Sequence[Section]) -> list[str]:
    """A few settings that tell apart the runs that are left, which are in no section, from each other and from the rest
    of all: those that differ, and where these are many, first what differs between runs of one folder, as those of a
    sweep, then what the sections show, then names of what was chosen."""
    keys = differing(runs if apart else left)
    if len(keys) <= FEW:
        return keys
    folders: dict[Path, list[RunSummary]] = {}
    for run in left:
        folders.setdefault(run.path.parent, []).append(run)
    near = {key for swept in folders.values() for key in differing(swept)}
    shown = {key for section in apart for key in section.keys}
    telling = {*near, *differing(left), *(key for key in keys if key in shown)}
    ranked = sorted(telling, key=lambda key: (key not in near, key not in shown, not key.endswith(".name"), key))
    return sorted(ranked[:FEW])


def label(settings: Mapping[str, Any], keys: Sequence[str]) -> str:
    """Settings in a few words, for a legend: `learning_rate 0.001, seed 1`."""
    short = [key.removesuffix(".name").rpartition(".")[2] for key in keys]
    names = [last if short.count(last) == 1 else key for last, key in zip(short, keys, strict=True)]
    told = {key: spelled(value) for key, value in settings.items()}
    shown = zip(names, keys, strict=True)
    return ", ".join(f"{name} {told[key]}" for name, key in shown if key in told) or "all"


def check_file(flag: str, path: Path | None, allowed: Sequence[str]) -> None:
    """Refuse a file to be written of another kind, or among a run's own files, which it might replace.

    Raises:
      UserError: what it must end in, or whose folder it is in.
    """
    if path is None:
        return
    if path.suffix not in allowed:
        raise UserError(f"{flag} {path} must end in {' or '.join(allowed)}.")
    folder = Path(os.path.realpath(path.parent))
    if run := next((each for each in (folder, *folder.parents) if os.path.exists(each / "run.json")), None):
        raise UserError(f"{flag} {path} is within the run {run}, whose own files it might replace; name another place.")
