"""Workers that take a sweep's jobs from a queue, and what became of every job."""

import contextlib
import ctypes
import multiprocessing
import os
import queue
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from hydra.core.utils import JobReturn, JobStatus

from sbvi.core import UserError
from sbvi.core.interrupts import interrupt_once, terminate

_PR_SET_PDEATHSIG = 1
_HEARD = (signal.SIGTERM, signal.SIGINT)

Run = Callable[[int, Sequence[str]], JobReturn]

#: What is told of a job that the sweep's end cut off.
STOPPED = "was stopped; the same command goes on with it"


class JobFailed(UserError):
    """A job of the sweep did not end well; the text says which and why."""


def settled(overrides: list[str], value: Any, failure: str | None) -> JobReturn:
    """What became of a job, in Hydra's form."""
    result = JobReturn(overrides=overrides, status=JobStatus.COMPLETED if failure is None else JobStatus.FAILED)
    result.return_value = value if failure is None else JobFailed(failure)
    return result


def _work(run: Run, core: int | None, parent: int, jobs: Any, results: Any) -> None:
    """A worker: takes jobs until there are none."""
    # No worker outlives the sweep: a job cut off like this goes on from its checkpoint.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    hears = signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
    signal.signal(signal.SIGTERM, terminate)
    if hears:
        signal.signal(signal.SIGINT, interrupt_once)
    if core is not None:
        os.sched_setaffinity(0, {core})
    with contextlib.suppress(KeyboardInterrupt):  # between two jobs
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD)
        while (job := jobs.get()) is not None:
            number, overrides = job
            if hears:  # anew where the job before heard it, and the sweep goes on
                signal.signal(signal.SIGINT, interrupt_once)
            if not _done(run, number, overrides, results):
                return


def _done(run: Run, number: int, overrides: Sequence[str], results: Any) -> bool:
    """Whether a worker goes on after a job, which it does and tells of."""
    try:
        results.put(("began", number, os.getpid(), None))
        done = run(number, overrides)
        failure = None if done.status == JobStatus.COMPLETED else str(done._return_value)
        results.put(("ended", number, done._return_value if failure is None else None, failure))
    except KeyboardInterrupt:
        results.put(("ended", number, None, STOPPED))
        return False
    except BaseException as error:  # SystemExit too, of which the next job knows nothing
        traceback.print_exc()
        results.put(("ended", number, None, f"{type(error).__name__}: {error}"))
    finally:
        sys.stdout.flush()
    return True


class Pool:
    """Hands jobs to workers, replaces workers that die, and gathers what became of every job."""

    def __init__(self, run_one: Run, jobs: list[list[str]], first: int, count: int, pin: bool):
        self.run_one, self.first, self.overrides, self.pin = run_one, first, jobs, pin
        self.context = multiprocessing.get_context("fork")
        self.jobs, self.results = self.context.Queue(), self.context.Queue()
        self.cores = sorted(os.sched_getaffinity(0))
        self.workers: dict[int, Any] = {}
        self.holding: dict[int, int] = {}  # process -> number of its job
        self.outcome: dict[int, JobReturn] = {}
        self.heard: int | None = None  # the signal that stops the sweep
        for number, words in enumerate(jobs):
            self.jobs.put((first + number, words))
        for _ in range(count):
            self.jobs.put(None)
        self.count = count

    def _start(self, slot: int) -> None:
        core = self.cores[slot % len(self.cores)] if self.pin else None
        arguments = (self.run_one, core, os.getpid(), self.jobs, self.results)
        process = self.context.Process(target=_work, args=arguments)
        # What comes while it is made waits there until it can be heard.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self.workers[slot] = process
        if self.heard is not None and process.pid is not None:  # meanwhile
            os.kill(process.pid, self.heard)

    def _settle(self, number: int, value: Any, failure: str | None) -> None:
        self.outcome[number] = settled(self.overrides[number - self.first], value, failure)

    def _stop(self, number: int, _: Any) -> None:
        """Every worker saves at its next chunk and leaves; jobs not begun stay undone."""
        self._withdraw(number)
        for worker in self.workers.values():
            if worker.is_alive():
                os.kill(worker.pid, number)

    def _interrupt(self, number: int, frame: Any) -> None:
        """The same of a Ctrl-C, also where the terminal has told the workers too (`interrupt_once`); as a second signal
        it is Python's own, and ends the sweep's process and with it theirs. As an exception the first could be lost in
        a callback of Python's."""
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if self.heard is not None:
            signal.default_int_handler(number, frame)
        self._stop(number, frame)

    def _withdraw(self, number: int) -> None:
        """Take back the jobs that no worker has begun."""
        self.heard = number
        try:
            while True:
                self.jobs.get_nowait()
        except queue.Empty:
            pass
        for _ in range(self.count):
            self.jobs.put(None)

    def run(self) -> list[JobReturn]:
        handlers: dict[signal.Signals, Any] = {signal.SIGTERM: self._stop}
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as of what a script starts in the background
            handlers[signal.SIGINT] = self._interrupt
        before = [(number, signal.signal(number, handler)) for number, handler in handlers.items()]
        try:
            for slot in range(self.count):
                self._start(slot)
            while any(worker.is_alive() for worker in self.workers.values()) or self._deaths_untold():
                self._listen()
        finally:
            for signum, handler_before in before:
                signal.signal(signum, handler_before)
        for worker in self.workers.values():
            if self._died(worker):  # the last of a sweep that is stopped
                self._bury(worker)
        for number in range(self.first, self.first + len(self.overrides)):
            if number not in self.outcome:
                self._settle(number, None, "was not run: the sweep was stopped")
        return [self.outcome[number] for number in sorted(self.outcome)]

    def _drain(self) -> None:
        """Take in every message that is there."""
        try:
            while True:
                self._note(*self.results.get(timeout=0.2))
        except queue.Empty:
            return

    def _deaths_untold(self) -> bool:
        """Where no worker is alive: take in what they have said; whether one died of a job that is still to be settled,
        so that another goes on with the rest. Of a sweep that is stopped nobody does."""
        self._drain()
        return self.heard is None and any(map(self._died, self.workers.values()))

    def _died(self, worker: Any) -> bool:
        """Whether a worker ended with a job in its hands."""
        return not worker.is_alive() and worker.exitcode != 0 and worker.pid in self.holding

    def _listen(self) -> None:
        try:
            self._note(*self.results.get(timeout=0.5))
        except queue.Empty:
            for slot, worker in list(self.workers.items()):
                if self._died(worker):
                    self._bury(worker)
                    if self.heard is None:
                        self._start(slot)

    def _bury(self, worker: Any) -> None:
        """Settle the job of a worker that died: by the signal that stops the sweep, as one does that comes before its
        training has begun or in its final test, or by itself."""
        by_signal = self.heard is not None and worker.exitcode == -self.heard
        failure = STOPPED if by_signal else f"its worker died (exit code {worker.exitcode})"
        self._settle(self.holding.pop(worker.pid), None, failure)

    def _note(self, what: str, number: int, value: Any, failure: str | None) -> None:
        if what == "began":
            self.holding[value] = number
            return
        self.holding = {process: held for process, held in self.holding.items() if held != number}
        self._settle(number, value, failure)
