"""Settings of tasks that would change nothing are refused with the task's other ones."""

import pytest

from sbvi.core import UserError, build
from sbvi.tasks import TASKS

pytestmark = pytest.mark.quick


def test_half_of_an_image_is_half_of_it():
    half = {"name": "imputation", "missing": "lower_half"}
    with pytest.raises(UserError, match=r"task: fraction=0.9 is of no use with missing=lower_half.*allowed there: 0.6"):
        build(TASKS, "task", half | {"fraction": 0.9})
    build(TASKS, "task", half)
    build(TASKS, "task", half | {"missing": "square", "fraction": 0.9})


def test_a_grid_has_points_inside():
    with pytest.raises(UserError, match=r"task: points=2 is no grid; allowed: 3 or more"):
        build(TASKS, "task", {"name": "posterior", "points": 2})
    build(TASKS, "task", {"name": "posterior", "points": 3})


def test_draws_without_chains_have_no_sweeps():
    for method in ("ancestral", "resampling"):
        with pytest.raises(UserError, match=f"task: iterations=7 has no use with method={method}.*method=gibbs or gib"):
            build(TASKS, "task", {"name": "samples", "method": method, "iterations": 7})
        build(TASKS, "task", {"name": "samples", "method": method})
    build(TASKS, "task", {"name": "samples", "method": "gibbs", "iterations": 7})
