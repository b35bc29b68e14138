"""p(x_d) = exp(-|x_d - mean_d| / scale) / (2 scale), the mean from the network."""

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import Positive, spec
from sbvi.distributions.likelihoods.likelihood import LikelihoodSpec


@spec
class Laplace(LikelihoodSpec):
    """Real values with heavier tails than a Gaussian's."""

    scale: Positive = 0.1
    """The scale b, in the units of the data."""

    def check(self, levels):
        """A density is of any values."""

    def outputs(self, size):
        return size

    def free(self, size):
        return 0

    def initial_outputs(self, mean, spread):
        return mean

    def initial_free(self, mean, spread):
        return np.zeros(0)

    def log_prob(self, outputs, free, x):
        """(S, B) in nats, for outputs (S, B, D) and x (B, D)."""
        return jnp.sum(-jnp.abs(x[None] - outputs) / self.scale - jnp.log(2 * self.scale), -1)

    def mean(self, outputs, free):
        return outputs

    def sample(self, key, outputs, free):
        return outputs + self.scale * jax.random.laplace(key, outputs.shape, outputs.dtype)

    def output_precision(self, outputs, free):
        """The Fisher information of the mean, 1 / b^2."""
        return jnp.full_like(outputs, 1 / self.scale**2)
