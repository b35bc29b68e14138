"""The oracle: a model of one latent, whose bounds over a few samples are sums over a grid of Gauss and Hermite.

    xi ~ N(0, 1),   log p(v | xi) = sum_d -softplus(-(slope_d xi + offset_d)),   q = N(mean, exp(log_scale)^2)

The grid's points are the examples of a rollout, each with parameters of its own, so that one gradient holds the
estimator's value at every point; its mean under the grid's weights is exact. In float64.
"""

import functools
import itertools
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.distributions.diagonal import DiagonalGaussian
from sbvi.distributions.gaussian import log_prob, sample, standard_log_prob
from sbvi.gradients import STANDARD, gated
from sbvi.models.rollout import Rollout

SLOPES, OFFSETS = np.array([1.9, -0.6]), np.array([-0.7, 0.4])
#: mean, log_scale and the generative slope.
POINT = {"mean": 0.5, "log_scale": -0.4, "slope": SLOPES[0]}
#: Nodes of the grid for each number of samples.
NODES = {1: 80, 2: 64, 3: 28}


@functools.cache
def grid(num_samples):
    """Noise (S, P) and weights (P,) that sum to one."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES[num_samples])
    weights = weights / weights.sum()
    noise = np.array(list(itertools.product(nodes, repeat=num_samples))).T
    return noise, np.prod(np.array(list(itertools.product(weights, repeat=num_samples))), 1)


def expected_bound(point, num_samples, alpha, kl_weight):
    """E L_alpha of `num_samples` samples, nats; NumPy alone."""
    noise, weights = grid(num_samples)
    xi = point["mean"] + np.exp(point["log_scale"]) * noise
    likelihood = -np.logaddexp(0, -(point["slope"] * xi + OFFSETS[0])) - np.logaddexp(0, -(SLOPES[1] * xi + OFFSETS[1]))
    ratio = -0.5 * xi**2 + 0.5 * noise**2 + point["log_scale"]  # log p - log q
    log_weights = likelihood + kl_weight * ratio
    if alpha == 1:
        return float(weights @ log_weights.mean(0))
    powers = (1 - alpha) * log_weights
    return float(weights @ ((np.logaddexp.reduce(powers, axis=0) - np.log(num_samples)) / (1 - alpha)))


@functools.cache
def expected_gradient(num_samples, alpha, kl_weight, step=1e-3):
    """Its derivatives by parameter, by differences of fourth order."""
    found = {}
    for name, value in POINT.items():
        at = [
            expected_bound(POINT | {name: value + shift * step}, num_samples, alpha, kl_weight)
            for shift in (-2, -1, 1, 2)
        ]
        found[name] = (at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * step)
    return found


def estimated_gradients(objective, kl_weights):
    """For each KL weight, by parameter: the mean of what the objective gives for the bound's gradient."""
    noise, weights = grid(objective.num_samples)
    points = len(weights)

    def loss(params, kl_weight):
        def rollout(num_samples, paths=STANDARD):
            q = {"layer_1": DiagonalGaussian(params["mean"], params["log_scale"])}
            latents = {"layer_1": sample(q["layer_1"], jnp.asarray(noise)[..., None])}
            gate = None
            if paths.gated:
                latents, gate = gated(latents)
            xi = latents["layer_1"]
            logits = jnp.concatenate([params["slope"][None] * xi, SLOPES[1] * xi], -1) + OFFSETS[None, None]
            scored = jax.lax.stop_gradient(q) if paths.detach_posterior else q
            return Rollout(
                latents=latents,
                log_likelihood=jnp.sum(jax.nn.log_sigmoid(logits), -1),
                log_prior={"layer_1": standard_log_prob(xi)},
                log_posterior={"layer_1": log_prob(scored["layer_1"], xi)},
                kl=None,
                gate=gate,
            )

        return objective(SimpleNamespace(rollout=rollout), {"kl_weight": kl_weight})[0]

    params = {name: jnp.full((points, 1), value, jnp.float64) for name, value in POINT.items()}
    each = jax.jit(jax.grad(loss))
    # The loss is minus the mean over points.
    return [
        {name: float(-points * (weights @ np.asarray(value)[:, 0])) for name, value in each(params, weight).items()}
        for weight in kl_weights
    ]
