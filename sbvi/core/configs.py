"""Where the config files are, how Hydra reads them and spells values, and what it says of a group's choice, as a
sentence."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sbvi.core.errors import UserError, choices, cut


def config_folder() -> Path:
    """The configs: inside the installed package, or beside it in a source tree."""
    package = Path(__file__).resolve().parents[1]
    return next((f for f in (package / "configs", package.parent / "configs") if f.is_dir()), package / "configs")


def hydra_defaults() -> dict[str, str]:
    """The words of `hydra.main` and its like by which Hydra 1.3 takes its own defaults, as later ones do untold."""
    import hydra

    return {"version_base": "1.3"} if hydra.__version__.startswith("1.3.") else {}


def spelled(value: Any) -> str:
    """A setting, of plain data, as it is written on the command line."""
    return value if isinstance(value, str) else json.dumps(value)


def takes_one(word: str, group: str) -> str:
    """The beginning of the sentence for a list where a group's entry is chosen."""
    return f"{word} names entries of a group that takes one: give {group}=NAME"


def refused(text: str, overrides: Sequence[str]) -> UserError | None:
    """The sentence for a choice that a config group has not, or a key below one that is a list, from Hydra's message;
    None where it says another thing."""
    if match := re.search(r"Could not find '([^']+)/([^'/]*)'", text):
        return choices(match[1], match[2], re.findall(r"^\t(\S+)$", text, re.MULTILINE))
    if "Config group override must be" in text:
        pairs = [word.lstrip("+").partition("=") for word in overrides]
        chosen = [(key, value) for key, _, value in pairs if (config_folder() / key).is_dir()]
        words = [f"{key}={value}" for key, value in chosen if not (config_folder() / key / f"{value}.yaml").is_file()]
        odd = [word for word in words if re.search(r"=(null|none|true|false|inf|nan|[^a-z].*)$", word, re.IGNORECASE)]
        return UserError(f"{cut(' '.join(odd or words))}: a group of settings is chosen by a name; leave the word out.")
    if match := re.search(r"invalid literal for int\(\) with base 10: '([^']+)'", text):
        for word in overrides:
            owner, dot, name = word.lstrip("+").partition("=")[0].rpartition(".")
            if dot and name == match[1]:
                return UserError(f"{cut(word)}: {owner} is a list here, which has no keys; give {owner} whole.")
    return None
