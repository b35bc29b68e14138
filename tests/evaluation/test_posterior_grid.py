"""Quadrature against the exact posterior of a linear-Gaussian model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.linear_gaussian import LinearGaussian

from sbvi.core import UserError
from sbvi.evaluation.posterior_grid import posterior_on_grid


@pytest.mark.parametrize("family", ["diagonal", "full"])
def test_densities(family):
    W = np.array([[1.0, 0.6], [0.2, -0.8], [0.5, 0.5]])
    with jax.enable_x64(True):
        oracle = LinearGaussian(W, sigma=0.4, posterior=family)
        constants = oracle.exact_constants() if family == "full" else np.array([-1.2, -0.9])
        oracle.set_recognition(constants)
        x = np.asarray(oracle.data(3))
    oracle.params = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), oracle.params)
    C = np.linalg.inv(oracle.precision)
    grids = posterior_on_grid(oracle.model, oracle.params, x, 161)
    for row, (whole, close) in zip(x, grids, strict=True):
        mean = C @ oracle.W.T @ (row - oracle.b) / oracle.sigma**2
        for grid in (whole, close):
            assert grid.log_likelihood == pytest.approx(oracle.log_likelihood(row[None])[0], abs=2e-3)
        there = np.stack(np.meshgrid(close.horizontal, close.vertical), -1) - mean
        exact = -0.5 * np.einsum("abi,ij,abj->ab", there, oracle.precision, there)
        exact -= 0.5 * np.linalg.slogdet(2 * np.pi * C)[1]
        high = exact > exact.max() - 10
        np.testing.assert_allclose(close.true[high], exact[high], atol=5e-3)
        # q in the plane is what the closer look shows.
        own = np.stack(np.meshgrid(close.horizontal, close.vertical), -1) - close.mean
        q = -0.5 * np.einsum("abi,ij,abj->ab", own, np.linalg.inv(close.covariance), own)
        np.testing.assert_allclose(close.approximate - close.approximate.max(), q - q.max(), atol=5e-3)


@pytest.mark.parametrize(("far", "extent"), [(1.5, 5), (8.0, 10), (-37.0, 40)])
def test_the_square_is_as_wide_as_the_posterior_is_far(far, extent):
    with jax.enable_x64(True):
        oracle = LinearGaussian(np.array([[8.0, 1.0], [0.0, 9.0], [2.0, 2.0]]), sigma=2.0, posterior="diagonal")
        oracle.set_recognition(np.array([-1.2, -0.9]))
        C, mean = np.linalg.inv(oracle.precision), np.array([far, 0.5])
        x = oracle.b + oracle.sigma**2 * oracle.W @ np.linalg.solve(oracle.W.T @ oracle.W, np.linalg.solve(C, mean))
    oracle.params = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), oracle.params)
    ((whole, close),) = posterior_on_grid(oracle.model, oracle.params, x[None], 121)
    assert (whole.horizontal[0], whole.horizontal[-1]) == pytest.approx((-extent, extent))
    weight = np.exp(close.true - close.true.max())
    weight /= weight.sum()
    points = np.stack(np.meshgrid(close.horizontal, close.vertical), -1)
    np.testing.assert_allclose((weight[..., None] * points).sum((0, 1)), mean, atol=0.02)
    squares = (np.stack(np.meshgrid(whole.horizontal, whole.vertical), -1) ** 2).sum(-1)
    np.testing.assert_allclose(whole.prior, -0.5 * squares - np.log(2 * np.pi), rtol=1e-5)


def test_three_latents_are_refused(x64):
    oracle = LinearGaussian(np.ones((3, 3)))
    with pytest.raises(UserError, match=r"two latents at one node; this one has 3 at layer_1\.$"):
        posterior_on_grid(oracle.model, oracle.params, np.zeros((1, 3)))
