"""Types and ranges of a group's values, checked by what the catalogue says of its keys, before what trains is imported.

Of each entry a small spec is made with the keys whose type the catalogue tells whole: numbers, texts, truth values, the
values of a closed choice, lists of these, and unions; so a wrong value meets the check, and the sentence, that the
entry's own spec has. All else waits for that one.
"""

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Union

import pydantic

from sbvi.core.spec import make, spec

_KINDS: dict[str, Any] = {"whole number": int, "number": float, "text": str, "true or false": bool}
_BOUNDS = {">": "gt", ">=": "ge", "<": "lt", "<=": "le"}
_PLAIN = re.compile(r"(whole number|number|text|true or false)(s?)((?: (?:and )?[<>]=? [\d.]+)*)")
#: Values of a closed choice in a list, which are texts for sure: `1` and `True` may be none.
_VALUE = r"(?!True\b|False\b)[A-Za-z_]\w*"
_VALUES = re.compile(f"{_VALUE}(?:, {_VALUE})+")
#: Between the members of a union: not the `or` of `true or false`.
_OR = re.compile(r"(?<!\btrue) or ")


def annotation(words: str, allowed: Sequence[Any] = ()) -> Any:
    """The type that `sbvi.core.describe` puts in these words; None where they do not tell it whole.

    allowed: the values of a closed choice, as the catalogue has them beside the type.
    """
    said = _OR.split(words)
    nullable = said[-1] == "null"
    members: list[Any] = []
    for part in said[: len(said) - nullable]:
        more = _plain(part, several=True)
        if more is not None and members and isinstance(members[-1], _List):  # of the list that is begun
            members[-1].inner.append(more)
            continue
        member = _listed(part) if part.startswith("list of ") else _plain(part) or _chosen(part, allowed)
        if member is None:
            return None
        members.append(member)
    kinds = [member.kind() if isinstance(member, _List) else member for member in members]
    return None if not kinds else Union[(*kinds, None) if nullable else tuple(kinds)]  # noqa: UP007  (of many)


class _List:
    """A list of which the words have told so much; of a union, if more follows."""

    def __init__(self, inner: Any):
        self.inner = [inner]

    def kind(self) -> Any:
        return tuple[Union[tuple(self.inner)], ...]  # type: ignore[misc]  # noqa: UP007


def _plain(words: str, several: bool = False) -> Any:
    """A number, a text or a truth value, in the singular or the plural."""
    match = _PLAIN.fullmatch(words)
    if match is None or bool(match[2]) != several:
        return None
    kind = _KINDS[match[1]]
    bounds = {_BOUNDS[sign]: kind(limit) for sign, limit in re.findall(r"([<>]=?) ([\d.]+)", match[3])}
    return Annotated[kind, pydantic.Field(**bounds)] if bounds else kind


def _listed(words: str) -> Any:
    """A list of plain values, of values of a closed choice, or of lists of plain values."""
    inner = words.removeprefix("list of ")
    if inner.startswith("lists of "):
        within: Any = _plain(inner.removeprefix("lists of "), several=True)
        return None if within is None else tuple[tuple[within, ...], ...]
    if _VALUES.fullmatch(inner):
        return tuple[Literal[tuple(inner.split(", "))], ...]  # type: ignore[misc]
    within = _plain(inner, several=True)
    return None if within is None else _List(within)


def _chosen(words: str, allowed: Sequence[Any]) -> Any:
    """The values of a closed choice, which the catalogue has as they are."""
    values = words.removeprefix("one of ").split(", ")
    return Literal[tuple(allowed)] if allowed and values == list(map(str, allowed)) else None


def check_values(group: str, values: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Refuse values of a wrong type or out of range.

    Args:
      group: the group's name.
      values: what its config holds, as nested plain data.
      known: dotted key -> what the catalogue says of it.

    Raises:
      UserError: as the entry's spec would; without those keys that are no plain ones.
    """
    types, kind = _spec(tuple((key, about["type"], *_allowed(about)) for key, about in known.items()))
    make(kind, _only(values, types), group)


@functools.cache  # a sweep's jobs ask again and again
def _spec(known: tuple[tuple[Any, ...], ...]) -> tuple[Mapping[str, Any], type]:
    """The types by name, those of parts in mappings of their own; and the spec of them.

    known: key, type in words and allowed values.
    """
    types: dict[str, Any] = {}
    for key, words, *allowed in known:
        *path, name = key.split(".")
        place = types
        for part in path:
            place = place.setdefault(part, {})
        if (kind := annotation(words, allowed)) is not None:
            place[name] = kind
    return types, _made(types)


def _allowed(about: Mapping[str, Any]) -> Sequence[Any]:
    """The values of a closed choice that are told of a type; names of a package's are texts."""
    return () if "of" in about else about.get("allowed", ())


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
