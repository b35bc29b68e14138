"""The study of rules, on a linear-Gaussian model whose Hessian is constant."""

import jax.numpy as jnp
import numpy as np
import pytest
from support.linear_gaussian import LinearGaussian
from support.models import dlgm, summary

from sbvi.evaluation.gradient_study import moments, study
from sbvi.gradients import RULES


@pytest.fixture
def oracle(x64):
    found = LinearGaussian(np.random.default_rng(2).normal(size=(6, 3)))
    found.set_recognition(np.full(3, -0.4))
    return found


def test_biases_are_sampling_error_and_price_has_no_variance_for_covariances(oracle):
    x = oracle.data(4)
    found = {r.rule: r for r, _ in study(oracle.model, oracle.params, x, 400, 4000, 0)}
    assert set(found) == set(RULES)
    for result in found.values():
        assert result.bias < 3 * result.noise, result
        assert result.microseconds > 0
    # A linear map's curvature is constant, and Gauss-Newton is exact for it.
    for name in ("price", "price_gauss_newton", "price_hutchinson"):
        assert found[name].variance_mean == pytest.approx(found["reparameterised"].variance_mean, rel=0.3)
    assert found["price"].variance_covariance < 1e-9 < 0.1 < found["reparameterised"].variance_covariance
    assert found["score_function"].variance_mean > 3 * found["reparameterised"].variance_mean


def test_variance_is_the_closed_form(oracle):
    """The path's gradient for the mean is W^T (v - W xi - b) / sigma^2, of variance diag(A C_q A)."""
    x = oracle.data(2)
    found = moments(oracle.model, oracle.params, x, RULES["reparameterised"](), 20_000, 0)
    curvature = oracle.W.T @ oracle.W / oracle.sigma**2
    q = next(iter(oracle.model.gaussians(oracle.params, x).values()))
    exact = np.einsum("ij,bj->bi", curvature**2, np.asarray(q.variance()))
    np.testing.assert_allclose(found.variance["layer_1"][:, :3], exact, rtol=0.06)
    slope = (np.asarray(x) - oracle.b - np.asarray(q.mean) @ oracle.W.T) @ oracle.W / oracle.sigma**2
    error = np.sqrt(exact / 20_000)
    assert (np.abs(found.mean["layer_1"][:, :3] - slope) < 4.5 * error).all()


def test_rules_that_cannot_serve_the_model_say_why():
    model = dlgm((5,), latents=(3,), hidden=(4,), recognition_hidden=(4,))
    params = model.init(0, summary(np.full(5, 0.5), np.ones(5)))
    found = {r.rule: r for r, _ in study(model, params, jnp.ones((2, 5)), 50, 50, 0)}
    for name in ("price", "price_hutchinson", "price_gauss_newton"):
        assert "twice differentiable" in found[name].refusal
    assert not found["reparameterised"].refusal
    assert not found["score_function"].refusal
