"""What surrounds a run: who watches it, what it shares with others, and who may stop it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sbvi.runs.assembly import Shared
from sbvi.training import Plan, Progress
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
    gives_up: of a search's trial, whether it ends at a validation; see `sbvi.training.Training`.
    longer: whether a run that goes on may have another length, budget or rhythm (`sbvi.runs.changes`).
    command: what asked for the run, for its record; None for the process's own.
    """

    patience: float = 0.0
    shared: Shared = field(default_factory=Shared)
    compile: Callable[..., Any] = compile_chunk
    trained: Callable[[], None] = lambda: None
    stop: Callable[[], str | None] | None = None
    gives_up: Callable[[int, float], bool] = lambda *_: False
    longer: bool = False
    command: Sequence[str] | None = None
