"""What numbers are, and which way is better."""

import pytest

from sbvi.core import UserError
from sbvi.core.quantities import MONITORS, error_of, monitor_of, quantity
from sbvi.objectives import OBJECTIVES
from sbvi.runs.comparison import less_is_better


@pytest.mark.parametrize(
    ("name", "unit", "lower"),
    [
        ("test/nll", "nats", True),
        ("test/bits_per_dimension", "bits", True),
        ("test/kl/layer_1", "nats", True),
        ("test/nll_stderr/accuracy", "nats", True),
        ("imputation/rmse", "", True),
        ("test/nll_geometric", "nats", True),
        ("test/nll_geometric_bound", "nats", True),
        ("test/log_z2", "nats", False),
        ("validation/elbo", "nats", False),
        ("validation/bound", "nats", False),
        ("examples_per_second", "examples/s", False),
        ("wall_seconds", "s", True),
    ],
)
def test_direction_and_unit(name, unit, lower):
    assert quantity(name).unit == unit
    assert less_is_better(name) is lower


def test_numbers_without_a_better_direction_do_not_rank():
    for name in ("train/learning_rate", "test/active_units/layer_1", "test/unheard_of"):
        with pytest.raises(UserError, match=f"--metric {name} has no better direction"):
            less_is_better(name)


@pytest.mark.parametrize("column", ["accuracy", "temperature", "width", "loss"])
def test_a_column_keeps_the_direction_of_what_is_told_of_it(column):
    """Whatever it is called: -log p of a column named accuracy is not better where it is higher."""
    assert quantity(f"test/nll/{column}") == quantity("test/nll")


def test_what_scores_a_run_is_told_by_what_it_wrote():
    assert monitor_of({"validation/elbo", "validation/bound", "validation/kl"}) == "validation/bound"
    assert monitor_of({"validation/elbo", "validation/log_likelihood"}) == "validation/elbo"
    assert monitor_of({"validation/hybrid", "validation/conditional_log_likelihood"}) == "validation/hybrid"
    assert monitor_of({"train/elbo"}) is None


def test_every_monitor_and_score_of_labels_ranks():
    monitors = {objective.monitor for objective in OBJECTIVES.values()}
    assert monitors <= set(MONITORS)
    for name in (*monitors, "accuracy"):
        assert not less_is_better(f"validation/{name}")
    for name in ("calibration_error", "log_loss"):
        assert less_is_better(f"test/{name}")


def test_what_the_standard_error_of_a_scalar_is_called():
    assert error_of("test/nll") == "test/nll_stderr"
    assert error_of("nll") == "nll_stderr"
    assert error_of("test/nll/kl/age") == "test/nll_stderr/kl/age"  # of the column kl/age
    assert error_of("test/kl/layer_1") == "test/kl/layer_1_stderr"
    assert error_of("validation/elbo") == "validation/elbo_stderr"
