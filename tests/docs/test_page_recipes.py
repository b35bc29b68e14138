"""The recipes that pages tell in sentences and tables, hours each, take two steps of training on their data.

That they and what is done with their runs are composed is in test_pages.py; their tasks have tests of their own.
"""

import re
import runpy
import sys

import pytest
from support import page_stand_ins as stand_ins
from support.pages import PAGES, between_the_lines
from support.paths import ROOT, needs_data
from support.processes import command

_FOLDER = re.compile(r"outputs/reproduce/(\w+)-(\d+)")
#: No final test, which is of thousands of images; of what draws its parameters, a draw at either step.
_STEPS = ("evaluation.test=false", "trainer.validate_every=1", "trainer.log_every=1")
_DRAWS = ("algorithm.burn_in=0", "algorithm.thinning=1", "algorithm.tuning_epochs=0")
#: Words that such a short run does not tell apart.
_LENGTHS = re.compile(r" (seed|trainer\.\w+|evaluation\.\w+|optimizer\.\w+|optimizer\.schedule\.\w+)=\S+")


def recipes():
    """Every recipe once, whatever its seed and length, as a page tells it."""
    lines = [line for page in PAGES for line in between_the_lines(page)]
    found = {}
    for line in lines:
        if line.words[0] == "sbvi-train" and line.words[1].startswith("experiment=") and "..." not in str(line):
            found.setdefault(_LENGTHS.sub("", str(line)), line.words[1:])
    return found


@pytest.fixture(scope="session")
def kept(tmp_path_factory):
    """Where recipes' runs lie, as outputs/reproduce does in a clone."""
    return tmp_path_factory.mktemp("recipes")


@pytest.fixture(scope="session")
def reproduce():
    sys.path.insert(0, str(ROOT / "scripts"))
    yield runpy.run_path(str(ROOT / "scripts" / "reproduce.py"))
    sys.path.remove(str(ROOT / "scripts"))


def trains(words, folder, reproduce, *more):
    """Two steps of a recipe, and before them of the run that it begins from."""
    for name, seed in _FOLDER.findall(" ".join(words)):
        if not (place := folder / "outputs" / "reproduce" / f"{name}-{seed}").exists():
            trains(reproduce["words"](name, int(seed)), folder, reproduce, f"hydra.run.dir={place}")
    draws = _DRAWS if "sgmcmc" in words[0] else ()
    small = stand_ins.shortened(["sbvi-train", *words])[1:]
    done = command("train", *small, *_STEPS, *draws, *more, cwd=folder, timeout=3600)
    assert done.returncode == 0, (words, done.stderr[-2000:])


def test_recipes_are_found():
    assert len(recipes()) > 50


@pytest.mark.slow
@pytest.mark.timeout(3600)
@needs_data
@pytest.mark.parametrize("name", recipes())
def test_a_recipe_of_a_page_takes_two_steps(name, kept, reproduce):
    trains(recipes()[name], kept, reproduce)
