"""From a mapping of plain values to a checked, frozen object.

Every choice a config can make (a data set, a model, an objective, the trainer ...) is a frozen
dataclass decorated with `spec`. Its fields are its config keys. The room that owns a group keeps a
registry, a plain dict from name to spec; `build` reads `name` from a config group, finds the spec,
and turns every fault into one sentence. Nothing is imported or called by a name from the config. By a method `idle` a
spec may say which of its fields change nothing as the others stand (`sbvi.runs.idle`).
"""

import dataclasses
import functools
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, TypeVar, cast, dataclass_transform, get_args

import pydantic
from pydantic.dataclasses import dataclass as _dataclass
from pydantic_core import core_schema

from sbvi.core.errors import LARGEST, UserError, choices, unknown_key
from sbvi.core.plugins import settle

T = TypeVar("T")


class AnySize:
    """Beside the type of a whole number that counts nothing, such as a seed of NumPy's generators."""


PositiveInt = Annotated[int, pydantic.Field(gt=0)]
NonNegativeInt = Annotated[int, pydantic.Field(ge=0)]
#: A seed of NumPy's generators, which take whole numbers of any size.
NumPySeed = Annotated[int, pydantic.Field(ge=0), AnySize()]
#: JAX's keys have the low 32 bits of a seed alone: greater ones would draw as smaller ones do.
Seed = Annotated[int, pydantic.Field(ge=0, lt=2**32)]
Positive = Annotated[float, pydantic.Field(gt=0)]
NonNegative = Annotated[float, pydantic.Field(ge=0)]
Probability = Annotated[float, pydantic.Field(ge=0, lt=1)]
Fraction = Annotated[float, pydantic.Field(gt=0, lt=1)]
Share = Annotated[float, pydantic.Field(ge=0, le=1)]


@dataclass_transform(frozen_default=True, kw_only_default=True)
def spec(cls: type[T]) -> type[T]:
    """Make a frozen, keyword-only dataclass whose values are checked when it is made."""
    settings = pydantic.ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    made: Any = _dataclass(cls, frozen=True, kw_only=True, config=settings)
    return made


class Choice:
    """The type of a field that holds an entry of a registry: `Annotated[Kind, Choice("likelihood", LIKELIHOODS)]`.

    In plain data it is a mapping with the entry's `name`; None stands for what is chosen later.
    """

    def __init__(self, group: str, registry: Mapping[str, type]):
        self.group, self.registry = group, registry

    def _made(self, value: Any) -> Any:
        if value is None or isinstance(value, tuple(self.registry.values())):
            return value
        if not isinstance(value, Mapping):
            raise UserError(f"{self.group}={value} must be a group of settings with a name.")
        return build(self.registry, self.group, value)

    def _plain(self, value: Any) -> Any:
        return None if value is None else {"name": name_of(self.registry, value), **plain(value)}

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        written = core_schema.plain_serializer_function_ser_schema(self._plain)
        return core_schema.no_info_plain_validator_function(self._made, serialization=written)


class Part:
    """The type of a field that holds settings which users name by a word of their own, such as `optimizer`."""

    def __init__(self, word: str, kind: type):
        self.word, self.kind = word, kind

    def _made(self, value: Any) -> Any:
        return value if isinstance(value, self.kind) else make(self.kind, value, self.word)

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        written = core_schema.plain_serializer_function_ser_schema(plain)
        return core_schema.no_info_plain_validator_function(self._made, serialization=written)


class NamesOf:
    """Beside the type of a text that is to be one of the names which a package of others' has:
    `Annotated[str, NamesOf("optax", factories)]`.

    The spec itself refuses other names. This tells them to help and to the first check of a config, which import
    neither; another version of the package may have others.
    """

    def __init__(self, package: str, names: Callable[[], Iterable[str]]):
        self.package, self.names = package, names


def name_of(registry: Mapping[str, type], entry: Any) -> str:
    """The name under which the entry's class stands in a registry."""
    return next(name for name, kind in registry.items() if type(entry) is kind)


@functools.cache
def _adapter(cls: Any) -> pydantic.TypeAdapter[Any]:
    return pydantic.TypeAdapter(cls)


def fields(cls: type) -> dict[str, Any]:
    """The config keys of a spec, with their types."""
    if not dataclasses.is_dataclass(cls):
        return {}
    return {field.name: field.type for field in dataclasses.fields(cls)}


def make(cls: type[T], values: Mapping[str, Any], where: str) -> T:
    """Check plain values against a spec and build it.

    Args:
      cls: a class decorated with `spec`.
      values: plain data (numbers, strings, lists, mappings, None).
      where: the config path of the values, for messages; may be empty.

    Raises:
      UserError: a key, type or value is wrong; the sentence names the key.
    """
    try:
        # JSON mode is strict about types yet reads a list as a tuple, as a config needs.
        result: T = _adapter(cast(Any, cls)).validate_json(json.dumps(dict(values)))
    except TypeError as error:
        raise UserError(f"{where or 'the config'} holds a value that is not plain data: {error}.") from None
    except pydantic.ValidationError as error:
        raise sentence(error, cls, values, where) from None
    _check_whole(result, where)
    return result


