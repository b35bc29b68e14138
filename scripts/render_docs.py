#!/usr/bin/env python3
"""Writes the tables of the documents that repeat the registries, between marks in the text.

    scripts/render_docs.py            write them
    scripts/render_docs.py --check    fail where a document differs from what the registries say

README.md leads with results that were stored and a picture of them (docs/readme.png, put together here), and lists what
can be combined; the commands' pages what their --help says; docs/choosing.md what stochastic layers carry;
docs/architecture.md where to add what, in the words of the docstring of the room that holds the registry ("To add one:
...").
"""

import argparse
import importlib
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, get_args

from sbvi.cli import convert, evaluate, train
from sbvi.cli.help import Command, help_text
from sbvi.data.binarization import Binarization
from sbvi.distributions.likelihoods import LIKELIHOODS
from sbvi.gradients import RULES
from sbvi.networks.activations import ACTIVATIONS
from sbvi.objectives.multi_sample import Estimator
from sbvi.reporting.tables import markdown_table
from sbvi.runs.experiment import GROUPS, SETTINGS
from sbvi.runs.words import CHOICES
from sbvi.tasks import TASKS

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))  # where a test runs this file by its path

import readme_picture  # noqa: E402  (from that folder)
from results_page import headline, stored  # noqa: E402


class Addition(NamedTuple):
    """What can be added: what it is called, its room and registry there, its config group, and its contract test."""

    thing: str
    room: str
    registry: str
    group: str | None
    test: str


ADDITIONS = (
    Addition("a data set", "sbvi.data", "DATASETS", "dataset", "tests/data/test_datasets.py"),
    Addition(
        "a likelihood",
        "sbvi.distributions.likelihoods",
        "LIKELIHOODS",
        "likelihood",
        "tests/distributions/test_likelihoods.py",
    ),
    Addition("a prior", "sbvi.distributions.priors", "PRIORS", "prior", "tests/distributions/test_priors.py"),
    Addition("a posterior", "sbvi.posteriors", "POSTERIORS", "posterior", "tests/posteriors/test_contract.py"),
    Addition("a model", "sbvi.models", "MODELS", "model", "tests/models/"),
    Addition("a gradient rule", "sbvi.gradients", "RULES", None, "tests/gradients/test_rules.py"),
    Addition("an objective", "sbvi.objectives", "OBJECTIVES", "objective", "tests/objectives/test_objectives.py"),
    Addition("an algorithm", "sbvi.algorithms", "ALGORITHMS", "algorithm", "tests/algorithms/"),
    Addition("a logger", "sbvi.reporting.loggers", "LOGGERS", "logger", "tests/reporting/test_loggers.py"),
    Addition("a task", "sbvi.tasks", "TASKS", "task", "tests/tasks/"),
)


def code(names: Iterable[str]) -> str:
    """Names as code, with commas between."""
    return ", ".join(f"`{name}`" for name in names)


def likelihoods() -> str:
    """What kind of data each likelihood is of, as its class says."""
    kinds: dict[str, list[str]] = {}
    for name, kind in LIKELIHOODS.items():
        of = "a table's columns" if kind.by_column else "bits" if kind.binary else "levels and counts"
        kinds.setdefault(of if kind.binary or kind.by_column or kind.discrete else "real numbers", []).append(name)
    return "; ".join(f"of {of} {code(names)}" for of, names in kinds.items())


#: Rows of table 1's data with several stochastic layers.
SEVERAL_LAYERS = ("ladder", "dense_ladder", "iwae_two_layers_k50", "iwae_two_layers_k5", "iwae_two_layers_fine")
#: What stands beside a group's names.
NOTES = {
    "dataset": f"`dataset.binarization=` {code(get_args(Binarization))} ([docs/data.md](docs/data.md))",
    "model": f"of a `dlgm` any stochastic and deterministic layers, gated and residual networks, convolutions for "
    f"images, activations {code(sorted(ACTIVATIONS))}, input and sample noise, weight prior",
    "likelihood": f"{likelihoods()}; bits per dimension where values are levels or dequantised",
    "objective": f"estimators {code(get_args(Estimator))}; gradient rules {code(RULES)} "
    "([docs/rules.md](docs/rules.md))",
    "optimizer": "or `optimizer.name=` any Optax factory; schedules, clipping, averaged weights",
    "logger": "where scalars and pictures go beside the run's own files",
    "task": "of `sbvi-evaluate`, most of them also on your own data",
    "trainer": "length in `steps`, `epochs` or `examples`, within `max_minutes`; early stopping; "
    "`on_nan=` `stop`, `skip`",
}


def files(group: str) -> list[str]:
    """The names of a group's config files, but for what is left open."""
    return sorted(path.stem for path in (ROOT / "configs" / group).glob("*.yaml") if path.stem != "auto")


