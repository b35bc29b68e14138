"""Every group's entries and keys as plain data, so that help and wrong keys are answered without importing JAX.

`sbvi/cli/catalogue.json` holds what the specs of this package say, written by `scripts/render_configs.py`. What an
installed package adds to a group is imported when that group is asked for.
"""

import functools
import importlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sbvi.core.describe import describe
from sbvi.core.errors import ALIASES, UserError, cut, unknown_key
from sbvi.core.plugins import OPEN, adding, extend

FILE = Path(__file__).resolve().parents[1] / "cli" / "catalogue.json"
#: The groups of one entry, which has no name.
SETTINGS = ("trainer", "evaluation", "runtime")
#: Groups whose files change others.
CHANGES = ("experiment", "debug", "search")
#: The groups of an experiment; and what is said of it beside them.
TRAINED = (
    "dataset",
    "model",
    "likelihood",
    "posterior",
    "prior",
    "algorithm",
    "objective",
    "optimizer",
    *SETTINGS,
    "logger",
)
TOP = ("seed", "init_from")

Catalogue = Mapping[str, Mapping[str, Mapping[str, Any]]]


class _Whole(Mapping[str, Mapping[str, Mapping[str, Any]]]):
    """The file's groups, each with what installed packages add to it."""

    def __init__(self, groups: Catalogue):
        self._groups = groups
        self._read: dict[str, Mapping[str, Mapping[str, Any]]] = {}

    def __getitem__(self, group: str) -> Mapping[str, Mapping[str, Any]]:
        if group not in self._read:
            entries = dict(self._groups[group])
            if adding(group):
                # Its registry first: a package that is imported before it would be asked for by it, half imported.
                importlib.import_module(OPEN[group])
                added: dict[str, Any] = dict.fromkeys(entries)
                extend(added, f"sbvi.{group}s")
                entries |= {name: describe(kind) for name, kind in added.items() if name not in entries}
            self._read[group] = {name: entries[name] for name in sorted(entries)}
        return self._read[group]

    def __iter__(self) -> Iterator[str]:
        return iter(self._groups)

    def __len__(self) -> int:
        return len(self._groups)


@functools.cache
def catalogue() -> Catalogue:
    """What there is in this environment."""
    return _Whole(json.loads(FILE.read_text(encoding="utf-8")))


def keys(group: str, entry: str | None = None) -> list[str]:
    """The dotted keys of a group, without its name; of one entry, where that is named and there."""
    entries = catalogue().get(group, {})
    chosen = [entries[entry]] if entry is not None and entry in entries else entries.values()
    return sorted({key for each in chosen for key in each["keys"]})


def is_list(path: str) -> bool:
    """Whether a dotted key takes a list alone, in every entry that has it."""
    types = [about["type"] for about in _of(path)]
    return bool(types) and all(each.startswith("list") for each in types)


def takes_both(path: str) -> bool:
    """Whether a dotted key takes a list and, in its place, settings, in some entry that has it."""
    return any(re.search(r"\blist of\b.* or settings\b", about["type"]) for about in _of(path))


def is_text(path: str) -> bool:
    """Whether a dotted key takes any text in some entry."""
    return any(re.search(r"\btext\b", about["type"]) and "allowed" not in about for about in _of(path))


def _of(path: str) -> list[Mapping[str, Any]]:
    """What is said of a dotted key, of every entry that has it."""
    group, _, key = path.partition(".")
    return [entry["keys"][key] for entry in catalogue().get(group, {}).values() if key in entry["keys"]]


def below(path: str, entry: str | None = None) -> list[str]:
    """The keys right below a dotted path, such as `optimizer.schedule`; entry: see `keys`."""
    group, _, rest = path.partition(".")
    prefix = f"{rest}." if rest else ""
    return sorted({key[len(prefix) :].partition(".")[0] for key in keys(group, entry) if key.startswith(prefix)})


def owning(group: str, key: str) -> list[str]:
    """The entries of a group that have a dotted key, or keys below it."""
    entries = catalogue().get(group, {})
    return sorted(n for n, entry in entries.items() if any(f"{own}.".startswith(f"{key}.") for own in entry["keys"]))


def meant(word: str, groups: Sequence[str]) -> list[str]:
    """The keys that a word without its group may stand for: `learning_rate` is `optimizer.learning_rate`."""
    if word in ALIASES:
        return [ALIASES[word]] if ALIASES[word].partition(".")[0] in groups else []
    return [f"{group}.{key}" for group in groups for key in keys(group) if key.rpartition(".")[2] == word]


def entries_of(word: str, groups: Sequence[str]) -> list[str]:
    """The groups that have an entry of a name: `mnist` is one of dataset."""
    return [group for group in groups if word in catalogue().get(group, {}) and group not in SETTINGS]


def unknown_word(key: str, value: object, groups: Sequence[str], top: Sequence[str]) -> UserError:
    """The error for a first word that is no group and no key, which points to the key that may be meant, or to the
    command that has it."""
    group = key.partition(".")[0]
    if group in catalogue() and group not in (*groups, *top):
        command = "sbvi-evaluate" if group == "task" else "sbvi-train"
        return UserError(f"{group}= is a word of {command}: {command} --help {group}")
    if candidates := meant(key.rpartition(".")[2], groups):
        said = cut(value)
        words = " or ".join(f"{candidate}={said}" for candidate in candidates[:4])
        return UserError(f"{key}={said} is not a key by itself; give {words}.")
    return unknown_key(key, value, [*groups, *top])
