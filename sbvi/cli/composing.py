"""A single run's config is composed once, from words that may be others than the typed, and a sweep's jobs are checked
before the first of them starts.

Hydra 1.3 composes a config to read the mode that it may set (`hydra.mode`), and composes it again to run in that mode.
Of a single run both are the same config, and each takes an eighth of a second of the processor. Later ones read the
mode without.
"""

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hydra._internal.hydra import Hydra  # there is no public way to do this
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import RunMode
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

#: Words of Hydra's errors that a sweep would not meet: many values of a word, and a choice that is not made yet.
_OF_ONE_RUN_ALONE = ("--multirun", "You must specify")

#: Modules of launchers whose jobs hear a sweep's signals by our ways.
_LAUNCHERS = ("hydra._internal.", "hydra_plugins.hydra_sbvi_launcher")


def compose_once() -> None:
    """In this process, until it ends; of a Hydra that does it otherwise nothing is changed."""
    asked = getattr(Hydra, "get_mode", None)
    if asked is None or [*inspect.signature(asked).parameters] != ["self", "config_name", "overrides"]:
        return

    def get_mode(hydra: Any, config_name: str | None, overrides: list[str]) -> Any:
        loader, words = hydra.config_loader, list(overrides)
        load = loader.load_configuration
        config: Any = None
        failed: Exception | None = None
        try:
            config = load(config_name, words, RunMode.RUN)
        except Exception as error:  # which the run itself meets below
            if any(said in str(error) for said in _OF_ONE_RUN_ALONE):
                return asked(hydra, config_name, overrides)
            failed = error

        def known(config_name: str | None, overrides: list[str], run_mode: Any, **others: Any) -> Any:
            loader.load_configuration = load
            added = overrides[len(words) :]
            if run_mode != RunMode.RUN or overrides[: len(words)] != words or added not in ([], ["hydra.mode=RUN"]):
                return load(config_name, overrides, run_mode, **others)
            if failed is not None:
                raise failed
            if added:
                config.hydra.mode = RunMode.RUN
                config.hydra.overrides.hydra.append(added[0])
            return config

        loader.load_configuration = known
        return None if config is None else config.hydra.mode

    Hydra.get_mode = get_mode  # type: ignore[assignment, method-assign]


@contextlib.contextmanager
def read_instead(words: Sequence[str]) -> Iterator[None]:
    """Within, Hydra reads these words in place of the process's arguments, which stay as they were typed; of a Hydra
    that reads otherwise nothing is changed."""
    module: Any = sys.modules["hydra.main"]
    if (made := getattr(module, "get_args_parser", None)) is None:
        yield
        return

    def parser() -> Any:
        result = made()
        result.parse_args = functools.partial(result.parse_args, list(words))
        return result

    module.get_args_parser = parser
    try:
        yield
    finally:
        module.get_args_parser = made


def before_sweeps(call: Callable[[], None]) -> None:
    """Have this called before a sweep begins, whether a flag or a config asks for it; of a Hydra that sweeps otherwise
    at once."""
    swept: Any = getattr(Hydra, "multirun", None)
    if swept is None:
        call()
        return

    def multirun(*given: Any, **named: Any) -> Any:
        call()
        return swept(*given, **named)

    Hydra.multirun = multirun  # type: ignore[method-assign]


def with_launchers_of_others(call: Callable[[], None]) -> None:
    """Have this called when a sweep's launcher is made that is neither Hydra's own nor ours, such as joblib's."""
    made = getattr(Plugins, "instantiate_launcher", None)
    if made is None:
        return

    def instantiate(*given: Any, **named: Any) -> Any:
        launcher = made(*given, **named)
        if not type(launcher).__module__.startswith(_LAUNCHERS):
            call()
        return launcher

    Plugins.instantiate_launcher = instantiate  # type: ignore[method-assign]


def check_jobs_first(check: Callable[[Any], None]) -> None:
    """Have every job's composed config checked where Hydra only composes it, before any starts; of a search, whose
    trials are not known yet, what all of them have in common, before its study is made.

    check: called with a config; what it raises ends the sweep.
    """
    _check_jobs_known(check)
    _check_searches(check)


def _check_searches(check: Callable[[Any], None]) -> None:
    made = getattr(Plugins, "instantiate_sweeper", None)
    if made is None:
        return

    def instantiate(plugins: Any, **given: Any) -> Any:
        config = given["config"]
        common = OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])
        search = not str(config.hydra.sweeper.get("_target_")).endswith("BasicSweeper")
        if search and not OmegaConf.missing_keys(common):  # which its trials may give
            check(config)
        if search:
            from sbvi.sweeps.databases import create_alone
            from sbvi.sweeps.studies import check_study

            hydra = config.hydra
            storage, name, params = (hydra.sweeper.get(key) for key in ("storage", "study_name", "params"))
            words = [*(f"{key}={value}" for key, value in (params or {}).items()), *hydra.overrides.task]
            check_study(storage, name, words, lambda key: _said(hydra.runtime.choices, common, key))
            if storage:
                create_alone()
                _end_where_refused(storage, name)
        return made(plugins, **given)

    Plugins.instantiate_sweeper = instantiate  # type: ignore[assignment, method-assign]


def _end_where_refused(storage: str, name: str) -> None:
    """Have a launcher that is made from now on end the search whose trial is refused for its data, which the sweeper
    would count as one that failed."""
    from sbvi.sweeps.study_data import check_returned

    made = getattr(Plugins, "instantiate_launcher", None)
    if made is None:
        return

    def instantiate(*given: Any, **named: Any) -> Any:
        launcher: Any = made(*given, **named)
        kind = type(launcher)  # of which launchers send copies to other processes
        launch = kind.launch

        @functools.wraps(launch)
        def checked(*jobs: Any, **batch: Any) -> Any:
            returns = launch(*jobs, **batch)
            check_returned(storage, name, returns)
            return returns

        kind.launch = checked
        return launcher

    Plugins.instantiate_launcher = instantiate  # type: ignore[method-assign]


def _said(choices: Any, config: Any, key: str) -> Any:
    """What a config has at a dotted key, or chose of a group; None where there is nothing."""
    if key in choices:
        return choices[key]
    try:
        value = OmegaConf.select(config, key)
        return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
    except OmegaConfBaseException:  # a value that is to be given
        return None


def _check_jobs_known(check: Callable[[Any], None]) -> None:
    asked = getattr(Sweeper, "validate_batch_is_legal", None)
    if asked is None:
        return

    def validate(sweeper: Any, batch: Sequence[Sequence[str]]) -> None:
        if type(sweeper).__name__ != "BasicSweeper":  # Hydra has loaded a class of its own, not the one to import
            asked(sweeper, batch)
        elif sweeper.batch_index == 1:  # all are looked at with the first
            for jobs in sweeper.overrides:
                for words in jobs:
                    check(sweeper.hydra_context.config_loader.load_sweep_config(sweeper.config, list(words)))

    Sweeper.validate_batch_is_legal = validate  # type: ignore[assignment, method-assign]