def _check_whole(value: Any, path: str) -> None:
    """Refuse numbers of things that no array has so many of, nor a loop: NumPy and JAX have no room for them, and say
    so in many ways.

    Raises:
      UserError: the first of them.
    """
    if isinstance(value, int) and value > LARGEST:
        raise UserError(f"{path}={value} must be a whole number of at most {LARGEST}.")
    if isinstance(value, tuple):
        for place, each in enumerate(value):
            _check_whole(each, f"{path}[{place}]")
    elif dataclasses.is_dataclass(value):
        for key, kind in fields(type(value)).items():
            if not any(isinstance(beside, AnySize) for beside in getattr(kind, "__metadata__", ())):
                _check_whole(getattr(value, key), f"{path}.{key}" if path else key)


def build(registry: Mapping[str, type[T]], group: str, values: Mapping[str, Any]) -> T:
    """Build the registry's entry that `values['name']` names from the remaining values."""
    rest = dict(values)
    name = rest.pop("name", None)
    if isinstance(name, str) and name not in registry:
        settle()
    if not isinstance(name, str) or name not in registry:
        raise choices(f"{group}.name", name, registry)
    return make(registry[name], rest, group)


def plain(value: Any) -> Any:
    """A spec as plain data, ready for JSON."""
    return _adapter(cast(Any, type(value))).dump_python(value, mode="json")


def sentence(error: pydantic.ValidationError, cls: type, values: Mapping[str, Any], where: str) -> UserError:
    """What is wrong with the first of a spec's values, by its key; see `make`."""
    errors = error.errors(include_url=False)
    first = errors[0]
    if first["type"].startswith("missing"):
        # Perhaps since it is there by another name, which is then the thing to tell.
        beside = [each for each in errors if each["loc"][:-1] == first["loc"][:-1]]
        first = next((each for each in beside if each["type"] == "unexpected_keyword_argument"), first)
    loc = [str(part) for part in first["loc"] if str(part) in _keys(values) or isinstance(part, int)]
    if first["type"] in ("missing", "unexpected_keyword_argument", "missing_keyword_only_argument"):
        loc = [str(part) for part in first["loc"]]
    path = _path(where, loc, values) or "the config"
    more = f" ({len(errors) - 1} more like this)" if len(errors) > 1 else ""
    if first["type"] == "unexpected_keyword_argument":
        owner = _owner(cls, loc[:-1])
        below = [".".join([where] * bool(where) + [*loc[:-1], key]) for key in fields(owner)]
        return unknown_key(path, json.dumps(first["input"], default=str), below)
    if first["type"].startswith("missing"):
        return UserError(f"{path} must be given{more}.")
    message = first["msg"].removeprefix("Input ").removeprefix("Value error, ").rstrip(".")
    shown = json.dumps(first["input"], default=str)
    if first["type"] == "literal_error":
        return choices(path, first["input"], re.findall(r"'([^']*)'", first["ctx"]["expected"]))
    if first["type"] in ("dataclass_type", "dataclass_exact_type"):
        parts = ", ".join(f"{path}.{key}" for key in fields(_owner(cls, loc)))
        return UserError(f"{path}={shown[:80]} must be a group of settings: give one of {parts}{more}.")
    if first["type"] == "tuple_type":
        if len(loc) == 1 and isinstance(first["input"], Mapping):  # of settings in a list's place what is wrong in them
            for kind in filter(dataclasses.is_dataclass, get_args(fields(cls)[loc[0]])):
                make(cast(type, kind), first["input"], path)
        example = f", such as {path}=[{first['input']}]" if _serves_in_a_list(cls, loc, first["input"]) else ""
        return UserError(f"{path}={shown[:80]} must be a list{example}{more}.")
    if first["type"] == "value_error":
        return UserError(f"{where + ': ' if where else ''}{message}{more}.")
    return UserError(f"{path}={shown[:80]} {message}{more}.")


def _path(where: str, loc: list[str], values: Any) -> str:
    """The key as a user would point to it: `model.latents[1]` is the second of a list."""
    path, inside = where, values
    for part in loc:
        in_list = isinstance(inside, list | tuple) and part.isdigit()
        path += f"[{part}]" if in_list else f".{part}" if path else part
        inside = inside[int(part)] if in_list else inside.get(part) if isinstance(inside, Mapping) else None
    return path


def _serves_in_a_list(cls: type, loc: list[str], value: Any) -> bool:
    """Whether a list of the value alone would do at a key of the spec."""
    if len(loc) != 1 or value is None:
        return False
    try:
        _adapter(cast(Any, cls)).validate_json(json.dumps({loc[0]: [value]}))
    except pydantic.ValidationError as error:
        return all(each["loc"][:1] != (loc[0],) for each in error.errors(include_url=False))
    return True


def _keys(values: Any) -> set[str]:
    """Every mapping key in nested plain data: tells config keys from pydantic's union tags."""
    if isinstance(values, Mapping):
        return set(map(str, values)).union(*(_keys(v) for v in values.values()))
    return set()


def _owner(cls: type, path: list[str]) -> type:
    for part in path:
        kind = fields(cls).get(part)
        if isinstance(kind, type):
            cls = kind
    return cls
