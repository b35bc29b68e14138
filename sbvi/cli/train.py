"""sbvi-train: trains and tests one experiment, or a sweep of them with --multirun."""

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sbvi.cli import hydra_app, resolved
from sbvi.cli.catalogue import check
from sbvi.cli.help import Command, asked
from sbvi.cli.progress import progress_bar
from sbvi.cli.reader import tell, unheard
from sbvi.cli.resume import resumed
from sbvi.core import UserError
from sbvi.core.catalogue import CHANGES, TOP, TRAINED
from sbvi.core.errors import check_seed
from sbvi.core.imports import uncollected
from sbvi.core.interrupts import Interrupted
from sbvi.sweeps.orphans import end_with_sweep
from sbvi.sweeps.pruning import pruning_of

log = logging.getLogger("sbvi")

#: Seconds that a sweep's job waits for a directory that another process holds.
SWEEP_PATIENCE = 600.0


@dataclass(frozen=True)
class Job:
    """A checked experiment, its run directory, Hydra's mode (RUN or MULTIRUN), the command that asks for it, of a
    search that prunes what finds its trial, its number in a sweep, and of a search that keeps a study what is told of
    the run's data."""

    experiment: Any
    folder: Path
    mode: str
    command: Sequence[str]
    trial: Callable[[], Any] | None = None
    number: int | None = None
    found: Callable[[Any, str], None] | None = None


COMMAND = Command(
    name="sbvi-train",
    sentence="sbvi-train [GROUP=NAME ...] [KEY=VALUE ...]: trains and tests an experiment, or with --multirun a sweep.",
    groups=(*TRAINED, *CHANGES),
    own={
        "seed=N": "seed of parameters, data order and noise (default 0)",
        "init_from=DIR": "start from the best parameters of a run's directory",
        "pruning.rule=NAME": "of a search: median or halving, when a trial stops early by its validation (null: "
        "never); under median none stops before pruning.startup_trials=N are complete, and before "
        "pruning.first_step=N",
        "resume=DIR": "go on with a run from its last checkpoint; its length and rhythm may be given anew, such as "
        "trainer.steps=12000, and where its data has moved dataset.path=FILE",
        "-m, --multirun": "a sweep: every word may have several values, as in seed=0,1 or 'seed=range(4)'",
        "hydra/launcher=sbvi": "train a sweep's jobs in workers that start once, or side by side on an accelerator",
        "hydra.run.dir=DIR": "the run's directory (default outputs/<date>/<time>); the same one goes on with its run",
        "hydra.sweep.dir=DIR": "the sweep's directory; the same one goes on with the sweep",
        "--config-dir DIR": "config files of your own, in DIR/GROUP/NAME.yaml, with names of their own",
        "--cfg job": "print the composed config and do nothing",
        "-sc install=bash": 'completion for the shell: eval "$(sbvi-train -sc install=bash)"',
    },
    keys=(*TOP, "pruning"),
    examples={
        "sbvi-train": "the defaults: scikit-learn's handwritten digits, about a minute",
        "sbvi-train dataset=mnist posterior=rank_one trainer.epochs=30": "another data set, another posterior",
        "sbvi-train --multirun optimizer.learning_rate=1e-3,3e-4 'seed=range(3)' hydra/launcher=sbvi": "a sweep",
        "sbvi-train --help model=dlgm optimizer": "every key of a model, and of the optimiser",
    },
)


def main() -> None:
    """The entry point of `sbvi-train`."""
    named = [word for word in sys.argv[1:] if word.startswith("resume=")]
    if named and asked(sys.argv[1:]) is None:
        with hydra_app.answered(), unheard():
            _resume(named)
    else:
        hydra_app.run(_task, "train", COMMAND)


def prepare(config: Any) -> Job:
    """What a composed config asks for. Called where Hydra has set the job's context.

    Raises:
      UserError: the config is not a valid experiment.
    """
    from hydra.core.hydra_config import HydraConfig

    hydra_config = HydraConfig.get()
    content = _checked(config)

    # What trains takes seconds to import: a wrong key or value is answered before.
    with uncollected():
        from sbvi.runs.compose import choices_of
        from sbvi.runs.experiment import Experiment
        from sbvi.sweeps.pruning import trial_of
        from sbvi.sweeps.study_data import study_data

    words = list(hydra_config.overrides.task)
    experiment = Experiment.from_config(choices_of(content, words), words=words)
    mode = str(getattr(hydra_config.mode, "name", "RUN"))
    sweeper = hydra_config.sweeper if mode != "RUN" else None
    trial = trial_of(content.get("pruning"), sweeper, words, experiment.trainer.validate_every)
    if trial is not None and experiment.runtime.distributed:
        raise UserError("pruning.rule is for runs of one process; allowed with runtime.distributed=true: null.")
    number = None if mode == "RUN" else int(hydra_config.job.num)
    folder = Path(hydra_config.runtime.output_dir)
    return Job(experiment, folder, mode, typed(words), trial, number, study_data(sweeper))


def _checked(config: Any) -> dict[str, Any]:
    """A composed config as plain data, checked as far as that needs no import of what trains.

    Raises:
      UserError: a key or value that the catalogue has not.
    """
    content = resolved.plain(config)
    check(content, TRAINED, COMMAND.keys)
    check_seed(content.get("seed"))
    pruning_of(content.get("pruning"))
    return content


