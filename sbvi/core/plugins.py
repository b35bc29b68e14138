"""What installed packages add to the registries, through entry points.

A package names, under `[project.entry-points."sbvi.models"]` and the like, the config name and the spec of what it
adds; under `[project.entry-points."sbvi.configs"]` a package of its own that holds config files. Nothing from a config
is ever imported by name: what is there was installed.
"""

import contextlib
import dataclasses
import functools
import importlib.metadata
import importlib.util
import logging
import numbers
import signal
import sys
import traceback
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

from sbvi.core.errors import UserError, hint, reason
from sbvi.core.interrupts import signal_of

log = logging.getLogger(__name__)

#: Config groups that packages may add to, by an entry point group of this name and an s: group -> room of its registry.
OPEN = {
    "algorithm": "sbvi.algorithms",
    "dataset": "sbvi.data",
    "likelihood": "sbvi.distributions.likelihoods",
    "logger": "sbvi.reporting.loggers",
    "model": "sbvi.models",
    "objective": "sbvi.objectives",
    "posterior": "sbvi.posteriors",
    "prior": "sbvi.distributions.priors",
    "task": "sbvi.tasks",
}
#: What an `init` must give.
PARAMETERS = "arrays, alone or in dicts, lists and tuples, empty where there are none"
#: The entry point group of packages that hold config files.
CONFIGS = "sbvi.configs"
#: Entries whose modules are being imported, as `_add` takes them: they are added by `settle`.
_waiting: list[tuple[MutableMapping[str, Any], str, Sequence[str], importlib.metadata.EntryPoint]] = []


@functools.cache
def _entries() -> Any:
    """Every entry point of the environment: read once, in about 10 ms for a hundred packages, and those in groups that
    look like ours and are none warned of."""
    entries = importlib.metadata.entry_points()
    allowed = sorted({CONFIGS, *(f"sbvi.{group}s" for group in OPEN)})
    wrong = [name for name in entries.groups if name.startswith("sbvi.") and name not in allowed]
    for group, package in sorted({(name, _package(entry)) for name in wrong for entry in entries.select(group=name)}):
        log.warning(
            "The installed package %s adds to %s, which is no group of entry points%s, so that nothing of it is found; "
            "allowed: %s.",
            *(package, group, hint(group, allowed), ", ".join(allowed)),
        )
    return entries


