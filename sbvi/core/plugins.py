"""What installed packages add to the registries, through entry points.

A package names, under `[project.entry-points."sbvi.models"]` and the like, the config name and the spec of what it
adds; under `[project.entry-points."sbvi.configs"]` a package of its own that holds config files. Nothing from a config
is ever imported by name: what is there was installed.
"""

import functools
import importlib.metadata
import importlib.util
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

from sbvi.core.errors import UserError


@functools.cache
def _entries() -> Any:
    return importlib.metadata.entry_points()


def extend(registry: MutableMapping[str, Any], group: str) -> None:
    """Add to a registry what installed packages offer under an entry point group, such as `sbvi.models`.

    Raises:
      UserError: a name is taken, or an entry cannot be loaded; names the package.
    """
    for entry in _entries().select(group=group):
        package = entry.dist.name if entry.dist is not None else entry.value
        if entry.name in registry:
            raise UserError(f"The installed package {package} adds {group} {entry.name}, a name that is taken already.")
        try:
            registry[entry.name] = entry.load()
        except Exception as error:  # whatever the package's import raises
            raise UserError(
                f"The installed package {package} adds {group} {entry.name}, and {entry.value} cannot be imported "
                f"({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''})."
            ) from None


def config_folders() -> Iterator[tuple[str, Path]]:
    """The config folders of installed packages, each with its entry's name; nothing is imported to find them."""
    for entry in _entries().select(group="sbvi.configs"):
        found = importlib.util.find_spec(entry.value)
        places = list(found.submodule_search_locations or []) if found is not None else []
        if not places:
            raise UserError(f"The entry {entry.name} of sbvi.configs names {entry.value}, which is no package.")
        yield entry.name, Path(places[0])
