"""What `--help` says: a command's words, its groups with a line for each entry, and every key of a group."""

import itertools
import json
import re
import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sbvi import __version__
from sbvi.cli.reader import tell
from sbvi.core.catalogue import CHANGES, SETTINGS, catalogue, meant, unknown_word
from sbvi.core.catalogue import keys as keys_of
from sbvi.core.config_names import check_names, packages
from sbvi.core.config_reading import told
from sbvi.core.configs import config_folder
from sbvi.core.errors import choices, unknown_key
from sbvi.core.plugins import OPEN

FLAGS = ("-h", "--help")


@dataclass(frozen=True)
class Command:
    """A command as its help tells it.

    own: its words and flags that belong to no group, each with its sentence. keys: those of them that are config keys.
    examples: command lines with what they do.
    """

    name: str
    sentence: str
    groups: Sequence[str]
    own: Mapping[str, str]
    keys: Sequence[str]
    examples: Mapping[str, str]

    @property
    def words(self) -> list[str]:
        """Its keys, and its words that are none of the config's, such as resume."""
        own = [word.partition("=")[0] for word in self.own if re.match(r"\w+=", word)]
        return [*self.keys, *(word for word in own if word not in self.keys)]


def asked(arguments: Sequence[str]) -> list[str] | None:
    """The words that help is asked for; None where it is not."""
    if not any(flag in arguments for flag in FLAGS):
        return None
    return [word for word in arguments if word not in FLAGS]


def help_text(command: Command, words: Sequence[str]) -> str:
    """The command's help, or that of the groups and keys named by `words`.

    Raises:
      UserError: a word is none of the command's, or a config file of the user's has a name that is taken.
    """
    folders = _own_folders(words)
    check_names(folders)
    named = [word for word in words if not word.startswith("-") and word not in map(str, folders)]
    if not named:
        return _whole(command, folders)
    return "\n\n".join(_of(command, word, folders) for word in named)


def _own_folders(words: Sequence[str]) -> list[Path]:
    """What --config-dir names."""
    told = [word.partition("=")[2] for word in words if word.startswith(("--config-dir=", "-cd="))]
    return [Path(name) for name in told + [b for a, b in itertools.pairwise(words) if a in ("--config-dir", "-cd")]]


def config_files(group: str, folders: Sequence[Path] = ()) -> dict[str, Path]:
    """A group's config files by name: ours, those of packages, and the user's own."""
    places = [config_folder(), *(folder for _, folder in packages()), *folders]
    files = {path.stem: path for place in places for path in sorted((place / group).glob("*.yaml"))}
    return {name: path for name, path in sorted(files.items()) if name not in ("auto", "default")}


def _text(path: Path) -> str:
    with told(path):
        return path.read_text(encoding="utf-8")


def _first_comment(path: Path) -> str:
    for line in _text(path).splitlines():
        if line.startswith("# ") and not line.startswith("# @"):
            return line[2:].strip()
        if line and not line.startswith("#"):
            break
    return ""


def _width() -> int:
    return max(60, min(120, shutil.get_terminal_size((100, 24)).columns))


def _line(left: str, text: str, indent: int = 2, column: int = 26) -> str:
    """Two columns, the second wrapped."""
    room = _width() - column
    lines = textwrap.wrap(text, max(24, room), break_on_hyphens=False, break_long_words=False) or [""]
    head = f"{' ' * indent}{left}"
    first = f"{head:<{column}}{lines[0]}" if len(head) < column else f"{head}\n{' ' * column}{lines[0]}"
    return "\n".join([first.rstrip(), *(f"{' ' * column}{line}" for line in lines[1:])])


def _whole(command: Command, folders: Sequence[Path]) -> str:
    parts = [command.sentence, "", "Words and flags of its own:"]
    parts += [_line(word, sentence) for word, sentence in command.own.items()]
    parts += [_line("-h, --help [WORD ...]", "this page; with a group, GROUP=NAME or a key, all that can be set there")]
    parts += [_line("--version", "the version of sbvi")]
    for group in command.groups:
        parts += ["", f"{group}=NAME" if group not in SETTINGS else f"{group}.KEY=VALUE"]
        if group in SETTINGS:
            entry = catalogue()[group][group]
            parts += [_line("", entry["sentence"], 0, 2), _line("", f"Keys: {', '.join(entry['keys'])}.", 0, 2)]
            continue
        parts += [_line(name, sentence) for name, sentence in _entries(group, folders)]
    parts += ["", "Examples:"]
    parts += [f"  {line}\n      {what}" for line, what in command.examples.items()]
    group = command.groups[0]
    parts += ["", f"Every key of a group, with its default and meaning: {command.name} --help {group}"]
    return "\n".join(parts)


def _entries(group: str, folders: Sequence[Path]) -> Iterator[tuple[str, str]]:
    """Name and line of every entry of a group."""
    files, known = config_files(group, folders), catalogue().get(group, {})
    names = [*files] if group == "optimizer" or not known else sorted({*known, *files})
    for name in names:
        if group != "optimizer" and name in known:
            yield name, known[name]["sentence"]
        elif group == "optimizer":
            yield name, f"Optax's {name}; any of its factories can be named by optimizer.name="
        else:
            yield name, _first_comment(files[name])


