"""Which checkpoints a run keeps: the last two states, and the parameters that validated best."""

import itertools
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sbvi.core import UserError
from sbvi.core.held import check_held
from sbvi.training import checkpoint, legacy_checkpoint

log = logging.getLogger(__name__)

#: Of today's files, and of those of earlier versions.
SUFFIXES = (checkpoint.SUFFIX, legacy_checkpoint.SUFFIX)


class Store:
    """`last` (the newest whole state), `previous` (the one before, a spare), `best` (parameters).

    States are whole on every device: of a run's processes one writes, and all read.
    """

    def __init__(self, folder: Path, *, writes: bool = True, run: str | None = None):
        """writes: whether this process is the one that does. run: the run's identity, which its checkpoints name; None
        of runs of earlier versions, whose do not."""
        self.folder = folder
        self.writes = writes
        self.run = run

    def path(self, name: str) -> Path:
        """Where a checkpoint is written."""
        return self.folder / f"{name}{checkpoint.SUFFIX}"

    def has_state(self) -> bool:
        """Whether there is a state to go on from."""
        return next(self._states(), None) is not None

    def has_best(self) -> bool:
        """Whether there are parameters that validated best."""
        return self._best() is not None

    def _best(self) -> Path | None:
        """Their file."""
        return next((path for end in SUFFIXES if (path := self.folder / f"best{end}").exists()), None)

    def save_last(self, state: Any, metadata: dict[str, Any]) -> None:
        if self.writes:
            # A spare is kept so that damage to the newest file costs one interval, not the run.
            checkpoint.save(self.path("last"), state, self._named(metadata), self.path("previous"))

    def save_best(self, params: Any, metadata: dict[str, Any]) -> None:
        if self.writes:
            checkpoint.save(self.path("best"), params, self._named(metadata))

    def drop_best(self) -> None:
        """Take away the parameters of training that begins anew, of which they would tell another run's first save."""
        if self.writes:
            for suffix in SUFFIXES:
                check_held(path := self.folder / f"best{suffix}")
                path.unlink(missing_ok=True)

    def _named(self, metadata: dict[str, Any]) -> dict[str, Any]:
        return metadata if self.run is None else {**metadata, "run": self.run}

    def load_last(self, like: Any) -> tuple[Any, dict[str, Any]] | None:
        """The newest good state, or None when nothing was saved yet.

        Raises:
          UserError: there are files, and none of them is good.
        """
        failures: list[str] = []
        others: list[Path] = []
        for path in self._states():
            try:
                state, metadata = self._load(path, like)
            except checkpoint.DamagedCheckpoint as error:
                log.warning("%s", error)
                failures.append(str(error))
                if isinstance(error, checkpoint.OtherRun):
                    others.append(path)
                continue
            legacy_checkpoint.refuse_orbax_steps(self.folder, int(metadata["step"]))
            if failures:
                log.warning(
                    "Going on from the newest good checkpoint in %s, at step %s.", self.folder, metadata["step"]
                )
            for other in others:
                self._set_aside(other)
            return state, metadata
        if failures:
            raise UserError(f"No checkpoint in {self.folder} can be used: {failures[0]}")
        legacy_checkpoint.refuse_orbax_steps(self.folder, -1)
        return None

    def load_best(self, like: Any) -> tuple[Any, dict[str, Any]]:
        """The parameters that validated best.

        Raises:
          DamagedCheckpoint: there are none, or they are damaged or another model's.
        """
        if (best := self._best()) is None:
            raise checkpoint.DamagedCheckpoint(
                f"{self.path('best')} is not there: a run has parameters to start from or to evaluate from its first "
                f"validation on, every trainer.validate_every steps and at its end; resume={self.folder.parent} goes "
                "on with it; where it has ended, trainer.steps=N beside that trains for longer."
            )
        return self._load(best, like)

    def notes(self, name: str) -> dict[str, Any]:
        """What a checkpoint's metadata say; nothing where there is none, or it cannot be used."""
        try:
            metadata = checkpoint.read_metadata(self.path(name))
            checkpoint.check_run(self.path(name), metadata, self.run)
        except checkpoint.DamagedCheckpoint:
            return {}
        return metadata

    def _states(self) -> Iterator[Path]:
        """The files there are, the newest first: a run of an earlier version has gone on in today's format."""
        for suffix in SUFFIXES:
            for name in ("last", "previous"):
                if (path := self.folder / f"{name}{suffix}").exists():
                    yield path

    def _set_aside(self, path: Path) -> None:
        """Rename another run's file, which is the user's: the next save would move it over this run's own spare."""
        if not self.writes:
            return
        check_held(path)
        for number in itertools.count():
            name = path.with_name(f"{path.stem}-of-another-run{number or ''}{path.suffix}")
            if not name.exists():
                path.rename(name)
                log.warning("%s is kept as %s.", path, name.name)
                return

    def _load(self, path: Path, like: Any) -> tuple[Any, dict[str, Any]]:
        read = legacy_checkpoint.read if path.suffix == legacy_checkpoint.SUFFIX else checkpoint.read
        arrays, metadata = read(path)
        checkpoint.check_run(path, metadata, self.run)
        return checkpoint.arranged(arrays, like, path), metadata
