"""How far a run or an evaluation has come, for the terminal."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sbvi.core.watch import watching

log = logging.getLogger("sbvi")

#: Seconds between lines about an evaluation where there is no terminal.
LINE_SECONDS = 15.0
_FORMAT = "{desc} {percentage:3.0f}%|{bar:20}| {elapsed}<{remaining}{postfix}"


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
        """Called after every log point and every validation."""
        from tqdm import tqdm

        with self.turn:
            self.steps[threading.get_ident()] = progress.step
            done, total = sum(self.steps.values()), self.runs * plan.total_steps
            self.validation = values.get(f"validation/{monitor}", self.validation)
            if self.bar is None:
                self.began, self.first = time.monotonic(), done
                # disable=None: only on a terminal.
                self.bar = tqdm(total=total, initial=done, disable=None, leave=False, bar_format=_FORMAT)
            told = self._told(values, monitor, progress.best if self.runs == 1 else None)
            epoch, epochs = (steps / plan.steps_per_epoch / self.runs for steps in (done, total))
            if not self.bar.disable:
                self.bar.set_description_str(f"epoch {epoch:.4g} of {epochs:.4g}", refresh=False)
                self.bar.set_postfix_str(told, refresh=False)
                self.bar.update(done - self.bar.n)
                self.bar.refresh()
            elif (now := 10 * done // total) > self.tenth:
                self.tenth = now
                left = self._left(done, total)
                log.info("step %d of %d: %s, epoch %.4g of %.4g%s", done, total, told, epoch, epochs, left)

    def _told(self, values: Mapping[str, float], monitor: str, best: float | None) -> str:
        parts = [f"{monitor} {values[f'train/{monitor}']:.2f}"]
        if self.validation is not None:
            parts.append(f"validation {self.validation:.2f}")
            if best is not None:
                parts.append(f"best {best:.2f}")
        return ", ".join([*parts, f"{values['train/examples_per_second']:,.0f} examples/s"])

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
        from tqdm import tqdm

        now = time.monotonic()
        if not done:
            self.before()
            self.close()
            self.began = self.told = now
            self.bar = tqdm(total=total, disable=None, leave=False, desc=what, bar_format=_FORMAT)
        elif self.bar is not None and not self.bar.disable:
            self.bar.update(done - self.bar.n)
        elif done < total and now - self.told > LINE_SECONDS:
            self.told = now
            log.info("%s: %d %%, %s left", what, 100 * done // total, clock((now - self.began) * (total / done - 1)))
        if done == total:
            self.close()

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
        self.bar = None


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
