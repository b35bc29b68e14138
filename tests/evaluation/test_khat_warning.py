"""The share of examples whose importance weights have too heavy a tail, and the warning."""

import logging

import numpy as np
import pytest
from support.models import dlgm, summary

from sbvi.data.sources.synthetic import Synthetic
from sbvi.evaluation import Evaluation, Evaluator
from sbvi.evaluation.trust import trust, weights_shared
from sbvi.models import MODELS


def test_the_share_and_its_warning(caplog):
    caplog.set_level(logging.WARNING)
    khat = np.array([0.7] * 9 + [0.71])
    assert trust("test", {"khat": khat}, True) == {"test/khat_above_0.7": pytest.approx(0.1)}
    assert not caplog.records
    assert trust("input", {"khat": khat[1:]}, True) == {"input/khat_above_0.7": pytest.approx(1 / 9)}
    (record,) = caplog.records
    assert record.getMessage() == (
        "input: of 11 % of the examples k-hat is above 0.7, so that the negative log-likelihood may be too high by "
        "more than its standard error; take more importance samples (num_samples), task=annealed, or a richer "
        "posterior."
    )
    assert trust("test", {"khat": np.array([np.nan])}, True) == {"test/khat_above_0.7": 1.0}
    assert trust("test", {"nll": khat}, True) == {}
    caplog.clear()
    found = trust("test", {"khat": khat[1:], "quadrature_error": np.array([1e-4, 0.02, 1e-3])}, True)
    assert found == {"test/khat_above_0.7": pytest.approx(1 / 9), "test/quadrature_error": 0.02}
    assert not caplog.records  # what is told is quadrature's
    trust("test", {"khat": khat[1:]}, False)
    assert caplog.messages[0].endswith("take more importance samples (num_samples), or a richer posterior.")


@pytest.mark.parametrize(("units", "moves"), [("bernoulli", False), ("gaussian", True)])
def test_annealing_is_named_where_it_serves(units, moves):
    """As the task itself finds: of machines whose latents are bits it is refused."""
    machine = MODELS["helmholtz"](layers=(3,), units=(units,))
    assert machine.moves_latents == moves


def test_one_chain_of_many_is_no_average(caplog):
    caplog.set_level(logging.WARNING)
    weights_shared("test", np.array([1.99] + [2.0] * 9), 16)
    weights_shared("test", np.ones(10), 1)  # of one chain nothing is known
    weights_shared("test", np.full(10, 1.99), 2)  # two of nearly one weight
    assert not caplog.records
    weights_shared("test", np.full(10, 1.2), 2)
    assert caplog.messages[0].startswith("test: for 100 % of the examples fewer than 1.5 of the 2 annealed chains")
    caplog.clear()
    weights_shared("dreams", np.array([1.99, np.nan] + [2.0] * 8), 16)
    (record,) = caplog.records
    assert record.getMessage() == (
        "dreams: for 20 % of the examples fewer than 2 of the 16 annealed chains count, so that the negative "
        "log-likelihood is likely too high by more than its standard error; take more task.temperatures, or "
        "task.leapfrog_steps."
    )


@pytest.mark.parametrize("samples", [20, 150])
def test_the_evaluator_reports_it_where_there_are_samples_enough(samples):
    model = dlgm((4,), latents=(2,), hidden=(3,), recognition_hidden=(3,))
    dataset = Synthetic(dimensions=4, train_size=10, validation_size=10, test_size=12).load()
    evaluator = Evaluator(model, dataset, Evaluation(batch_size=5))
    scalars, arrays = evaluator.summary(model.init(0, summary(np.full(4, 0.4), np.ones(4))), "test", samples)
    assert ("khat" in arrays) == ("test/khat_above_0.7" in scalars) == (samples == 150)
    assert "test/khat" not in scalars
    if samples == 150:
        assert arrays["khat"].shape == (12,)
        assert scalars["test/khat_above_0.7"] == np.mean(arrays["khat"] > 0.7)
