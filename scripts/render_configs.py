#!/usr/bin/env python3
"""Writes what repeats the specs: the configs' `auto` files, and the catalogue that help is read from.

    scripts/render_configs.py            write them
    scripts/render_configs.py --check    fail where a file differs from what the specs say

An `auto` file has a group's every key, null until it is set: a word of the command line that was not given is left to
what model, algorithm and data call for; its keys can be set all the same, as in `objective.num_samples=5`.
`sbvi/cli/catalogue.json` has every key's type, default, allowed values and sentence.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

from sbvi.algorithms import ALGORITHMS
from sbvi.cli.catalogue import build
from sbvi.core import fields
from sbvi.core.catalogue import FILE
from sbvi.runs.words import CHOICES, WORDS

ROOT = Path(__file__).resolve().parents[1]


def keys(kind: type, leave: tuple[str, ...] = ()) -> dict[str, object]:
    """The keys of a spec, null each, nested specs as mappings."""
    return {
        name: keys(inner) if isinstance(inner, type) and fields(inner) else None
        for name, inner in fields(kind).items()
        if name not in leave
    }


def rendered(group: str, registry: Mapping[str, type]) -> str:
    """The auto file of a group."""
    content: dict[str, object] = {"name": None}
    for kind in registry.values():
        content |= {key: value for key, value in keys(kind, tuple(WORDS)).items() if key not in content}
    head = f"# What is left open of {group}: model, algorithm and data decide. Written by scripts/render_configs.py.\n"
    return head + yaml.safe_dump(content, sort_keys=False, width=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    texts = {
        ROOT / "configs" / group / "auto.yaml": rendered(group, registry)
        for group, registry in {**CHOICES, "algorithm": ALGORITHMS}.items()
    }
    texts[FILE] = json.dumps(build(), indent=1) + "\n"
    stale = []
    for path, text in texts.items():
        if not path.exists() or path.read_text() != text:
            stale.append(str(path.relative_to(ROOT)))
            if not check:
                path.write_text(text)
    if stale and check:
        sys.exit(f"stale: {', '.join(stale)}; run scripts/render_configs.py")


if __name__ == "__main__":
    main()
