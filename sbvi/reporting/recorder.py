"""Where a run's scalars and pictures go: metrics.jsonl, pictures, and a logger such as TensorBoard."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sbvi.reporting.curves import save_curves
from sbvi.reporting.loggers import Logger
from sbvi.reporting.loggers.logger import tell_stopped
from sbvi.reporting.metrics import MetricsFile, read_lines
from sbvi.reporting.panels import Panel, save_panel


class RunRecorder:
    """Writes into a run directory; a resumed run goes on after `resume_step`.

    logger: what else is told, opened at that step.
    """

    def __init__(self, folder: Path, resume_step: int, logger: Logger):
        self.folder, self.logger = folder, logger
        self.metrics = MetricsFile(folder / "metrics.jsonl", resume_step)
        #: The newest value of every scalar.
        self.last: dict[str, float] = {}
        for line in read_lines(folder / "metrics.jsonl"):
            self.last |= {name: value for name, value in line.items() if "/" in name}

    def scalars(self, step: int, epoch: float, values: Mapping[str, float]) -> None:
        self.last |= values
        self.metrics.write(step, epoch, values)
        self.logger.scalars(step, values)

    def picture(self, step: int, name: str, panel: Panel) -> None:
        """Its grid alone for the logger; and as .png and .pdf with its words."""
        self.logger.image(step, name, panel.picture)
        save_panel(panel, *(self.folder / "figures" / f"{name}{suffix}" for suffix in (".png", ".pdf")))

    def curves(self, monitor: str, chosen: int | None) -> None:
        """The monitored scalar on training and validation data against the step, as .png and .pdf; and the step whose
        parameters were chosen, where one was."""
        save_curves(self.folder / "figures" / "curves.png", read_lines(self.metrics.path), monitor, chosen)

    def start(self, hparams: Mapping[str, Any]) -> None:
        self.logger.start(hparams)

    def stopped(self) -> None:
        tell_stopped(self.logger)

    def close(self, success: bool) -> None:
        try:
            self.logger.close(success)
        finally:  # a service that does not answer keeps no file open
            self.metrics.close()


class Silent:
    """Stands for the recorder in processes that write nothing."""

    def __init__(self) -> None:
        self.last: dict[str, float] = {}

    def scalars(self, step: int, epoch: float, values: Mapping[str, float]) -> None:
        self.last |= values

    def picture(self, step: int, name: str, panel: Panel) -> None: ...

    def curves(self, monitor: str, chosen: int | None) -> None: ...

    def start(self, hparams: Mapping[str, Any]) -> None: ...

    def close(self, success: bool) -> None: ...
