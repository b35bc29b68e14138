"""Wrong values, answered by the catalogue as the specs themselves would answer, before what trains is imported."""

import importlib.metadata
import subprocess
import sys

import pytest
from support.processes import environment

from sbvi.algorithms.optimizer import Optimizer, factories
from sbvi.cli.catalogue import catalogue, check
from sbvi.cli.values import annotation, check_values
from sbvi.core import UserError, make
from sbvi.runs.experiment import GROUPS, SETTINGS
from sbvi.runs.words import CHOICES
from sbvi.tasks import TASKS

pytestmark = pytest.mark.quick

REGISTRIES = {**GROUPS, **CHOICES, **{name: {name: kind} for name, kind in SETTINGS.items()}, "task": TASKS}
WRONG = ("abc", -1, 2.5, True, [-3])


def refusal(function, *arguments):
    try:
        function(*arguments)
    except UserError as error:
        return str(error)
    return None


@pytest.mark.parametrize("group", REGISTRIES)
def test_the_catalogue_refuses_what_the_specs_refuse_in_their_words(group):
    """Of every key of every entry, with wrong values of every kind."""
    compared = 0
    for entry, kind in REGISTRIES[group].items():
        known = catalogue()[group][entry]["keys"]
        for key, about in known.items():
            for value in WRONG if annotation(about["type"]) is not None else ():
                values = value
                for part in reversed(key.split(".")):
                    values = {part: values}
                early, late = refusal(check_values, group, values, known), refusal(make, kind, values, group)
                if late is not None and late.startswith(f"{group}.{key}=") and "is not known" not in late:
                    assert early is not None
                    assert early.split(" (")[0].rstrip(".") == late.split(" (")[0].rstrip("."), key
                    compared += 1
                elif early is not None:
                    assert late is not None  # as that a key must be given
    assert compared or group in ("prior", "logger")


def test_defaults_pass():
    for group, entries in catalogue().items():
        for entry in entries.values():
            values = {}
            for key, about in entry["keys"].items():
                *path, name = key.split(".")
                place = values
                for part in path:
                    place = place.setdefault(part, {})
                if "default" in about:
                    place[name] = about["default"]
            check_values(group, values, entry["keys"])


def test_types_in_words():
    assert annotation("whole number or null") == int | None
    assert annotation("list of texts") == tuple[str, ...]
    assert annotation("true or false") is bool
    for words in ("list of number", "numbers", "one of a, b", "settings by name", "whole number > 0 or all"):
        assert annotation(words) is None


def test_a_wrong_value_imports_nothing_that_trains():
    code = (
        "import sys\nfrom sbvi.cli import train\n"
        "def run(*words):\n    sys.argv = ['sbvi-train', *words]\n"
        "    try:\n        train.main()\n    except SystemExit as end:\n        print('exit', end.code)\n"
        "run('trainer.steps=abc')\nrun('seed=-1')\nrun('optimizer.learning_rate=abc')\nrun('model.latents=50')\n"
        "run('optimizer.schedule.final=abc', 'optimizer.clip_norm=-1')\nrun('optimizer.name=adm')\n"
        "print('jax' in sys.modules, 'optax' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), cwd="/tmp")
    assert done.stdout.splitlines() == ["exit 1"] * 6 + ["False False"], done.stderr
    assert done.stderr.splitlines()[:4] == [
        'trainer.steps="abc" should be a valid integer.',
        "seed=-1 must be a whole number of 0..2147483647.",
        'optimizer.learning_rate="abc" should be a valid number.',
        "model.latents=50 must be a list, such as model.latents=[50].",
    ]
    assert "(1 more like this)" in done.stderr.splitlines()[4]
    assert done.stderr.splitlines()[5].startswith("optimizer.name=adm is not known (did you mean adam?); allowed: ada")


def test_names_of_a_package_are_those_of_its_version(monkeypatch):
    """Where another is installed, what it has besides waits for the spec, which asks the package itself."""
    known = catalogue()["optimizer"]["optimizer"]["keys"]["name"]
    assert known["allowed"] == sorted(factories())
    package, version = known["of"].split()
    assert version == importlib.metadata.version(package)

    def said(name):
        return refusal(check, {"optimizer": {"name": name}}, ["optimizer"], [])

    assert said("adam") is None
    assert said("adm") == refusal(make, Optimizer, {"name": "adm"}, "optimizer")
    assert said(3) == refusal(make, Optimizer, {"name": 3}, "optimizer")
    for told in (f"{package} 0.0.1", "absent 1.0"):
        monkeypatch.setitem(known, "of", told)
        assert said("adm") is None
