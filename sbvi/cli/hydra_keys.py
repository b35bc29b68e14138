"""Hydra's own keys and groups, for a word beginning with `hydra.` or `hydra/` that is none of them."""

import dataclasses
import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sbvi.core.errors import UserError, unknown_key

#: Parts of Hydra's config whose keys are those of what is chosen for them.
CHOSEN = ("launcher", "sweeper")


def unknown_hydra(word: str, value: str, arguments: Sequence[str]) -> UserError:
    """The error for a word that Hydra has not, with the nearest that it has.

    Args:
      word: the key or group, such as `hydra.run.dri` or `hydra/launchr`.
      value: what it was given.
      arguments: the command's, among them perhaps what chooses a launcher or a sweeper.
    """
    from hydra.conf import HydraConf

    known = HydraConf()
    if word.startswith("hydra/"):
        groups = [group for entry in known.defaults if isinstance(entry, Mapping) for group in entry]
        return unknown_key(word, value, [f"hydra/{group}" for group in groups if isinstance(group, str)])
    part = word.split(".")[1]
    if part in CHOSEN:
        return _of_chosen(word, value, part, arguments)
    keys = [*_keys(known, "hydra."), *(f"hydra.{each}" for each in CHOSEN)]
    if word.count(".") > 1 and (near := difflib.get_close_matches(word, keys, n=1)):
        group = near[0].rpartition(".")[0]
        return unknown_key(word, value, [key for key in keys if key.rpartition(".")[0] == group])
    return unknown_key(word, value, {".".join(key.split(".")[:2]) for key in keys})


def _keys(conf: Any, prefix: str) -> Iterator[str]:
    for field in dataclasses.fields(conf):
        value = getattr(conf, field.name)
        if dataclasses.is_dataclass(value):
            yield from _keys(value, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}"


def _of_chosen(word: str, value: str, part: str, arguments: Sequence[str]) -> UserError:
    """The error for a key of the launcher or sweeper."""
    from hydra.core.config_store import ConfigStore

    held: Any = ConfigStore.instance().repo.get("hydra", {}).get(part, {})
    entries: dict[str, list[str]] = {
        name.removesuffix(".yaml"): [str(key) for key in entry.node if not str(key).startswith("_")]
        for name, entry in held.items()
        if name.endswith(".yaml")  # others are folders
    }
    name = word.split(".")[2] if word.count(".") > 1 else ""
    chosen = next((a.partition("=")[2] for a in arguments if a.startswith(f"hydra/{part}=")), "")
    near = difflib.get_close_matches(name, {key for keys in entries.values() for key in keys}, n=1)
    owners = [entry for entry, keys in entries.items() if near and near[0] in keys]
    if near == [name] and chosen not in owners:
        which = " and ".join(f"hydra/{part}={each}" for each in owners)
        return UserError(f"{word}={value} is a key of {which}, which is not chosen.")
    keys = entries.get(chosen) or (entries[owners[0]] if owners else [])
    return unknown_key(word, value, [f"hydra.{part}.{key}" for key in keys])
