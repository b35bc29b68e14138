"""The catalogue of `sbvi.core.catalogue`: how it is made, and a composed config checked by it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sbvi.cli.values import check_values
from sbvi.core.catalogue import CHANGES, SETTINGS, catalogue, unknown_word
from sbvi.core.describe import describe, holds
from sbvi.core.errors import UserError, choices, cut, unknown_key
from sbvi.core.plugins import adding


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
                raise UserError(
                    f"{group}.{key}={cut(value)} must be a group of settings: give one of {', '.join(parts)}."
                )
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
