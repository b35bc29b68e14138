"""Every group's entries and keys as plain data, so that help and wrong keys are answered without importing JAX.

`catalogue.json` holds what the specs of this package say, written by `scripts/render_configs.py`. What an installed
package adds to a group is imported when that group is asked for.
"""

import functools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sbvi.cli.values import check_values
from sbvi.core.describe import describe, holds
from sbvi.core.errors import ALIASES, UserError, choices, unknown_key
from sbvi.core.plugins import adding, extend

FILE = Path(__file__).with_name("catalogue.json")
#: The groups of one entry, which has no name.
SETTINGS = ("trainer", "evaluation", "runtime")
#: Groups whose files change others.
CHANGES = ("experiment", "debug", "search")

Catalogue = Mapping[str, Mapping[str, Mapping[str, Any]]]


def build() -> dict[str, dict[str, Any]]:
    """Group -> entry -> what `sbvi.core.describe` says of its spec, from the registries."""
    from sbvi.runs.experiment import GROUPS, SETTINGS
    from sbvi.runs.words import CHOICES
    from sbvi.sweeps.pruning import Pruning
    from sbvi.tasks import TASKS

    registries: dict[str, Any] = {
        **GROUPS,
        **CHOICES,
        **{name: {name: kind} for name, kind in SETTINGS.items()},
        "task": TASKS,
        "pruning": {"pruning": Pruning},
    }
    return {
        group: {name: describe(kind) for name, kind in sorted(registry.items())}
        for group, registry in registries.items()
    }


class _Whole(Mapping[str, Mapping[str, Mapping[str, Any]]]):
    """The file's groups, each with what installed packages add to it."""

    def __init__(self, groups: Catalogue):
        self._groups = groups
        self._read: dict[str, Mapping[str, Mapping[str, Any]]] = {}

    def __getitem__(self, group: str) -> Mapping[str, Mapping[str, Any]]:
        if group not in self._read:
            entries = dict(self._groups[group])
            if adding(group):
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
    group, _, key = path.partition(".")
    types = [entry["keys"][key]["type"] for entry in catalogue().get(group, {}).values() if key in entry["keys"]]
    return bool(types) and all(each.startswith("list") for each in types)


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


def check(config: Mapping[str, Any], groups: Sequence[str], top: Sequence[str]) -> None:
    """Refuse keys and closed choices that no entry has, and values of a wrong type or range where the catalogue tells
    these; all else is checked when the experiment is built.

    Args:
      config: what Hydra composed, as plain data.
      groups: those of the command.
      top: its keys beside the groups.

    Raises:
      UserError: one sentence with the nearest that is allowed.
    """
    for key, value in config.items():
        if key not in (*groups, *top, *CHANGES):
            raise unknown_word(key, value, groups, top)
    for group in sorted(groups, key=adding):  # what packages add is imported last: a mistake elsewhere need not wait
        values = config.get(group)
        if not isinstance(values, Mapping):
            continue
        entries = catalogue()[group]
        name = values.get("name")
        if name is not None and name not in entries and group not in SETTINGS and group != "optimizer":
            raise choices(f"{group}.name", name, entries)
        chosen = entries.get(name) if isinstance(name, str) else None
        known = chosen["keys"] if chosen else _of_any(entries.values())
        _check_values(group, values, known, chosen or {}, groups)
        if chosen or len(entries) == 1:
            check_values(group, values, known)


def _of_any(entries: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The keys of entries of which none is chosen yet; a key's allowed values are those of all that have it."""
    known: dict[str, Any] = {}
    for entry in entries:
        for key, about in entry["keys"].items():
            if (other := known.get(key, about)) is about:
                known[key] = about
            elif other.get("allowed") != about.get("allowed") or other.get("open") != about.get("open"):
                values = [*other.get("allowed", ()), *about.get("allowed", ())]
                free = any("allowed" not in each or each.get("open") for each in (other, about))
                known[key] = {**about, "allowed": list(dict.fromkeys(values)), "open": free}
    return known


def _check_values(
    group: str, values: Mapping[str, Any], known: Mapping[str, Any], entry: Mapping[str, Any], words: Sequence[str]
) -> None:
    for key, value in _leaves(values, known):
        if (key == "name" and key not in known) or key.partition(".")[0] in entry.get("words", []) or value is None:
            continue
        if key not in known:
            if key.partition(".")[0] in words:
                continue  # a word that hangs from its owner, as run.json has it
            if parts := [f"{group}.{each}" for each in known if each.startswith(f"{key}.")]:
                raise UserError(f"{group}.{key}={value} must be a group of settings: give one of {', '.join(parts)}.")
            raise unknown_key(f"{group}.{key}", value, [f"{group}.{each}" for each in known])
        if _refuses(known[key], value):
            raise choices(f"{group}.{key}", value, map(str, known[key]["allowed"]))


def _refuses(about: Mapping[str, Any], value: Any) -> bool:
    """Whether a value is none of a closed choice; of names, which another version of their package may have."""
    if "allowed" not in about or about.get("open") or value in about["allowed"]:
        return False
    return "of" not in about or (isinstance(value, str) and holds(about))


def _leaves(values: Mapping[str, Any], known: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key and value of everything below; a key that takes a mapping is one."""
    for key, value in values.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping) and path not in known:
            yield from _leaves(value, known, f"{path}.")
        else:
            yield path, value


def unknown_word(key: str, value: object, groups: Sequence[str], top: Sequence[str]) -> UserError:
    """The error for a first word that is no group and no key, which points to the key that may be meant, or to the
    command that has it."""
    group = key.partition(".")[0]
    if group in catalogue() and group not in (*groups, *top):
        command = "sbvi-evaluate" if group == "task" else "sbvi-train"
        return UserError(f"{group}= is a word of {command}: {command} --help {group}")
    if candidates := meant(key.rpartition(".")[2], groups):
        return UserError(
            f"{key}={value} is not a key by itself; give {' or '.join(f'{k}={value}' for k in candidates[:4])}."
        )
    return unknown_key(key, value, [*groups, *top])
