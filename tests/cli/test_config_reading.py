"""A mistake in a config file of the user's is told in one sentence, by the file and the line."""

import pytest
from support.processes import command

from sbvi.cli.help import help_text
from sbvi.cli.mistakes import CHDIR
from sbvi.cli.train import COMMAND
from sbvi.core import UserError
from sbvi.runs.compose import composed

GLOBAL = b"# @package _global_\n"
#: A file's content -> what is said of it.
MISTAKES = {
    GLOBAL + b"trainer:\n  steps: [3\n": r"cannot be read at line 4: .*expected ',' or '\]'.* from line 3\)\.",
    GLOBAL
    + b"trainer:\n\tsteps: 3\n": r"cannot be read at line 3: found character .*; indent by spaces, and not by tabs\.",
    GLOBAL + b"seed: 1\nseed: 2\n": r"cannot be read at line 3: found duplicate key seed \(.* from line 2\)\.",
    GLOBAL + b"# caf\xe9\nseed: 1\n": r"cannot be read at line 2: the byte 0xe9 is none of a text in UTF-8\.",
    b"\x00\xff\xfe": r"cannot be read at line 1: the byte 0xff is none of a text in UTF-8\.",
    b"seed: 1\n\n\x00": r"cannot be read at line 3: no text has the character U\+0000\.",
    GLOBAL + b"dataset: {path: '${oc.env'}\n": r"cannot be read: no viable alternative at input '\$\{oc.env'\.",
    GLOBAL + b"defaults: 3\n": r"has a list `defaults:` that cannot be read: .*; each is a NAME, GROUP: NAME or .*",
    GLOBAL + b"defaults: [3]\n": r"has a list `defaults:` that cannot be read: .*; each is a NAME, .*",
    b"? [1, 2]\n: 3\n": r"cannot be read at line 1: found unhashable key\.",
    b"3\n": r"must hold lines KEY: VALUE\.",
    b"": r"sets nothing; it must hold lines KEY: VALUE\.",
    GLOBAL: r"sets nothing; it must hold lines KEY: VALUE\.",
    GLOBAL + b"- seed\n": r"is a list; it must hold lines KEY: VALUE\.",
    GLOBAL + b"trainer: 3\n": r"sets trainer: 3, which must be a group of settings: give one of trainer.batch_size, .*",
    GLOBAL
    + b"trainer:\n": r"sets trainer: null, which must be a group of settings: give one of trainer.batch_size, .*",
    GLOBAL + b"model: [1]\n": r"sets model: \[1\], which must be a group of settings: give one of .*",
    GLOBAL + b"defaults:\n  - dataset: mnist\n": r"has dataset: mnist in its list `defaults:`, which asks for "
    r"experiment/dataset; write override /dataset: mnist\.",
    GLOBAL + b"dataset: mnist\n": r"sets dataset: mnist, where settings stand; .* as override /dataset: mnist\.",
}


@pytest.mark.quick
@pytest.mark.parametrize("content", MISTAKES, ids=repr)
def test_a_mistake_in_a_file(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c" / "experiment").mkdir(parents=True)
    (tmp_path / "c" / "experiment" / "mine.yaml").write_bytes(content)
    with pytest.raises(UserError, match=rf"^c/experiment/mine\.yaml {MISTAKES[content]}$"):
        composed(["hydra.searchpath=[c]", "experiment=mine", "trainer.steps=2"])


@pytest.mark.quick
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "dataset: {path: '${oc.env:NOT_SET}'}",
            "dataset.path asks for the environment variable NOT_SET, which is not",
        ),
        ("seed: ${nothing}", "seed asks for the value of nothing, which is no key of the config."),
        ("seed: ${nothing:1}", "seed cannot be resolved: Unsupported interpolation type nothing."),
    ],
)
def test_a_value_that_asks_for_what_is_not_there(tmp_path, content, said):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(f"# @package _global_\n{content}\n")
    with pytest.raises(UserError) as error:
        composed([f"hydra.searchpath=['{tmp_path}']", "experiment=mine"])
    assert str(error.value).startswith(said)


#: A config in the place of the command's own -> how it is answered; None where it is right.
PRIMARY = {
    "seed: 3\n": "begins with `- train`.\n",
    "defaults: [{dataset: digits}]\n": "begins with `- train`.\n",
    "defaults: [train, {dataset: digits}]\n": "other has override /dataset: NAME.\n",
    "defaults: [common, {override dataset: synthetic}, _self_]\nseed: 3\n": None,
}


@pytest.mark.parametrize("content", PRIMARY, ids=repr)
def test_a_config_in_the_place_of_the_commands_own(tmp_path, content):
    (tmp_path / "my.yaml").write_text(content)
    (tmp_path / "common.yaml").write_text("defaults: [/train, _self_]\nseed: 2\n")
    words = ["--config-dir", ".", "--config-name", "my.yaml", "trainer.steps=2"]
    done = command("train", *words, *([] if PRIMARY[content] else ["--cfg", "job"]), cwd=tmp_path)
    if (said := PRIMARY[content]) is None:
        assert done.returncode == 0, done.stderr
        assert "seed: 3" in done.stdout
        assert "name: synthetic" in done.stdout
    else:
        assert done.returncode == 1
        assert done.stderr.endswith(said)
        assert done.stderr.count("\n") == 1


