"""State evolution against the algorithm on a random network, and on a linear one against the exact error."""

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.inference.ml_vamp.evolution import evolve
from sbvi.inference.ml_vamp.network import Linear, from_layers
from sbvi.inference.ml_vamp.problem import GaussianOutput, Problem
from sbvi.inference.ml_vamp.random_networks import random_network
from sbvi.inference.ml_vamp.trace import trace


def observed(network, examples, noise, seed=1):
    generator = np.random.default_rng(seed)
    with jax.enable_x64(True):
        z = jnp.asarray(generator.standard_normal((examples, network.inputs)))
        noises = [jnp.asarray(generator.standard_normal((examples, n))) for n in network.noisy]
        values = [np.asarray(v) for v in network.activations(z, noises)]
    y = values[-1] + np.sqrt(noise) * generator.standard_normal(values[-1].shape)
    return Problem(network, GaussianOutput(noise), y), values


def test_one_linear_layer_has_the_exact_error():
    generator = np.random.default_rng(0)
    weight = generator.normal(size=(40, 60)) / 5
    expected = np.mean(np.diag(np.eye(60) - weight.T @ np.linalg.solve(weight @ weight.T + 0.3 * np.eye(40), weight)))
    found = evolve([Linear(weight, generator.normal(size=40))], 0.3, 2)
    np.testing.assert_allclose(found.backward[0], expected, rtol=1e-6)
    np.testing.assert_allclose(found.backward_claimed[0], expected, rtol=1e-6)
    np.testing.assert_allclose(found.power, 1)


def test_two_linear_layers_with_noise_follow_the_algorithm():
    generator = np.random.default_rng(3)
    layers = [
        ("linear", generator.normal(size=(300, 200)) / np.sqrt(200), np.zeros(300), 0.2),
        ("linear", generator.normal(size=(250, 300)) / np.sqrt(300), np.zeros(250)),
    ]
    problem, values = observed(from_layers(layers), 8, 0.1)
    actual, predicted = trace(problem, values, 3), evolve(problem.measured_layers, 0.1, 3)
    for side in ("forward", "backward", "forward_claimed", "backward_claimed"):
        np.testing.assert_allclose(getattr(actual, side), getattr(predicted, side), rtol=0.08)
    np.testing.assert_allclose(actual.power, predicted.power, rtol=0.05)


def test_a_relu_network_follows_its_prediction_at_every_half_iteration():
    problem, values = observed(random_network(0, (150, 300, 200)), 10, 0.05)
    actual = trace(problem, values, 4)
    for activations in (None, values):  # the random network's own distribution, and the one that was met
        predicted = evolve(problem.measured_layers, 0.05, 4, draws=40_000, activations=activations)
        for side in ("forward", "backward"):
            errors = [getattr(x, side) / x.power[:, None] for x in (actual, predicted)]
            assert np.max(np.abs(10 * np.log10(errors[0] / errors[1]))) < 0.6
            claimed = [getattr(x, f"{side}_claimed") for x in (actual, predicted)]
            assert np.max(np.abs(10 * np.log10(claimed[0] / claimed[1]))) < 0.6
    # Where everything is matched, what is claimed is what is met.
    np.testing.assert_allclose(predicted.backward[0], predicted.backward_claimed[0], rtol=0.1)
