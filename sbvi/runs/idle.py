"""Settings that change nothing as the others stand, refused before a run begins: whoever gives one expects an effect.

What a begun run recorded of them does no harm, and is read as ever.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from sbvi.core import UserError, plain
from sbvi.core.configs import spelled
from sbvi.core.plugins import wrong
from sbvi.runs.words import WORDS


@runtime_checkable
class HasIdle(Protocol):
    """A spec of which some fields have an effect under certain values of others alone."""

    def idle(self) -> dict[str, str]:
        """The fields that change nothing as the others stand -> the setting of the spec with which they would, which
        begins with its key, such as `kind=staged`."""


def check_idle(part: Any, path: str, words: Sequence[str] = ()) -> None:
    """Refuse a setting that changes nothing, of a spec or of those within it.

    Args:
      part: a spec.
      path: its key.
      words: of the command line, which may take its effect from what a config file sets: `optimizer.schedule.kind=
        constant` where an experiment has a cosine that ends somewhere.

    Raises:
      UserError: one of them is not its default.
    """
    typed = [word.lstrip("+").partition("=")[0] for word in words]
    if isinstance(part, HasIdle):
        spec: Any = part
        fields = [field.name for field in dataclasses.fields(spec)]
        idle: Any = spec.idle()  # which of an installed package's may be anything
        if not isinstance(idle, Mapping):
            raise wrong(type(part), "idle", idle, "a dict from fields that change nothing to settings")
        for name, needed in idle.items():
            if name not in fields or not isinstance(needed, str) or not re.match("[a-z_]+", needed):
                must = f"fields among {', '.join(fields)}, each with a setting such as 'kind=staged'"
                raise wrong(type(part), "idle", idle, must)
            ruling = f"{path}.{re.match('[a-z_]+', needed)[0]}"  # type: ignore[index]
            if ruling in typed and not any(f"{word}.".startswith(f"{path}.{name}.") for word in typed):
                continue
            for key, value, default in _given(part, name):
                raise UserError(
                    f"{path}.{key}={_shown(value)} has an effect with {path}.{needed} alone; allowed without: "
                    f"{_shown(default)}."
                )
    for field in dataclasses.fields(part):
        if dataclasses.is_dataclass(value := getattr(part, field.name)):
            check_idle(value, field.name if field.name in WORDS else f"{path}.{field.name}", words)


def _given(part: Any, name: str) -> list[tuple[str, Any, Any]]:
    """Key, value and default of what is not its default at or below a field."""
    field = next(field for field in dataclasses.fields(part) if field.name == name)
    value = getattr(part, name)
    default = field.default_factory() if callable(field.default_factory) else field.default
    if value == default:
        return []
    if type(value) is type(default) and dataclasses.is_dataclass(value):
        own = [
            (below.name, getattr(value, below.name), getattr(default, below.name))
            for below in dataclasses.fields(value)
        ]
        return [(f"{name}.{key}", found, usual) for key, found, usual in own if found != usual]
    return [(name, value, default)]


def _shown(value: Any) -> str:
    return spelled(plain(value) if dataclasses.is_dataclass(value) else value)
