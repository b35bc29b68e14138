"""Which of a step's scalars are told as the logarithm of 0, and which are large numbers."""

import math

import pytest

from sbvi.training.shown import Shown

pytestmark = pytest.mark.quick


def test_a_rate_or_a_weighted_loss_is_as_large_as_it_is(caplog):
    given = {"train/elbo": -30.0, "train/kl": 3.0, "train/loss": 1e30, "train/learning_rate": 1e30, "train/own": -1e30}
    assert Shown("elbo")(given, 1) == given
    assert not caplog.records
    assert Shown("own")(given, 1) == given | {"train/own": -math.inf, "train/loss": math.inf}


@pytest.mark.parametrize("name", ["log_likelihood", "elbo", "bound", "hybrid", "conditional_log_likelihood"])
def test_rows_of_probability_0_are_told_once_with_the_loss_that_is_made_of_them(name, caplog):
    shown = Shown("elbo")
    given = {f"train/{name}": -2e29, "train/loss": 2e29, "train/learning_rate": 1e30}
    told = {f"train/{name}": -math.inf, "train/loss": math.inf, "train/learning_rate": 1e30}
    assert shown(given, 7) == shown(given, 8) == told
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith(f"train/{name}, train/loss at step 7: infinite, since some rows have probability 0")
