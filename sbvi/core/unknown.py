"""A key or group that a composed config has not, from Hydra's message: for the command line, and for Python."""

import re
import unicodedata
from collections.abc import Sequence

from sbvi.core.catalogue import below, owning, unknown_word
from sbvi.core.errors import UserError, cut, unknown_key


def unknown_override(
    text: str, overrides: Sequence[str], groups: Sequence[str], keys: Sequence[str], words: Sequence[str]
) -> UserError | None:
    """The sentence for a key or group that there is none of; None where Hydra's message says another thing.

    Args:
      text: the message.
      overrides: what was given.
      groups: those that may be given.
      keys: what the config has beside them.
      words: what may be given beside them.
    """
    if match := re.search(r"Could not override '([^']+)'", text):
        return _unknown(match[1], overrides, groups, keys, words)
    if (open_value := unresolved(text, overrides)) is not None:
        return open_value
    if "No match in the defaults list" in text:
        return UserError(f"{text.splitlines()[0]} Allowed groups: {', '.join(groups)}.")
    return None


def unresolved(text: str, overrides: Sequence[str] = ()) -> UserError | None:
    """The sentence for a value that asks for another, such as `${oc.env:NAME}`, which is not there, from OmegaConf's
    message; None where that says another thing."""
    if (match := re.match(r"(.*[iI]nterpolation.*)\s+full_key: (\S+)", text)) is None:
        return None
    why, key = match.groups()
    value = value_of(key, overrides)
    said = f"{key}={value}" if value else key
    if asked := re.match(r"Interpolation key '([^']*)' not found", why):
        return UserError(f"{said} asks for the value of {asked[1]}, which is no key of the config.")
    if asked := re.search(r"Environment variable '([^']*)' not found", why):
        return UserError(f"{said} asks for the environment variable {asked[1]}, which is not set.")
    return UserError(f"{said} cannot be resolved: {why.strip().rstrip('.')}.")


def strange_letter(word: str) -> UserError | None:
    """The sentence for bytes that are no letters, or a letter of a key that Hydra takes in none, such as one that looks
    like another; None where there is none."""
    if re.search("[\ud800-\udfff]", word):  # what Python makes of such bytes
        return UserError(f"{word} is not UTF-8 text; give a name that is.")
    key, equals, _ = word.partition("=")
    odd = next((letter for letter in key if not letter.isascii()), None)
    if not equals or odd is None:
        return None
    name = unicodedata.name(odd, "of no name").lower()
    return UserError(f"{word}: the key has the letter {odd} ({name}); allowed in keys: a-z, A-Z, 0-9, _ and dots.")


def of_another_kind(error: BaseException) -> UserError | None:
    """The sentence for a value that cannot stand where it is given: in our own keys no list or group of settings, in
    Hydra's what OmegaConf says of it; None where Hydra says another thing."""
    if (match := re.match(r"Error merging override (\S.*)", str(error))) is None:
        return None
    word = match[1]
    key, _, value = word.partition("=")
    if key.startswith("~"):  # Hydra's, of which each must be there
        return UserError(f"{cut(word)}: nothing stands for {key[1:]} where it is left out; give {key[1:]}=VALUE.")
    if key.startswith(("+", "hydra")):
        why = str(error.__cause__ or "").strip().splitlines()
        return UserError(f"{cut(word)} cannot be set" + (f": {why[0].rstrip('.')}." if why else "."))
    if not value.startswith("["):
        return UserError(f"{cut(word)} must be a list, in square brackets.")
    parts = [f"{key}.{part}" for part in below(key)]
    return UserError(
        f"{cut(word)} must be a group of settings" + (f": give one of {', '.join(parts)}." if parts else ".")
    )


def value_of(key: str, overrides: Sequence[str]) -> str:
    """What a key was given."""
    pairs = (word.lstrip("+~").partition("=") for word in overrides)
    return next((value for name, equals, value in pairs if equals and name == key), "")


def _unknown(
    key: str, overrides: Sequence[str], groups: Sequence[str], keys: Sequence[str], words: Sequence[str]
) -> UserError:
    value = value_of(key, overrides)
    group, _, _ = key.rpartition(".")
    top, _, rest = key.partition(".")
    known = [*groups, *keys]
    if top not in known or not group:
        return unknown_word(key, value, groups, words)
    if rest.partition(".")[0] in known:  # it stands by itself, whoever owns it in run.json
        return UserError(f"{key}={value} is given as {rest}={value}.")
    allowed = [f"{group}.{each}" for each in below(group)]
    chosen = next((a.split("=", 1)[1] for a in reversed(overrides) if a.startswith(f"{top}=")), None)  # as Hydra does
    if key in allowed:
        made = f"the {top} of this config" if chosen is None else f"{top}={chosen}"
        owners = ", ".join(owning(top, rest))
        listed = f"; --help {made} lists its own" if chosen is not None and below(top, chosen) else ""
        return UserError(f"{key}={value} is not a key of {made}, though of another: {top}={owners}{listed}.")
    owner, _, name = group.rpartition(".")
    if not allowed and owner and name in below(owner):  # such as an optimiser's further arguments
        return UserError(f"{key}={value} is not a key; what {group} has none of yet is added, as +{key}={value}.")
    for place, entry in ((group, chosen), (top, chosen), (group, None), (top, None)):  # an entry may have no keys
        if known := [f"{place}.{each}" for each in below(place, entry)]:
            return unknown_key(key, value, known)
    return unknown_key(key, value, [])
