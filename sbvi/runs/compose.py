"""An experiment's config from overrides, composed as the command line composes it."""

import os
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sbvi.core import UserError
from sbvi.core.catalogue import CHANGES, TOP, TRAINED
from sbvi.core.config_names import check_names, searched
from sbvi.core.config_reading import reading
from sbvi.core.configs import config_folder, hydra_defaults, refused, takes_one
from sbvi.core.merging import replacing
from sbvi.core.rewording import reworded
from sbvi.core.unknown import of_another_kind, strange_letter, unknown_override

LENGTHS = ("steps", "epochs", "examples")
#: What is said of a search, and nothing of its runs.
OF_SEARCHES = "pruning"
#: Hydra's state is one for the process: of threads that compose at once each has it for itself in turn.
_turn = threading.RLock()


def _of_a_fork() -> None:
    """The thread that had its turn in the parent is not in the child."""
    global _turn
    _turn = threading.RLock()


os.register_at_fork(after_in_child=_of_a_fork)


def checked_words(overrides: Any) -> list[str]:
    """Overrides that a caller gives, as a list.

    Raises:
      UserError: they are no list of words KEY=VALUE.
    """
    if isinstance(overrides, str):
        raise UserError(f"{overrides!r} is no list of overrides; give [{overrides!r}].")
    if isinstance(overrides, Mapping):
        pairs = ", ".join(repr(f"{key}={value}") for key, value in overrides.items())
        raise UserError(f"Overrides are a list of words, and not a dict: give [{pairs}].")
    if not isinstance(overrides, Iterable):
        raise UserError(f"{overrides!r} must be a list of overrides, such as ['dataset=mnist'].")
    words = list(overrides)
    for word in words:
        if not isinstance(word, str) or not (word.startswith("~") or "=" in word):
            raise UserError(f"{word!r} is no override; each is a text KEY=VALUE, such as 'trainer.epochs=3'.")
        if (strange := strange_letter(word)) is not None:
            raise strange
    return words


def choices_of(values: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """The experiment's choices in a composed config.

    Raises:
      UserError: a file of the user's changed nothing, since it lacks its package line.
    """
    chosen = {key: value for key, value in values.items() if key != OF_SEARCHES}
    for group in CHANGES:  # what is left of them after composition is not a choice of its own
        left = chosen.pop(group, None)
        if left:
            raise UserError(
                f"The file chosen by {group}= sets keys of its own group; its first line must be `# @package _global_`."
            )
    one_length(chosen, overrides)
    return chosen


def one_length(values: dict[str, Any], overrides: Sequence[str]) -> None:
    """A length given on the command line clears those from the config files."""
    names = [word.lstrip("+").split("=", 1)[0] for word in overrides]
    given = [length for length in LENGTHS if f"trainer.{length}" in names]
    trainer = values.get("trainer")
    if len(given) == 1 and isinstance(trainer, dict):
        for length in LENGTHS:
            if length not in given:
                trainer[length] = None


def composed(overrides: Sequence[str]) -> dict[str, Any]:
    """What `sbvi-train OVERRIDES` would train, as plain data.

    Raises:
      UserError: Hydra refuses an override, a value that must be given is not, or one is of searches alone; or a
        config file cannot be read, or has a name that is taken.
    """
    if odd := [word for word in overrides if word.lstrip("+").partition("=")[0].partition(".")[0] == OF_SEARCHES]:
        raise UserError(f"{odd[0]} is for a search by sbvi-train --multirun; a run by itself has no other trials.")
    check_names(folders := searched(overrides))
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException, OverrideParseException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    with _turn:
        state = GlobalHydra.instance()
        before = state.hydra  # composing inside a program that uses Hydra itself leaves its state as it was
        state.clear()
        try:
            with reading(), replacing(), initialize_config_dir(str(config_folder()), **hydra_defaults()):
                config = compose("train", reworded(overrides, folders))
            for key in sorted(OmegaConf.missing_keys(config)):
                raise UserError(f"{key} must be given, as {key}=VALUE.")
            values: Any = OmegaConf.to_container(config, resolve=True)
        except TypeError:  # Hydra's, of a list of what is no text where an entry of a group is chosen
            pairs = [(word, word.lstrip("+").partition("=")) for word in overrides]
            for word, (key, _, value) in pairs:
                if value.startswith("[") and (config_folder() / key).is_dir():
                    raise UserError(f"{takes_one(word, key)}.") from None
            raise
        except (HydraException, OmegaConfBaseException, ValueError) as error:
            if (sentence := refused(str(error), overrides)) is not None:
                raise sentence from None
            if (unknown := unknown_override(str(error), overrides, (*TRAINED, *CHANGES), TOP, TOP)) is not None:
                raise unknown from None
            if (other := of_another_kind(error)) is not None:
                raise other from None
            if isinstance(error, OverrideParseException):
                key, _, value = error.override.partition("=")
                plain = not set(value) & set("\"'\\[]{}()") and not re.search(r"\s", key)
                example = f', as in {key}="{value}"' if plain else ""
                raise UserError(
                    f"{error.override} holds characters that Hydra reads as its own; what is text is put in "
                    f"quotes{example}."
                ) from None
            if not isinstance(error, HydraException | OmegaConfBaseException):
                raise
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            raise UserError(" ".join(lines[:2])) from None
        finally:
            state.hydra = before
    return choices_of(values, overrides)
