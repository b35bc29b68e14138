"""Hydra's command line with our manners: one sentence for a mistake, and no traceback.

Hydra prints its own errors unless HYDRA_FULL_ERROR is set; we set it for this process, so that errors
reach us, and show the traceback only to users who asked for it.
"""

import contextlib
import functools
import inspect
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sbvi.cli import mistakes
from sbvi.cli.flags import flags_first, words_of
from sbvi.cli.flags import named as given_to
from sbvi.cli.folders import named, unusable
from sbvi.cli.help import Command, show_help
from sbvi.cli.job_names import job_name
from sbvi.cli.reader import collected, printing, unheard
from sbvi.cli.tilde import expanded
from sbvi.core import UserError
from sbvi.core.config_names import searched
from sbvi.core.config_reading import reading
from sbvi.core.configs import config_folder, hydra_defaults, refused
from sbvi.core.errors import of_jax
from sbvi.core.interrupts import Interrupted, hearing, signal_of, uninterrupted, untaken
from sbvi.core.leftovers import JOB_LEAVINGS, SWEEP_LEAVINGS, Before, forget
from sbvi.core.merging import InJobs, replacing
from sbvi.core.plugins import telling
from sbvi.core.rewording import reworded
from sbvi.core.sqlite_urls import url_of

#: What Optuna says of the best trial of a study that has no completed one.
NO_TRIAL = ("Record does not exist.", "No trials are completed yet.")


def study(folder: str) -> str:
    """Where a search in this folder keeps its study; the folder is made, since SQLite makes none."""
    place = Path(folder).absolute()
    place.mkdir(parents=True, exist_ok=True)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # the database's tool names each of its parts
    return url_of(place / "optuna-study.db")


def register_resolvers(words: Sequence[str]) -> None:
    """What our config files use beyond OmegaConf's own resolvers; Hydra hands them to a launcher's jobs.

    words: the command's, as Hydra reads them.
    """
    from omegaconf import OmegaConf

    register: Any = OmegaConf.register_resolver  # of OmegaConf 2.4; before, an older function has this name
    if "replace" not in inspect.signature(register).parameters:
        register = OmegaConf.register_new_resolver
    register("sbvi.job", functools.partial(job_name, arguments=tuple(words)), replace=True)
    register("sbvi.study", study, replace=True)


def run(task: Callable[[Any], Any], config_name: str, command: Command) -> None:
    """Compose the config from the command line and call the task with it, or help; exits on failure."""
    sys.argv[1:] = expanded(sys.argv[1:])
    with answered():
        if show_help(command, sys.argv[1:]):
            return
        mistakes.check_arguments(sys.argv[1:], command)
        sys.argv[1:] = flags_first(sys.argv[1:])
        with unheard():
            _composed(task, config_name, command)


@contextlib.contextmanager
def answered() -> Iterator[None]:
    """Within, a mistake and a file that cannot be used end the process with a sentence, and a signal with its code."""
    asked = full_errors()
    if sys.stderr is None:  # closed by who called, whom a run need not tell
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - until the process ends
    try:
        with hearing(), printing(), telling():
            yield
    except UserError as error:
        leave(str(error), error, asked)
    except OSError as error:  # Hydra makes the run's directory before our code runs
        leave(unusable(error, sys.argv[1:]), error, asked)
    except (KeyboardInterrupt, Exception) as error:
        if (setting := of_jax(error)) is not None:
            leave(str(setting), error, asked)
        if (number := signal_of(error)) is None:
            raise
        at_once(128 + number)


