"""What a task gives back, for the command to print, draw and keep."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from sbvi.reporting.figures import Figure
from sbvi.reporting.panels import Panel
from sbvi.runs.loaded import LoadedRun


@dataclass(frozen=True)
class Projection:
    """For TensorBoard's projector: points (N, K), labels (N,) and images (N, H, W[, C]) where there are any."""

    points: np.ndarray
    label: np.ndarray | None
    images: np.ndarray | None
    name: str


@dataclass(frozen=True)
class TaskResult:
    """scalars: named numbers, for files and TensorBoard. arrays: kept in an .npz.
    pictures: name -> (H, W) or (H, W, 3) uint8; or one with words around it, or a figure, which become PDF files too.
    table: to be printed.
    animations: name -> frames (T, H, W) or (T, H, W, 3) uint8.
    about: further facts for the .json. projection: points for TensorBoard's projector.
    beside: files that were written beside the task's own output."""

    scalars: dict[str, float]
    arrays: dict[str, np.ndarray]
    pictures: Mapping[str, np.ndarray | Panel | Figure] = field(default_factory=dict)
    table: str = ""
    about: dict[str, Any] = field(default_factory=dict)
    projection: Projection | None = None
    animations: dict[str, np.ndarray] = field(default_factory=dict)
    beside: Sequence[Path] = ()


class Task(Protocol):
    """`title` begins the names of the files it writes, within DIR/evaluations/; a digest of its settings ends them."""

    @property
    def title(self) -> str: ...

    def run(self, run: LoadedRun) -> TaskResult: ...


@runtime_checkable
class DecoderTask(Protocol):
    """A task that serves a network of the user's own as well, without a run."""

    def on_decoder(self, path: str) -> TaskResult: ...