def _package(entry: importlib.metadata.EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else entry.value


def adding(group: str) -> bool:
    """Whether an installed package adds to a config group."""
    return group in OPEN and f"sbvi.{group}s" in _entries().groups


def ours(kind: type) -> bool:
    """Whether a class is of sbvi, and not of a package that adds to it."""
    return kind.__module__.partition(".")[0] == "sbvi"


def extend(registry: MutableMapping[str, Any], group: str, parts: Sequence[str] = ()) -> None:
    """Add to a registry what installed packages offer under an entry point group, such as `sbvi.models`.

    parts: what the class of an entry has to have, as settings or beside them.

    Raises:
      UserError: a name is taken, or an entry cannot be loaded, is no spec, or lacks a part; names the package.
    """
    assert group.removeprefix("sbvi.").removesuffix("s") in OPEN, group
    for entry in _entries().select(group=group):
        if _half_imported(entry):
            _waiting.append((registry, group, parts, entry))
        else:
            _add(registry, group, parts, entry)
    settle()


def settle() -> None:
    """Add what waited for its module to be imported whole, as it has been where a user's code imported it before us.

    Raises:
      UserError: see `extend`.
    """
    for each in [each for each in _waiting if not _half_imported(each[-1])]:
        _waiting.remove(each)
        _add(*each)


def _half_imported(entry: importlib.metadata.EntryPoint) -> bool:
    """Whether an entry's module is being imported, as one that adds to two groups is where it asks for the room of the
    one while that of the other imports it."""
    return bool(getattr(getattr(sys.modules.get(entry.module), "__spec__", None), "_initializing", False))


def _add(
    registry: MutableMapping[str, Any], group: str, parts: Sequence[str], entry: importlib.metadata.EntryPoint
) -> None:
    added = f"The installed package {_package(entry)} adds {group} {entry.name}"
    if entry.name in registry:
        raise UserError(f"{added}, a name that is taken already.")
    try:
        kind = entry.load()
    except BaseException as error:  # whatever the package's import raises, SystemExit too
        if signal_of(error) is not None:
            raise
        raise UserError(f"{added}, and {entry.value} cannot be imported ({reason(error)}).") from None
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        raise UserError(f"{added}, and {entry.value} is no class made with sbvi.core.spec.")
    own = {field.name for field in dataclasses.fields(kind)}  # a setting without a default is no attribute
    undone = sorted(getattr(kind, "__abstractmethods__", ()))
    there = [part for part in parts if part in own or hasattr(kind, part)]
    if lacking := [part for part in dict.fromkeys([*parts, *undone]) if part in undone or part not in there]:
        raise UserError(f"{added}, and {entry.value} lacks {', '.join(lacking)}.")
    registry[entry.name] = kind


def config_folders() -> Iterator[tuple[str, Path]]:
    """The config folders of installed packages, each with its package's name; nothing is imported to find them.

    Raises:
      UserError: an entry names what is no folder of its package.
    """
    for entry in _entries().select(group=CONFIGS):
        top, *below = entry.value.split(".")
        package = importlib.util.find_spec(top)  # of a dotted name it would import the parents
        folders = [Path(place, *below) for place in (package and package.submodule_search_locations) or []]
        folder = next((folder for folder in folders if folder.is_dir()), None)
        if folder is None:
            raise UserError(
                f"The installed package {_package(entry)} names {entry.value} under sbvi.configs, which is no package."
            )
        yield _package(entry), folder


def _adding() -> dict[str, str]:
    """The top module of what is added -> the installed package that adds it."""
    added = [entry for group in OPEN for entry in _entries().select(group=f"sbvi.{group}s")]
    packages = {entry.module.partition(".")[0]: _package(entry) for entry in added}
    packages.pop("sbvi", None)  # an entry of ours, whose frames say nothing of a package
    return packages


def called(kind: type, function: str) -> str:
    """A function of a class, and the installed package where that added it, as sentences name them."""
    package = _adding().get(kind.__module__.partition(".")[0])
    return f"{kind.__qualname__}.{function}{f' of the installed package {package}' if package else ''}"


def wrong(kind: type, function: str, given: Any, must: str, lacking: Sequence[str] = ()) -> UserError:
    """The error for what a function of a class gives, where that is not what it must give.

    lacking: the parts that what it gives has not.
    """
    without = f" without {', '.join(lacking)}" if lacking and given is not None else ""
    return UserError(f"{called(kind, function)} gives {described(given)}{without}; it must give {must}.")


def lacks_arrays(tree: Any) -> bool:
    """Whether what stands for parameters is None, or has in it what is neither an array nor a number."""
    import jax  # which help is answered without

    def counts(leaf: Any) -> bool:
        return isinstance(leaf, numbers.Number) or (hasattr(leaf, "shape") and hasattr(leaf, "dtype"))

    return tree is None or not all(map(counts, jax.tree.leaves(tree)))


def described(given: Any) -> str:
    """What a value is, in words."""
    if given is None:
        return "None"
    if isinstance(shape := getattr(given, "shape", None), tuple):
        return f"an array of shape {shape}"
    if isinstance(given, Mapping):
        return f"a dict of {', '.join(map(str, given)) or 'nothing'}"
    name = type(given).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def fault(error: BaseException) -> str | None:
    """Which function of an installed package an exception came through, the first one that sbvi or JAX called, and what
    was raised; None where it came through none."""
    packages = _adding()
    for frame, _ in traceback.walk_tb(error.__traceback__):
        package = packages.get(str(frame.f_globals.get("__name__")).partition(".")[0])
        if package is not None:
            function = frame.f_code.co_qualname.partition(".<locals>")[0]
            return f"{function} of the installed package {package} fails ({reason(error)})"
    return None


def _by_handler(error: BaseException) -> bool:
    """Whether what is no `Exception` was raised by a signal's handler, as a caller's that calls `sys.exit`: it came
    through a package's code by chance."""
    if isinstance(error, Exception):
        return False
    codes = [code for n in signal.valid_signals() if (code := getattr(signal.getsignal(n), "__code__", None))]
    return any(frame.f_code in codes for frame, _ in traceback.walk_tb(error.__traceback__))


@contextlib.contextmanager
def telling() -> Iterator[None]:
    """Within, what the code of an installed package raises is told in a sentence.

    SystemExit is among it: a package's code that calls `sys.exit` would end a command with an exit code of its own, be
    it 0, and a sweep before its other jobs.

    Raises:
      UserError: it raised what is neither one itself, nor a NaN that is searched for, nor want of memory, nor a signal.
    """
    try:
        yield
    except (UserError, FloatingPointError, MemoryError):
        raise
    except BaseException as error:
        if signal_of(error) is None and not _by_handler(error) and (told := fault(error)) is not None:
            raise UserError(f"{told}.") from error
        raise
