"""Places that a user names: whether they are places, and whether one to be read is there."""

import os
from pathlib import Path

from sbvi.core.errors import UserError


def path_of(value: object, name: str) -> Path:
    """A path that a caller gives.

    Raises:
      UserError: it is neither a text nor a path, or empty.
    """
    if not isinstance(value, str | os.PathLike) or not isinstance(os.fspath(value), str) or not str(value):
        raise UserError(f"{name}={value!r} must be a path, as a text or a pathlib.Path.")
    return Path(value)


def is_file(path: Path, where: str) -> bool:
    """Whether a file is there; `where` names it in a sentence.

    Raises:
      UserError: that cannot be told, as of a name that is too long or in a folder that may not be entered.
    """
    try:
        return path.is_file()
    except OSError as error:
        raise UserError(f"{where[:200]} cannot be read ({error.strerror}).") from None


def is_folder(path: Path, where: str) -> bool:
    """The same of a folder."""
    try:
        return path.is_dir()
    except OSError as error:
        raise UserError(f"{where[:200]} cannot be read ({error.strerror}).") from None
