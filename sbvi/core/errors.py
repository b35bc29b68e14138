"""The one kind of exception that is meant for a person: a sentence, not a traceback."""

import difflib
import numbers
from collections.abc import Iterable


class UserError(Exception):
    """Something the user gave cannot be used: the sentence names it, its value and what is allowed.

    abrupt: the process must end at once, without what libraries do at its end.
    """

    abrupt = False


def choices(name: str, value: object, allowed: Iterable[str]) -> UserError:
    """The error for a name that is not among the allowed ones, with the nearest as a suggestion."""
    allowed = sorted(allowed)
    near = difflib.get_close_matches(str(value), allowed, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return UserError(f"{name}={value} is not known{hint}; allowed: {', '.join(allowed)}.")


def unknown_key(key: str, value: object, allowed: Iterable[str]) -> UserError:
    """The error for a key that is not among the allowed ones, with the nearest as a suggestion."""
    allowed = sorted(allowed)
    near = difflib.get_close_matches(key, allowed, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return UserError(f"{key}={value} is not a key{hint}; allowed: {', '.join(allowed) or 'none'}.")


def check_seed(value: object) -> None:
    """Refuse what is no seed of a run.

    Raises:
      UserError: it is no whole number of 31 bits.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31:
        raise UserError(f"seed={value} must be a whole number of 0..{2**31 - 1}.")


def at_least_one(value: object, name: str) -> int:
    """A number of things that a caller gives.

    Raises:
      UserError: it is no whole number, or below 1.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise UserError(f"{name}={value!r} must be a whole number of at least 1.")
    return int(value)
