"""The YAML files and the specs say the same."""

import ast
import importlib
import inspect
import runpy
import sys

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image
from support.paths import ROOT

import sbvi.runs.experiment as schema
from sbvi.algorithms.schedules import Schedule
from sbvi.core import fields, plain
from sbvi.objectives import KLWeight
from sbvi.objectives.multi_sample import MultiSample
from sbvi.reporting.images import grid
from sbvi.reporting.panels import Panel, save_panel
from sbvi.runs.compose import composed
from sbvi.runs.words import CHOICES, WORDS
from sbvi.tasks import TASKS

pytestmark = pytest.mark.quick

CONFIGS = ROOT / "configs"
GROUPS = {**schema.GROUPS, **{word: r for word, r in CHOICES.items() if word != "optimizer"}, "task": TASKS}


def files(group):
    """A group's files, but for what is left open."""
    return [path for path in sorted((CONFIGS / group).glob("*.yaml")) if path.stem != "auto"]


def own_keys(entry):
    """The keys of a spec that are not words of their own on the command line."""
    return sorted(key for key in fields(entry) if key not in WORDS)


FILES = [(g, f) for g in GROUPS for f in files(g)]


@pytest.mark.parametrize(("group", "path"), FILES, ids=lambda v: getattr(v, "stem", v))
def test_group_files_hold_exactly_the_specs_keys(group, path):
    values = OmegaConf.to_container(OmegaConf.load(path))
    name = values.pop("name")
    assert name == path.stem
    entry = GROUPS[group][name]
    assert sorted(values) == own_keys(entry)
    if "path" not in values:
        assert values == {key: value for key, value in plain(entry()).items() if key not in WORDS}


@pytest.mark.parametrize("group", GROUPS)
def test_every_registry_entry_has_a_file(group):
    assert {path.stem for path in files(group)} == set(GROUPS[group])


def test_auto_files_are_what_the_specs_say(monkeypatch):
    """Written by scripts/render_configs.py; every word of the command line has one."""
    monkeypatch.setattr(sys, "argv", ["render_configs.py", "--check"])
    runpy.run_path(str(ROOT / "scripts" / "render_configs.py"), run_name="__main__")
    assert {path.parent.name for path in CONFIGS.glob("*/auto.yaml")} == {*CHOICES, "algorithm"}


def test_tables_of_documents_are_what_the_registries_say(monkeypatch):
    """Written by scripts/render_docs.py."""
    monkeypatch.setattr(sys, "argv", ["render_docs.py", "--check"])
    runpy.run_path(str(ROOT / "scripts" / "render_docs.py"), run_name="__main__")


def test_another_picture_than_that_of_stored_results_is_stale(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    picture = importlib.import_module("readme_picture")
    assert not picture.stale()
    pixels = picture.composed()
    pixels[100, 100] ^= 255
    Image.fromarray(pixels).save(tmp_path / "other.png")
    monkeypatch.setattr(picture, "TARGET", tmp_path / "other.png")
    assert picture.stale()


def test_the_images_of_a_stored_picture_are_found_among_its_words(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    picture = importlib.import_module("readme_picture")
    images = grid(np.random.default_rng(0).random((72, 28, 28, 3)), 9)
    (tmp_path / "figures").mkdir()
    save_panel(Panel(images, "a title", columns=tuple("abcdefghi")), tmp_path / "figures" / "filled.png")
    monkeypatch.setattr(picture, "RESULTS", tmp_path)
    monkeypatch.setattr(picture, "_record", lambda: {"evaluations": {"missing80": {"picture": "filled.png"}}})
    np.testing.assert_array_equal(picture._grid("missing80"), images)


@pytest.mark.parametrize("group", schema.SETTINGS)
def test_settings_files_hold_exactly_the_keys(group):
    for path in (CONFIGS / group).glob("*.yaml"):
        values = OmegaConf.to_container(OmegaConf.load(path))
        assert sorted(values) == sorted(fields(schema.SETTINGS[group])), path


SPECS = {entry for registry in GROUPS.values() for entry in registry.values()} | set(schema.SETTINGS.values())
SPECS |= {Schedule, KLWeight, MultiSample}


@pytest.mark.parametrize("entry", sorted(SPECS, key=lambda c: c.__name__), ids=lambda c: c.__name__)
def test_every_key_has_a_doc_line(entry):
    body = ast.parse(inspect.getsource(entry)).body[0].body
    assert entry.__doc__
    for position, node in enumerate(body):
        if isinstance(node, ast.AnnAssign) and "ClassVar" not in ast.unparse(node.annotation):
            following = body[position + 1]
            assert isinstance(following, ast.Expr), f"{entry.__name__}.{node.target.id} has no doc line"
            assert isinstance(following.value, ast.Constant)


@pytest.mark.parametrize("path", sorted((CONFIGS / "experiment").glob("*.yaml")), ids=lambda p: p.stem)
def test_experiments_say_their_command_and_cost(path):
    header = [line for line in path.read_text().splitlines() if line.startswith("#")]
    for word in ("command", "expected", "cost"):
        assert any(word in line for line in header), word


@pytest.mark.parametrize("path", files("search"), ids=lambda path: path.stem)
def test_what_a_search_sets_holds_beside_its_experiment(path):
    """An experiment's file comes after that of a search, and would take its keys back."""
    (said,) = [line for line in path.read_text().splitlines() if line.startswith("#   command")]
    words = [word for word in said.split() if word.startswith(("experiment=", "search="))]
    composed_values, own = composed(words), OmegaConf.to_container(OmegaConf.load(path))
    for group, values in own.items():
        if group in ("defaults", "hydra", "pruning"):
            continue
        for key, value in values.items():
            assert composed_values[group][key] == value, (group, key)
