"""Posteriors of parameters by stochastic gradients, against closed forms, quadrature and BlackJAX's NUTS.

The noise of mini-batches is correlated as the posterior is, which frictions of single elements do not absorb: steps are
so small here that it adds little to the noise that is drawn, h^2 v / 2 against D.
"""

import blackjax
import jax
import jax.numpy as jnp
import numpy as np
from support.linear_gaussian import LinearGaussian, unbounded
from support.nightly import NIGHTLY

from sbvi.algorithms.nais import generative_gradient
from sbvi.inference.sgmcmc import KERNELS
from sbvi.inference.sgmcmc.priors import GaussianPrior
from sbvi.models.rollout import Noise

STEPS, BURN = (8000, 500) if NIGHTLY else (2500, 500)
#: Of a standard deviation: how far means may be off; and how far deviations, relatively.
WITHIN = 0.05


def sampled(kernel, step_size, gradient, start, examples, batch, chains):
    """Means and covariance over chains and steps. gradient: (position (P,), rows of the mini-batch, key) -> (P,)."""

    def step(carry, number):
        states, total, square = carry
        own = jax.random.fold_in(jax.random.key(0), number)

        def one(state, key):
            first, second, third = jax.random.split(key, 3)
            chosen = jax.random.randint(first, (batch,), 0, examples)  # each chain its own, with replacement
            return kernel.step(third, state, lambda p, key: gradient(p, chosen, key), second, jnp.asarray(step_size))

        states = jax.vmap(one)(states, jax.random.split(own, chains))
        x, kept = states.position, (number >= BURN).astype(start.dtype)
        return (states, total + kept * x.mean(0), square + kept * x.T @ x / chains), None

    @jax.jit
    def run():
        keys = jax.random.split(jax.random.key(1), chains)
        states = jax.vmap(lambda key: kernel.init(key, start, jnp.asarray(step_size)))(keys)
        carry = states, jnp.zeros_like(start), jnp.zeros((start.size, start.size))
        (_, total, square), _ = jax.lax.scan(step, carry, jnp.arange(STEPS, dtype=jnp.int32))
        return total / (STEPS - BURN), square / (STEPS - BURN)

    mean, square = map(np.asarray, run())
    return mean, square - np.outer(mean, mean)


def agree(found, expected):
    """Means within a share of the standard deviation, deviations within that share, correlations nearly."""
    (mean, covariance), (true_mean, true_covariance) = found, expected
    deviation, own = np.sqrt(np.diag(true_covariance)), np.sqrt(np.diag(covariance))
    np.testing.assert_allclose((mean - true_mean) / deviation, 0, atol=WITHIN)
    np.testing.assert_allclose(own / deviation, 1, atol=WITHIN)
    apart = covariance / np.outer(own, own) - true_covariance / np.outer(deviation, deviation)
    np.testing.assert_allclose(apart, 0, atol=WITHIN)


def test_the_mean_of_a_linear_gaussian_model_has_its_posterior(x64, optimised):
    """The latents integrated out by samples of a recognition model that follows the mean and is 1.3 times too wide, so
    that weights differ; by symmetry the estimate has no bias then. With v ~ N(b, C) and b ~ N(0, s^2), b | v_1..v_N has
    the precision 1 / s^2 + N C^-1."""
    oracle, examples, scale = LinearGaussian(np.array([[0.9], [-0.5], [0.3]])), 40, 0.8
    wide = unbounded(-0.5 * np.log(oracle.precision[0]) + np.log(1.3))
    oracle.set_recognition(wide)
    x, prior = oracle.data(examples), GaussianPrior(scale=scale)
    encode = jnp.asarray(oracle.W.T / oracle.sigma**2 / oracle.precision)  # of the posterior's mean
    (leaves, structure), (heads, form) = map(jax.tree.flatten, (oracle.params.generative, oracle.params.recognition))
    place, head = [leaf.shape for leaf in leaves].index((3,)), [leaf.shape for leaf in heads].index((2,))

    def gradient(b, chosen, key):
        own, seen = [*leaves], [*heads]
        own[place], seen[head] = b, jnp.concatenate([-encode @ b, jnp.asarray(wide)])
        trees = jax.tree.unflatten(structure, own), jax.tree.unflatten(form, seen)
        params = oracle.params._replace(generative=trees[0], recognition=trees[1])
        found = generative_gradient(oracle.model, params, key, x[chosen], 2, Noise())
        return examples * jax.tree.leaves(found.generative)[place] + prior.gradient(b)

    found = sampled(KERNELS["thermostat"](friction=0.04), 0.007, gradient, jnp.asarray(oracle.b), examples, 40, 32)
    inverse = np.linalg.inv(oracle.W @ oracle.W.T + oracle.sigma**2 * np.eye(3))
    covariance = np.linalg.inv(np.eye(3) / scale**2 + examples * inverse)
    agree(found, (covariance @ inverse @ np.asarray(x).sum(0), covariance))


def test_a_logistic_regression_has_the_posterior_of_nuts_and_of_quadrature(x64, optimised):
    examples, scale = 100, 1.5
    generator = np.random.default_rng(3)
    inputs = np.stack([np.ones(examples), generator.normal(size=examples)], 1)
    labels = (generator.random(examples) < 1 / (1 + np.exp(-inputs @ [0.5, -1.2]))).astype(np.float64)
    signed, prior = jnp.asarray(inputs * (2 * labels - 1)[:, None]), GaussianPrior(scale=scale)

    def log_posterior(w):
        return jnp.sum(jax.nn.log_sigmoid(signed @ w)) + prior.log_prob(w)

    def gradient(w, chosen, key):
        rows = signed[chosen]
        return examples / len(chosen) * jax.nn.sigmoid(-(rows @ w)) @ rows + prior.gradient(w)

    # Quadrature: trapezoids over a square that holds all but a part in 10^8.
    side = np.linspace(-4, 4, 321)
    grid = np.stack(np.meshgrid(side, side, indexing="ij"), -1).reshape(-1, 2)
    logits = grid @ np.asarray(signed).T
    log_density = -np.logaddexp(0, -logits).sum(1) - 0.5 * (grid**2).sum(1) / scale**2
    weights = np.exp(log_density - log_density.max())
    weights /= weights.sum()
    mean = weights @ grid
    covariance = (grid - mean).T @ (weights[:, None] * (grid - mean))

    draws = 20_000 if NIGHTLY else 6000
    nuts = blackjax.nuts(log_posterior, 0.7, jnp.asarray(covariance))

    @jax.jit
    def chain():
        keys = jax.random.split(jax.random.key(2), draws)
        state = nuts.init(jnp.asarray(mean))
        return jax.lax.scan(lambda s, key: (lambda n: (n, n.position))(nuts.step(key, s)[0]), state, keys)[1]

    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        long = np.asarray(chain())
    reference = long.mean(0), np.cov(long.T)
    agree(reference, (mean, covariance))
    found = sampled(KERNELS["thermostat"](friction=0.04), 0.01, gradient, jnp.asarray(mean), examples, 80, 64)
    agree(found, (mean, covariance))
    agree(found, reference)
