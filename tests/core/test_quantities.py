"""What numbers are, and which way is better."""

import pytest

from sbvi.core import UserError
from sbvi.core.quantities import quantity
from sbvi.runs.comparison import less_is_better


@pytest.mark.parametrize(
    ("name", "unit", "lower"),
    [
        ("test/nll", "nats", True),
        ("test/bits_per_dimension", "bits", True),
        ("test/kl/layer_1", "nats", True),
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
