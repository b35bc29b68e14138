"""Which checkpoints a run keeps: the last two states, and the parameters that validated best."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sbvi.core import UserError
from sbvi.training import checkpoint, orbax_steps

log = logging.getLogger(__name__)


class Store:
    """`last` (the newest whole state), `previous` (the one before, a spare), `best` (parameters)."""

    def __init__(self, folder: Path):
        self.folder = folder

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.msgpack"

    def save_last(self, state: Any, metadata: dict[str, Any]) -> None:
        # A spare is kept so that damage to the newest file costs one interval, not the run.
        checkpoint.save(self.path("last"), state, metadata, self.path("previous"))

    def save_best(self, params: Any, metadata: dict[str, Any]) -> None:
        checkpoint.save(self.path("best"), params, metadata)

    def load_last(self, like: Any) -> tuple[Any, dict[str, Any]] | None:
        """The newest good state, or None when nothing was saved yet.

        Raises:
          UserError: there are files, and none of them is good.
        """
        failures, good = [], []
        for found in [*self._files(like), *orbax_steps.all_loaded(self.folder, like)]:
            if isinstance(found, checkpoint.DamagedCheckpoint):
                log.warning("%s", found)
                failures.append(str(found))
            else:
                good.append(found)
        if good:
            newest = max(good, key=lambda found: int(found[1]["step"]))
            if failures:
                log.warning(
                    "Going on from the newest good checkpoint in %s, at step %s.", self.folder, newest[1]["step"]
                )
            return newest
        if failures:
            raise UserError(f"No checkpoint in {self.folder} can be used: {failures[0]}")
        return None

    def _files(self, like: Any) -> Iterator[tuple[Any, dict[str, Any]] | checkpoint.DamagedCheckpoint]:
        """The newest good file; before it, why newer ones are not."""
        for name in ("last", "previous"):
            if self.path(name).exists():
                try:
                    yield checkpoint.load(self.path(name), like)
                    return
                except checkpoint.DamagedCheckpoint as error:
                    yield error

    def load_best(self, like: Any) -> tuple[Any, dict[str, Any]]:
        return checkpoint.load(self.path("best"), like)


class SharedStore(Store):
    """Of a run of several processes, which all save `last` together; the first writes `best`."""

    def save_last(self, state: Any, metadata: dict[str, Any]) -> None:
        orbax_steps.save(self.folder, state, metadata)
