"""The folders of a run or a sweep that words name, and what is said where one cannot be made."""

import os
from collections.abc import Sequence
from pathlib import Path

from sbvi.core.errors import cut

#: Keys of the folder that a command makes.
FOLDERS = ("hydra.run.dir", "hydra.sweep.dir")


def named(arguments: Sequence[str]) -> dict[str, Path]:
    """The folders that the words name, as far as they are told before Hydra reads them: word -> folder."""
    found = {}
    for word in arguments:
        key, _, value = word.partition("=")
        told, more, _ = value.strip("'\"").partition("${")
        if key.lstrip("+") in FOLDERS and told:
            found[word] = Path(told) if not more or told.endswith("/") else Path(told).parent
    return found


def unusable(error: OSError, arguments: Sequence[str]) -> str:
    """The sentence for a file or folder that the system refuses, by the word that names it where one does."""
    if isinstance(error.filename, str):
        place = Path(error.filename).absolute()
        for word, given in named(arguments).items():
            folder = given.absolute()
            if place not in (folder, *folder.parents) and folder not in place.parents:
                continue
            way = (given, *given.parents)
            if (file := next((p for p in way if os.path.exists(p) and not os.path.isdir(p)), None)) is not None:
                what = "a file" if file == given else f"below {file}, which is a file"
                return f"{word} is {what}; it must be a directory, one that is there or can be made."
            return (
                f"{word} cannot be made or written in ({error.strerror}); it must be a directory, one that is there "
                f"or can be made."
            )
    if error.filename is None and not _has_place():
        return "The current directory is gone: change to one that is there."
    return f"{cut(error.filename or 'A file')} cannot be used ({error.strerror or error})."


def _has_place() -> bool:
    """Whether the current directory is still there."""
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True
