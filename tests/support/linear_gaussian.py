"""The oracle: a DLGM with one linear layer and Gaussian noise, whose likelihood and posterior are exact.

v = W xi + b + sigma e, so v ~ N(b, W W^T + sigma^2 I), and
xi | v ~ N(C W^T (v - b) / sigma^2, C) with C^-1 = I + W^T W / sigma^2.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.distributions.likelihoods.gaussian import GaussianLikelihood
from sbvi.posteriors import POSTERIORS
from support.models import dlgm, summary


@functools.cache
def _made(D, K, sigma, family, wide):
    """A model and its first parameters, which depend on the precision; to be read alone."""
    likelihood = GaussianLikelihood(scale="fixed", fixed_scale=sigma)
    choices = {"latents": (K,), "hidden": (), "recognition_hidden": (), "noise_matrix": "identity"}
    model = dlgm((D,), likelihood, family, **choices)
    return model, model.init(0, summary(np.zeros(D), np.ones(D)))


class LinearGaussian:
    def __init__(self, W, sigma=0.7, posterior="diagonal", seed=0, **options):
        self.W, self.sigma = np.asarray(W, np.float64), sigma
        self.D, self.K = self.W.shape
        self.b = np.random.default_rng(seed).normal(size=self.D)
        self.family = POSTERIORS[posterior](**options)
        self.model, params = _made(self.D, self.K, sigma, self.family, jax.config.jax_enable_x64)
        params = jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), params)
        layer = params.generative["maps"][0]["layers"][0]
        layer["kernel"].set_value(jnp.asarray(self.W.T))
        layer["bias"].set_value(jnp.asarray(self.b))
        self.params = params

    @property
    def precision(self):
        return np.eye(self.K) + self.W.T @ self.W / self.sigma**2

    def data(self, count, seed=1):
        generator = np.random.default_rng(seed)
        xi = generator.normal(size=(count, self.K))
        return jnp.asarray(xi @ self.W.T + self.b + self.sigma * generator.normal(size=(count, self.D)))

    def log_likelihood(self, x):
        covariance = self.W @ self.W.T + self.sigma**2 * np.eye(self.D)
        offset = np.asarray(x) - self.b
        quadratic = np.einsum("ni,ni->n", offset, np.linalg.solve(covariance, offset.T).T)
        return -0.5 * (quadratic + np.linalg.slogdet(covariance)[1] + self.D * np.log(2 * np.pi))

    def set_recognition(self, constants):
        """The exact posterior mean, and constant raw outputs for the covariance."""
        C = np.linalg.inv(self.precision)
        A = C @ self.W.T / self.sigma**2
        head = self.params.recognition["heads"][0]
        constants = np.asarray(constants, np.float64)
        head["kernel"].set_value(jnp.asarray(np.concatenate([A.T, np.zeros((self.D, len(constants)))], 1)))
        head["bias"].set_value(jnp.asarray(np.concatenate([-A @ self.b, constants])))

    def exact_constants(self):
        """Raw outputs that make q the exact posterior, for families that contain it."""
        C = np.linalg.inv(self.precision)
        kind = type(self.family).__name__
        if kind == "Diagonal":
            return unbounded(0.5 * np.log(np.diag(C)))
        if kind in ("RankOne", "JointRankOne"):
            return np.concatenate([np.zeros(self.K), self.W[0] / self.sigma])
        if kind == "LowRank":
            u = np.zeros((self.K, self.family.rank))
            u[:, : self.D] = self.W.T / self.sigma
            return np.concatenate([np.zeros(self.K), u.ravel()])
        L = np.linalg.cholesky(C)
        return np.concatenate([unbounded(np.log(np.diag(L))), L[np.tril_indices(self.K, -1)]])


def unbounded(log_value):
    return 15 * np.arctanh(log_value / 15)
