"""The pages' commands and notebooks: every command is composed and checked, the first page's and the notebooks run."""

import json
import re
import shlex

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from support.paths import ROOT
from support.processes import command

from sbvi.cli import convert, evaluate, train
from sbvi.cli.help import help_text
from sbvi.cli.mistakes import check_arguments, words_of
from sbvi.core import build
from sbvi.core.configs import config_folder
from sbvi.runs import Experiment
from sbvi.runs.changes import MAY_CHANGE
from sbvi.tasks import TASKS

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = {"sbvi-train": train.COMMAND, "sbvi-evaluate": evaluate.COMMAND, "sbvi-convert": convert.COMMAND}
#: Run elsewhere, with the package that they are about (tests/cli/test_plugins.py).
OTHERS = {"plugins.md": "likelihood=laplace"}
#: What makes a real run of the first page's commands small.
SMALL = ["trainer.steps=2", "model.hidden=[4]", "model.recognition_hidden=[4]", "evaluation.num_samples=2"]


def commands(page):
    """Every command of a page's code blocks, split as a shell splits it."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(), re.M | re.S)
    lines = [line for kind, block in blocks if not kind for line in block.replace("\\\n", " ").splitlines()]
    found = [shlex.split(line, comments=True) for line in lines if re.match(r"(srun .* )?sbvi-\w+( |$)", line)]
    return [words[next(i for i, word in enumerate(words) if word.startswith("sbvi-")) :] for words in found]


ALL = [(page.name, words) for page in PAGES for words in commands(page) if words[0] in (*COMMANDS, "sbvi-compare")]


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
    assert len(ALL) > 50
    assert {name for name, _ in ALL} >= {"README.md", "start.md", "howto_numbers.md", "command_train.md"}


@pytest.mark.parametrize("page", sorted({name for name, _ in ALL}))
def test_every_command_of_a_page_is_one(page, monkeypatch):
    monkeypatch.setattr("sbvi.cli.mistakes.shutil.which", lambda program: program)  # some are for clusters
    for words in [words for name, words in ALL if name == page]:
        name, *arguments = words
        if name == "sbvi-compare" or OTHERS.get(page) in arguments:
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
                with initialize_config_dir(str(config_folder()), version_base="1.3"):
                    config = compose(name.removeprefix("sbvi-"), overrides)
                if name == "sbvi-evaluate":
                    build(TASKS, "task", json.loads(json.dumps({**config.task}, default=list)))


def test_the_first_page_runs_from_top_to_bottom(tmp_path):
    for name, *arguments in commands(ROOT / "docs" / "start.md"):
        helps = "--help" in arguments
        more = SMALL if name == "sbvi-train" and not helps else []
        more = ["task.num_samples=4"] if "task=likelihood" in arguments else more
        done = command(name.removeprefix("sbvi-"), *arguments, *more, cwd=tmp_path)
        assert done.returncode == 0, (arguments, done.stderr)
    assert {path.name for path in (tmp_path / "outputs").iterdir()} == {"first", "second", "third"}
    assert (tmp_path / "outputs" / "first" / "figures" / "traversals.pdf").exists()
    assert list((tmp_path / "outputs" / "first" / "evaluations").glob("samples-*.npz"))


@pytest.mark.parametrize("name", ["probing", "imputing"])
def test_a_notebook_runs(name, tmp_path, monkeypatch):
    """Its code from top to bottom, for a few steps."""
    monkeypatch.chdir(tmp_path)
    cells = json.loads((ROOT / "docs" / "notebooks" / f"{name}.ipynb").read_text())["cells"]
    source = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert re.search(r"^STEPS = \d+", source[0], re.M)
    namespace = {}
    for code in source:
        exec(compile(re.sub(r"^STEPS = \d+", "STEPS = 3", code, flags=re.M), name, "exec"), namespace)
    assert (tmp_path / "outputs" / name / "result.json").exists()
    assert all(cell.get("outputs") in (None, []) for cell in cells)  # kept without output
