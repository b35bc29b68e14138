"""Whether a place that a user names to be read is there."""

from pathlib import Path

from sbvi.core.errors import UserError


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
