"""Help that explains, and wrong keys, both answered without importing what trains."""

import contextlib
import re
import subprocess
import sys

import pytest
import yaml
from support.processes import command, environment

import sbvi
from sbvi.cli import compare, convert, evaluate, train
from sbvi.cli.help import help_text
from sbvi.core import UserError, fields, spec
from sbvi.core.configs import config_folder
from sbvi.core.describe import describe, first_sentence
from sbvi.runs.experiment import GROUPS, SETTINGS
from sbvi.runs.words import CHOICES, WORDS
from sbvi.tasks import TASKS

pytestmark = pytest.mark.quick

COMMANDS = {"train": train.COMMAND, "evaluate": evaluate.COMMAND, "convert": convert.COMMAND}


def test_every_entry_of_every_group_has_a_line():
    lines = help_text(train.COMMAND, []).splitlines()
    for group, registry in {**GROUPS, **CHOICES}.items():
        start = lines.index(f"{group}=NAME")
        for name, kind in registry.items() if group != "optimizer" else ():
            at = next(i for i, line in enumerate(lines) if i > start and line.split()[:1] == [name])
            said = " ".join([*lines[at].split()[1:], *lines[at + 1].split()])
            assert said.startswith(first_sentence(kind.__doc__)[:40].strip()), name
    for group in SETTINGS:
        assert f"{group}.KEY=VALUE" in lines
    for words in ("resume=DIR", "init_from=DIR", "-m, --multirun", "seed=N", "hydra.run.dir=DIR"):
        assert any(line.strip().startswith(words) for line in lines), words


@pytest.mark.parametrize(
    ("which", "group", "name", "kind"),
    [
        ("train", "model", "dlgm", GROUPS["model"]["dlgm"]),
        ("train", "optimizer", "rmsprop", CHOICES["optimizer"]["optimizer"]),
        ("train", "trainer", "", SETTINGS["trainer"]),
        ("evaluate", "task", "imputation", TASKS["imputation"]),
        ("convert", "dataset", "npz", GROUPS["dataset"]["npz"]),
    ],
)
def test_a_groups_help_has_every_key_with_its_default_and_sentence(which, group, name, kind):
    text = help_text(COMMANDS[which], [f"{group}={name}".rstrip("=")])
    for key, about in describe(kind)["keys"].items():
        assert f"{group}.{key}=" in text
        assert " ".join(about["sentence"].split()[:5]) in " ".join(text.split())
    shown = {key.partition(".")[0] for key in describe(kind)["keys"]}
    assert shown == set(fields(kind)) - set(WORDS)


