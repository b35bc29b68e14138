"""`~` in words such as `dataset.path=~/x.csv`: no shell expands it there, and Hydra's grammar has no such character."""

import re
from collections.abc import Sequence
from pathlib import Path

from sbvi.cli.quoting import argument


def expanded(arguments: Sequence[str]) -> list[str]:
    """Words of the form KEY=~ or KEY=~/PATH, quoted or not, with the home folder in its place; others as they are.

    Where there is no home, as of a user id without an entry, nothing is changed.
    """
    return [_expanded(word) for word in arguments]


def home(path: str) -> str:
    """A path with the home folder in the place of a first `~`; as it is where there is no home."""
    try:
        return str(Path(path).expanduser()) if re.match(r"~(/|$)", path) else path
    except RuntimeError:
        return path


def _expanded(word: str) -> str:
    match = re.fullmatch(r"""([^=\s'"]+)=(['"]?)(~(?:/.*)?)\2""", word)
    if match is None:
        return word
    key, quote, path = match.groups()
    whole = home(path.replace("\\" + quote, quote) if quote else path)
    if whole.startswith("~"):
        return word
    return argument(key, whole)
