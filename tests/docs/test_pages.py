"""The pages' commands, in blocks and between the lines: each is composed and checked, without being run."""

import json

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from support.pages import PAGES, Line, between_the_lines, own, steps

from sbvi.cli import convert, evaluate, train
from sbvi.cli.help import help_text
from sbvi.cli.mistakes import check_arguments, words_of
from sbvi.core import build
from sbvi.core.configs import config_folder, hydra_defaults
from sbvi.runs import Experiment
from sbvi.runs.changes import MAY_CHANGE
from sbvi.tasks import TASKS

COMMANDS = {"sbvi-train": train.COMMAND, "sbvi-evaluate": evaluate.COMMAND, "sbvi-convert": convert.COMMAND}
#: A word of a package that has to be installed first (tests/docs/test_running_pages.py), by page.
OTHERS = {"plugins.md": "likelihood=laplace", "walk.md": "likelihood=laplace"}
#: What sentences leave open.
OPEN = {
    "sbvi-train likelihood=laplace2",
    "sbvi-train prior=student",
    "sbvi-train model=circuit model.structure=file model.file=circuit.json dataset=...",
}


def commands(page):
    """The words of every command of this package, from its name on."""
    lines = [line for line in steps(page) if isinstance(line, Line)] + between_the_lines(page)
    return [own(line) for line in lines if own(line) and str(line) not in OPEN]


ALL = [(page.name, words) for page in PAGES for words in commands(page)]


def settled(words):
    """Words of one job: the first value of each that is swept; those of Hydra's own left out."""
    parsed = [OverridesParser.create().parse_override(word) for word in words if not word.startswith("hydra")]
    return [
        f"{one.get_key_element()}={next(iter(one.sweep_string_iterator()))}"
        if one.is_sweep_override()
        else one.input_line
        for one in parsed
        if one.key_or_group != "search"
    ]


def test_the_pages_have_commands():
    assert len(ALL) > 150
    assert {name for name, _ in ALL} >= {"README.md", "start.md", "walk.md", "command_train.md", "results.md"}


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=pytest.mark.slow if page == "results.md" else ())  # a hundred recipes
        for page in sorted({name for name, _ in ALL})
    ],
)
def test_every_command_of_a_page_is_one(page, monkeypatch):
    monkeypatch.setattr("sbvi.cli.mistakes.shutil.which", lambda program: program)  # some are for clusters
    for words in [words for name, words in ALL if name == page]:
        name, *arguments = words
        if (
            name == "sbvi-compare"
            or (name == "sbvi-convert" and "input=DIR" in arguments)
            or OTHERS.get(page) in arguments
        ):
            continue
        overrides, flags = words_of(arguments)
        overrides = [word for word in overrides if word not in ("install=bash",)]
        if "--help" in flags:
            assert help_text(COMMANDS[name], overrides)
        elif name == "sbvi-train" and overrides[:1] and overrides[0].startswith("resume="):
            keys = {word.partition("=")[0] for word in overrides[1:]}
            assert all(key in MAY_CHANGE or key.startswith("runtime.") for key in keys), words
        elif "--config-dir" not in flags:
            check_arguments(arguments, COMMANDS[name])
            if name == "sbvi-train":
                Experiment.from_overrides(settled(overrides))
            else:
                with initialize_config_dir(str(config_folder()), **hydra_defaults()):
                    config = compose(name.removeprefix("sbvi-"), overrides)
                if name == "sbvi-evaluate":
                    build(TASKS, "task", json.loads(json.dumps({**config.task}, default=list)))
