"""What is wrong with a command line, in one sentence: before Hydra reads it, and from what Hydra says of it."""

import re
import shutil
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

from sbvi.cli.flags import named, words_of
from sbvi.cli.folders import FOLDERS
from sbvi.cli.help import Command, config_files
from sbvi.cli.hydra_keys import unknown_hydra
from sbvi.cli.quoting import quoted
from sbvi.core.catalogue import CHANGES, entries_of, is_list, is_text
from sbvi.core.config_names import check_names, searched
from sbvi.core.configs import refused, takes_one
from sbvi.core.errors import UserError
from sbvi.core.unknown import of_another_kind, strange_letter, unknown_override, value_of

#: What an option of Hydra's brings that is not installed: its name -> the extra of this package.
EXTRAS = {"joblib": "sweep", "optuna": "sweep", "submitit_slurm": "sweep", "submitit_local": "sweep"}
#: What sends jobs to a queue by SLURM's own commands.
SLURM = ("search=slurm", "hydra/launcher=submitit_slurm")
#: Flags by which something is told and nothing is run: of a single config, and of any command line.
OF_ONE, TOLD = {"--cfg", "-c", "--info", "-i"}, {"--help", "-h", "--hydra-help", "--version"}
#: Keys outside the groups that take any text.
TEXTS = ("init_from", "run", "decoder", "folder", "input", "output")
#: Of those and of Hydra's, keys of a folder or a file.
PLACES = (*TEXTS, *FOLDERS)
#: Flags that name a folder of config files beside ours, and one in their place.
CONFIG_DIR, CONFIG_PATH = ("--config-dir", "-cd"), {"--config-path", "-cp"}
#: What Hydra's completion can do for a shell.
COMPLETION = ("install=", "uninstall=", "query=")
#: What is said of a job that would run in its own folder.
CHDIR = "hydra.job.chdir=true is not for sbvi, whose paths are all those of the directory of the call; leave it out."
#: Before the keys that a search goes over.
PARAMS = "hydra.sweeper.params."
#: Choices of `search=` only make sense over several runs.
SEARCH = "search="


def check_arguments(arguments: Sequence[str], command: Command) -> None:
    """Refuse what Hydra would not read as it was meant.

    Raises:
      UserError: a word or flag that is none; a place without a name; a value that needs quotes; a sweep without
        --multirun, or for a queue that is not here; a config file whose name is taken.
    """
    words, flags = words_of(arguments)
    if not flags & CONFIG_PATH:
        check_names([*map(Path, named(arguments, CONFIG_DIR)), *searched(words)])
    several = bool(flags & {"--multirun", "-m"})
    if several and (single := flags & OF_ONE):
        raise UserError(
            f"{min(single)} shows the config of one run: leave out --multirun, and give each key one value."
        )
    if flags & {"-sc", "--shell-completion"} and not any(word.startswith(COMPLETION) for word in words):
        raise UserError("-sc needs what to do, and for which shell: install=bash, uninstall=bash; also zsh and fish.")
    for place, word in enumerate(words):
        if word.endswith("=") and word[:-1].lstrip("+") in PLACES:  # as of a shell's variable that is not set
            raise UserError(f"{word} names no place: give {word}PLACE, or leave the word out.")
        _check_word(word, words[place + 1 :], command, several)
        if several and word in SLURM and not flags & TOLD and shutil.which("srun") is None:
            raise UserError(
                f"{word} needs SLURM, whose srun is not found on this machine; hydra/launcher=sbvi in its place trains "
                f"the jobs here."
            )


