"""Types and ranges of a group's values, checked by what the catalogue says of its keys, before what trains is imported.

Of each entry a small spec is made with the keys whose type is plain, a number, a text, a truth value or a list of
these; so a wrong value meets the check, and the sentence, that the entry's own spec has. All else waits for that one.
"""

import functools
import re
from collections.abc import Mapping
from typing import Annotated, Any

import pydantic

from sbvi.core.spec import make, spec

_KINDS: dict[str, Any] = {"whole number": int, "number": float, "text": str, "true or false": bool}
_BOUNDS = {">": "gt", ">=": "ge", "<": "lt", "<=": "le"}
_TYPE = re.compile(r"(list of )?(whole number|number|text|true or false)(s?)((?: (?:and )?[<>]=? [\d.]+)*)( or null)?")


def annotation(words: str) -> Any:
    """The type that `sbvi.core.describe` puts in these words; None of one that is not plain."""
    match = _TYPE.fullmatch(words)
    if match is None or bool(match[1]) != bool(match[3]):
        return None
    kind = _KINDS[match[2]]
    bounds = {_BOUNDS[sign]: kind(limit) for sign, limit in re.findall(r"([<>]=?) ([\d.]+)", match[4])}
    made: Any = Annotated[kind, pydantic.Field(**bounds)] if bounds else kind
    if match[1]:
        made = tuple[made, ...]
    return made | None if match[5] else made


def check_values(group: str, values: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Refuse values of a wrong type or out of range.

    Args:
      group: the group's name.
      values: what its config holds, as nested plain data.
      known: dotted key -> what the catalogue says of it.

    Raises:
      UserError: as the entry's spec would; without those keys that are no plain ones.
    """
    types, kind = _spec(tuple((key, about["type"]) for key, about in known.items()))
    make(kind, _only(values, types), group)


@functools.cache  # a sweep's jobs ask again and again
def _spec(known: tuple[tuple[str, str], ...]) -> tuple[Mapping[str, Any], type]:
    """The plain types by name, those of parts in mappings of their own; and the spec of them."""
    types: dict[str, Any] = {}
    for key, words in known:
        *path, name = key.split(".")
        place = types
        for part in path:
            place = place.setdefault(part, {})
        if (kind := annotation(words)) is not None:
            place[name] = kind
    return types, _made(types)


def _made(types: Mapping[str, Any]) -> type:
    """A spec of these keys, of which none need be given."""
    kinds = {name: _made(kind) if isinstance(kind, dict) else kind for name, kind in types.items()}
    return spec(type("Values", (), {"__annotations__": kinds, **dict.fromkeys(kinds)}))


def _only(values: Mapping[str, Any], types: Mapping[str, Any]) -> dict[str, Any]:
    """The values of keys that have a type here; parts that are no group of settings are left to the whole check."""
    kept = {}
    for key, value in values.items():
        if isinstance(types.get(key), dict):
            if isinstance(value, Mapping):
                kept[key] = _only(value, types[key])
        elif key in types and value is not None:  # what null stands for may depend on what else is chosen
            kept[key] = value
    return kept
