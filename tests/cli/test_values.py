"""Wrong values, answered by the catalogue as the specs themselves would answer, before what trains is imported."""

import copy
import functools
import importlib.metadata
import subprocess
import sys
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.processes import environment

from sbvi.algorithms.optimizer import Optimizer, factories
from sbvi.cli.catalogue import check
from sbvi.cli.values import annotation, check_values
from sbvi.core import UserError, make
from sbvi.core.catalogue import catalogue
from sbvi.runs.experiment import GROUPS, SETTINGS
from sbvi.runs.words import CHOICES
from sbvi.sweeps.pruning import Pruning
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


#: Values of every kind that a config can hold, most of them wrong for most keys.
_PLAIN = st.none() | st.booleans() | st.integers(-3, 300) | st.floats(-3, 3) | st.sampled_from(["", "abc", "all", "-1"])
_ANY = st.recursive(
    _PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just("a"), inner), max_leaves=4
)
_KEYS = [
    (group, entry, key)
    for group, entries in catalogue().items()
    for entry, described in entries.items()
    for key in described["keys"]
]


def nested(key, value, base=None):
    """A group's settings with one key set."""
    values = copy.deepcopy(base or {})
    *path, name = key.split(".")
    place = values
    for part in path:
        place = place.setdefault(part, {})
    place[name] = value
    return values


@functools.cache
def whole(group, entry):
    """An entry's defaults, and a text for what must be given, so that a key is wrong for its value alone."""
    values = {}
    for key, about in catalogue()[group][entry]["keys"].items():
        values = nested(key, about.get("default", "x"), values)
    return values


def early_and_late(group, entry, key, value, base):
    """What the first check says of a key's value, and what the spec says."""
    values = nested(key, value, base)
    name = {} if group in SETTINGS or group in ("optimizer", "pruning") else {"name": entry}
    kind = REGISTRIES[group][entry] if group in REGISTRIES else Pruning
    return refusal(check, {group: {**name, **values}}, [group], []), refusal(make, kind, values, group)


def test_no_default_is_refused():
    """Nor any value that a closed choice has, whatever else is chosen."""
    for group, entry, key in _KEYS:
        about = catalogue()[group][entry]["keys"][key]
        for value in [*about.get("allowed", ()), *([about["default"]] if "default" in about else ())]:
            assert early_and_late(group, entry, key, value, None)[0] is None, (group, entry, key, value)
            assert refusal(check, {group: nested(key, value)}, [group], []) is None, (group, key, value)


@given(st.sampled_from(_KEYS), st.data())
def test_what_is_refused_early_is_refused_by_the_specs(place, data):
    """In the same words, the number of faults aside; what the specs allow passes."""
    group, entry, key = place
    allowed = catalogue()[group][entry]["keys"][key].get("allowed", ["abc"])
    among = st.sampled_from(allowed)
    value = data.draw(_ANY | among | st.lists(among | st.lists(st.integers(1, 3)) | st.integers(1, 3), max_size=3))
    early, late = early_and_late(group, entry, key, value, whole(group, entry))
    if early is not None:
        assert late is not None
        assert early.split(" (")[0].rstrip(".") == late.split(" (")[0].rstrip(".")


@pytest.mark.parametrize(
    ("group", "entry", "key", "wrong", "right"),
    [
        ("runtime", "runtime", "devices", ["abc", 0, 2.5, [1]], ["all", 2]),
        ("model", "helmholtz", "units", ["abc", 3, ["abc"], [["darn"]]], ["darn", ["darn", "nade"]]),
        ("model", "dlgm", "hidden", [5, ["a"], [0], [[3], 4], [[0]]], [[3, 4], [[3], [4, 5]], []]),
        ("algorithm", "sgmcmc", "integrator", ["abc", 1], ["explicit", None]),
        ("task", "recover", "compare", ["gradient", ["abc"], [3]], [["gradient", "ml_vamp"]]),
        ("task", "query", "given", ["abc", [-1], [2.5], [["a"]]], [["abc", 3], []]),
    ],
)
def test_values_of_unions_are_checked_early(group, entry, key, wrong, right):
    for value in wrong:
        early, late = early_and_late(group, entry, key, value, None)
        assert early is not None
        assert early == late
    for value in right:
        assert early_and_late(group, entry, key, value, None)[0] is None


def test_every_type_of_the_catalogue_is_told_but_settings():
    """So that a new kind of type does not wait for the whole check unseen."""
    untold = set()
    for group, entry, key in _KEYS:
        about = catalogue()[group][entry]["keys"][key]
        if annotation(about["type"], () if "of" in about else about.get("allowed", ())) is None:
            untold.add(about["type"])
    assert all("settings" in words for words in untold), untold


def test_types_in_words():
    assert annotation("whole number or null") == int | None
    assert annotation("list of texts") == tuple[str, ...]
    assert annotation("true or false") is bool
    assert annotation("true or false or number or null") == bool | float | None
    assert annotation("list of a, b") == tuple[Literal["a", "b"], ...]
    assert annotation("whole number or all", ["all"]) == int | Literal["all"]
    assert annotation("one of 1, 2", [1, 2]) == Literal[1, 2]
    for words in (
        "list of 1, 2",
        "list of True, False",
        "list of a, b or settings c",
        "list of lists of texts or numbers",
    ):
        assert annotation(words) is None
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
