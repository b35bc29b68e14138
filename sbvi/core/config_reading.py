"""What is wrong in a config file, in one sentence with the file and its line, where Hydra reads it.

Of a mistake of YAML Hydra shows the parser's traceback, of others a message without the file, and of some nothing.
"""

import contextlib
import inspect
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sbvi.core.catalogue import CHANGES, SETTINGS, TRAINED, below
from sbvi.core.configs import config_folder, spelled
from sbvi.core.errors import UserError


@contextlib.contextmanager
def reading() -> Iterator[set[str]]:
    """Within, a config file that Hydra cannot read, or that would not do what its writer meant, is a `UserError`; the
    configs that are read, by their names.

    Of a Hydra that reads in another way nothing is changed, and no config is told.
    """
    from hydra._internal.config_repository import ConfigRepository  # there is no public way to do this

    load: Any = getattr(ConfigRepository, "load_config", None)
    seen: set[str] = set()
    if load is None or [*inspect.signature(load).parameters][1:] != ["config_path"]:
        yield seen
        return

    def load_config(self: Any, config_path: str) -> Any:
        seen.add(config_path.strip("/").removesuffix(".yaml"))
        file = _file(self, config_path)
        with contextlib.nullcontext() if file is None else told(file):
            result = load(self, config_path)
        if file is not None and config_folder() not in file.parents:
            _check(result, file, config_path)
            _check_choices(self, result, file, config_path)
        return result

    ConfigRepository.load_config = load_config  # type: ignore[method-assign]
    try:
        yield seen
    finally:
        ConfigRepository.load_config = load  # type: ignore[method-assign]


@contextlib.contextmanager
def told(file: Path) -> Iterator[None]:
    """Within, where this file is read, what is wrong in it is a `UserError`."""
    try:
        yield
    except Exception as error:
        if isinstance(error, UserError) or (isinstance(error, OSError) and error.filename):
            raise
        raise UserError(f"{_shown(file)} {_fault(error, file)}.") from error


def _file(repository: Any, config_path: str) -> Path | None:
    """The file in which Hydra finds a config; None where it is in none, as Hydra's own are."""
    source = next((each for each in repository.get_sources() if each.is_config(config_path)), None)
    if source is None or source.scheme() != "file":
        return None
    return Path(source.path, config_path if config_path.endswith(".yaml") else f"{config_path}.yaml")


def _shown(file: Path) -> str:
    """A file as the user likely named it, from the directory of the call."""
    near = os.path.relpath(file)
    return str(file) if near.startswith("..") else near


def _fault(error: Exception, file: Path) -> str:
    """Why a file cannot be read, as the rest of a sentence about it."""
    from omegaconf.errors import OmegaConfBaseException
    from yaml import MarkedYAMLError
    from yaml.reader import ReaderError

    if isinstance(error, UnicodeDecodeError):
        return _not_utf8(file)
    if isinstance(error, ReaderError):
        line = file.read_text(encoding="utf-8")[: error.position].count("\n") + 1
        return f"cannot be read at line {line}: no text has the character U+{int(error.character):04X}"
    if isinstance(error, MarkedYAMLError) and (mark := error.problem_mark) is not None:
        what, start = error.problem or error.context or "no YAML", error.context_mark
        begun = f" ({error.context} from line {start.line + 1})" if start and start.line != mark.line else ""
        written = file.read_text(encoding="utf-8").split("\n")[mark.line :][:1]
        spaces = "; indent by spaces, and not by tabs" if any(re.match(r" *\t", line) for line in written) else ""
        return f"cannot be read at line {mark.line + 1}: {what}{begun}{spaces}"
    if isinstance(error, OSError):  # OmegaConf's, of a number or the like
        return "must hold lines KEY: VALUE"
    said = re.sub(r"^In [^:]*: ", "", (str(error).strip().splitlines() or [type(error).__name__])[0]).rstrip(".")
    of_defaults = isinstance(error, ValueError | AssertionError) and not isinstance(error, OmegaConfBaseException)
    if of_defaults or "defaults list" in said:
        return (
            f"has a list `defaults:` that cannot be read: {said}; each is a NAME, GROUP: NAME or override /GROUP: NAME"
        )
    return f"cannot be read: {said}"


def _not_utf8(file: Path) -> str:
    content = file.read_bytes()
    try:
        content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        return f"cannot be read at line {line}: the byte 0x{content[error.start]:02x} is none of a text in UTF-8"
    return "cannot be read: it is no text in UTF-8"


def _check_choices(repository: Any, result: Any, file: Path, config_path: str) -> None:
    """Refuse choices of a group of ours that are looked for below the file's own group, where there is no such."""
    group = config_path.strip("/").partition("/")[0]
    if group not in CHANGES or result.header.get("package") != "_global_":
        return
    for each in result.defaults_list:
        word, value = getattr(each, "group", None), getattr(each, "value", None)
        if word in TRAINED and isinstance(value, str) and not repository.group_exists(f"{group}/{word}"):
            raise UserError(
                f"{_shown(file)} has {word}: {value} in its list `defaults:`, which asks for {group}/{word}; write "
                f"override /{word}: {value}."
            )


def _check(result: Any, file: Path, config_path: str) -> None:
    """Refuse a file that is read, and would change nothing or another thing than was meant."""
    from omegaconf import OmegaConf

    config, group = result.config, config_path.partition("/")[0]
    if not OmegaConf.is_dict(config):
        raise UserError(f"{_shown(file)} is a list; it must hold lines KEY: VALUE.")
    if not config and not result.defaults_list and group != "hydra":
        raise UserError(f"{_shown(file)} sets nothing; it must hold lines KEY: VALUE.")
    if group not in CHANGES or result.header.get("package") != "_global_":
        return
    settings: Any = OmegaConf.to_container(config, resolve=False)
    for key, value in settings.items():
        if key not in TRAINED or isinstance(value, dict) or OmegaConf.is_interpolation(config, key):
            continue
        if key not in SETTINGS and isinstance(value, str):
            raise UserError(
                f"{_shown(file)} sets {key}: {value}, where settings stand; an entry of a group is chosen in the list "
                f"`defaults:`, as override /{key}: {value}."
            )
        if key in SETTINGS or value is not None:  # what is null of others is open, as auto is
            parts = [f"{key}.{part}" for part in below(key)]
            raise UserError(
                f"{_shown(file)} sets {key}: {spelled(value)}, which must be a group of settings: give one of "
                f"{', '.join(parts)}."
            )
