"""The stages of a run in its directory: training, what it keeps, and its result."""

import contextlib
import json
import logging
import math
import signal
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax

from sbvi.core import UserError, processes
from sbvi.core.configs import spelled
from sbvi.core.interrupts import Interrupted, signal_of, uninterrupted
from sbvi.core.quantities import told
from sbvi.reporting.loggers.logger import Logger, opened, tell_stopped
from sbvi.reporting.recorder import RunRecorder, Silent
from sbvi.runs.advice import tell_large_batches
from sbvi.runs.assembly import Assembly
from sbvi.runs.changes import noted, retrained_from, tell_schedules
from sbvi.runs.context import RunContext, Show, recall
from sbvi.runs.directory import RunDirectory
from sbvi.runs.final_test import finish
from sbvi.runs.kept import check_draws, keep_mean, sampling
from sbvi.runs.signals import StopSignals
from sbvi.runs.standing import check_best, standing
from sbvi.runs.words import flat, words
from sbvi.training import Outcome, Plan, Progress, ResidentBatches, Store, Training
from sbvi.training.ahead import CompiledAhead
from sbvi.training.chunk import compile_chunk
from sbvi.training.lacking import lacking

log = logging.getLogger(__name__)


def run_stages(
    assembly: Assembly,
    directory: RunDirectory,
    show: Show | None,
    began: float,
    session: RunContext,
    changed: Mapping[str, list[Any]],
    record: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Go through them from where the directory's newest checkpoint stands; write and give back result.json.

    Args:
      began: when the session began, on the monotonic clock.
      changed: settings that are others than before, as key -> [before, now].
      record: the content of run.json; None where a session before this one began the run.

    Raises:
      UserError: the run has gone further than its length, is too short for a draw, or cannot be logged.
    """
    known = directory.identity if record is None else str(record["identity"])
    store = Store(directory.checkpoints, writes=directory.writes, run=known)
    if fresh := not (store.has_state() or store.has_best()):
        check_draws(assembly, store)  # before a thread compiles, for which its sentence would wait
        session = _compiling(assembly, session)
    state, progress, ended = standing(assembly, directory, store, record is None, changed)
    if changed:  # training that has ended, early too, goes on for a change of it; another final test is of what it left
        ended = ended and not any(key.startswith("trainer.") for key in changed)
    elif progress.pruned and session.trial is None:
        ended = False
    if record is None and store.has_state() and retrained_from(directory.read_run(), progress.step):
        ended = False
    check_best(assembly, directory, store, progress, ended)
    if not (fresh or ended):
        check_draws(assembly, store)
    earlier = progress.train_seconds
    # A test that could not be gone on with: the result of before stays until it is done.
    alone = ended and not store.has_state()
    processes.wait("standing")  # all have read the files that are cleared now
    logger: Logger | None = None
    recorder: RunRecorder | Silent | None = None
    monitor = f"validation/{assembly.algorithm.monitor}"
    success = stopped = False
    try:
        # Not before: what is refused up to here leaves a run that begins no folder, and a completed one its result. And
        # both or neither: a logger's files without a record would be a folder that nothing goes on with.
        with uninterrupted():
            if directory.writes:
                logger = opened(assembly.experiment.logger, directory.path, progress.step)
            if record is not None:
                directory.write_run(record)
            elif not (progress.step or ended):
                store.drop_best()  # left by a first save that was cut short
            if not alone:
                directory.clear_result()
        if progress.step:
            log.info("Going on from step %d of %d.", progress.step, assembly.plan.total_steps)
        if changed and not alone:
            _note(assembly, directory, changed, progress)
        recall(session.trial, directory.path, monitor, progress.step)
        processes.check_same(str(progress.step), "newest checkpoint (its step)")
        recorder = Silent() if logger is None else RunRecorder(directory.path, progress.step, logger)
        settings = flat(words(assembly.experiment.to_config())).items()
        recorder.start({k: json.dumps(v) if isinstance(v, list | dict) else v for k, v in settings if v is not None})
        if ended:
            outcome = Outcome("completed", "", progress, state)
        else:
            outcome = _trained(assembly, store, recorder, show, session, state, progress)
        processes.wait("trained")  # the first has written the best parameters
        if outcome.status == "completed":
            chosen = None if _kept(assembly, store, recorder, outcome) else outcome.progress.best_step
            finish(assembly, directory, recorder, outcome, chosen)
        took = earlier, time.monotonic() - began
        result = result_of(outcome, assembly.plan, recorder.last, took) | {"monitor": monitor}
        if "test/nll" in recorder.last:
            result["likelihood"] = assembly.evaluator.how
        with uninterrupted():
            directory.write_result(result)
            if alone:
                _note(assembly, directory, changed, progress)
        success, stopped = True, outcome.status == "stopped"
        if outcome.status == "stopped":
            log.info("Stopped at step %d (%s); resume=%s goes on.", progress.step, outcome.reason, directory.path)
        return result
    except KeyboardInterrupt as error:  # before training or in the final test; training itself hears signals
        stopped = stopped or not success
        if alone:
            log.info("Interrupted in the test; %s has the result that it had.", directory.path)
        elif directory.goes_on:
            saved = ended or store.has_state()
            how = "goes on" if saved or not progress.step else "begins anew, since nothing was saved"
            log.info("Interrupted at step %d; resume=%s %s.", progress.step, directory.path, how)
            heard = signal_of(error) or signal.SIGINT
            outcome = Outcome("stopped", heard.name, progress if saved else Progress(), state)
            metrics = recorder.last if saved and recorder is not None else {}
            took = earlier, time.monotonic() - began
            result = result_of(outcome, assembly.plan, metrics, took) | {"monitor": monitor}
            with contextlib.suppress(UserError):  # the interrupt is the thing to tell
                if directory.read_result() is None:  # not where it came after all was done
                    directory.write_result(result)
        raise
    finally:
        try:
            if (own := recorder or logger) is not None:  # a logger that is open is closed, whatever follows fails
                try:
                    if stopped:
                        tell_stopped(own)
                finally:
                    own.close(success or stopped)
        except (OSError, UserError):
            if success:
                raise  # otherwise what ended the run is the thing to tell


def _compiling(assembly: Assembly, session: RunContext) -> RunContext:
    """The session whose chunk is compiled from now on, where one process on one device compiles it for itself."""
    apart = assembly.placement.mesh is None and session.compile is compile_chunk
    batches = assembly.batches() if apart and not jax.config.jax_debug_nans else None  # type: ignore[attr-defined]
    if not isinstance(batches, ResidentBatches):
        return session
    return replace(session, compile=CompiledAhead(assembly.algorithm, batches, assembly.plan, assembly.shapes))


def _note(assembly: Assembly, directory: RunDirectory, changed: Mapping[str, list[Any]], progress: Progress) -> None:
    """Record and tell what is other than before."""
    config = assembly.experiment.to_config()
    directory.write_run(noted(directory.read_run(), config, changed, progress.step))
    tell_schedules(config, changed)
    log.info("Changed as the run goes on: %s.", ", ".join(f"{k}={spelled(v)}" for k, (_, v) in changed.items()))


def _trained(
    assembly: Assembly,
    store: Store,
    recorder: RunRecorder | Silent,
    show: Show | None,
    session: RunContext,
    state: Any,
    progress: Progress,
) -> Outcome:
    """The loop from a state to its end, or to where it is stopped."""
    plan = assembly.plan
    if (draws := sampling(assembly, store)) is not None:
        draws.stack.drop_after(progress.step)
        if (gone := lacking(store, draws.stack, progress.step)).any:
            log.warning("%s; the mean and averages will be of the others.", gone)
    log.info(
        "Training on %s: %d steps of %d, on %s.",
        assembly.dataset.name,
        plan.total_steps,
        plan.trainer.batch_size,
        jax.devices()[0].device_kind,
    )
    tell_large_batches(plan)
    with contextlib.ExitStack() as stack:
        stack.callback(session.trained)
        batches = assembly.batches()
        stack.callback(batches.close)
        stop, own = session.stop, None
        if stop is None:
            own = stack.enter_context(StopSignals())
            stop = own.reason
        outcome = Training(
            assembly.algorithm,
            batches,
            plan,
            store,
            recorder,
            assembly.validator,
            assembly.experiment.seed,
            stop,
            lambda p, v: show(plan, p, v, assembly.algorithm.monitor) if show else None,
            session.compile,
            draws,
            session.trial,
        ).run(state, progress)
    # One that came after the loop's last look, and said that it stops the run.
    if own is not None and (reason := own.reason()) is not None and outcome.status == "completed":
        raise Interrupted(signal.Signals[reason])
    return outcome


def _kept(assembly: Assembly, store: Store, recorder: RunRecorder | Silent, outcome: Outcome) -> bool:
    """Whether the run leaves a mean of draws of the parameters, which is kept, in place of the best step's."""
    with contextlib.closing(assembly.batches()) as batches:
        metrics = keep_mean(assembly, store, batches, outcome.progress)
    if metrics:
        step = outcome.progress.step
        recorder.scalars(step, step / assembly.plan.steps_per_epoch, metrics)
        processes.wait("kept")
    return bool(metrics)


def result_of(
    outcome: Outcome, plan: Plan, metrics: Mapping[str, float], seconds: tuple[float, float]
) -> dict[str, Any]:
    """The content of result.json. seconds: of training before this session, and of this session."""
    progress = outcome.progress
    speed = progress.steps_per_second * plan.trainer.batch_size
    return {
        "status": outcome.status,
        **({"reason": outcome.reason} if outcome.reason else {}),
        **({"pruned": True} if progress.pruned else {}),
        "metrics": {name: value if math.isfinite(value) else None for name, value in metrics.items()},
        **({"not_finite": odd} if (odd := sorted(n for n, v in metrics.items() if not math.isfinite(v))) else {}),
        "steps": progress.step,
        "epochs": progress.step / plan.steps_per_epoch,
        "best_step": progress.best_step,
        "best_validation": progress.best if math.isfinite(told(progress.best)) else None,
        "examples_per_second": speed if math.isfinite(speed) else None,
        "train_seconds": progress.train_seconds,
        "earlier_train_seconds": seconds[0],
        "wall_seconds": seconds[1],
    }
