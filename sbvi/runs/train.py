"""One run from its config to result.json: start or go on, train, test, draw, record."""

import contextlib
import json
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax

from sbvi.core import UserError, processes
from sbvi.data.recorded import same_data
from sbvi.reporting.recorder import RunRecorder, Silent
from sbvi.runs import runtime
from sbvi.runs.advice import tell_baseline, tell_large_batches
from sbvi.runs.assembly import Assembly, Shared, load_best_params
from sbvi.runs.changes import MAY_CHANGE, difference, noted, tell_schedules
from sbvi.runs.directory import RunDirectory
from sbvi.runs.experiment import Experiment
from sbvi.runs.kept import keep_mean, sampling
from sbvi.runs.pictures import TITLES
from sbvi.runs.provenance import provenance
from sbvi.runs.signals import StopSignals
from sbvi.runs.words import flat, words
from sbvi.training import Outcome, Plan, Progress, Store, Training
from sbvi.training.chunk import compile_chunk

log = logging.getLogger(__name__)

Show = Callable[[Plan, Progress, Mapping[str, float], str], None]


@dataclass(frozen=True)
class RunContext:
    """What surrounds a run: nothing, unless it is a point of a sweep.

    patience: seconds to wait for a directory that another process holds.
    shared: what this process's runs have in common.
    compile: makes the function that runs a chunk of steps; see `sbvi.training.Together`.
    trained: called once when the loop has ended, however it did.
    stop: asked for a reason to stop; by default the process's own signals are.
    longer: whether a run that goes on may have another length, budget or rhythm (`sbvi.runs.changes`).
    command: what asked for the run, for its record; None for the process's own.
    """

    patience: float = 0.0
    shared: Shared = field(default_factory=Shared)
    compile: Callable[..., Any] = compile_chunk
    trained: Callable[[], None] = lambda: None
    stop: Callable[[], str | None] | None = None
    longer: bool = False
    command: Sequence[str] | None = None


def train(
    experiment: Experiment, folder: Path | str, show: Show | None = None, session: RunContext | None = None
) -> dict[str, Any]:
    """Train and test one experiment in a directory; go on where an earlier session of it stopped.

    Args:
      experiment: what to run.
      folder: the run's directory; made when absent.
      show: called with (plan, progress, scalars, name of the monitored scalar) after every log point.
      session: what the run shares with others.

    Returns:
      The content of result.json.

    Raises:
      UserError: the directory holds another run, is in use, or the run failed; in the last case
        result.json says so too.
    """
    session = session or RunContext()
    experiment.logger.check()
    runtime.apply(experiment.runtime)
    directory = RunDirectory(folder, writes=processes.first())
    if not directory.writes:  # one process speaks
        show = None
        logging.getLogger("sbvi").setLevel(logging.ERROR)
    processes.check_same(str(Path(folder).absolute()), "directory; set hydra.run.dir")
    with directory.locked(session.patience):
        processes.wait("locked")
        config = experiment.to_config()
        begun, what = directory.has_run(), {}
        if begun:
            what = _differences(directory, config, session.longer)
            result = directory.read_result()
            if result is not None and result.get("status") == "completed" and not what:
                log.info("%s is completed already; nothing is left to do.", directory.path)
                return result
        began = time.monotonic()
        known = directory.read_run().get("structure") if begun else None
        assembly = Assembly.build(experiment, session.shared, known)
        data = assembly.describe_data()
        processes.check_same(str(data["digest"]), "data")
        if not begun:  # of several processes all have read what stands there
            learned = {} if assembly.structure is None else {"structure": assembly.structure}
            directory.write_run({"config": config, "data": data, **learned, **provenance(session.command)})
        elif not same_data(directory.read_run()["data"], data):
            raise UserError(f"{directory.path} was trained on other data than is found now; start a new run.")
        directory.clear_result()
        try:
            result = _run(assembly, directory, show, began, session, what)
        except (UserError, FloatingPointError) as error:
            _fail(directory, str(error).splitlines()[0])
            if isinstance(error, UserError):
                raise
            raise UserError(f"A NaN appeared: {str(error).splitlines()[0]}") from error
        except jax.errors.JaxRuntimeError as error:
            if not processes.several():
                raise
            sentence = (
                f"Another process of this run is gone ({str(error).splitlines()[0][:160]}); the same commands go on "
                f"from the last checkpoint, with as many processes or fewer."
            )
            _fail(directory, sentence)
            raise ProcessLost(sentence) from None
        except OSError as error:
            sentence = (
                f"{error.filename or directory.path} cannot be written ({error.strerror}); what was saved before is "
                f"untouched, and resume=DIR goes on from it, here or in a copy elsewhere."
            )
            _fail(directory, sentence)
            raise UserError(sentence) from None
        except Exception as error:
            _fail(directory, f"{type(error).__name__}: {error}".splitlines()[0])
            raise
        return result


