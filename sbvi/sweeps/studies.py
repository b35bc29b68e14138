"""A search's study that is there already: its trials are ranked with the new ones, so that what all have in common must
be the same."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from sbvi.core import UserError

_SQLITE = "sqlite:///"
#: Words that change no score, or are what differs between one search and the next.
_FREE = ("search", "seed", "runtime", "logger", "pruning", "trainer.log_every", "trainer.checkpoint_minutes")


def check_study(storage: Any, name: Any, words: Sequence[str], searched: Collection[str]) -> None:
    """Refuse to go on with a study whose trials were of other settings than this search's.

    Args:
      storage: the URL of the study's database, and `name` its name there; of anything else nothing is known.
      words: the overrides that all trials have, and those that are searched over.
      searched: keys that a config searches over.

    Raises:
      UserError: the first settings that differ, there and here.
    """
    if not isinstance(storage, str) or not name:
        return
    if storage.startswith(_SQLITE) and not Path(storage.removeprefix(_SQLITE)).exists():
        return
    own, keys = _common(words)
    for trial in _completed(storage, str(name)):
        theirs = {key: value for key, value in trial.user_attrs.items() if key != "pruned"}
        apart = [
            key
            for key in dict.fromkeys([*own, *theirs])
            if _said(own, key) != _said(theirs, key) and key not in {*keys, *searched, *trial.params} and not _free(key)
        ]
        if apart:
            there, here = (", ".join(_said(settings, key) for key in apart[:3]) for settings in (theirs, own))
            raise UserError(
                f"The study {name} of {storage} has trials with {there}, and this search is with {here}, so that their "
                "scores cannot be ranked together; give another hydra.sweep.dir or hydra.sweeper.study_name."
            )


def _common(words: Sequence[str]) -> tuple[dict[str, Any], set[str]]:
    """Settings of all trials, as Optuna's sweeper keeps them with each; and keys of those that it searches over."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parsed = OverridesParser.create().parse_overrides(list(words))
    own = {word.get_key_element(): word.value() for word in parsed if not word.is_sweep_override()}
    return own, {word.get_key_element() for word in parsed if word.is_sweep_override()}


def _completed(storage: str, name: str) -> Sequence[Any]:
    """The study's completed trials; none where it cannot be read, of which the search itself tells."""
    import optuna

    try:
        kept = optuna.storages.RDBStorage(storage)
    except Exception:  # of whatever database it may be
        return ()
    try:
        sampler = optuna.samplers.RandomSampler()  # nothing is sampled here
        study = optuna.load_study(study_name=name, storage=kept, sampler=sampler)
        return study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    except KeyError:  # there is no study of this name yet
        return ()
    finally:
        kept.engine.dispose()


def _free(key: str) -> bool:
    return any(key == free or key.startswith((f"{free}.", f"{free}/")) for free in _FREE)


def _said(settings: Mapping[str, Any], key: str) -> str:
    return f"{key}={settings[key]}" if key in settings else f"no {key}"
