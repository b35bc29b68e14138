"""The oracle: factor analysis of rows with gaps, whose conditionals are those of a Gaussian, in float64.

x ~ N(b, W W^T + diag(sigma^2)); of observed places o and missing ones m of a row,
E[x_m | x_o] = b_m + C_mo C_oo^-1 (x_o - b_o),   cov[x_m | x_o] = C_mm - C_mo C_oo^-1 C_om.
"""

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.data.tabular.columns import Column
from sbvi.distributions.likelihoods.mixed import Mixed
from sbvi.models import DLGM
from sbvi.models.values import DataFacts
from support.models import summary


class FactorAnalysis:
    """A linear DLGM of continuous columns with these loadings and noise, in the columns' standardised units."""

    def __init__(self, D=5, K=2, seed=0, dtype=jnp.float64, scale=1.0, location=0.0, noise=1.0):
        generator = np.random.default_rng(seed)
        self.W, self.b = generator.normal(size=(D, K)), 0.3 * generator.normal(size=D)
        self.sigma = noise * np.exp(-0.5 + 0.3 * generator.normal(size=D))
        columns = tuple(Column(f"c{d}", "continuous", location, scale) for d in range(D))
        spec = DLGM(
            latents=(K,),
            hidden=(),
            recognition_hidden=(),
            noise_matrix="identity",
            likelihood=Mixed(continuous="gaussian", scale="learned"),
        )
        self.model = spec.build(DataFacts((D,), False, None, 0, columns))
        params = self.model.init(0, summary(np.zeros(D), np.ones(D)))
        self.params = jax.tree.map(lambda a: jnp.asarray(a, dtype), params)
        layer = self.params.generative["maps"][0]["layers"][0]
        layer["kernel"].set_value(jnp.asarray(self.W.T, dtype))
        layer["bias"].set_value(jnp.asarray(self.b, dtype))
        free = 15 * np.arctanh(np.log(self.sigma - 0.01) / 15)
        self.params.generative["free"].set_value(jnp.asarray(free, dtype))

    def data(self, count, seed=1, gaps=0.4):
        """Rows with gaps, and their truth."""
        generator = np.random.default_rng(seed)
        xi = generator.normal(size=(count, self.W.shape[1]))
        truth = xi @ self.W.T + self.b + self.sigma * generator.normal(size=(count, len(self.b)))
        return np.where(generator.random(truth.shape) < gaps, np.nan, truth), truth

    def conditional(self, row):
        """Means and variances of a row's entries given the observed ones, and log p of these."""
        C = self.W @ self.W.T + np.diag(self.sigma**2)
        o = ~np.isnan(row)
        mean, variance = np.where(o, row, self.b), np.where(o, 0, np.diag(C))
        if not o.any():
            return mean, variance, 0.0
        inside, offset = C[np.ix_(o, o)], row[o] - self.b[o]
        gain = np.linalg.solve(inside, C[np.ix_(o, ~o)]).T
        mean[~o] += gain @ offset
        variance[~o] = np.diag(C)[~o] - np.sum(gain * C[np.ix_(~o, o)], 1)
        quadratic = offset @ np.linalg.solve(inside, offset)
        return mean, variance, -0.5 * (quadratic + np.linalg.slogdet(inside)[1] + o.sum() * np.log(2 * np.pi))
