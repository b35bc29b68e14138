"""Every method on one problem whose posterior is known in closed form: a single linear layer."""

import numpy as np
import pytest

from sbvi.core import UserError
from sbvi.core.watch import watching
from sbvi.inference.ml_vamp.chains import Chain, hamiltonian, langevin
from sbvi.inference.ml_vamp.descent import Descent
from sbvi.inference.ml_vamp.network import Network
from sbvi.inference.ml_vamp.problem import BinaryOutput, GaussianOutput, Problem
from sbvi.inference.ml_vamp.recovery import recover
from sbvi.inference.ml_vamp.sensing import entries, fits, network_of, projections
from sbvi.inference.ml_vamp.units import UNITS

CHAIN = Chain(samples=4000, warmup=600, leaps=8)
METHODS = {
    "ml_vamp": "ml_vamp",
    "ml_vamp_map": "ml_vamp_map",
    "gradient": Descent(restarts=2, steps=400),
    "langevin": lambda problem, seed: langevin(problem, CHAIN, seed),
    "hamiltonian": lambda problem, seed: hamiltonian(problem, CHAIN, seed),
}


@pytest.mark.parametrize("name", METHODS)
def test_every_method_finds_the_posterior_of_a_linear_layer(name):
    generator = np.random.default_rng(0)
    weight, bias = generator.normal(size=(6, 3)), generator.normal(size=6)
    layers = [(weight.T, bias, 0.0)]  # as a model gives them
    x = generator.normal(size=(2, 6))
    missing = np.zeros((2, 6), bool)
    missing[:, 4] = True
    heard = []
    with watching(lambda *told: heard.append(told)):
        found = recover(entries(network_of(layers), x, missing, False, 0.6), METHODS[name])
    work = {"gradient": ("descent", 2), "ml_vamp": ("message passing", 3), "ml_vamp_map": ("message passing", 3)}
    what, total = work.get(name, ("", -1))  # chains are one piece
    assert heard == [(what, done, total) for done in range(total + 1)]
    seen = ~missing[0]
    covariance = np.linalg.inv(np.eye(3) + weight[seen].T @ weight[seen] / 0.36)
    mean = (x[:, seen] - bias[seen]) @ weight[seen] @ covariance / 0.36
    chain = name in ("langevin", "hamiltonian")
    np.testing.assert_allclose(found.latents, mean, atol=0.06 if chain else 2e-3)
    np.testing.assert_allclose(found.signal, mean @ weight.T + bias, atol=0.15 if chain else 6e-3)
    assert found.seconds > 0
    if name == "gradient":
        assert np.isnan(found.variances).all()
        return
    spread = np.diag(weight @ covariance @ weight.T)
    np.testing.assert_allclose(found.variances, np.tile(np.diag(covariance), (2, 1)), rtol=0.2 if chain else 5e-3)
    np.testing.assert_allclose(found.signal_variances, np.tile(spread, (2, 1)), rtol=0.2 if chain else 5e-3)


def test_variances_are_exact_where_linear_layers_follow_one_another():
    """As G_L and the first layer of T_L do."""
    generator = np.random.default_rng(0)
    inner, outer, operator = generator.normal(size=(3, 3)), generator.normal(size=(3, 6)), generator.normal(size=(5, 6))
    network = network_of([(inner, np.zeros(3), 0.0), (outer, np.zeros(6), 0.0)])
    found = recover(projections(network, generator.normal(size=(2, 5)), operator, False, 0.5))
    weight = outer.T @ inner.T
    design = operator @ weight
    covariance = np.linalg.inv(np.eye(3) + design.T @ design / 0.25)
    np.testing.assert_allclose(found.variances, np.tile(np.diag(covariance), (2, 1)), rtol=1e-3)
    spread = np.diag(weight @ covariance @ weight.T)
    np.testing.assert_allclose(found.signal_variances, np.tile(spread, (2, 1)), rtol=1e-3)


def test_message_passing_counts_its_attempts_for_each_pattern_of_gaps():
    generator = np.random.default_rng(0)
    layers = [(generator.normal(size=(3, 6)), np.zeros(6), 0.0)]
    missing = np.eye(2, 6, dtype=bool)
    heard = []
    with watching(lambda *told: heard.append(told)):
        recover(entries(network_of(layers), generator.normal(size=(2, 6)), missing, False, 0.6))
    patterns = [f"message passing, pattern of gaps {place} of 2" for place in (1, 2)]
    assert heard == [(what, done, 3) for what in patterns for done in range(4)]


def test_signs_of_projections_say_the_direction():
    generator = np.random.default_rng(1)
    layers = [(generator.normal(size=(2, 20)), np.zeros(20), 0.0)]
    z = np.array([[1.2, -0.8]])
    x = z @ layers[0][0]
    operator = generator.normal(size=(150, 20))
    found = recover(
        projections(network_of(layers), (x @ operator.T > 0).astype(float), operator, False, 0.1, signs=True)
    )
    cosine = np.sum(found.signal * x) / np.linalg.norm(found.signal) / np.linalg.norm(x)
    assert cosine > 0.99
    assert found.signal.shape == (1, 20)


def test_probabilities_of_a_binary_model():
    layers = [(np.array([[2.0, -1.0, 0.5]]), np.array([0.1, 0.0, -0.3]), 0.0)]
    network = Network((*network_of(layers).layers, UNITS["sigmoid"]))
    z = np.array([[0.7]])
    np.testing.assert_allclose(
        network.activations(z)[-1], 1 / (1 + np.exp(-(z @ layers[0][0] + layers[0][1]))), rtol=1e-5
    )
    fits(network, 3)
    with pytest.raises(UserError, match="3 outputs for 6 values"):
        fits(network, 6)


def test_a_probability_is_the_average_over_the_posterior():
    generator = np.random.default_rng(2)
    network = network_of([(generator.normal(size=(2, 5)), np.zeros(5), 0.0)])
    y = np.array([[1.0, 0.0, 1.0, np.nan, 1.0]])
    found = recover(Problem(network, BinaryOutput("probit", 0.5), y))
    draws = generator.standard_normal((200_000, 2))
    weight = network.layers[0].weight
    from scipy.special import ndtr

    chances = ndtr(draws @ weight.T / np.sqrt(0.5))
    fit = np.prod(np.where(y == 1, chances, 1 - chances)[:, [0, 1, 2, 4]], axis=1)
    np.testing.assert_allclose(found.signal[0], (fit @ chances) / fit.sum(), atol=0.08)
    np.testing.assert_allclose(found.signal_variances, found.signal * (1 - found.signal))


def test_deviations_of_noise_become_variances():
    """What is told of noise is a standard deviation, and what problems hold a variance."""
    network = network_of([(np.eye(2), np.zeros(2), 0.3)])
    assert network.layers[0].noise == pytest.approx(0.09)
    x, operator = np.ones((1, 2)), np.eye(2)
    problems = [entries(network, x, x < 0, False, 0.5), projections(network, x, operator, False, 0.5)]
    problems.append(projections(network, x, operator, False, 0.5, signs=True))
    assert [problem.output.noise for problem in problems] == [0.25] * 3


def test_gaussian_outputs_are_not_given_zero_noise():
    network = network_of([(np.eye(2), np.zeros(2), 0.0)])
    with pytest.raises(UserError, match="noise=0"):
        Problem(network, GaussianOutput(0.0), np.ones((1, 2)))
