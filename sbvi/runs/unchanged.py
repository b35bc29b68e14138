"""Whether the data of a completed run is what it was trained on: its command, given again, has its results back, which
are of that data.

The file's size and time, which are recorded, tell at once that nothing has changed; the data is read only where they
differ, since a file may be written again as it was.
"""

import contextlib
import logging
from collections.abc import Mapping
from typing import Any

from sbvi.core import UserError
from sbvi.runs.assembly import Shared, data_record, load_dataset
from sbvi.runs.changes import noted
from sbvi.runs.directory import RunDirectory
from sbvi.runs.experiment import Experiment
from sbvi.runs.whereabouts import PLACE, check_same, is_there, stamp

log = logging.getLogger(__name__)

#: Bytes of a file that is read soon enough where an earlier version recorded no size and time.
SOON = 1 << 22


def check_unchanged(
    directory: RunDirectory, experiment: Experiment, moved: Mapping[str, list[Any]], step: int, shared: Shared
) -> None:
    """Refuse other data than a completed run's, and record where the same data lies now. Of data that is gone a warning
    tells, and one of data that differs from that of a run of an earlier version, which may have read it otherwise.

    Args:
      moved: the place of the data as [before, now], where that is another than recorded.
      step: the run's last.
      shared: what runs of this process have in common.

    Raises:
      UserError: see `check_same`; or what lies in the place cannot be read.
    """
    record = directory.read_run()
    recorded, now = record["data"], stamp(experiment)
    if not moved and not is_there(experiment):
        log.warning(
            "%s, which %s was trained on, is not there; the run's results stand, and %s=FILE says where it is now.",
            getattr(experiment.dataset, "path", None), directory.path, PLACE,
        )  # fmt: skip
        return
    before = record.get("data_file")
    if not moved and (now is None or now == before or (before is None and now["bytes"] > SOON)):
        return
    try:
        _check_read(directory, experiment, recorded, now, shared, named=bool(moved))
    except UserError as error:
        if moved or before is not None:
            raise
        log.warning("%s; the results are of the data that it was trained on.", str(error).rstrip("."))
        return
    if moved:
        record = noted(record, experiment.to_config(), moved, step)
    elif before is None:
        return
    with contextlib.nullcontext() if moved else contextlib.suppress(UserError):  # else it is read again next time
        directory.write_run(record if now is None else {**record, "data_file": now})


def _check_read(
    directory: RunDirectory,
    experiment: Experiment,
    recorded: Mapping[str, Any],
    now: Any,
    shared: Shared,
    *,
    named: bool,
) -> None:
    """named: whether the user has just said where the data is, and is told of that file alone what is wrong with it."""
    config = experiment.to_config()
    key = {"found": [config["dataset"], config["model"]], "file": now, "as": recorded.get("preprocessing")}
    try:
        found = shared.get(key, lambda: data_record(load_dataset(experiment, recorded)))
    except UserError as error:  # such as of a rank that no column of the run has, which says nothing of the run
        if named:
            raise
        place = getattr(experiment.dataset, "path", None)
        raise UserError(
            f"{directory.path} was trained on other data than is found now in {place} ({str(error).rstrip('.')}); "
            f"{PLACE}=FILE says where the run's own data is now."
        ) from error
    check_same(experiment, directory.path, recorded, found)
