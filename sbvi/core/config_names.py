"""Names of config files: Hydra reads the first that it finds of a name, so that another's file would change nothing
without a word."""

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path

from sbvi.core.configs import config_folder
from sbvi.core.errors import UserError
from sbvi.core.plugins import config_folders


@functools.cache
def _names(folder: Path) -> tuple[str, ...]:
    """The config files of a folder, by their paths in it."""
    return tuple(sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.yaml")))


def hidden(folder: Path, before: Path) -> Path | None:
    """The first file of a folder that is not read, since a folder before it has one of its name with another content;
    None where there is none.

    Of `before` all names are asked for, and not of the folder, which may be a working directory full of runs.
    """
    files = ((folder / name, before / name) for name in _names(before))
    return next((own for own, other in files if own.is_file() and own.read_bytes() != other.read_bytes()), None)


def check_names(folders: Iterable[Path]) -> None:
    """Refuse config files of the user's whose names are taken.

    Raises:
      UserError: a file of the folders has the name of one of ours or of an installed package's.
    """
    if not (folders := list(folders)):
        return
    places = [("sbvi's own", config_folder())]
    places += [(f"those of the installed package {package}", folder) for package, folder in packages()]
    for folder in folders:
        for whose, before in places:
            if (file := hidden(folder, before)) is not None:
                raise UserError(
                    f"{file} has the name of one of {whose}, which would be read in its place; name it otherwise."
                )


def packages() -> list[tuple[str, Path]]:
    """The config folders of installed packages, each with its package's name, in the order in which Hydra reads them.

    Raises:
      UserError: one has a file whose name is taken already, or is no folder.
    """
    places = [("sbvi", config_folder())]
    for package, folder in config_folders():
        for whose, before in places:
            if (file := hidden(folder, before)) is not None:
                name = file.relative_to(folder).as_posix()
                raise UserError(
                    f"The installed package {package} adds the config file {name}, a name that is taken already by "
                    f"{whose}."
                )
        places.append((package, folder))
    return places[1:]


def searched(words: Sequence[str]) -> list[Path]:
    """The folders that `hydra.searchpath=` names among the words, as far as they are told before Hydra reads them."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    folders = []
    for word in words:
        if word.lstrip("+").partition("=")[0] != "hydra.searchpath":
            continue
        try:
            value = OverridesParser.create().parse_override(word).value()
        except HydraException:  # which is told where it is read
            continue
        texts = [str(each) for each in value] if isinstance(value, list) else []
        paths = [text.removeprefix("file://") for text in texts]
        folders += [Path(path) for path in paths if "://" not in path and "${" not in path]
    return folders