def _of(command: Command, word: str, folders: Sequence[Path]) -> str:
    """The help of `GROUP`, `GROUP=NAME`, `GROUP.KEY` or a word of the command's own."""
    path, _, name = word.partition("=")
    group, _, key = path.partition(".")
    told = {own: text for own, text in command.own.items() if _named(own, path)}
    if told and group not in command.groups:
        return "\n".join(_line(own, text) for own, text in told.items())
    if group not in command.groups:
        if group not in catalogue() and (candidates := meant(path, command.groups)):
            return "\n\n".join(_of(command, each, folders) for each in candidates)
        raise unknown_word(path, name, command.groups, command.words)
    entries = dict(_entries(group, folders)) if group not in SETTINGS else {}
    if name and not key and name not in entries:
        raise choices(group, name, entries)
    if group in CHANGES:
        shown = {name: entries[name]} if name else entries
        files = config_files(group, folders)
        return "\n".join(
            f"{group}={each}\n{textwrap.indent(_text(files[each]).rstrip(), '    ')}" if name else _line(each, sentence)
            for each, sentence in shown.items()
        )
    chosen = [name] if name and not key else [*entries] if group not in ("optimizer", *SETTINGS) else [group]
    texts = [_entry(group, each, key, folders) for each in chosen]
    nonempty = [text for text in texts if text]
    if not nonempty:
        raise unknown_key(path, name, [f"{group}.{each}" for each in keys_of(group)])
    return "\n\n".join(nonempty)


def _named(own: str, path: str) -> bool:
    """Whether a word or flag of the command's own, such as `resume=DIR` or `-m, --multirun`, is what a path names, or
    is below it."""
    words = [re.split(r"[= ]", part)[0].lstrip("-") for part in own.split(", ")]
    return any(word == path or word.startswith((f"{path}.", f"{path}/")) for word in words)


def _entry(group: str, name: str, only: str, folders: Sequence[Path]) -> str:
    """One entry and its keys, or those keys alone that are or begin with `only`; empty where it has none."""
    known = catalogue()[group]
    file = None if name in known else config_files(group, folders).get(name)
    made = name if file is None else _name_in(file)  # a file may be of another name than the entry that it sets
    entry = known.get(made) or (next(iter(known.values())) if group == "optimizer" else {"keys": {}})
    keys = {k: about for k, about in entry["keys"].items() if not only or k == only or k.startswith(f"{only}.")}
    if only and not keys:
        return ""
    title = f"{group}={name}" if name != group else group
    sentence = dict(_entries(group, folders)).get(name) if name != group else entry["sentence"]
    parts = [f"{title}: {sentence}"]
    if words := entry.get("words"):
        parts += [_line("", f"Its parts are words of their own: {', '.join(f'{each}=' for each in words)}.", 0, 2)]
    given = _written(group, name, folders) if group == "optimizer" else {}
    for key, about in keys.items():
        default = given.get(key, about.get("default", "VALUE"))
        shown = "VALUE" if "default" not in about else _as_written(default)
        needed = "" if "default" in about else "; must be given"
        names = f", one of {', '.join(about['allowed'])} ({about['of']})" if "of" in about else ""
        parts += [f"\n  {group}.{key}={shown}", _line("", f"{about['type']}{names}{needed}", 0, 6)]
        parts += [_line("", about["sentence"], 0, 6)]
    if not keys and made not in known and group in OPEN:
        missing = f"It cannot be chosen: {file} names {made}, which no installed package adds under sbvi.{group}s."
        parts += [_line("", missing, 0, 2)]
    elif not keys:
        parts += ["  It has no keys."]
    return "\n".join(parts)


def _name_in(path: Path) -> str:
    """The entry that a config file names, the file's own name where it names none."""
    match = re.search(r"^name: *['\"]?([\w.-]+)", _text(path), re.MULTILINE)
    return match[1] if match else path.stem


def _written(group: str, name: str, folders: Sequence[Path]) -> Mapping[str, Any]:
    """What a group's file sets, by dotted key of its first two levels."""
    path = config_files(group, folders).get(name)
    if path is None:
        return {}
    from omegaconf import OmegaConf

    with told(path):
        content: Any = OmegaConf.to_container(OmegaConf.load(path))
    flat = {k: v for k, v in content.items() if not isinstance(v, dict) or k == "arguments"}
    return flat | {f"{k}.{n}": v for k, inner in content.items() if isinstance(inner, dict) for n, v in inner.items()}


def _as_written(value: Any) -> str:
    """A value as the command line takes it."""
    if isinstance(value, str):
        return value
    text = re.sub(r", ", ",", json.dumps(value))
    return text.replace('"', "")


def show_help(command: Command, arguments: Sequence[str]) -> bool:
    """Print the help, or the version, where it is asked for; whether it was."""
    if "--version" in arguments:  # Hydra would tell its own
        tell(f"{command.name} {__version__}")
        return True
    words = asked(arguments)
    if words is None:
        return False
    tell(help_text(command, words))
    return True
