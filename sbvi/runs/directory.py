"""A run's directory: the contract between commands (run.json, result.json, and the lock)."""

import contextlib
import fcntl
import json
import logging
import os
import socket
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from sbvi.core import UserError
from sbvi.core.atomic import clear_leftovers, write_atomically
from sbvi.core.held import LOCK, check_held, held
from sbvi.core.leftovers import JOB_LEAVINGS
from sbvi.core.places import is_file, is_folder
from sbvi.reporting.metrics import not_finite
from sbvi.runs.legacy import FORMAT, upgraded
from sbvi.runs.records import check_data, check_record, check_result

log = logging.getLogger(__name__)

#: Files in which `sbvi.train(x=...)` keeps data beside run.json: a frame as text or Parquet, or arrays.
KEPT_DATA = KEPT_TEXT, KEPT_PARQUET, KEPT_ARRAYS = "data.csv", "data.parquet", "data.npz"


class RunDirectory:
    """Reads and writes the files of one run; says in one sentence what is wrong with them."""

    def __init__(self, path: Path | str, writes: bool = True):
        """writes: whether this process does, of those that share the run."""
        self.path, self.writes = Path(path), writes
        self.goes_on = False  # from where a session's failure is the run's
        self._mode: int | None = None  # permissions of the result that was cleared

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def figures(self) -> Path:
        return self.path / "figures"

    @contextlib.contextmanager
    def locked(self, patience: float = 0.0, stop: Callable[[], str | None] | None = None) -> Iterator[None]:
        """Hold the directory for this process; the lock ends with the process, however that ends.

        patience: seconds to wait for another holder.  stop: the signal that was heard meanwhile, where this thread
        hears none itself.
        """
        if not self.writes:
            yield
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            file = open(self.path / LOCK, "a+", encoding="utf-8")  # noqa: SIM115  (closed below)
        except OSError as error:
            raise UserError(f"{self.path} cannot be used as a run directory ({error.strerror}).") from None
        with file:
            self._take(file, patience, stop or _unheard)
            try:
                file.truncate(0)
                os.write(file.fileno(), f"process {os.getpid()} on {socket.gethostname()}\n".encode())
            except OSError as error:  # a full disk
                raise UserError(f"{self.path / LOCK} cannot be written ({error.strerror}).") from None
            for folder in (self.path, self.checkpoints, self.figures):
                clear_leftovers(folder)
            with held(self.path, file):
                yield

    def _take(self, file: TextIO, patience: float, stop: Callable[[], str | None]) -> None:
        until = time.monotonic() + patience
        waiting = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except OSError:
                file.seek(0)
                holder = file.read().strip() or "another process"
            if time.monotonic() > until:
                raise UserError(f"{self.path} is in use by {holder}; wait for it, or use another directory.")
            if not waiting:
                log.info("Waiting for %s, which %s holds.", self.path, holder)
            waiting = True
            time.sleep(0.2)
            if stop() is not None:
                raise KeyboardInterrupt

    def read_run(self) -> dict[str, Any]:
        """run.json, checked for what every command needs."""
        path = self.path / "run.json"
        if not is_file(path, str(self.path)):
            what = "has no run.json" if is_folder(self.path, str(self.path)) else "is not a directory"
            raise UserError(f"{self.path} is not a run: it {what}.")
        record = self._read(path)
        if not isinstance(record.get("config"), dict) or not isinstance(record.get("data"), dict):
            raise UserError(f"{path} is not a run.json of sbvi: it lacks `config` or `data`.")
        check_data(record["data"], path)
        check_record(record, path)
        return self._with_data(upgraded(record))

    @property
    def identity(self) -> str | None:
        """What names the run in its checkpoints; None of one that an earlier version began.

        Raises:
          UserError: run.json cannot be read.
        """
        found = self.read_run().get("identity")
        return found if isinstance(found, str) else None

    def _with_data(self, record: dict[str, Any]) -> dict[str, Any]:
        """The record with data that the run keeps in its own directory found there, when that has been moved."""
        dataset = record["config"].get("dataset")
        recorded = dataset.get("path") if isinstance(dataset, Mapping) else None
        if not isinstance(recorded, str):
            return record
        name = Path(recorded).name
        own = (self.path / name).absolute()
        # A path that cannot be read at all is told where the data is read.
        with contextlib.suppress(UserError):
            if name in KEPT_DATA and is_file(own, str(own)) and not is_file(Path(recorded), recorded):
                return {**record, "config": {**record["config"], "dataset": {**dataset, "path": str(own)}}}
        return record

    def has_run(self) -> bool:
        return (self.path / "run.json").exists()

    def others(self) -> list[str]:
        """What stands in the folder of a run that is yet to begin, and is not of it."""
        own = (*JOB_LEAVINGS, *KEPT_DATA)
        return sorted(path.name for path in self.path.iterdir() if not any(path.match(name) for name in own))

    def write_run(self, content: Mapping[str, Any]) -> None:
        if self.writes:
            write_atomically(self.path / "run.json", _json({**content, "format": FORMAT}))

    def read_result(self) -> dict[str, Any] | None:
        """result.json, as far as it is checked by itself; None where no session has ended.

        Raises:
          UserError: it is damaged; the sentence says how the run goes on without it.
        """
        path = self.path / "result.json"
        if not path.exists():
            return None
        try:
            result = self._read(path, parse_constant=not_finite)
            check_result(result, path)
        except UserError as error:
            raise UserError(
                f"{str(error).removesuffix('.')}; the file may be deleted: resume={self.path} then goes on from the "
                f"last checkpoint and writes it anew."
            ) from None
        return result

    def write_result(self, content: Mapping[str, Any]) -> None:
        if self.writes:
            write_atomically(self.path / "result.json", _json(content), mode=self._mode)

    def clear_result(self) -> None:
        """Forget how an earlier session ended: this one goes on."""
        self.goes_on = True
        if self.writes:
            check_held(path := self.path / "result.json")
            with contextlib.suppress(FileNotFoundError):
                self._mode = stat.S_IMODE(path.stat().st_mode)
                path.unlink()

    def _read(self, path: Path, **options: Any) -> dict[str, Any]:
        try:
            content = json.loads(path.read_text(encoding="utf-8"), **options)
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror}).") from None
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path} cannot be read as JSON ({str(error).splitlines()[0]}).") from None
        if not isinstance(content, dict):
            raise UserError(f"{path} does not hold a JSON object.")
        return content


def _unheard() -> None:
    """A signal that this thread hears is an exception in it."""


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, allow_nan=False) + "\n").encode()