class ProcessLost(UserError):
    """Another process of the run is gone, and JAX would wait for it at the end of this one."""

    abrupt = True


def _fail(directory: RunDirectory, reason: str) -> None:
    # Where nothing can be written any more, the first failure is the one to tell.
    with contextlib.suppress(UserError):
        directory.write_result({"status": "failed", "reason": reason, "metrics": {}})


def _differences(directory: RunDirectory, config: dict[str, Any], longer: bool) -> dict[str, list[Any]]:
    """What of a run's config is changed as it goes on; anything else is refused: results would be of neither.

    Keys that came with a later version have their defaults in an older run's config. Where it runs may differ.
    longer: whether the settings of `sbvi.runs.changes` may change.
    """
    recorded = Experiment.from_config(directory.read_run()["config"]).to_config()
    what = difference(recorded, config)
    for key, (there, here) in what.items():
        if not longer or key not in MAY_CHANGE:
            raise UserError(
                f"{directory.path} holds another run: {key} is {there} there and {here} here; "
                f"use another directory, or resume={directory.path} without overrides."
            )
    return what


def _run(
    assembly: Assembly,
    directory: RunDirectory,
    show: Show | None,
    began: float,
    session: RunContext,
    what: Mapping[str, list[Any]],
) -> dict[str, Any]:
    experiment, plan = assembly.experiment, assembly.plan
    store = Store(directory.checkpoints, writes=directory.writes)
    state = assembly.initial_state()
    progress = Progress()
    ended = False
    if (saved := store.load_last(state)) is not None:
        host, metadata = saved
        state = host
        progress, ended = Progress(**metadata["progress"]), bool(metadata["ended"])
        log.info("Going on from step %d of %d.", progress.step, plan.total_steps)
        if plan.total_steps < progress.step:
            raise UserError(
                f"{directory.path} has taken {progress.step} steps already, and the length now given is "
                f"{plan.total_steps}; allowed: more."
            )
    if what:
        config = experiment.to_config()
        directory.write_run(noted(directory.read_run(), config, what, progress.step))
        tell_schedules(config, what)
        ended = False
        log.info("Changed as the run goes on: %s.", ", ".join(f"{k}={after}" for k, (_, after) in what.items()))
    processes.check_same(str(progress.step), "newest checkpoint (its step)")
    state = assembly.placement.replicated(state)
    recorder: RunRecorder | Silent = (
        RunRecorder(directory.path, progress.step, experiment.logger) if directory.writes else Silent()
    )
    settings = flat(words(experiment.to_config())).items()
    recorder.start({k: json.dumps(v) if isinstance(v, list | dict) else v for k, v in settings if v is not None})
    success = False
    try:
        if ended:
            outcome = Outcome("completed", "", progress, state)
        else:
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
                stop = session.stop or stack.enter_context(StopSignals()).reason
                drawn = sampling(assembly, store, progress.step)
                outcome = Training(
                    assembly.algorithm,
                    batches,
                    plan,
                    store,
                    recorder,
                    assembly.validator,
                    experiment.seed,
                    stop,
                    lambda p, v: show(plan, p, v, assembly.algorithm.monitor) if show else None,
                    session.compile,
                    drawn,
                ).run(state, progress)
        processes.wait("trained")  # the first has written the best parameters
        if outcome.status == "completed":
            _keep(assembly, store, recorder, outcome)
            _finish(assembly, directory, recorder, outcome)
        result = _result(outcome, plan, recorder.last, time.monotonic() - began)
        if "test/nll" in recorder.last:
            result["likelihood"] = assembly.evaluator.how
        directory.write_result(result)
        success = True
        if outcome.status == "stopped":
            log.info("Stopped at step %d (%s); resume=%s goes on.", progress.step, outcome.reason, directory.path)
        return result
    finally:
        try:
            recorder.close(success)
        except OSError:
            if success:
                raise  # otherwise what ended the run is the thing to tell