@pytest.mark.quick
def test_a_group_of_the_users_own_below_the_experiments_is_read(tmp_path):
    (tmp_path / "experiment" / "model").mkdir(parents=True)
    (tmp_path / "experiment" / "model" / "small.yaml").write_text("# @package _global_\nseed: 11\n")
    (tmp_path / "experiment" / "mine.yaml").write_text("# @package _global_\ndefaults: [{model: small}]\n")
    assert composed([f"hydra.searchpath=['{tmp_path}']", "experiment=mine"])["seed"] == 11


@pytest.mark.quick
def test_files_that_are_right_pass(tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "base.yaml").write_text("# @package _global_\nseed: 5\nposterior: null\n")
    (tmp_path / "experiment" / "mine.yaml").write_text("# @package _global_\ndefaults: [base]\n")
    assert composed([f"hydra.searchpath=['{tmp_path}']", "experiment=mine"])["seed"] == 5


def test_the_command_ends_with_the_sentence(tmp_path):
    (tmp_path / "c" / "likelihood").mkdir(parents=True)
    (tmp_path / "c" / "likelihood" / "mine.yaml").write_text("name: [bernoulli\n")
    done = command("train", "--config-dir", "c", "likelihood=mine", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("c/likelihood/mine.yaml cannot be read at line 2: ")
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


@pytest.mark.parametrize("sweep", [[], ["--multirun", "seed=1,2"]])
def test_a_job_in_its_own_folder_is_refused_from_a_file_too(tmp_path, sweep):
    (tmp_path / "c" / "experiment").mkdir(parents=True)
    (tmp_path / "c" / "experiment" / "mine.yaml").write_text("# @package _global_\nhydra: {job: {chdir: true}}\n")
    done = command("train", "--config-dir", "c", "experiment=mine", *sweep, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == CHDIR + "\n"
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


@pytest.mark.quick
def test_help_tells_it_too(tmp_path):
    (tmp_path / "optimizer").mkdir()
    (tmp_path / "optimizer" / "mine.yaml").write_text("name: [adam\n")
    with pytest.raises(UserError, match=r"optimizer/mine.yaml cannot be read at line 2: "):
        help_text(COMMAND, ["--config-dir", str(tmp_path), "optimizer=mine"])
    (tmp_path / "optimizer" / "mine.yaml").write_bytes(b"\xff")
    with pytest.raises(UserError, match=r"optimizer/mine.yaml cannot be read at line 1: the byte 0xff"):
        help_text(COMMAND, ["--config-dir", str(tmp_path), "optimizer=mine"])


FIRST = "model.layers={first: 9, count: 2, last: 4}"


@pytest.mark.quick
@pytest.mark.parametrize(
    ("words", "layers"),
    [
        (["model=geometric", "model.layers.first=9"], {"first": 9, "count": 3, "last": 2}),
        (["model=geometric", "model.layers={first: 7, count: 2}"], {"first": 7, "count": 2, "last": 2}),
        (["model=geometric", "model.layers=[3, 2]"], [3, 2]),
        (["model=helmholtz", FIRST, "model.layers=[3, 2]"], [3, 2]),
        (["model=helmholtz", FIRST, "model.layers={count: 3}"], {"first": 9, "count": 3, "last": 4}),
        (["model=helmholtz", "~model.layers", f"+{FIRST}"], {"first": 9, "count": 2, "last": 4}),
    ],
)
def test_settings_are_merged_with_settings_and_the_last_of_two_kinds_counts(words, layers, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c" / "model").mkdir(parents=True)
    held = "name: helmholtz\nlayers:\n  first: ???\n  count: 3\n  last: 2\n"
    (tmp_path / "c" / "model" / "geometric.yaml").write_text(held)
    assert composed(["hydra.searchpath=[c]", "dataset=digits", *words])["model"]["layers"] == layers


@pytest.mark.quick
def test_a_key_that_was_taken_away_and_is_set_is_told():
    """And one below a list."""
    with pytest.raises(UserError, match=r"^model\.layers\.count=3: model\.layers is a list here, which has no keys; "):
        composed(["dataset=digits", "model=helmholtz", "model.layers.count=3"])
    with pytest.raises(UserError, match=r"^model\.layers=\[3\] is not a key of model=helmholtz"):
        composed(["dataset=digits", "model=helmholtz", "~model.layers", "model.layers=[3]"])


@pytest.mark.quick
def test_settings_in_the_place_of_a_list(tmp_path, monkeypatch):
    """Replace it, in files and in words; a file whose name is a number's is chosen by it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c" / "experiment").mkdir(parents=True)
    model = b"defaults: [bihm_adult]\nmodel: {layers: {first: 30, count: 3, last: 10}}\n"
    (tmp_path / "c" / "experiment" / "1e3.yaml").write_bytes(GLOBAL + model)
    words = ["hydra.searchpath=[c]", "experiment=1e3"]
    assert composed([*words, "model.layers=[7, 3]"])["model"]["layers"] == [7, 3]
    there = composed(["experiment=bihm_adult", "model.layers={first: 5, count: 2, last: 3}", "debug=nan"])
    assert there["model"]["layers"] == {"first": 5, "count": 2, "last": 3}
    assert there["runtime"]["debug_nans"]
    assert composed([*words, "model.layers.count=4"])["model"]["layers"] == {"first": 30, "count": 4, "last": 10}
    with pytest.raises(UserError, match=r"^prior=inf: a group of settings is chosen by a name; leave the word out\.$"):
        composed(["dataset=digits", "debug=nan", "prior=inf"])
