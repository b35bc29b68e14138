"""State evolution against the algorithm on random networks, and on a linear one against the exact error."""

import numpy as np
import pytest

from sbvi.inference.ml_vamp.evolution import evolve
from sbvi.inference.ml_vamp.network import Linear, Network, from_layers
from sbvi.inference.ml_vamp.problem import BinaryOutput, GaussianOutput, Problem
from sbvi.inference.ml_vamp.random_networks import random_network
from sbvi.inference.ml_vamp.trace import drawn, trace


def observed(network, output, examples, missing=()):
    y = np.zeros((1, network.outputs))
    y[:, missing] = np.nan
    return drawn(Problem(network, output, y), examples, seed=1)


def decibels(actual, predicted, side):
    errors = [getattr(x, side) / x.power[:, None] for x in (actual, predicted)]
    return np.max(np.abs(10 * np.log10(errors[0] / errors[1])))


def test_one_linear_layer_has_the_exact_error():
    generator = np.random.default_rng(0)
    weight = generator.normal(size=(40, 60)) / 5
    expected = np.mean(np.diag(np.eye(60) - weight.T @ np.linalg.solve(weight @ weight.T + 0.3 * np.eye(40), weight)))
    network = Network((Linear(weight, generator.normal(size=40)),))
    found = evolve(Problem(network, GaussianOutput(0.3), np.zeros((1, 40))), 2)
    np.testing.assert_allclose(found.backward[0], expected, rtol=1e-6)
    np.testing.assert_allclose(found.backward_claimed[0], expected, rtol=1e-6)
    np.testing.assert_allclose(found.power, 1)


def test_two_linear_layers_with_noise_follow_the_algorithm():
    generator = np.random.default_rng(3)
    layers = [
        ("linear", generator.normal(size=(300, 200)) / np.sqrt(200), generator.normal(size=300), 0.2),
        ("linear", generator.normal(size=(250, 300)) / np.sqrt(300), generator.normal(size=250)),
    ]
    problem, values = observed(from_layers(layers), GaussianOutput(0.1), 8)
    actual, predicted = trace(problem, values, 3), evolve(problem, 3)
    for side in ("forward", "backward", "forward_claimed", "backward_claimed"):
        np.testing.assert_allclose(getattr(actual, side), getattr(predicted, side), rtol=0.08)
    np.testing.assert_allclose(actual.power, predicted.power, rtol=0.05)


def test_a_relu_network_follows_its_prediction_at_every_half_iteration():
    problem, values = observed(random_network(0, (150, 300, 200)), GaussianOutput(0.05), 10)
    actual = trace(problem, values, 4)
    for activations in (None, values):  # the random network's own distribution, and the one that was met
        predicted = evolve(problem, 4, draws=40_000, activations=activations)
        for side in ("forward", "backward", "forward_claimed", "backward_claimed"):
            assert decibels(actual, predicted, side) < 0.6
    # Where everything is matched, what is claimed is what is met.
    np.testing.assert_allclose(predicted.backward[0], predicted.backward_claimed[0], rtol=0.1)


@pytest.mark.parametrize("output", [BinaryOutput("logistic"), BinaryOutput("probit", 0.3)], ids=lambda o: o.link)
def test_bits_of_which_some_are_missing_follow_their_prediction(output):
    """One linear layer with a bias, 40 of its 200 outputs erased: the errors of latents and of logits."""
    generator = np.random.default_rng(0)
    weight, bias = generator.normal(size=(200, 60)) / 4, generator.normal(size=200)
    problem, values = observed(Network((Linear(weight, bias),)), output, 30, np.s_[:40])
    assert values[1].shape == (30, 160)
    np.testing.assert_allclose(values[1], values[0] @ weight[40:].T + bias[40:])
    share = np.nanmean(problem.y[:, 40:][np.abs(values[1]) < 0.5])
    assert abs(share - 0.5) < 0.05
    actual, predicted = trace(problem, values, 3), evolve(problem, 3, draws=10_000)
    for side in ("forward", "backward", "forward_claimed", "backward_claimed"):
        assert decibels(actual, predicted, side) < 0.3
    np.testing.assert_allclose(predicted.backward, predicted.backward_claimed, rtol=0.05)  # 10,000 draws
