"""Where a run's scalars and pictures go: TensorBoard, metrics.jsonl, and PNG files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sbvi.reporting.curves import save_curves
from sbvi.reporting.images import save_png
from sbvi.reporting.metrics import MetricsFile, read_lines
from sbvi.reporting.tensorboard import TensorBoard


class RunRecorder:
    """Writes into a run directory; a resumed run goes on after `resume_step`."""

    def __init__(self, folder: Path, resume_step: int = 0):
        self.folder = folder
        self.metrics = MetricsFile(folder / "metrics.jsonl", resume_step)
        self.board = TensorBoard(folder, resume_step)
        #: The newest value of every scalar.
        self.last: dict[str, float] = {}
        for line in read_lines(folder / "metrics.jsonl"):
            self.last |= {name: value for name, value in line.items() if "/" in name}

    def scalars(self, step: int, epoch: float, values: Mapping[str, float]) -> None:
        self.last |= values
        self.metrics.write(step, epoch, values)
        self.board.scalars(step, values)

    def picture(self, step: int, name: str, picture: np.ndarray) -> None:
        self.board.image(step, name, picture)
        save_png(self.folder / "figures" / f"{name}.png", picture)

    def curves(self, monitor: str) -> None:
        """The monitored bound on training and validation data against the step, as a PNG."""
        names = [f"train/{monitor}", f"validation/{monitor}"]
        save_curves(self.folder / "figures" / "curves.png", read_lines(self.metrics.path), names)

    def start(self, hparams: Mapping[str, Any]) -> None:
        self.board.start_session(hparams, str(self.folder))

    def close(self, success: bool) -> None:
        self.board.end_session(success)
        self.board.close()
        self.metrics.close()


class Silent:
    """Stands for the recorder in processes that write nothing."""

    def __init__(self) -> None:
        self.last: dict[str, float] = {}

    def scalars(self, step: int, epoch: float, values: Mapping[str, float]) -> None:
        self.last |= values

    def picture(self, step: int, name: str, picture: np.ndarray) -> None: ...

    def curves(self, monitor: str) -> None: ...

    def start(self, hparams: Mapping[str, Any]) -> None: ...

    def close(self, success: bool) -> None: ...
