"""The one kind of exception that is meant for a person: a sentence, not a traceback."""

import difflib
import json
import numbers
import re
from collections.abc import Iterable, Sequence

#: What people call a key elsewhere.
ALIASES = {
    "lr": "optimizer.learning_rate",
    "batch": "trainer.batch_size",
    "epoch": "trainer.epochs",
    "latent_dim": "model.latents",
    "hidden_sizes": "model.hidden",
    "beta": "objective.kl_weight.beta",
    "data": "dataset",
    "device": "runtime.platform",
    "gpus": "runtime.devices",
}


#: The largest whole number of things: up to it a float holds every whole number. And what 32 bits count.
LARGEST, COUNTED = 2**53, 2**31 - 1

#: Letters of a value that a sentence repeats, at most.
MOST = 200
#: Keys that a sentence lists, at most, where it names the nearest.
MOST_LISTED = 30

#: What the text begins with that JAX makes an error of, where a callback of the host's raises.
TRACEBACK = "Traceback (most recent call last):"


class UserError(Exception):
    """Something the user gave cannot be used: the sentence names it, its value and what is allowed.

    abrupt: the process must end at once, without what libraries do at its end.
    """

    abrupt = False


def reason(error: BaseException) -> str:
    """An exception's kind and what it says, in a line without its last full stop; where it says the traceback of
    another, as one of a callback does, that other's."""
    said = str(error).strip()
    _, there, frames = said.rpartition(TRACEBACK)
    actual = [line for line in frames.splitlines() if line[:1].strip()] if there else []  # frames are indented
    line = actual[0] if actual else ": ".join([type(error).__name__, *said.splitlines()[:1]])
    return line.strip().rstrip(".:")


def of_jax(error: BaseException) -> UserError | None:
    """The sentence for a variable of the environment that sets JAX, with which it cannot be imported; None for another
    error."""
    if (match := re.fullmatch(r'Invalid value "(.*)" for JAX flag (\w+)', str(error))) is None:
        return None
    return UserError(f"{match[2].upper()}={cut(match[1])} is no value that JAX knows; correct it or leave it out.")


def cut(value: object) -> str:
    """A value as a sentence repeats it: of a long one the beginning."""
    said = str(value)
    return said if len(said) <= MOST else f"{said[:MOST]}..."


def choices(name: str, value: object, allowed: Iterable[str]) -> UserError:
    """The error for a name that is not among the allowed ones, with the nearest as a suggestion."""
    allowed = sorted(allowed)
    return UserError(f"{name}={cut(value)} is not known{hint(str(value), allowed)}; allowed: {', '.join(allowed)}.")


def unknown_key(key: str, value: object, allowed: Iterable[str]) -> UserError:
    """The error for a key that is not among the allowed ones, with the nearest as a suggestion, or the one that is
    called so elsewhere."""
    allowed = sorted(allowed)
    group, _, rest = key.partition(".")
    called = ALIASES.get(rest.rpartition(".")[2], "")
    near = hint(called if called in allowed and called.startswith(f"{group}.") else key, allowed)
    listed = ", ".join(allowed) or "none"
    if near and len(allowed) > MOST_LISTED:
        listed = f"{len(allowed)} keys, which --help {group} lists"
    return UserError(f"{key}={cut(value)} is not a key{near}; allowed: {listed}.")


def hint(given: str, allowed: Sequence[str]) -> str:
    """The nearest of what is allowed, whatever its case, as a question; nothing where none is near.

    Keys of one group are compared by what follows its name, which would make all of them alike.
    """
    group = given[: given.rfind(".") + 1]
    shared = len(group) if all(each.startswith(group) for each in allowed) else 0
    lower = {each[shared:].lower(): each for each in reversed(allowed)}
    near = difflib.get_close_matches(given[shared:].lower(), sorted(lower), n=1)
    return f" (did you mean {lower[near[0]]}?)" if near else ""


def check_seed(value: object) -> None:
    """Refuse what is no seed of a run.

    Raises:
      UserError: it is no whole number of 31 bits.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31:
        try:
            said = value if isinstance(value, str) else json.dumps(value)  # as the command line spells it
        except (TypeError, ValueError):  # which it has no words for
            said = repr(value)
        raise UserError(f"seed={cut(said)} must be a whole number of 0..{2**31 - 1}.")


def seed_of(value: object, name: str = "seed") -> int:
    """A seed that a caller gives.

    Raises:
      UserError: it is no whole number, or not one of 32 bits, of which JAX makes its keys: others would draw as these.
    """
    if not isinstance(value, numbers.Integral) or not 0 <= int(value) < 2**32:
        raise UserError(f"{name}={value!r} must be a whole number of 0..{2**32 - 1}.")
    return int(value)


def at_least_one(value: object, name: str, most: int = LARGEST) -> int:
    """A number of things that a caller gives.

    Raises:
      UserError: it is no whole number, below 1, or above the most that there may be.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or int(value) < 1:
        raise UserError(f"{name}={value!r} must be a whole number of at least 1.")
    if int(value) > most:
        raise UserError(f"{name}={value!r} must be at most {most}.")
    return int(value)