def typed(overrides: Sequence[str]) -> list[str]:
    """The command as it was typed; in another program's worker, such as joblib's, one that would do the same."""
    if Path(sys.argv[0]).name in ("sbvi-train", "train.py"):
        return [os.environ.get("SBVI_COMMAND", "sbvi-train"), *sys.argv[1:]]
    return ["sbvi-train", *overrides]


def _task(config: Any) -> float | None:
    """Train one job; the best validation bound, for sweepers that optimise it."""
    end_with_sweep()
    job = prepare(config)
    alone = job.mode == "RUN"
    # A worker may outlive a sweep that was killed; the next one waits for what it holds.
    result = _train(job, 0.0 if alone else SWEEP_PATIENCE, None if alone else _shared())
    _report(result, not alone, job.number)
    return result.get("best_validation")


def _swept(folder: Path) -> None:
    """Print what to do next with a sweep's folder, where a run in it has ended; its runs are what they are anyway."""
    from sbvi.cli.summary import after_sweep

    if any(folder.rglob("result.json")):
        with contextlib.suppress(UserError):  # which a job that printed its own has told
            tell(after_sweep(str(folder)))


_kept: list[Any] = []


def _shared() -> Any:
    """What the jobs of a sweep that this process runs have in common."""
    if not _kept:
        from sbvi.runs.assembly import Shared

        _kept.append(Shared())
    return _kept[0]


def together(jobs: Sequence[Job], handlers: Sequence[logging.Handler | None], largest: int | None) -> list[Any]:
    """Train jobs side by side; for each the best validation bound, or the error that ended it.

    Raises:
      Interrupted: a signal was heard, be it in a final test, which goes on to its end; what was begun can go on.
    """
    from sbvi.sweeps.side_by_side import Point, train_together

    if any(job.trial is not None for job in jobs):
        log.info("Trials side by side in one program are not pruned.")
    points = [
        Point(job.experiment, job.folder, handler, job.command, job.found)
        for job, handler in zip(jobs, handlers, strict=True)
    ]
    with progress_bar(len(points)) as show:
        ended, heard = train_together(points, show, SWEEP_PATIENCE, largest, _shared())
    outcomes: list[Any] = []
    for job, point, result in zip(jobs, points, ended, strict=True):
        if isinstance(result, BaseException):
            outcomes.append(result)
            continue
        _tell(result | {"directory": str(point.folder)}, True, job.number)
        outcomes.append(result.get("best_validation"))
    if heard is not None:  # a search, or a sweep in batches, would launch more
        raise Interrupted(signal.Signals[heard])
    return outcomes


_task.together = together  # type: ignore[attr-defined]  # for launchers that can
_task.prepare = prepare  # type: ignore[attr-defined]
_task.check = _checked  # type: ignore[attr-defined]  # of a sweep's jobs, before the first starts
_task.swept = _swept  # type: ignore[attr-defined]  # when the last of them has ended


def _resume(words: list[str]) -> None:
    """Go on with a run, see `resumed`."""
    rest = [word for word in sys.argv[1:] if word not in words]
    experiment, folder, longer = resumed(words, rest)
    _report(_train(Job(experiment, folder, "RUN", typed(sys.argv[1:])), longer=longer), several=False)


def _train(job: Job, patience: float = 0.0, shared: Any = None, longer: bool = False) -> dict[str, Any]:
    from sbvi.cli.summary import shown, twice
    from sbvi.runs.assembly import Shared
    from sbvi.runs.context import RunContext
    from sbvi.runs.train import train
    from sbvi.runs.whereabouts import with_gaps

    trial = None if job.trial is None else job.trial()
    context = RunContext(patience, shared or Shared(), longer=longer, command=job.command, trial=trial, found=job.found)
    with progress_bar() as show:
        result = train(job.experiment, job.folder, show, context)
    logged = job.experiment.logger.command(Path(shown(str(job.folder))))
    again = twice(job.experiment.trainer, result)
    more = {"gaps": with_gaps(job.experiment, job.folder), "anneals": job.experiment.model.moves_latents}
    return result | {"directory": str(job.folder), "twice": again, "logged": logged, **more}


def _report(result: Mapping[str, Any], several: bool, number: int | None = None) -> None:
    """Print what a run has reached; a stopped one ends the process, or of a sweep all of it.

    Raises:
      Interrupted: a run of a sweep was stopped.
    """
    told = _tell(result, several, number)
    if result["status"] == "stopped":
        heard = Interrupted(signal.Signals[result["reason"]])
        if several:
            raise heard  # a signal stops the whole sweep, not one job of it
        sys.exit(heard.code)
    if not told and not several:
        sys.exit(1)


def _tell(result: Mapping[str, Any], several: bool, number: int | None) -> bool:
    """Print what a run has reached; whether that could be written. The run is what it is either way."""
    from sbvi.cli.summary import summary
    from sbvi.core import processes

    try:
        if processes.first():
            tell(summary(result, several, number))
    except UserError as error:
        left = f"the run is {result['status']}, and its result.json in {result['directory']} has what it reached"
        sys.stderr.write(f"{str(error).removesuffix('.')}; {left}.\n")
        return False
    return True


if __name__ == "__main__":
    main()
