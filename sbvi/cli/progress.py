"""How far a run or an evaluation has come, for the terminal."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sbvi.core.quantities import told
from sbvi.core.watch import watching

log = logging.getLogger("sbvi")

#: Seconds between lines about an evaluation where there is no terminal.
LINE_SECONDS = 15.0
#: A run's line, the fullest first: narrow terminals lose the bar, then where the run is, then words.
RUN = (
    "{where} {percentage:3.0f}%|{bar:20}| {elapsed}<{remaining}, {long}",
    "{where} {percentage:3.0f}%|{bar:8}| {elapsed}<{remaining}, {long}",
    "{where} {percentage:3.0f}% {elapsed}<{remaining}, {long}",
    "{percentage:3.0f}% {elapsed}<{remaining}, {long}",
    "{percentage:3.0f}% {remaining} left, {long}",
    "{percentage:3.0f}% {remaining} left, {short}",
    "{remaining} left, {short}",
    "{short}",
)
#: That of other long work.
WORK = (
    "{what} {percentage:3.0f}%|{bar:20}| {elapsed}<{remaining}",
    "{what} {percentage:3.0f}% {remaining} left",
    "{what} {percentage:3.0f}%",
)


class TrainingBar:
    """One bar on a terminal, elsewhere a line for each tenth. Several runs, each in a thread of its own, count
    together."""

    def __init__(self, runs: int):
        self.runs, self.turn = runs, threading.Lock()
        self.bar: Any = None
        self.tenth = -1
        self.steps: dict[int, int] = {}
        self.validation: float | None = None
        self.began, self.first = time.monotonic(), 0

    def show(self, plan: Any, progress: Any, values: Mapping[str, float], monitor: str) -> None:
        """Called after every log point, with its validation where there is one."""
        with self.turn:
            self.steps[threading.get_ident()] = progress.step
            done, total = sum(self.steps.values()), self.runs * plan.total_steps
            self.validation = values.get(f"validation/{monitor}", self.validation)
            if self.bar is None:
                self.began, self.first = time.monotonic(), done
                self.bar = _bar(RUN, total, done)
            best = progress.best if self.runs == 1 else None
            epoch, epochs = (steps / plan.steps_per_epoch / self.runs for steps in (done, total))
            where, told = f"epoch {epoch:.4g} of {epochs:.4g}", self._told(values, monitor, best)
            if not self.bar.disable:
                short = self._told(values, monitor, best, ("valid", "/s"))
                self.bar.tell({"where": where, "long": told, "short": short}, done)
            elif (now := 10 * done // total) > self.tenth:
                self.tenth = now
                log.info("step %d of %d: %s, %s%s", done, total, told, where, self._left(done, total))

    def _told(
        self,
        values: Mapping[str, float],
        monitor: str,
        best: float | None,
        words: tuple[str, str] = ("validation", " examples/s"),
    ) -> str:
        mean = values.get(f"train/{monitor}")  # of updates since the last log point, if one was taken
        parts = [f"{monitor} {mean:.2f}"] if mean is not None else ["no update"]
        if self.validation is not None:
            parts.append(f"{words[0]} {self.validation:.2f}")
            if best is not None:
                parts.append(f"best {told(best):.2f}")
        return ", ".join([*parts, f"{values['train/examples_per_second']:,.0f}{words[1]}"])

    def _left(self, done: int, total: int) -> str:
        taken, seconds = done - self.first, time.monotonic() - self.began
        return f", {clock((total - done) * seconds / taken)} left" if taken and done < total else ""

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


class WorkBar:
    """A bar for each piece of long work, such as the final test; elsewhere lines now and then.

    before: called when such work begins.
    """

    def __init__(self, before: Callable[[], None] = lambda: None) -> None:
        self.before = before
        self.bar: Any = None
        self.began = self.told = time.monotonic()

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if not done:
            self.before()
            self.close()
            self.began = self.told = now
            self.bar = _bar(WORK, total)
        if self.bar is not None and not self.bar.disable:
            self.bar.tell({"what": what}, done)
        elif done < total and now - self.told > LINE_SECONDS:
            self.told = now
            log.info("%s: %d %%, %s left", what, 100 * done // total, clock((now - self.began) * (total / done - 1)))
        if done == total:
            self.close()

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
        self.bar = None


def _bar(layouts: Sequence[str], total: int, done: int = 0) -> Any:
    from sbvi.cli.terminal import FittedBar  # tqdm, which help has no use for

    return FittedBar(layouts, total=total, initial=done)


def clock(seconds: float) -> str:
    """m:ss, or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextmanager
def progress_bar(runs: int = 1) -> Iterator[Any]:
    """What is called after every log point of `runs` runs; their tests have a bar too."""
    from tqdm.contrib.logging import logging_redirect_tqdm

    with logging_redirect_tqdm(), contextlib.closing(TrainingBar(runs)) as bar, work_bar(bar.close):
        yield bar.show


@contextmanager
def work_bar(before: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Within, long evaluations of this thread have a bar."""
    with contextlib.closing(WorkBar(before)) as bar, watching(bar):
        yield
