"""Names of a sweep's folders, which TensorBoard shows: what differs, and a digest of the job's own overrides."""

import hashlib
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

#: Characters of a name, the digest aside.
LONGEST = 80


def digest(overrides: Sequence[str]) -> str:
    """A short name for a set of overrides, whatever their order."""
    return hashlib.sha256(json.dumps(sorted(overrides)).encode()).hexdigest()[:12]


def job_name(folder: str, overrides: Sequence[str], arguments: Sequence[str] | None = None) -> str:
    """The folder of a job within its sweep's folder, such as `learning_rate_0.001-seed_0-1a2b3c4d`.

    arguments: the sweep's words as Hydra reads them, which a launcher's job may run without; by default the process's.

    The digest alone says which job it is: one that a sweep begun or widened otherwise has made keeps its name. The
    characters are those that a command line takes without quotes.
    """
    overrides = list(map(str, overrides))
    whole = digest(overrides)
    place, tail = Path(folder), f"-{whole[:8]}"
    if (place / whole).is_dir():  # of earlier versions
        return whole
    known = sorted(path.name for path in place.glob(f"*{tail}"))
    if known:
        return known[0]
    return f"{told(differing(overrides, sys.argv[1:] if arguments is None else arguments))[:LONGEST]}{tail}"


def differing(overrides: Sequence[str], arguments: Sequence[str]) -> list[str]:
    """A job's overrides without those that stand in the command as they are, and so are every job's."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    fixed, parser = set(), OverridesParser.create()
    for word in arguments:
        try:
            override = parser.parse_override(word)
        except HydraException:  # a flag, or what follows one
            continue
        if not override.is_sweep_override():
            fixed.add(f"{override.get_key_element()}={override.get_value_element_as_str()}")
    return [word for word in overrides if word not in fixed]


def told(overrides: Sequence[str]) -> str:
    """Overrides in a few characters: the last parts of their keys, the whole keys where those are the same."""
    pairs = [word.lstrip("+~").partition("=") for word in overrides]
    short = [key.rpartition(".")[2] for key, _, _ in pairs]
    names = [last if short.count(last) == 1 else key for last, (key, _, _) in zip(short, pairs, strict=True)]
    parts = [f"{name}_{value}" for name, (_, _, value) in zip(names, pairs, strict=True)]
    plain = [re.sub(r"_+", "_", re.sub(r"[^A-Za-z0-9_.+-]+", "_", part)).strip("_.") for part in parts]
    return "-".join(part for part in plain if part) or "job"
