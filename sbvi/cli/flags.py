"""The flags among a command's words, which are Hydra's."""

import difflib
from collections.abc import Iterator, Sequence

from sbvi.core.errors import UserError

#: Hydra's flags, each with the values of which one follows it: none, ANY, or these.
ANY = ("VALUE",)
FLAGS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("--help", "-h", "--hydra-help", "--version", "--resolve", "--run", "-r"), ()),
    **dict.fromkeys(("--multirun", "-m", "--shell-completion", "-sc"), ()),
    **dict.fromkeys(("--package", "-p", "--config-path", "-cp", "--config-name", "-cn"), ANY),
    **dict.fromkeys(("--config-dir", "-cd", "--experimental-rerun"), ANY),
    **dict.fromkeys(("--cfg", "-c"), ("job", "hydra", "all")),
    **dict.fromkeys(("--info", "-i"), ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")),
}
#: Those that stand for their first value where none follows.
ALONE = ("--info", "-i")


def words_of(arguments: Sequence[str]) -> tuple[list[str], set[str]]:
    """The overrides among the arguments, and the flags that were given.

    Raises:
      UserError: a flag that Hydra does not have, or without its value.
    """
    parts = list(_parts(arguments))
    words = [word for word, *_ in parts if not word.startswith("-")]
    return words, {flag.partition("=")[0] for flag, *_ in parts if flag.startswith("-")}


def named(arguments: Sequence[str], flags: Sequence[str]) -> list[str]:
    """The values that flags have, such as --config-dir.

    Raises:
      UserError: a flag that Hydra does not have, or without its value.
    """
    split = (part if len(part) > 1 else part[0].partition("=")[::2] for part in _parts(arguments))
    return [value for flag, value in split if flag in flags]


def flags_first(arguments: Sequence[str]) -> list[str]:
    """The arguments with flags, and the values that follow them, before the words, where a flag stands between words:
    the parser would take what comes after it for words of another program.

    Raises:
      UserError: a flag that Hydra does not have, or without its value.
    """
    parts = list(_parts(arguments))
    return [each for flags in (True, False) for part in parts if part[0].startswith("-") == flags for each in part]


def _parts(arguments: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Each word, and each flag with the value that follows it."""
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        flag, equals, value = argument.partition("=")
        allowed = FLAGS.get(flag, ())
        if not argument.startswith("-"):
            yield (argument,)
        elif flag not in FLAGS:
            near = difflib.get_close_matches(flag, FLAGS, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            known = ", ".join(sorted(name for name in FLAGS if name.startswith("--")))
            raise UserError(f"{flag} is not a flag{hint}; settings are given as KEY=VALUE; flags: {known}.")
        elif not allowed:
            yield (argument,)
        elif flag in ALONE and not equals and (not rest or rest[0] not in allowed):
            yield (flag, allowed[0])
        else:
            if not equals:
                value = rest.pop(0) if rest else ""
            if not value or (allowed != ANY and value not in allowed):
                said, which = f"{flag} {value}".rstrip(), "any" if allowed == ANY else ", ".join(allowed)
                raise UserError(f"{said}: {flag} needs a value; allowed: {which}, as in {flag} {allowed[0]}.")
            yield (argument,) if equals else (flag, value)
