"""Points of a sweep trained side by side in this process, each in its own run directory."""

import contextlib
import functools
import json
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sbvi.core import UserError
from sbvi.core.plugins import telling
from sbvi.runs import runtime
from sbvi.runs.assembly import Assembly, Shared
from sbvi.runs.context import RunContext, Show
from sbvi.runs.experiment import Experiment
from sbvi.runs.memory import points_that_fit
from sbvi.runs.signals import StopSignals
from sbvi.runs.train import train
from sbvi.runs.words import flat
from sbvi.training.together import Together

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Point:
    """One run of a sweep. handler: where the log lines of its thread go, beside the console. command: what asked for
    it; None for the process's own. found: see `RunContext`."""

    experiment: Experiment
    folder: Path
    handler: logging.Handler | None = None
    command: Sequence[str] | None = None
    found: Callable[[Experiment, str], None] | None = None


Ended = dict[str, Any] | BaseException


def groups(points: Sequence[Point], largest: int | None = None, shared: Shared | None = None) -> list[list[int]]:
    """Positions of points that may share a program, `largest` at most and no more than memory holds.

    Points whose configs differ in the seed and in real numbers only stand together. Whether their
    programs are equal shows when they are compiled: these groups are what is worth a try. Points that are one and the
    same run (`seed=0,0`) never do: the second would wait for the folder, and the first for the second.

    shared: where what the points have in common is kept for those who train them.
    """
    alike: dict[str, list[int]] = {}
    folders: Counter[Path] = Counter()
    for position, point in enumerate(points):
        config = {k: v for k, v in flat(point.experiment.to_config()).items() if k != "seed" and type(v) is not float}
        before = folders[point.folder.absolute()]
        alike.setdefault(json.dumps([before, config], sort_keys=True), []).append(position)
        folders[point.folder.absolute()] += 1
    parts = []
    for positions in alike.values():
        size = min(_fitting(points[positions[0]].experiment, len(positions), shared), largest or len(positions))
        parts += [positions[start : start + size] for start in range(0, len(positions), size)]
    return parts


def _fitting(experiment: Experiment, points: int, shared: Shared | None) -> int:
    if points == 1:
        return 1
    try:
        runtime.apply(experiment.runtime)
        with telling():
            assembly = Assembly.build(experiment, shared)
            return max(1, min(points, points_that_fit(experiment, assembly.model, assembly.algorithm)))
    except UserError:
        return 1  # each will say it for itself


def train_together(
    points: Sequence[Point],
    show: Show | None = None,
    patience: float = 0.0,
    largest: int | None = None,
    shared: Shared | None = None,
) -> tuple[list[Ended], str | None]:
    """Train points in groups, one group after the other.

    Args:
      points: what to run, and where.
      show: called by every run after each log point, from its own thread.
      patience: seconds that each waits for a directory that another process holds.
      largest: most points in one group.
      shared: what they have in common with other runs of this process.

    Returns:
      For each point the content of its result.json, or the error that ended it; and the name of the signal that
      was heard, None where there was none. A signal stops the group that is running at its next chunk; points not begun
      then have a KeyboardInterrupt. One that comes in a final test leaves every point of the group completed.
    """
    ended: list[Ended] = [KeyboardInterrupt() for _ in points]
    shared = shared or Shared()
    with StopSignals() as stop:
        for positions in groups(points, largest, shared):
            if stop.reason() is not None:
                break
            log.info("Training %d runs side by side", len(positions))
            _train_group([points[p] for p in positions], positions, ended, show, patience, stop.reason, shared)
        return ended, stop.reason()


def _train_group(
    points: Sequence[Point],
    positions: Sequence[int],
    ended: list[Ended],
    show: Show | None,
    patience: float,
    stop: Callable[[], str | None],
    shared: Shared,
) -> None:
    meeting = Together(len(points))

    def one(point: Point, position: int) -> None:
        leave = _once(meeting.leave)
        compiled = functools.partial(meeting.compile_chunk, position=position)
        session = RunContext(patience, shared, compiled, leave, stop, command=point.command, found=point.found)
        try:
            with _lines_to(point.handler):
                ended[position] = train(point.experiment, point.folder, show, session)
        except BaseException as error:
            ended[position] = error
        finally:
            leave()

    threads = [
        threading.Thread(target=one, args=(point, position), name=f"point-{position}")
        for point, position in zip(points, positions, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(0.2)  # in short waits, between which signals are heard


def _once(function: Callable[[], None]) -> Callable[[], None]:
    left = [function]

    def call() -> None:
        if left:
            left.pop()()

    return call


@contextlib.contextmanager
def _lines_to(handler: logging.Handler | None) -> Iterator[None]:
    """What this thread logs goes to the handler too."""
    if handler is None:
        yield
        return
    me = threading.get_ident()
    handler.addFilter(lambda record: record.thread == me)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