def _keep(assembly: Assembly, store: Store, recorder: RunRecorder | Silent, outcome: Outcome) -> None:
    """What the run leaves where its algorithm draws parameters."""
    with contextlib.closing(assembly.batches()) as batches:
        found = keep_mean(assembly, store, batches, outcome.progress)
    if found:
        step = outcome.progress.step
        recorder.scalars(step, step / assembly.plan.steps_per_epoch, found)
        processes.wait("kept")


def _finish(assembly: Assembly, directory: RunDirectory, recorder: RunRecorder | Silent, outcome: Outcome) -> None:
    """The final test of the best parameters, and the pictures."""
    params = load_best_params(assembly.model, directory.checkpoints)
    step, epoch = outcome.progress.step, outcome.progress.step / assembly.plan.steps_per_epoch
    if assembly.experiment.evaluation.test:
        how, samples = assembly.evaluator.how, assembly.experiment.evaluation.num_samples
        means = {"exact": "exactly", "labels": "by their guesses"}
        means["quadrature"] = f"by quadrature, and with {samples} samples"
        said = means.get(how, f"with {samples} samples")
        log.info("Testing the parameters of step %d %s.", outcome.progress.best_step, said)
        scalars, _ = assembly.evaluator.summary(params, "test")
        if odd := [name for name, value in scalars.items() if not math.isfinite(value)]:
            log.warning("%s of the final test: not finite; result.json has null there.", ", ".join(odd))
        if "test/nll" in scalars and (baseline := assembly.evaluator.independent_nll) is not None:
            scalars |= {"test/nll_independent": baseline}
            tell_baseline(scalars, assembly.dataset)
        recorder.scalars(step, epoch, scalars)
    if not directory.writes:
        return
    for name, picture in assembly.pictures.of(params, assembly.experiment.seed).items():
        recorder.picture(step, name, picture, *TITLES.get(name, ()))
    recorder.curves(assembly.algorithm.monitor)


def _result(outcome: Outcome, plan: Plan, metrics: Mapping[str, float], seconds: float) -> dict[str, Any]:
    progress = outcome.progress
    speed = progress.steps_per_second * plan.trainer.batch_size
    return {
        "status": outcome.status,
        **({"reason": outcome.reason} if outcome.reason else {}),
        "metrics": {name: value if math.isfinite(value) else None for name, value in metrics.items()},
        **({"not_finite": odd} if (odd := sorted(n for n, v in metrics.items() if not math.isfinite(v))) else {}),
        "steps": progress.step,
        "epochs": progress.step / plan.steps_per_epoch,
        "best_step": progress.best_step,
        "best_validation": progress.best if math.isfinite(progress.best) else None,
        "examples_per_second": speed if math.isfinite(speed) else None,
        "train_seconds": progress.train_seconds,
        "wall_seconds": seconds,
    }
