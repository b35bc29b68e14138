"""A launcher that trains a sweep's jobs without paying the start and the compilation for every one.

A fresh process pays seconds of imports for every job. On CPU two cores share a small batch badly, and one
job a core trains faster than each job on all of them: so jobs go to pinned workers, which are forked before
JAX is imported, share the compilation cache, and keep data and programs from job to job. On an accelerator,
jobs whose compiled step is the same train side by side in one program. Every job has its own run directory,
as if it were run alone, and is resumed or skipped by `sbvi-train` itself.
"""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, configure_log, filter_overrides, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from sbvi.core import UserError, choices
from sbvi.core.interrupts import Interrupted
from sbvi.core.leftovers import JOB_LEAVINGS, SWEEP_LEAVINGS, Before, forget
from sbvi.core.plugins import telling
from sbvi.sweeps.labels import labelled
from sbvi.sweeps.pool import Pool, settled

log = logging.getLogger(__name__)

MODES = ("auto", "workers", "vmap")


@dataclass
class SbviLauncherConf:
    """mode: workers, vmap, or auto, which is vmap where there is an accelerator.
    workers: processes; null for one a core on CPU, and one where there is an accelerator.
    pin: whether each keeps to a core of its own.
    points: most jobs in one program under vmap; null for as many as memory holds."""

    _target_: str = "hydra_plugins.hydra_sbvi_launcher.launcher.SbviLauncher"
    mode: str = "auto"
    workers: int | None = None
    pin: bool = True
    points: int | None = None


ConfigStore.instance().store(group="hydra/launcher", name="sbvi", node=SbviLauncherConf, provider="sbvi")


def on_accelerator(platform: str) -> bool:
    """Whether jobs will run on one, told without starting JAX."""
    there = any(Path("/dev").glob("nvidia[0-9]*")) or any(Path("/dev").glob("accel[0-9]*"))
    return platform not in ("auto", "cpu") or (platform == "auto" and there)


class SbviLauncher(Launcher):
    """Hydra's launcher interface: `setup` once, then `launch` for every batch of jobs."""

    def __init__(self, mode: str = "auto", workers: int | None = None, pin: bool = True, points: int | None = None):
        if mode not in MODES:
            raise choices("hydra.launcher.mode", mode, MODES)
        for name, value in {"workers": workers, "points": points}.items():
            if value is not None and value < 1:
                raise UserError(f"hydra.launcher.{name}={value} must be 1 or more, or null.")
        self.mode, self.workers, self.pin, self.points = mode, workers, pin, points
        self.config: Any = None
        self.hydra_context: Any = None
        self.task_function: Any = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.config, self.hydra_context, self.task_function = config, hydra_context, task_function

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        Path(str(self.config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
        jobs = [list(words) for words in job_overrides]
        accelerator = on_accelerator(str(self.config.runtime.platform))
        # Only tasks that can be told apart from their run train side by side: sbvi-train's can.
        able = hasattr(self.task_function, "together")
        heard: int | None = None
        if self.mode == "vmap" and not able:
            raise UserError("hydra.launcher.mode=vmap trains runs side by side; this command has nothing to train.")
        if able and (self.mode == "vmap" or (self.mode == "auto" and accelerator)):
            returns = self._side_by_side(jobs, initial_job_idx)
        else:
            count = self.workers or (1 if accelerator else len(os.sched_getaffinity(0)))
            count = max(1, min(count, len(jobs)))
            log.info("Launching %d jobs on %d workers", len(jobs), count)
            run = self._run_labelled if len(jobs) > 1 else self.run_one
            pool = Pool(run, jobs, initial_job_idx, count, self.pin)
            returns, heard = pool.run(), pool.heard
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        failed = [job for job in returns if job.status != JobStatus.COMPLETED]
        if failed:
            log.info("%d of %d jobs did not complete:", len(failed), len(returns))
        for job in failed:
            log.info("  %s: %s", " ".join(filter_overrides(list(job.overrides or []))), job._return_value)
        forget(Path(str(self.config.hydra.sweep.dir)), SWEEP_LEAVINGS, self._stood())
        if heard is not None:  # a search, or a sweep in batches, would launch more
            raise Interrupted(heard)
        return returns

    def _stood(self) -> Before:
        """What was there before the sweep began."""
        stood: Before = getattr(self.task_function, "stood", Before.of([]))
        return stood

    def run_one(self, number: int, overrides: Sequence[str], task: TaskFunction | None = None) -> JobReturn:
        """One job in this process, as Hydra's basic launcher would run it."""
        config = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(config):
            config.hydra.job.id = f"job_id_for_{number}"
            config.hydra.job.num = number
        # The handlers are those of the job before in this process, whose file and number this line is not of.
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        log.info("\t#%d : %s", number, " ".join(filter_overrides(list(overrides))))
        return run_job(
            hydra_context=self.hydra_context,
            task_function=task or self.task_function,
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )

    def _run_labelled(self, number: int, overrides: Sequence[str]) -> JobReturn:
        """One of several jobs that print to one console."""
        return self.run_one(number, overrides, labelled(self.task_function, number))

    def _side_by_side(self, jobs: list[list[str]], first: int) -> list[JobReturn]:
        """All jobs in this process; Hydra sets up every job, which writes its files, and then they train."""
        returns: dict[int, JobReturn] = {}
        prepared, handlers = {}, {}
        try:
            for number, words in enumerate(jobs):
                done = self.run_one(first + number, words, self._prepare)
                if done.status == JobStatus.COMPLETED:
                    prepared[number], handlers[number] = done.return_value, _own_log()
                else:
                    returns[number] = settled(words, None, str(done._return_value))
            configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
            ended = self.task_function.together(list(prepared.values()), list(handlers.values()), self.points)
        finally:  # of a sweep that is stopped too
            for job in prepared.values():
                forget(job.folder, JOB_LEAVINGS, self._stood())
        for number, value in zip(prepared, ended, strict=True):
            failure = _reason(value) if isinstance(value, BaseException) else None
            returns[number] = settled(jobs[number], value if failure is None else None, failure)
        return [returns[number] for number in sorted(returns)]

    def _prepare(self, config: DictConfig) -> Any:
        """What a job's config asks for; one that is refused, or at which the sweep is stopped, leaves no folder."""
        try:
            with telling():
                return self.task_function.prepare(config)
        except (KeyboardInterrupt, UserError):
            forget(Path(HydraConfig.get().runtime.output_dir), JOB_LEAVINGS, self._stood())
            raise


def _own_log() -> logging.Handler | None:
    """A handler that goes on with the log file that Hydra has just opened for a job."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler):
            own = logging.FileHandler(handler.baseFilename, delay=True)
            own.setFormatter(handler.formatter)
            own.setLevel(handler.level)
            return own
    return None


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "was not run: the sweep was stopped"
    text = str(error) or type(error).__name__
    return text if type(error).__name__ in text or " " in text else f"{type(error).__name__}: {text}"
