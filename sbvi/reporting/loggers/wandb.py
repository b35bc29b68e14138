"""Weights & Biases, online or in files for `wandb sync`."""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sbvi.core import spec
from sbvi.reporting.loggers.logger import LoggerSpec, Service, needs_extra, undone

#: What wandb ends a run with that Ctrl-C has ended.
INTERRUPTED = 255
#: What to do where a run cannot be opened.
REMEDY = "log in, or give logger.mode=offline, whose files `wandb sync` sends later"


class _WandbRun:
    def __init__(self, folder: Path, project: str, mode: Literal["online", "offline"]):
        import wandb

        self._wandb, self._ended = wandb, 0
        known = folder / "wandb_run.txt"
        with undone(known, folder / "wandb"):
            if not known.exists():
                known.write_text(f"{secrets.token_hex(6)}\n", encoding="utf-8")
            self.run = wandb.init(
                project=project,
                name=folder.name,
                id=known.read_text(encoding="utf-8").strip(),
                dir=str(folder),
                mode=mode,
                resume="allow",
                reinit="create_new",
                settings=wandb.Settings(silent=True, console="off"),
            )

    def start(self, settings: Mapping[str, Any]) -> None:
        self.run.config.update(dict(settings), allow_val_change=True)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self.run.log({name: float(value) for name, value in values.items()}, step=step)

    def image(self, step: int, name: str, picture: np.ndarray) -> None:
        self.run.log({name: self._wandb.Image(picture)}, step=step)

    def stopped(self) -> None:
        self._ended = INTERRUPTED

    def close(self, success: bool) -> None:
        self.run.finish(exit_code=self._ended if success else 1)


@spec
class Wandb(LoggerSpec):
    """A run of Weights & Biases; needs the extra `wandb`, and a login where it is online."""

    project: str = "sbvi"
    """Name of the project that the run stands in."""
    mode: Literal["online", "offline"] = "online"
    """offline writes files into the run's directory, which `wandb sync` sends later."""

    def check(self) -> None:
        needs_extra("wandb")

    def open(self, folder: Path, resume_step: int) -> Service:
        return Service("wandb", lambda: _WandbRun(folder, self.project, self.mode), REMEDY)
