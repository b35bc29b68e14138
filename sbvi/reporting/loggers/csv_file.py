"""Scalars as a table that every program reads."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sbvi.core import spec
from sbvi.core.atomic import write_atomically
from sbvi.reporting.loggers.logger import LoggerSpec

HEADER = ("step", "scalar", "value")


class _CsvFile:
    def __init__(self, path: Path, resume_step: int):
        if path.exists():
            with open(path, newline="", encoding="utf-8") as file:
                rows = [row for row in list(csv.reader(file))[1:] if len(row) == len(HEADER)]
            kept = [row for row in rows if int(row[0]) <= resume_step and not row[1].startswith("test/")]
            write_atomically(path, _lines([HEADER, *kept]).encode())
        else:
            write_atomically(path, _lines([HEADER]).encode())
        self._file = open(path, "a", newline="", encoding="utf-8")  # noqa: SIM115  (closed by close)

    def start(self, settings: Mapping[str, Any]) -> None:
        """Nothing: run.json has the settings."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self._file.write(_lines([(step, name, repr(float(value))) for name, value in values.items()]))
        self._file.flush()

    def image(self, step: int, name: str, picture: np.ndarray) -> None:
        """Nothing: figures/ has the pictures."""

    def close(self, success: bool) -> None:
        self._file.close()


def _lines(rows: Any) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()


@spec
class Csv(LoggerSpec):
    """`scalars.csv` in the run's directory: a line for each value, with step and name."""

    def open(self, folder: Path, resume_step: int) -> _CsvFile:
        return _CsvFile(folder / "scalars.csv", resume_step)
