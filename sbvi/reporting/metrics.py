"""metrics.jsonl: one JSON object a log point."""

import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sbvi.core.atomic import write_atomically
from sbvi.core.held import check_held


class MetricsFile:
    """Appends log points, with null for what is not finite; on resume, those after the checkpoint are dropped first."""

    def __init__(self, path: Path, resume_step: int = 0):
        self.path = path
        kept = [line for line in read_lines(path) if line["step"] <= resume_step and not _final(line)]
        if path.exists():
            write_atomically(path, "".join(json.dumps(line) + "\n" for line in kept).encode())
        self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115  (closed by close)

    def write(self, step: int, epoch: float, values: Mapping[str, float]) -> None:
        check_held(self.path)  # the open file would follow a folder that is moved; the run is told of it here, and ends
        told = {name: value if math.isfinite(value) else None for name, value in values.items()}
        self._file.write(json.dumps({"step": step, "epoch": epoch, **told}, allow_nan=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def _final(line: dict[str, Any]) -> bool:
    """Whether a line is of the final test, which a resumed run makes again."""
    return any(name.startswith("test/") for name in line)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a metrics file, numbers by name at a step; what a crash cut short or damaged is left out, and
    so is null, which stands for a number that was not finite."""
    if not path.exists():
        return []
    lines = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            value = json.loads(line, parse_constant=not_finite)
        except (ValueError, RecursionError):
            continue
        if not isinstance(value, dict) or not isinstance(value.get("step"), int):
            continue
        told = {name: number for name, number in value.items() if number is not None}
        if all(map(is_number, told.values())):
            lines.append(told)
    return lines


def not_finite(_: str) -> None:
    """What NaN, Infinity and -Infinity, which early versions wrote, are read as: the null that stands there now."""


def is_number(value: Any) -> bool:
    """Whether a value that was read as JSON is a finite number; true and false are none, nor what Python reads beside
    JSON (1e999)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