def combined() -> str:
    """The table of what can be combined."""
    registries: dict[str, Mapping[str, Any]] = {**GROUPS, **CHOICES, "task": TASKS}
    rows = []
    for group in [*registries, *SETTINGS, "debug", "search"]:
        names = [] if files(group) == ["default"] else [*registries.get(group, {})]
        if group == "optimizer" or (not names and files(group) != ["default"]):
            names = files(group)
        said = "; ".join(part for part in ("" if group == "likelihood" else code(names), NOTES.get(group)) if part)
        if said:
            rows.append([f"`{group}`", said])
    return markdown_table(["group", "choices"], rows)


def contract(room: ModuleType) -> str:
    """What a new entry of a room is, from "To add one: ..." in its docstring.

    Raises:
      SystemExit: the docstring does not say.
    """
    text = " ".join((room.__doc__ or "").split())
    match = re.search(r"To add (?:one|a rule)[^:]*: (.*?)[;,] a line (?:in|here)", text)
    if match is None:
        sys.exit(f"{room.__name__}: its docstring does not say how to add one (To add one: ...; a line in ...)")
    return match[1]


def additions() -> str:
    """The table of where to add what.

    Raises:
      SystemExit: a registry, folder or test is not where the table says, or a config group stands in no row.
    """
    groups = {addition.group for addition in ADDITIONS} | {"optimizer"}
    if missing := {*GROUPS, *CHOICES, "task"} - groups:
        sys.exit(f"no row says where to add a choice of {', '.join(sorted(missing))}")
    rows = []
    for thing, name, registry, group, test in ADDITIONS:
        room = importlib.import_module(name)
        config = f"configs/{group}/" if group else None
        for place in (config, test):
            if place and not (ROOT / place).exists():
                sys.exit(f"{place} is not there, and the row of {thing} names it")
        assert room.__file__ is not None
        source = Path(room.__file__).relative_to(ROOT)
        entries = len(getattr(room, registry))
        files = f"`{config}NAME.yaml`" if config else "a value of `objective.rule`"
        rows.append([thing, contract(room), f"`{registry}` ({entries}) in `{source}`", files, f"`{test}`"])
    return markdown_table(["to add", "write", "registry (entries)", "config file", "contract test"], rows)


def helped(command: Command) -> Callable[[], str]:
    """What a command's --help says, for its page."""

    def text() -> str:
        before = os.environ.get("COLUMNS")
        os.environ["COLUMNS"] = "100"
        try:
            return f"```text\n{help_text(command, [])}\n```"
        finally:
            if before is None:
                del os.environ["COLUMNS"]
            else:
                os.environ["COLUMNS"] = before

    return text


def layers() -> str:
    """What stochastic layers carry, of the runs that have several Gaussian ones."""
    rows = []
    for record in stored():
        carried = [value for name, value in sorted(record["metrics"].items()) if name.startswith("test/kl/layer_")]
        if len(carried) > 1 and record["row"] in SEVERAL_LAYERS:
            nll = f"{record['metrics']['test/nll']:.2f}"
            rows.append([f"`{record['row']}`", str(record["seed"]), nll, *(f"{value:.2f}" for value in carried)])
    longest = max(len(row) for row in rows)
    rows = [[*row, *[""] * (longest - len(row))] for row in rows]
    names = [f"layer {number}" for number in range(1, longest - 2)]
    return markdown_table(["row", "seed", "test NLL", *(f"KL of {name}" for name in names)], rows)


#: Document -> name of a mark in it -> the table that stands there.
TABLES = {
    "README.md": {"picture": readme_picture.shown, "results": headline, "combined": combined},
    "docs/architecture.md": {"additions": additions},
    "docs/choosing.md": {"layers": layers},
    "docs/command_train.md": {"help": helped(train.COMMAND)},
    "docs/command_evaluate.md": {"help": helped(evaluate.COMMAND)},
    "docs/command_convert.md": {"help": helped(convert.COMMAND)},
}


def rendered(path: str) -> str:
    """A document with its tables as the registries say.

    Raises:
      SystemExit: the document lacks a mark.
    """
    text = (ROOT / path).read_text()
    for name, table in TABLES[path].items():
        begin, end = f"<!-- {name}: rendered by scripts/render_docs.py -->\n", f"<!-- end of {name} -->"
        if begin not in text or end not in text:
            sys.exit(f"{path} lacks the marks {begin.strip()} and {end}")
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n{table()}\n\n{end}{rest.partition(end)[2]}"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = ["docs/readme.png"] if readme_picture.stale() else []
    if stale and not check:
        readme_picture.write()
    for path in TABLES:
        text = rendered(path)
        if (ROOT / path).read_text() != text:
            stale.append(path)
            if not check:
                (ROOT / path).write_text(text)
    if stale and check:
        sys.exit(f"stale: {', '.join(stale)}; run scripts/render_docs.py")


if __name__ == "__main__":
    main()
