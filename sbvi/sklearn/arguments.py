"""What the estimators' arguments may be, refused with the argument, its value and what is allowed."""

import functools
import numbers
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Allowed(NamedTuple):
    """A test of a value, and its words."""

    holds: Callable[[Any], bool]
    words: str


def _number(value: Any, kind: type = numbers.Real) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _whole(value: Any) -> bool:
    return _number(value, numbers.Integral) and value >= 1


def among(*names: str) -> Allowed:
    return Allowed(lambda value: isinstance(value, str) and value in names, ", ".join(names))


WHOLE = Allowed(_whole, "whole numbers of at least 1")
FRACTION = Allowed(lambda value: _number(value) and 0 < value < 1, "numbers above 0 and below 1")

#: Name of an argument -> what it may be.
ARGUMENTS = {
    "latents": WHOLE,
    "hidden": Allowed(
        lambda value: isinstance(value, Iterable) and not isinstance(value, str | bytes) and all(map(_whole, value)),
        "a tuple of whole numbers of at least 1",
    ),
    "continuous": among("gaussian", "student_t"),
    "scale": among("learned", "predicted"),
    "columns": Allowed(
        lambda value: value is None or isinstance(value, Mapping), "None, or a dict from names to kinds"
    ),
    "steps": Allowed(lambda value: value is None or _whole(value), "None, or whole numbers of at least 1"),
    "batch_size": WHOLE,
    "learning_rate": Allowed(lambda value: _number(value) and 0 < value < float("inf"), "finite numbers above 0"),
    "bound_samples": WHOLE,
    "extra_missing": Allowed(lambda value: _number(value) and 0 <= value < 1, "numbers from 0 and below 1"),
    "validation": FRACTION,
    "samples": WHOLE,
    "guess": among("mean", "median", "mode"),
    "members": WHOLE,
    # What is no number is scikit-learn's to check; of greater ones JAX's keys have the low 32 bits alone.
    "random_state": Allowed(
        lambda value: not isinstance(value, numbers.Integral) or 0 <= int(value) < 2**32,
        f"whole numbers from 0 to {2**32 - 1}, None and NumPy's RandomState",
    ),
    # Of methods.
    "interval": FRACTION,
    "imputations": Allowed(lambda value: _number(value, numbers.Integral) and value >= 0, "whole numbers from 0"),
    "n_samples": WHOLE,
}


def checked(**given: Any) -> None:
    """Refuse an argument that cannot be used; those without an entry in ARGUMENTS are let through.

    Raises:
      ValueError: the argument, its value and what is allowed.
    """
    for name, value in given.items():
        allowed = ARGUMENTS.get(name)
        if allowed is not None and not allowed.holds(value):
            raise ValueError(f"{name}={value!r} cannot be used; allowed: {allowed.words}.")


def in_float32(method: Callable[P, T]) -> Callable[P, T]:
    """See `sbvi.core.precision.in_float32`; JAX is imported when the method is called, and not before."""

    @functools.wraps(method)
    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        from sbvi.core import precision

        return precision.in_float32(method)(*args, **kwargs)

    return called
