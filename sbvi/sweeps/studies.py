"""A search's study that is there already: its trials are ranked with the new ones, so that what all have in common must
be the same."""

import contextlib
import json
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sbvi.core import UserError
from sbvi.core.sqlite_urls import file_of
from sbvi.sweeps.pruning import opened

log = logging.getLogger(__name__)

#: Words that change no score, or are what differs between one search and the next.
_FREE = ("search", "seed", "runtime", "logger", "pruning", "trainer.log_every", "trainer.checkpoint_minutes")


def check_study(storage: Any, name: Any, words: Sequence[str], said: Callable[[str], Any]) -> None:
    """Refuse to go on with a study whose trials were of other settings than this search's; warn of settings that are
    given now and were not given there, since what they were by default then is not known.

    Args:
      storage: the URL of the study's database, and `name` its name there; of anything else nothing is known.
      words: the overrides that all trials have, and those that are searched over; the last of a key counts.
      said: what this search has at a dotted key, or chose of a group, whether a word says it or not.

    Raises:
      UserError: the first settings that differ, there and here.
    """
    if not isinstance(storage, str) or not name:
        return
    if (file := file_of(storage)) is not None and not file.exists():
        return
    own, searched = _common(words)
    for trial in _completed(storage, str(name)):
        theirs = {key.lstrip("+~"): value for key, value in trial.user_attrs.items() if key != "pruned"}
        left = {*searched, *trial.params}
        keys = [key for key in dict.fromkeys([*own, *theirs]) if key not in left and not _free(key)]
        new = [key for key in keys if key not in theirs]
        here = {key: own[key] if key in own else said(key) for key in keys}
        apart = [key for key in keys if key in theirs and not _same(theirs[key], here[key])]
        if apart:
            told = (", ".join(f"{key}={_plain(settings[key])}" for key in apart[:3]) for settings in (theirs, here))
            raise UserError(
                f"The study {name} of {storage} has trials with {next(told)}, and this search is with {next(told)}, so "
                "that their scores cannot be ranked together; give another hydra.sweep.dir or hydra.sweeper.study_name."
            )
        if new:
            log.warning(
                "The study %s has trials that were not given %s: where it was otherwise there, their scores cannot be "
                "ranked with these, and another hydra.sweep.dir keeps them apart.",
                name, ", ".join(f"{key}={_plain(own[key])}" for key in new[:3]),
            )  # fmt: skip
            return


def _common(words: Iterable[str]) -> tuple[dict[str, str], set[str]]:
    """Settings of all trials, as text, which is how Optuna's sweeper keeps them with each; and keys of those that it
    searches over."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    own: dict[str, str] = {}
    searched: set[str] = set()
    for word in OverridesParser.create().parse_overrides(list(words)):
        key = word.get_key_element().lstrip("+~")
        own.pop(key, None)
        searched.discard(key)
        if word.is_sweep_override():
            searched.add(key)
        else:
            own[key] = word.get_value_element_as_str()
    return own, searched


def _value(given: Any) -> str:
    """What a text of Hydra's grammar stands for, or a value of a config, as one text for all of its spellings."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    if isinstance(given, str):
        with contextlib.suppress(HydraException):  # of a text of a config's that needs quotes there
            given = OverridesParser.create().parse_override(f"x={given}").value()
    return json.dumps(_numbers(given), sort_keys=True, default=str)


def _same(given: Any, other: Any) -> bool:
    """Whether two values are one, or two ways to the same file."""
    texts = [_value(each) for each in (given, other)]
    if texts[0] == texts[1]:
        return True
    paths = [json.loads(text) for text in texts]
    return all(isinstance(path, str) and os.path.exists(path) for path in paths) and os.path.samefile(*paths)


def _numbers(value: Any) -> Any:
    """With 1 as 1.0, and texts without quotes."""
    if isinstance(value, Mapping):
        return {str(key): _numbers(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_numbers(each) for each in value]
    text = getattr(value, "text", value)  # of what stood in quotes
    return float(text) if isinstance(text, int) and not isinstance(text, bool) else text


def _plain(given: Any) -> Any:
    return "null" if given is None else given


def _completed(storage: str, name: str) -> Sequence[Any]:
    """The study's completed trials; none where it cannot be read, of which the search itself tells."""
    import optuna

    try:
        kept = opened(storage)
    except Exception:  # of whatever database it may be
        return ()
    try:
        sampler = optuna.samplers.RandomSampler()  # nothing is sampled here
        study = optuna.load_study(study_name=name, storage=kept, sampler=sampler)
        return study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    except (KeyError, optuna.exceptions.StorageInternalError):  # there is no study of this name yet, or it is held
        return ()
    finally:
        kept.engine.dispose()


def _free(key: str) -> bool:
    return any(key == free or key.startswith((f"{free}.", f"{free}/")) for free in _FREE)
