"""What surrounds a run: who watches it, what it shares with others, and who may stop it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sbvi.reporting.metrics import read_lines
from sbvi.runs.assembly import Shared
from sbvi.runs.experiment import Experiment
from sbvi.training import Plan, Progress, Trial
from sbvi.training.chunk import compile_chunk

Show = Callable[[Plan, Progress, Mapping[str, float], str], None]


@dataclass(frozen=True)
class RunContext:
    """What surrounds a run: nothing, unless it is a point of a sweep.

    patience: seconds to wait for a directory that another process holds.
    shared: what this process's runs have in common.
    compile: makes the function that runs a chunk of steps; see `sbvi.training.Together`.
    trained: called once when the loop has ended, however it did.
    stop: asked for a reason to stop; by default the process's own signals are.
    trial: that of a search, which is told of the run's validations and may end it.
    longer: whether a run that goes on may have another length, budget or rhythm (`sbvi.runs.changes`).
    command: what asked for the run, for its record; None for the process's own.
    found: called with the experiment and the digest of its data before anything is trained on it.
    """

    patience: float = 0.0
    shared: Shared = field(default_factory=Shared)
    compile: Callable[..., Any] = compile_chunk
    trained: Callable[[], None] = lambda: None
    stop: Callable[[], str | None] | None = None
    trial: Trial | None = None
    longer: bool = False
    command: Sequence[str] | None = None
    found: Callable[[Experiment, str], None] | None = None


def recall(trial: Trial | None, folder: Path, monitor: str, step: int, pruned: bool = False) -> None:
    """Tell a search's trial what a run's earlier sessions have validated, up to a step.

    monitor: the scalar of metrics.jsonl that a search looks at. pruned: whether the run ended as a pruned one.
    """
    if trial is not None:
        lines = [line for line in read_lines(folder / "metrics.jsonl") if monitor in line and line["step"] <= step]
        trial.recall([(line["step"], line[monitor]) for line in lines], pruned)
