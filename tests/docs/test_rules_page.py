"""docs/rules.md: what a group can be told has a row in the table of that group."""

import re
from typing import get_args, get_type_hints

import pytest
from support.paths import ROOT

from sbvi.algorithms import ALGORITHMS
from sbvi.distributions.priors import PRIORS
from sbvi.gradients import RULES
from sbvi.objectives import OBJECTIVES, FreeEnergy, ImportanceWeighted
from sbvi.posteriors import POSTERIORS

pytestmark = pytest.mark.quick

SECTIONS = re.split(r"^## ", (ROOT / "docs" / "rules.md").read_text(), flags=re.M)[1:]
OBJECTIVE, ESTIMATOR = next(part for part in SECTIONS if part.startswith("Objectives ")).split(
    "\n`objective.estimator`:"
)
ESTIMATORS = {name for kind in (FreeEnergy, ImportanceWeighted) for name in get_args(get_type_hints(kind)["estimator"])}


def section(heading):
    return next(part for part in SECTIONS if part.startswith(f"{heading} "))


def rows(text):
    """What the first cells of the tables name."""
    return set(re.findall(r"^\| `(\w+)` \|", text, re.M))


def own(registry):
    """Names of this package alone: a plug-in's stand in its own pages."""
    return {name for name, kind in registry.items() if kind.__module__.startswith("sbvi.")}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (section("Posteriors"), own(POSTERIORS)),
        (section("Priors"), own(PRIORS)),
        (OBJECTIVE, own(OBJECTIVES)),
        (ESTIMATOR, ESTIMATORS),
        (section("Algorithms"), own(ALGORITHMS)),
        (section("Gradient rules"), set(RULES)),
    ],
    ids=["posteriors", "priors", "objectives", "estimators", "algorithms", "rules"],
)
def test_every_name_has_a_row(text, names):
    assert rows(text) == names