@pytest.mark.parametrize("name", ["train", "evaluate", "convert", "compare"])
def test_each_command_tells_the_version_of_sbvi(name, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", [f"sbvi-{name}", "--version"])
    with contextlib.suppress(SystemExit):
        {"train": train, "evaluate": evaluate, "convert": convert, "compare": compare}[name].main()
    assert capsys.readouterr().out == f"sbvi-{name} {sbvi.__version__}\n"


def test_what_help_says_of_a_key():
    text = help_text(train.COMMAND, ["model.activation"])
    assert "model.activation=relu\n      one of relu, leaky_relu, elu" in text
    assert "optimizer.learning_rate=0.0001" in help_text(train.COMMAND, ["optimizer=rmsprop"])  # the file's
    assert "optimizer.learning_rate=" in help_text(train.COMMAND, ["lr"])
    assert "optimizer.name=adam\n      text, one of adabelief, adadelta" in help_text(train.COMMAND, ["optimizer.name"])
    assert "dataset.path=VALUE\n      text; must be given" in help_text(train.COMMAND, ["dataset=npz"])
    assert "seed of parameters" in help_text(train.COMMAND, ["seed"])
    assert "where the run's data is now" in help_text(evaluate.COMMAND, ["dataset.path"])
    assert "n_trials: 20" in help_text(train.COMMAND, ["search=optuna"])
    with pytest.raises(UserError, match="model= is a word of sbvi-train: sbvi-train --help model"):
        help_text(evaluate.COMMAND, ["model.latents"])
    for words, sentence in (
        (["task"], "task= is a word of sbvi-evaluate: sbvi-evaluate --help task"),
        (
            ["trainer.stps"],
            r"trainer\.stps= is not a key \(did you mean trainer\.steps\?\); allowed: trainer\.batch_size",
        ),
        (["resum"], r"resum= is not a key \(did you mean resume\?\)"),
        (["modle"], r"modle= is not a key \(did you mean model\?\)"),
        (["model=dlmg"], r"model=dlmg is not known \(did you mean dlgm\?\)"),
    ):
        with pytest.raises(UserError, match=sentence):
            help_text(train.COMMAND, words)


def test_help_for_words_and_flags_of_a_commands_own():
    """Every word that the whole help lists can be asked for by its name."""
    for one in COMMANDS.values():
        for own, sentence in one.own.items():
            name = re.split(r"[= ]", own.split(", ")[-1])[0].lstrip("-")
            if name.partition(".")[0] not in one.groups:
                said = " ".join(help_text(one, [name]).split())
                assert f"{own} {' '.join(sentence.split())}" in said, own
    assert "hydra.sweep.dir=DIR" in help_text(train.COMMAND, ["hydra"])
    assert "this or decoder=FILE must be given" in " ".join(help_text(evaluate.COMMAND, []).split())


def test_the_default_task_is_told():
    content = yaml.safe_load((config_folder() / "evaluate.yaml").read_text())
    (default,) = [each["task"] for each in content["defaults"] if isinstance(each, dict) and "task" in each]
    assert f"by default task={default}." in help_text(evaluate.COMMAND, []).splitlines()[0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--fromat", "csv"], "--fromat is not a flag (did you mean --format?); flags: --format, --help, --html, "),
        (["runs", "--format", "cvs"], "--format=cvs is not known (did you mean csv?); allowed: csv, json, markdown, "),
        (["runs", "--metric"], "--metric needs a value; flags: --format"),
        ([], "DIR must be given; sbvi-compare --help tells what it is."),
    ],
)
def test_a_wrong_flag_of_the_comparison_is_one_sentence(words, said, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["sbvi-compare", *words])
    with pytest.raises(SystemExit) as end:
        compare.main()
    told = capsys.readouterr().err
    assert told.startswith(said)
    assert told.count("\n") == 1
    assert end.value.code == 1


def test_commands_name_themselves_and_their_groups_alone():
    for name, one in COMMANDS.items():
        text = help_text(one, [])
        assert text.startswith(f"sbvi-{name} ")
        for group in ("dataset", "model", "task", "optimizer"):
            assert (f"{group}=NAME" in text.splitlines()) == (group in one.groups)


def test_a_spec_in_words():
    @spec
    class Inner:
        """Inside."""

        rate: float = 0.5
        """How fast."""

    @spec
    class Outer:
        """Outside. Not told."""

        inner: Inner = Inner(rate=2.0)
        """Settings."""
        name: str
        """Of two
        lines."""

    assert describe(Outer) == {
        "sentence": "Outside.",
        "keys": {
            "inner.rate": {"type": "number", "default": 2.0, "sentence": "How fast."},
            "name": {"type": "text", "sentence": "Of two lines."},
        },
    }


def test_help_and_a_wrong_key_import_nothing_that_trains():
    """In one fresh interpreter; JAX alone takes longer to import than either answer."""
    code = (
        "import sys\nfrom sbvi.cli import train\n"
        "def run(*words):\n    sys.argv = ['sbvi-train', *words]\n"
        "    try:\n        train.main()\n    except SystemExit as end:\n        print('exit', end.code)\n"
        "run('-h')\nrun('--help', 'model=dlgm')\nrun('trainer.epoch=3')\nrun('+model.sise=3')\n"
        "run('model.activation=rleu')\nprint('jax' in sys.modules, 'flax' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), cwd="/tmp")
    assert done.stdout.splitlines()[-4:] == ["exit 1"] * 3 + ["False False"], done.stderr
    assert "trainer.epoch=3 is not a key (did you mean trainer.epochs?)" in done.stderr
    assert "model.sise=3 is not a key" in done.stderr
    assert "model.activation=rleu is not known (did you mean relu?)" in done.stderr


def test_the_shell_completes_words(tmp_path):
    env = environment(COMP_LINE="sbvi-train posterior=ra", COMP_POINT="23")
    done = command("train", "-sc", "query=bash", cwd=tmp_path, env=env)
    assert (done.returncode, done.stdout.split()) == (0, ["posterior=rank_one"])
