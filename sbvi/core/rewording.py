"""Words as Hydra is to read them, where it would read what is meant in another way: an entry of a group whose name is
a number's too."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from sbvi.core.config_names import packages
from sbvi.core.configs import config_folder

#: What Hydra reads as a number, a truth value or null.
NO_TEXT = re.compile(
    r"null|true|false|[+-]?(?:inf|nan|\d[\d_]*|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:e[+-]?\d+)?)", re.IGNORECASE
)


def reworded(words: Sequence[str], folders: Iterable[Path] = ()) -> list[str]:
    """The words, flags and what follows them among them, with entries of groups in quotes where need be.

    folders: the user's own, of config files.
    """
    own = list(folders)
    return [_reworded(word, own) for word in words]


def _reworded(word: str, own: Sequence[Path]) -> str:
    key, equals, value = word.partition("=")
    name = key.lstrip("+")
    if not equals or word.startswith("-"):
        return word
    parts = value.split(",")
    if any(map(NO_TEXT.fullmatch, parts)) and re.fullmatch(r"[\w/]+", name) and (config_folder() / name).is_dir():
        places = [config_folder(), *(folder for _, folder in packages()), *own]
        return f"{key}={','.join(_entry(part, [place / name for place in places]) for part in parts)}"
    return word


def _entry(name: str, groups: Sequence[Path]) -> str:
    """A choice, in quotes where it is a file's name that Hydra would read as no text."""
    if NO_TEXT.fullmatch(name) and any((group / f"{name}.yaml").is_file() for group in groups):
        return f"'{name}'"
    return name
