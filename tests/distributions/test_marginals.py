"""Means and quantiles of a prior's latents, against closed forms."""

from statistics import NormalDist

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.stats

from sbvi.distributions.diagonal import DiagonalGaussian
from sbvi.distributions.priors import PRIORS
from sbvi.distributions.priors.marginals import DRAWS, marginals, plane

SIZES = {"layer_1": 2, "layer_2": 3}
ENDS = NormalDist().cdf(-3.0), 0.5, NormalDist().cdf(3.0)


def test_those_of_the_standard_prior_are_known_and_its_ends_are_three_deviations():
    found = jax.jit(lambda: marginals(PRIORS["standard"]().build(SIZES), (), ENDS))()
    for node, size in SIZES.items():
        np.testing.assert_array_equal(found[node].mean, np.zeros(size, np.float32))
        np.testing.assert_array_equal(found[node].quantiles, np.repeat([[-3.0], [0.0], [3.0]], size, 1))


def test_the_grid_of_the_standard_prior_has_its_top_row_first():
    low, middle, high = (NormalDist().inv_cdf(share) for share in (1 / 6, 1 / 2, 5 / 6))
    expected = [(a, b) for b in (high, middle, low) for a in (low, middle, high)]
    np.testing.assert_allclose(PRIORS["standard"]().build(SIZES).plane((), "layer_1", 3), expected, rtol=1e-6)


def bimodal(name):
    """A prior and its parameters, prepared: of two Gaussians, of which each latent's marginals are (means, scales)."""
    means = {node: np.stack([np.linspace(-6, -2, size), np.linspace(1, 9, size)]) for node, size in SIZES.items()}
    scales = {node: np.stack([np.full(size, 0.3), np.linspace(0.5, 2, size)]) for node, size in SIZES.items()}
    prior = PRIORS[name](components=2).build(SIZES)
    if name == "mixture":
        params = {
            n: {"weights": np.zeros(2), "mean": means[n], "log_scale": 15 * np.arctanh(np.log(scales[n]) / 15)}
            for n in SIZES
        }
    else:
        params = {n: DiagonalGaussian(means[n], np.log(scales[n])) for n in SIZES}
    return prior, jax.tree.map(lambda v: jnp.asarray(v, jnp.float32), params), means, scales


@pytest.mark.parametrize("name", ["mixture", "vamp"])
def test_those_of_learned_priors_are_of_draws(name):
    prior, params, means, scales = bimodal(name)
    shares = (ENDS[0], 0.2, 0.7, ENDS[2])
    found = jax.jit(lambda params: marginals(prior, params, shares))(params)
    for node, size in SIZES.items():
        assert found[node].quantiles.shape == (len(shares), size)
        for k in range(size):
            law = scipy.stats.norm(means[node][:, k], scales[node][:, k])
            spread = np.sqrt(np.mean(law.var() + law.mean() ** 2) - np.mean(law.mean()) ** 2)
            assert abs(found[node].mean[k] - np.mean(law.mean())) < 5 * spread / np.sqrt(DRAWS)
            for share, value in zip(shares, np.asarray(found[node].quantiles[:, k], np.float64), strict=True):
                # The share of the law below it is a share of draws.
                assert abs(np.mean(law.cdf(value)) - share) < 5 * np.sqrt(share * (1 - share) / DRAWS)
                exact = scipy.optimize.brentq(lambda z, law=law, share=share: np.mean(law.cdf(z)) - share, -50, 50)
                assert abs(value - exact) < 0.3 * spread
    again = jax.jit(lambda params: marginals(prior, params, shares))(params)
    jax.tree.map(np.testing.assert_array_equal, found, again)


def test_those_of_a_flow_are_of_what_it_makes_of_the_noise():
    """One coupling that moves and stretches the second latent by constants."""
    prior = PRIORS["flow"](couplings=1, hidden=3).build({"layer_1": 2})
    params = prior.init(jax.random.key(0), jnp.zeros((0, 4)))
    own = params["layer_1"]
    own |= {"last": jnp.zeros_like(own["last"]), "last_bias": jnp.asarray([[0.6, -0.7]])}
    found = jax.jit(lambda params: marginals(prior, params, ENDS))(params)["layer_1"]
    stretch = np.exp(2 * np.tanh(0.3))
    scale, mean = np.array([1, stretch]), np.array([0, -0.7])
    exact = np.array([-3, 0, 3])[:, None] * scale + mean
    # Deviations of an order statistic: sqrt(p (1 - p) / n) over the density there.
    deviation = np.sqrt([p * (1 - p) for p in ENDS]) / np.sqrt(DRAWS) / scipy.stats.norm.pdf([-3, 0, 3])
    assert (np.abs(found.quantiles - exact) < 5 * deviation[:, None] * scale).all()
    assert (np.abs(found.mean - mean) < 5 * scale / np.sqrt(DRAWS)).all()


def test_a_plane_of_quantiles_is_a_product_with_the_second_latent_upward():
    across, up = [-1.0, 0.5, 4.0], [10.0, 20.0, 30.0]
    found = plane(jnp.asarray(np.stack([across, up], 1), jnp.float32))
    np.testing.assert_array_equal(found, [(a, b) for b in reversed(up) for a in across])
