"""Which checkpoints a run keeps: the last two states, and the parameters that validated best."""

import logging
from pathlib import Path
from typing import Any

from sbvi.config import UserError
from sbvi.training import checkpoint

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
        failures = []
        for name in ("last", "previous"):
            if not self.path(name).exists():
                continue
            try:
                found = checkpoint.load(self.path(name), like)
            except checkpoint.DamagedCheckpoint as error:
                log.warning("%s", error)
                failures.append(str(error))
                continue
            if failures:
                log.warning("Going on from %s, at step %s.", self.path(name), found[1].get("step"))
            return found
        if failures:
            raise UserError(f"No checkpoint in {self.folder} can be used: {failures[0]}")
        return None

    def load_best(self, like: Any) -> tuple[Any, dict[str, Any]]:
        return checkpoint.load(self.path("best"), like)
