"""A launcher that trains a sweep's jobs in pinned workers, one a core, each reusing its process.

A fresh process pays seconds of imports for every job, and two cores share a small batch badly: one job
a core trains faster than each job on all of them. Workers are forked before JAX is imported, so that
each sees its own core only; they share the compilation cache. Every job has its own run directory, as
if it were run alone, and is resumed or skipped by `sbvi-train` itself.
"""

import ctypes
import logging
import multiprocessing
import os
import queue
import signal
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus, configure_log, filter_overrides, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1


class JobFailed(RuntimeError):
    """A job of the sweep did not end well; the text says which and why."""


@dataclass
class SbviLauncherConf:
    """workers: processes; null for one a core on CPU, and one where there is an accelerator.
    pin: whether each keeps to a core of its own."""

    _target_: str = "hydra_plugins.hydra_sbvi_launcher.launcher.SbviLauncher"
    workers: int | None = None
    pin: bool = True


ConfigStore.instance().store(group="hydra/launcher", name="sbvi", node=SbviLauncherConf, provider="sbvi")


def default_workers(platform: str) -> int:
    """One for each core this process may use; one where jobs would share an accelerator."""
    accelerator = any(Path("/dev").glob("nvidia[0-9]*")) or any(Path("/dev").glob("accel[0-9]*"))
    if platform not in ("auto", "cpu") or (platform == "auto" and accelerator):
        return 1
    return len(os.sched_getaffinity(0))


class SbviLauncher(Launcher):  # type: ignore[misc]
    """Hydra's launcher interface: `setup` once, then `launch` for every batch of jobs."""

    def __init__(self, workers: int | None = None, pin: bool = True):
        self.workers, self.pin = workers, pin
        self.config: Any = None
        self.hydra_context: Any = None
        self.task_function: Any = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.config, self.hydra_context, self.task_function = config, hydra_context, task_function

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        Path(str(self.config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
        count = self.workers or default_workers(str(self.config.runtime.platform))
        count = max(1, min(count, len(job_overrides)))
        log.info("Launching %d jobs on %d workers", len(job_overrides), count)
        found = _Pool(self, [list(words) for words in job_overrides], initial_job_idx, count).run()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        failed = [job for job in found if job.status != JobStatus.COMPLETED]
        if failed:
            log.info("%d of %d jobs did not complete:", len(failed), len(found))
        for job in failed:
            log.info("  %s: %s", " ".join(filter_overrides(list(job.overrides or []))), job._return_value)
        return found

    def run_one(self, number: int, overrides: Sequence[str]) -> JobReturn:
        """One job in this process, as Hydra's basic launcher would run it."""
        config = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(config):
            config.hydra.job.id = f"job_id_for_{number}"
            config.hydra.job.num = number
        log.info("\t#%d : %s", number, " ".join(filter_overrides(list(overrides))))
        return run_job(
            hydra_context=self.hydra_context,
            task_function=self.task_function,
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )


def _work(launcher: SbviLauncher, core: int | None, parent: int, jobs: Any, results: Any) -> None:
    """A worker: takes jobs until there are none."""
    # No worker outlives the sweep: a job cut off like this goes on from its checkpoint.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if core is not None:
        os.sched_setaffinity(0, {core})
    while (job := jobs.get()) is not None:
        number, overrides = job
        results.put(("began", number, os.getpid(), None))
        try:
            done = launcher.run_one(number, overrides)
            failure = None if done.status == JobStatus.COMPLETED else str(done._return_value)
            results.put(("ended", number, done._return_value if failure is None else None, failure))
        except BaseException as error:
            if not isinstance(error, Exception | SystemExit | KeyboardInterrupt):
                raise
            if isinstance(error, Exception):
                traceback.print_exc()
                results.put(("ended", number, None, f"{type(error).__name__}: {error}"))
            else:
                results.put(("ended", number, None, "was stopped; the same command goes on with it"))
                break
        finally:
            sys.stdout.flush()


class _Pool:
    """Hands jobs to workers, replaces workers that die, and gathers what became of every job."""

    def __init__(self, launcher: SbviLauncher, jobs: list[list[str]], first: int, count: int):
        self.launcher, self.first, self.overrides = launcher, first, jobs
        self.context = multiprocessing.get_context("fork")
        self.jobs, self.results = self.context.Queue(), self.context.Queue()
        self.cores = sorted(os.sched_getaffinity(0))
        self.workers: dict[int, Any] = {}
        self.holding: dict[int, int] = {}  # process -> number of its job
        self.outcome: dict[int, JobReturn] = {}
        self.stopping = False
        for number, words in enumerate(jobs):
            self.jobs.put((first + number, words))
        for _ in range(count):
            self.jobs.put(None)
        self.count = count

    def _start(self, slot: int) -> None:
        core = self.cores[slot % len(self.cores)] if self.launcher.pin else None
        arguments = (self.launcher, core, os.getpid(), self.jobs, self.results)
        process = self.context.Process(target=_work, args=arguments)
        process.start()
        self.workers[slot] = process

    def _settle(self, number: int, value: Any, failure: str | None) -> None:
        words = self.overrides[number - self.first]
        result = JobReturn(overrides=words, status=JobStatus.COMPLETED if failure is None else JobStatus.FAILED)
        result.return_value = value if failure is None else JobFailed(failure)
        self.outcome[number] = result

    def _stop(self, number: int, frame: Any) -> None:
        """Every worker saves at its next chunk and leaves; jobs not begun stay undone."""
        self._withdraw()
        for worker in self.workers.values():
            if worker.is_alive():
                os.kill(worker.pid, signal.SIGTERM)

    def _withdraw(self) -> None:
        """Take back the jobs that no worker has begun."""
        self.stopping = True
        try:
            while True:
                self.jobs.get_nowait()
        except queue.Empty:
            pass
        for _ in range(self.count):
            self.jobs.put(None)

    def run(self) -> list[JobReturn]:
        before = signal.signal(signal.SIGTERM, self._stop)
        try:
            for slot in range(self.count):
                self._start(slot)
            while any(worker.is_alive() for worker in self.workers.values()) or not self._drained():
                self._listen()
        except KeyboardInterrupt:  # the terminal has told the workers too
            self._withdraw()
            for worker in self.workers.values():
                worker.join()
            self._drained()
        finally:
            signal.signal(signal.SIGTERM, before)
        for number in range(self.first, self.first + len(self.overrides)):
            if number not in self.outcome:
                self._settle(number, None, "was not run: the sweep was stopped")
        return [self.outcome[number] for number in sorted(self.outcome)]

    def _drained(self) -> bool:
        """Take in every message that is there; whether all workers were found at rest."""
        try:
            while True:
                self._note(*self.results.get(timeout=0.2))
        except queue.Empty:
            return True

    def _listen(self) -> None:
        try:
            self._note(*self.results.get(timeout=0.5))
        except queue.Empty:
            for slot, worker in list(self.workers.items()):
                if not worker.is_alive() and worker.exitcode != 0 and worker.pid in self.holding:
                    number = self.holding.pop(worker.pid)
                    self._settle(number, None, f"its worker died (exit code {worker.exitcode})")
                    if not self.stopping:
                        self._start(slot)

    def _note(self, what: str, number: int, value: Any, failure: str | None) -> None:
        if what == "began":
            self.holding[value] = number
            return
        self.holding = {process: held for process, held in self.holding.items() if held != number}
        self._settle(number, value, failure)