def _check_word(word: str, following: Sequence[str], command: Command, several: bool) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    key, equals, value = word.partition("=")
    if (strange := strange_letter(word)) is not None:
        raise strange
    if equals and not re.fullmatch(r"[+~]*[\w$./@:-]+", key):
        raise UserError(
            f"{word} has no key of letters, digits, _ and dots before its =; a word is KEY=VALUE, such as seed=1, or "
            f"GROUP=NAME; {command.name} --help lists them."
        )
    if _open_brackets(value):
        taken = next((i for i in range(len(following)) if not _open_brackets(_joined(value, following[: i + 1]))), None)
        if taken is not None:  # the shell has cut a list at its spaces
            whole = f"{key}={_joined(value, following[: taken + 1])}"
            raise UserError(f"{word} is cut at a space: quote it, as '{whole}', or leave out the space.")
    _check_commas(word, value, following, several)
    try:
        override = OverridesParser.create().parse_override(word)
    except HydraException:
        raise _unread(word, key, equals, value, command) from None
    if override.is_range_sweep() and _empty(override.value()):
        raise UserError(f"{word} has no value, so that the sweep would have no job; range(4) is 0, 1, 2, 3.")
    if key.lstrip("+") in FOLDERS and re.search(r"(?<!\\)(?:\\\\)*\\\$\{", value):
        raise UserError(
            f"{word} names a folder with ${{ in its name, which Hydra takes for another value as soon as the folder is "
            f"used; give a name without it."
        )
    if key.lstrip("+") == "hydra.job.chdir" and override.value() is True:
        raise UserError(CHDIR)
    if override.is_delete() and not key.startswith("~hydra") and "." not in key:
        raise UserError(f"{word}: nothing can be left out with ~; a group or key that is not given has its default.")
    if override.is_sweep_override() and override.is_hydra_override():
        raise _several_of_hydra(word, key, value)
    if override.is_sweep_override() and not several:
        advice = f"; a list is written {key}=[{value}]" if is_list(key.lstrip("+")) else ""
        if key.lstrip("+") in TEXTS or is_text(key.lstrip("+")):
            advice = f"; text with a comma is written {quoted(key, value)}"
        raise UserError(f"{word} is a sweep over several values, which needs --multirun{advice}.")
    group = key.lstrip("+")
    if group in command.groups and group not in CHANGES and not all(map(_one_entry, _values(override))):
        raise UserError(f"{takes_one(word, group)}; --help {group} lists them.")
    if word.startswith(SEARCH) and not several and value in config_files("search"):
        raise UserError(f"{word} is for sweeps: add --multirun.")


def _several_of_hydra(word: str, key: str, value: str) -> UserError:
    """The sentence for several values of a key of Hydra's, which no sweep goes over."""
    text = f"text with a comma is written {quoted(key, value)}"
    listed = "" if key.lstrip("+") in FOLDERS else f"a list is written {key}=[{value}], and "
    advice = "" if "(" in value or "/" in key else f"; {listed}{text}"  # of a range or an entry there is none
    return UserError(f"{word} has several values, and a key of Hydra's takes one{advice}.")


def _empty(swept: Any) -> bool:
    """Whether a range of a sweep has no number."""
    return bool(swept.stop <= swept.start if swept.step > 0 else swept.step < 0 and swept.stop >= swept.start)


def _values(override: Any) -> list[Any]:
    """What a word gives: of a sweep between commas each value."""
    value = override.value()
    return list(getattr(value, "list", [value]))


def _one_entry(value: Any) -> bool:
    """Whether it is no list, or one of a single name, which Hydra takes as the name."""
    return not isinstance(value, list) or (
        len(value) == 1 and not isinstance(value[0], list | dict | int | float | None)
    )


def _check_commas(word: str, value: str, following: Sequence[str], several: bool) -> None:
    """Refuse values between commas that the shell has cut at their spaces."""
    whole, comma = word, re.search(r",$", value) if value[:1] not in ("'", '"') else None
    for part in following:
        if "=" in part or not (whole.endswith(",") or part.startswith(",")):
            break
        whole += part
    if whole != word:
        more = "" if several else ", and add --multirun, since several values are a sweep"
        raise UserError(f"{word} is cut at a space: leave the space out, as in {whole}{more}.")
    if comma and value.strip(","):
        raise UserError(f"{word} ends with a comma: several values of a sweep are written {word.rstrip(',')},VALUE.")


def _joined(value: str, following: Sequence[str]) -> str:
    return " ".join([value, *following])


def _open_brackets(text: str) -> bool:
    """Whether brackets are opened that are not closed."""
    return any(text.count(a) > text.count(b) for a, b in ("[]", "{}", "()"))


