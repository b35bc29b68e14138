"""Words of a command line with text in them, as a shell and then Hydra read them."""

import re
import shlex

#: Text that Hydra reads as it stands: it starts with a letter or a slash, and is no name of another value.
PLAIN = re.compile(r"(?!(?:null|true|false|inf|nan)$)[A-Za-z/]([A-Za-z0-9_./+\- ]*[A-Za-z0-9_./+\-])?", re.IGNORECASE)


def word(key: str, value: str) -> str:
    """KEY=VALUE of text, for a shell."""
    return shlex.quote(argument(key, value))


def quoted(key: str, value: str) -> str:
    """The same, in Hydra's quotes whatever the text is."""
    return shlex.quote(_in_quotes(key, value))


def argument(key: str, value: str) -> str:
    """KEY=VALUE of text, for Hydra: in its quotes where it has another use for something in the text."""
    return f"{key}={value}" if PLAIN.fullmatch(value) else _in_quotes(key, value)


def text(value: str) -> str:
    """The text of a value that may stand in Hydra's quotes, `argument`'s among them; of any other value itself."""
    if len(value) < 2 or value[0] not in "'\"" or value[-1] != value[0]:
        return value
    quote, inside = value[0], value[1:-1]
    inside = re.sub(rf"(\\+)({quote}|$)", lambda found: found[1][: len(found[1]) // 2] + found[2], inside)
    return re.sub(r"(\\+)\$\{", lambda found: found[1][: len(found[1]) // 2] + "${", inside)


def _in_quotes(key: str, value: str) -> str:
    # In Hydra's quotes a backslash is one but before a quote, and so in OmegaConf's texts but before ${.
    escaped = re.sub(r"(\\*)\$\{", lambda found: found[1] * 2 + r"\${", value)
    escaped = re.sub(r'(\\*)("|$)', lambda found: found[1] * 2 + found[2].replace('"', '\\"'), escaped)
    return f'{key}="{escaped}"'
