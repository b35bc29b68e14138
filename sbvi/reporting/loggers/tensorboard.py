"""TensorBoard's event files, in the run's directory."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sbvi.core import spec
from sbvi.reporting.loggers.logger import LoggerSpec
from sbvi.reporting.tensorboard import TensorBoard


class _Events:
    def __init__(self, folder: Path, resume_step: int):
        self.folder, self.board = folder, TensorBoard(folder, resume_step)

    def start(self, settings: Mapping[str, Any]) -> None:
        self.board.start_session(settings, str(self.folder))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self.board.scalars(step, values)

    def image(self, step: int, name: str, picture: np.ndarray) -> None:
        self.board.image(step, name, picture)

    def close(self, success: bool) -> None:
        try:
            self.board.end_session(success)
        finally:
            self.board.close()


@spec
class TensorBoardEvents(LoggerSpec):
    """Scalars, pictures and HParams for `tensorboard --logdir`, in the run's directory."""

    def command(self, folder: Path) -> str:
        return f"tensorboard --logdir {shlex.quote(str(folder.parent))}"

    def open(self, folder: Path, resume_step: int) -> _Events:
        return _Events(folder, resume_step)