def _closing(text: str) -> str:
    """What closes the brackets that a list opens and leaves open; empty where it opens none, or closes another, or has
    quoted text, in which brackets are none."""
    left: list[str] = []
    if re.search(r"['\"\\]", text):
        return ""
    for mark in text if text[:1] in ("[", "{") else "":
        if mark in "[{(":
            left.append({"[": "]", "{": "}", "(": ")"}[mark])
        elif mark in "]})" and (not left or mark != left.pop()):
            return ""
    return "".join(reversed(left))


def _unread(word: str, key: str, equals: str, value: str, command: Command) -> UserError:
    """The sentence for a word outside Hydra's grammar."""
    if not equals:
        if owners := entries_of(word, command.groups):
            return UserError(f"{word} is not KEY=VALUE; give {' or '.join(f'{group}={word}' for group in owners)}.")
        return UserError(f"{word} is not KEY=VALUE, as in {command.groups[0]}=NAME; {command.name} --help lists them.")
    if value.startswith("~"):
        return UserError(
            f"{word}: the shell leaves ~ as it is within a word, and Hydra has another use for it; give "
            f'{key}="$HOME{value[1:]}".'
        )
    if re.fullmatch(r"\(.*\)", value) and is_list(key.lstrip("+")):
        inner = value[1:-1].strip().rstrip(",")
        return UserError(f"{word}: a list is written in square brackets, without spaces: {key}=[{inner}].")
    if missing := _closing(value):
        return UserError(f"{word} opens a bracket that is not closed; a list is written {key}={value}{missing}.")
    return UserError(
        f"{word} holds characters that Hydra reads as its own; quote the value twice: {quoted(key, value)}."
    )


def no_search(text: str, arguments: Sequence[str]) -> UserError | None:
    """The sentence for what a search is to go over, `hydra.sweeper.params.KEY=VALUES`, where none is chosen; None where
    OmegaConf's message says another thing."""
    word = next((word.lstrip("+") for word in arguments if word.lstrip("+").startswith(PARAMS)), None)
    if word is None or not text.startswith("Unexpected type for root"):
        return None
    key, _, value = word.removeprefix(PARAMS).partition("=")
    return UserError(
        f"{word} is for a search, and none is chosen: add search=NAME; a sweep takes {key}=VALUE,VALUE"
        + (f", as {key}={value[1:-1]}." if re.fullmatch(r"\[[^\s\[\]]*,[^\s\[\]]*\]", value) else ".")
    )


def without_own(in_place: Sequence[str], own: str, seen: Container[str]) -> str:
    """What is said after a mistake under a config that was named in the place of the command's own, where that one was
    not read; empty otherwise."""
    if not in_place or not seen or own in seen:
        return ""
    return (
        f" The config {in_place[0]} stands in the place of {own}.yaml: for what that one sets, its list `defaults:` "
        f"begins with `- {own}`."
    )


def sentence(error: BaseException, arguments: Sequence[str], command: Command) -> str:
    """What Hydra says over several lines, in one sentence."""
    if isinstance(error.__cause__, UserError):  # of a launcher of ours, which Hydra makes
        return str(error.__cause__)
    text = str(error)
    if (match := re.search(r"Could not override '(hydra[./][^']+)'", text)) is not None:
        return str(unknown_hydra(match[1], value_of(match[1], arguments), arguments))
    if (match := re.search(r"Could not find 'hydra/(sweeper|launcher)/([^'/]+)'", text)) and match[2] in EXTRAS:
        asked = next((a for a in arguments if a.startswith((SEARCH, "hydra/"))), f"hydra/{match[1]}={match[2]}")
        extra = EXTRAS[match[2]]
        return (
            f"{asked} needs the extra `{extra}`, which is not installed: pip install 'sbvi[{extra}]', or "
            f"pip install -e '.[{extra}]' in a clone."
        )
    if match := re.match(r"(\S+) appears more than once in the final defaults list", text):
        return (
            f"{match[1]} is chosen by two config files; one that stands over the other has override /{match[1]}: NAME."
        )
    if (other := of_another_kind(error)) is not None:
        return str(other)
    if (refusal := refused(text, arguments)) is not None:
        return str(refusal)
    if (unknown := unknown_override(text, arguments, command.groups, command.keys, command.words)) is not None:
        return str(unknown)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[:3]) or type(error).__name__
