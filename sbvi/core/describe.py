"""What a spec's keys are, in words and plain data: for help, and for checks that need no import of what trains."""

import ast
import dataclasses
import importlib.metadata
import inspect
import textwrap
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

from sbvi.core.spec import Choice, NamesOf, Part, plain

#: Of a type of numbers: its name for one, and the name in a list.
_NAMES = {int: ("whole number", "whole numbers"), float: ("number", "numbers"), str: ("text", "texts")}
_BOUNDS = {"gt": "> {}", "ge": ">= {}", "lt": "< {}", "le": "<= {}"}


def describe(kind: type) -> dict[str, Any]:
    """A spec as plain data.

    Returns:
      sentence: the first of its docstring. words: fields that users name by a word of their own. keys: dotted key ->
      type, in words; default, as a config writes it, where there is one; allowed, the values of a closed choice;
      open, whether other values than those are allowed too; of, the package and version that has those names;
      sentence, its doc line.
    """
    words = [name for name, annotation in _annotations(kind).items() if _owns(annotation)]
    sentence = first_sentence(inspect.getdoc(kind) or "")
    return {"sentence": sentence, **({"words": words} if words else {}), "keys": _keys(kind, "", None)}


def first_sentence(text: str) -> str:
    """The first sentence of a docstring, on one line."""
    line = " ".join(text.split("\n\n")[0].split())
    end = line.find(". ")
    return (line if end < 0 else line[:end]).rstrip(".:") + "."


def _annotations(kind: type) -> dict[str, Any]:
    return {field.name: field.type for field in dataclasses.fields(kind)}


def _owns(annotation: Any) -> bool:
    return any(isinstance(part, Choice | Part) for part in getattr(annotation, "__metadata__", ()))


def _keys(kind: type, prefix: str, values: Mapping[str, Any] | None) -> dict[str, Any]:
    """The keys of a spec. values: the defaults where the spec is a part of another."""
    lines = _doc_lines(kind)
    keys: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        if _owns(field.type):
            continue
        given = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        default: Any = field.default if field.default is not dataclasses.MISSING else None
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        if values is not None:
            default = values[field.name]
        if isinstance(field.type, type) and dataclasses.is_dataclass(field.type):
            inner = plain(default) if dataclasses.is_dataclass(default) else default
            keys |= _keys(field.type, f"{prefix}{field.name}.", inner)
            continue
        default = plain(default) if dataclasses.is_dataclass(default) else default
        keys[f"{prefix}{field.name}"] = {
            "type": _words(field.type),
            **({"default": default} if given or values is not None else {}),
            **_choice(field.type),
            "sentence": " ".join(lines.get(field.name, "").split()),
        }
    return keys


def _doc_lines(kind: type) -> dict[str, str]:
    """Field -> the string below it, of a class and those that it inherits from."""
    lines: dict[str, str] = {}
    for cls in reversed(kind.__mro__):
        if not dataclasses.is_dataclass(cls):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
        assert isinstance(body, ast.ClassDef)
        for node, following in zip(body.body, body.body[1:], strict=False):
            if (
                isinstance(node, ast.AnnAssign)
                and isinstance(node.target, ast.Name)
                and isinstance(following, ast.Expr)
                and isinstance(following.value, ast.Constant)
            ):
                lines[node.target.id] = str(following.value.value)
    return lines


def _parts(annotation: Any) -> list[Any]:
    """The members of a union, or the type alone; None is left out."""
    if get_origin(annotation) in (typing.Union, types.UnionType):
        return [part for part in get_args(annotation) if part is not type(None)]
    return [annotation]


def _nullable(annotation: Any) -> bool:
    return type(None) in get_args(annotation) and get_origin(annotation) in (typing.Union, types.UnionType)


def _choice(annotation: Any) -> dict[str, Any]:
    """The values of a closed choice, and whether there is another way to give one; or names and whose they are."""
    for part in getattr(annotation, "__metadata__", ()):
        if isinstance(part, NamesOf):
            return {"allowed": sorted(part.names()), "of": _installed(part.package)}
    parts = _parts(annotation)
    values = [value for part in parts if get_origin(part) is Literal for value in get_args(part)]
    free = any(get_origin(part) is not Literal for part in parts) or _nullable(annotation)
    return {**({"allowed": values} if values else {}), **({"open": True} if values and free else {})}


def _installed(package: str) -> str:
    """A package and its version, where it tells one."""
    try:
        return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        return package


def holds(about: Mapping[str, Any]) -> bool:
    """Whether what is said to be allowed is so in this environment: names are those of one version of a package."""
    return "of" not in about or _installed(about["of"].partition(" ")[0]) == about["of"]


def _words(annotation: Any) -> str:
    said = " or ".join(_one(part) for part in _parts(annotation))
    return said + (" or null" if _nullable(annotation) else "")


def _one(annotation: Any, several: bool = False) -> str:
    """A type that is no union, in words."""
    if get_origin(annotation) is Literal:
        values = [str(value) for value in get_args(annotation)]
        return values[0] if len(values) == 1 else f"{'of ' if several else 'one of '}{', '.join(values)}"
    if get_origin(annotation) is tuple:
        inner = get_args(annotation)[0]
        within = " or ".join(_one(part, several=True) for part in _parts(inner))
        return f"list{'s' if several else ''} {'' if within.startswith('of ') else 'of '}{within}"
    if get_origin(annotation) is typing.Annotated:
        base, *extra = get_args(annotation)
        bounds = [
            text.format(getattr(rule, name))
            for part in extra
            for rule in getattr(part, "metadata", ())
            for name, text in _BOUNDS.items()
            if hasattr(rule, name)
        ]
        return " ".join([_one(base, several), " and ".join(bounds)]).strip()
    if annotation is bool:
        return "true or false"
    if get_origin(annotation) is dict:
        return "settings by name"
    if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
        return f"settings {', '.join(_annotations(annotation))}"
    return _NAMES[annotation][several] if annotation in _NAMES else str(annotation)
