"""Where the data of a recorded run lies now: where it was, beside the run's own files, or where the user says.

A place is no part of what a run is. Whoever reads the data compares its digest with the recorded one.
"""

import contextlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sbvi.core import UserError
from sbvi.core.places import is_file, is_folder
from sbvi.data.formats.own_files import TEXTS
from sbvi.data.recorded import other_kinds, same_data
from sbvi.runs.directory import KEPT_ARRAYS, KEPT_PARQUET, KEPT_TEXT, RunDirectory
from sbvi.runs.experiment import Experiment

#: The setting that names a place of data.
PLACE = "dataset.path"
#: How files end in which a cell may be empty.
WITH_GAPS = (*TEXTS, ".parquet")


def located(experiment: Experiment, run: Path, said: str | None = None) -> Experiment:
    """The experiment with its data where it is now.

    What `sbvi.train` was given in memory lies in the run's folder: it is found there after the folder has moved.

    run: the run's folder. said: where the user says that the data is.

    Raises:
      UserError: something is said of data that has no path of the user's.
    """
    recorded = getattr(experiment.dataset, "path", None)
    if said is not None:
        check_has_path(recorded is not None, said)
        return _at(experiment, said)
    if recorded is None:
        return experiment
    beside = str(run.absolute() / Path(recorded).name)
    # Of what was given in memory another run may lie where this one was.
    elsewhere = Path(recorded).name in (KEPT_ARRAYS, KEPT_TEXT, KEPT_PARQUET) or not _is_there(recorded)
    return _at(experiment, beside) if elsewhere and beside != recorded and _is_there(beside) else experiment


def same_place(one: object, other: object) -> bool:
    """Whether two paths lead to one file."""
    # Links in a circle, which lead to none, make `Path.resolve` raise.
    return isinstance(one, str) and isinstance(other, str) and os.path.realpath(one) == os.path.realpath(other)


def check_has_path(has_path: bool, said: object) -> None:
    """Refuse a place of data that has none.

    Raises:
      UserError: as it says.
    """
    if not has_path:
        raise UserError(f"{PLACE}={said} is for runs on files of one's own, and this run's data has no path.")


def check_there(experiment: Experiment, run: Path) -> None:
    """Refuse to look for data where there is none.

    Raises:
      UserError: the run's data is not where it was recorded.
    """
    if not is_there(experiment):
        recorded = getattr(experiment.dataset, "path", None)
        raise UserError(f"{recorded}, which {run} was trained on, is not there; {PLACE}=FILE says where it is now.")


def check_same(experiment: Experiment, run: Path, recorded: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Refuse other data than a run's.

    recorded, found: run.json's `data`, and the same of the data that is found now.

    Raises:
      UserError: they are not of the same data.
    """
    if not same_data(recorded, found):
        own = getattr(experiment.dataset, "path", None)
        place, cure = (f" in {own}", f"; {PLACE}=FILE says where the run's own data is now") if own else ("", "")
        kinds = other_kinds(recorded, found)
        raise UserError(f"{run} was trained on other data than is found now{place}{kinds}{cure}.")


def with_gaps(experiment: Experiment, run: Path) -> str | None:
    """The user's own file of a table by column whose training rows have gaps, where the command that fills them reads
    it; None where there is none, where `dataset.missing` made gaps, and of what `sbvi.train` was given in memory."""
    place = getattr(experiment.dataset, "path", None)
    if (
        place is None
        or Path(place).parent == run.absolute()
        or not place.lower().endswith(WITH_GAPS)
        or not _is_there(place)
    ):
        return None
    removal = getattr(experiment.dataset, "missing", None)
    if removal is None or removal.fraction:
        return None
    return place if RunDirectory(run).read_run()["data"].get("missing") else None


def stamp(experiment: Experiment) -> dict[str, int] | None:
    """Size in bytes and time of change (ns) of the experiment's own data, a file or a folder of files, by which it is
    seen without reading that nothing has changed; None of data that has no path, or that is not there."""
    path = getattr(experiment.dataset, "path", None)
    if path is None or not _is_there(path):
        return None
    try:
        with os.scandir(path) if os.path.isdir(path) else contextlib.nullcontext() as entries:
            found = [os.stat(path)] if entries is None else [e.stat() for e in entries if not e.name.startswith(".")]
    except OSError:  # it goes meanwhile, or may not be looked at
        return None
    return {"bytes": sum(each.st_size for each in found), "modified": max((e.st_mtime_ns for e in found), default=0)}


def is_there(experiment: Experiment) -> bool:
    """Whether there is a file where the experiment's own data is said to be; true of data that has no path."""
    path = getattr(experiment.dataset, "path", None)
    return path is None or _is_there(path)


def _is_there(place: str) -> bool:
    return is_file(Path(place), place) or is_folder(Path(place), place)


def _at(experiment: Experiment, place: str) -> Experiment:
    return replace(experiment, dataset=replace(experiment.dataset, path=place))