def at_once(code: int) -> None:
    """End the process without the interpreter's own end, which XLA's threads, in the middle of a program, would meet
    as a fault of memory."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(code)


def full_errors() -> bool:
    """Whether the user asked for tracebacks."""
    return os.environ.get("HYDRA_FULL_ERROR") == "1"


def _composed(task: Callable[[Any], Any], config_name: str, command: Command) -> None:
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.errors import HydraException
    from hydra.types import RunMode
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from sbvi.cli import composing  # Hydra takes long to import

    before, asked = os.environ.get("HYDRA_FULL_ERROR"), full_errors()
    os.environ["HYDRA_FULL_ERROR"] = "1"
    words = reworded(sys.argv[1:], [*map(Path, given_to(sys.argv[1:], mistakes.CONFIG_DIR)), *searched(sys.argv[1:])])
    register_resolvers(words)
    composing.compose_once()
    failures: list[UserError] = []
    failed: list[str] = []  # jobs of a sweep in this process
    sweeps: set[str] = set()  # and its folder
    stood = Before.of([Path(), *named(sys.argv[1:]).values()])
    # A signal waits until the task can hear it, or the sweep: Hydra makes the run's folder, and leaves it.
    waiting = contextlib.ExitStack()
    waiting.enter_context(uninterrupted())
    composing.before_sweeps(waiting.close)
    composing.with_launchers_of_others(untaken)

    def guarded(config: Any) -> Any:
        try:
            waiting.close()
            _stay(HydraConfig.get())
            with telling():
                return task(config)  # what a sweeper such as Optuna's optimises
        except KeyboardInterrupt:
            forget(Path(HydraConfig.get().runtime.output_dir), JOB_LEAVINGS, stood)
            raise
        except UserError as error:
            forget(Path(HydraConfig.get().runtime.output_dir), JOB_LEAVINGS, stood)
            # In a sweep Hydra must see the failure; alone it would only add a line of its own.
            if HydraConfig.get().mode != RunMode.RUN:
                sweeps.add(str(HydraConfig.get().sweep.dir))
                failed.append(f"{' '.join(HydraConfig.get().overrides.task)}: {error}")
                raise
            if asked:
                raise
            failures.append(error)
            return None
        except OSError as error:
            if asked or HydraConfig.get().mode != RunMode.RUN:
                raise
            failures.append(UserError(unusable(error, sys.argv[1:])))  # Hydra would add a line of its own here too
            return None
        except Exception as error:
            if (number := signal_of(error)) is None:
                raise
            forget(Path(HydraConfig.get().runtime.output_dir), JOB_LEAVINGS, stood)
            raise Interrupted(number) from error

    def check(config: Any) -> None:
        sweeps.add(str(config.hydra.sweep.dir))
        _stay(config.hydra)
        own = OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])
        try:
            OmegaConf.to_container(own, resolve=True)
        except OmegaConfBaseException:  # it asks for what is there when the job runs, which tells the rest
            return
        task.check(own)  # type: ignore[attr-defined]

    if hasattr(task, "check"):
        composing.check_jobs_first(check)
    guarded.__dict__.update(task.__dict__)  # what a launcher may find on it
    guarded.stood = stood  # type: ignore[attr-defined]
    guarded.merging = InJobs()  # type: ignore[attr-defined]
    main = hydra.main(config_path=str(config_folder()), config_name=config_name, **hydra_defaults())(guarded)
    in_place = given_to(sys.argv[1:], ("--config-name", "-cn"))
    seen: set[str] = set()  # the configs that are read
    told = words_of(sys.argv[1:])[1] & (mistakes.OF_ONE | mistakes.TOLD)  # Hydra prints it, and runs nothing
    try:
        printed = collected() if told else contextlib.nullcontext()
        with reading() as seen, replacing(), composing.read_instead(words), printed:
            main()
        if failures:
            raise failures[0]
        _tell(failed)
        if hasattr(task, "swept"):
            for folder in sweeps:
                task.swept(Path(folder))
    except UserError as error:
        _tell([job for job in failed if not job.endswith(str(error))])
        if not (hint := mistakes.without_own(in_place, config_name, seen)):
            raise
        raise UserError(f"{error}{hint}") from error
    except (HydraException, OmegaConfBaseException) as error:
        try:
            sentence = mistakes.sentence(error, sys.argv[1:], command)
        except UserError as broken:  # a plug-in's fault shows where the registries are first asked for
            sentence = str(broken)
        leave(sentence + mistakes.without_own(in_place, config_name, seen), error, asked)
    except AssertionError as error:  # OmegaConf's own, of a key below one that is null
        if (unsearched := mistakes.no_search(str(error), sys.argv[1:])) is None:
            raise
        leave(str(unsearched), error, asked)
    except ValueError as error:  # Hydra's own, of `posterior=null` and the like
        if str(error) in NO_TRIAL:
            _tell(failed)
            leave("No trial of the search completed, so that none is the best; why stands above.", error, asked)
        if (refusal := refused(str(error), sys.argv[1:])) is None:
            raise
        leave(str(refusal), error, asked)
    finally:
        for folder in sweeps:
            forget(Path(folder), SWEEP_LEAVINGS, stood)
        if before is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = before
        waiting.close()


def _stay(hydra: Any) -> None:
    """Refuse a job that runs in its own folder, where the user's paths, and those that we print, would be others.

    Raises:
      UserError: a config asks for it; a word of the command line that does was refused before.
    """
    if hydra.job.chdir:
        os.chdir(hydra.runtime.cwd)  # out of the folder, so that it can be taken away
        raise UserError(mistakes.CHDIR)


def _tell(failed: Sequence[str]) -> None:
    """The jobs of a sweep that did not complete."""
    if failed:
        sys.stderr.write("\n  ".join([f"{len(failed)} of the sweep's jobs did not complete:", *failed]) + "\n")


def log_to(folder: Path) -> None:
    """From now on the log goes into the folder's own file too, as Hydra's does of a run that begins."""
    if os.access(folder, os.W_OK):
        handler = logging.FileHandler(folder / "sbvi-train.log", encoding="utf-8", delay=True)
        handler.setFormatter(logging.Formatter("[%(asctime)s] %(message)s", "%H:%M:%S"))
        logging.getLogger().addHandler(handler)


def leave(sentence: str, error: BaseException, asked: bool) -> None:
    """End the process with a sentence, or with the traceback for who asked for it."""
    if asked:
        raise error
    sys.stderr.write(sentence.rstrip() + "\n")
    if isinstance(error, UserError) and error.abrupt:
        at_once(1)
    sys.exit(1)
