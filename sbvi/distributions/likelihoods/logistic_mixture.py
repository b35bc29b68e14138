"""A mixture of discretised logistics for each value (Salimans et al. 2017), all from the network:

    p(x) = sum_m pi_m p(x | mean_m, scale_m)

of `sbvi.distributions.likelihoods.discretized_logistic`'s p. Outputs stand in blocks of D: the M logits, means, and raw
log-scales.
"""

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import Positive, PositiveInt, spec
from sbvi.core.xla.bounded import bounded
from sbvi.distributions.likelihoods.discretized_logistic import DiscretizedLogistic, log_level, mean_level
from sbvi.distributions.likelihoods.likelihood import Array, LikelihoodSpec


@spec
class LogisticMixture(LikelihoodSpec):
    """Probabilities of whole-number levels that may have several modes."""

    levels: PositiveInt = 255
    """The greatest whole number in the data: 255 for 8-bit images, 16 for the digits."""
    components: PositiveInt = 5
    """Number of logistics M for each value."""
    minimum_scale: Positive = 0.002
    """Least scale, where the levels span [0, 1]."""

    discrete = True

    @property
    def _one(self) -> DiscretizedLogistic:
        """The likelihood of a component by itself."""
        return DiscretizedLogistic(levels=self.levels, scale="predicted", minimum_scale=self.minimum_scale)

    def check(self, levels: int | None) -> None:
        """Refuse data of other levels.

        Raises:
          UserError: the data's levels are not these.
        """
        self._one.check(levels)

    def outputs(self, size: int) -> int:
        return 3 * self.components * size

    def free(self, size: int) -> int:
        return 0

    def initial_outputs(self, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
        """Components of equal weight, their means spread evenly about the data's."""
        place = np.linspace(-0.5, 0.5, self.components) if self.components > 1 else np.zeros(1)
        means = mean[None] + place[:, None] * spread[None]
        scales = np.tile(self._one.initial_outputs(mean, spread)[len(mean) :], self.components)
        return np.concatenate([np.zeros(self.components * len(mean)), means.ravel(), scales])

    def initial_free(self, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
        return np.zeros(0)

    def _split(self, outputs: Array) -> tuple[Array, Array, Array]:
        """log pi, means and scales, (..., M, D)."""
        shape = (*outputs.shape[:-1], 3, self.components, outputs.shape[-1] // (3 * self.components))
        logits, mean, raw = (v[..., 0, :, :] for v in jnp.split(outputs.reshape(shape), 3, axis=-3))
        return jax.nn.log_softmax(logits, -2), mean, jnp.exp(bounded(raw)) + self.minimum_scale

    def _log_level(self, outputs: Array, x: Array) -> Array:
        """log p of every value; x (..., D) against outputs (..., 3 M D)."""
        log_pi, mean, scale = self._split(outputs)
        each = log_level(self.levels, mean, scale, jnp.broadcast_to(x[..., None, :], mean.shape))
        return jax.nn.logsumexp(log_pi + each, axis=-2)

    def log_prob(self, outputs: Array, free: Array, x: Array) -> Array:
        return jnp.sum(self._log_level(outputs, jnp.broadcast_to(x[None], (*outputs.shape[:-1], x.shape[-1]))), -1)

    def mean(self, outputs: Array, free: Array) -> Array:
        log_pi, mean, scale = self._split(outputs)
        return jnp.sum(jnp.exp(log_pi) * mean_level(self.levels, mean, scale), -2)

    def sample(self, key: Array, outputs: Array, free: Array) -> Array:
        which, where = jax.random.split(key)
        log_pi, mean, scale = self._split(outputs)
        chosen = jax.random.categorical(which, log_pi, axis=-2)[..., None, :]
        location, spread = (jnp.take_along_axis(v, chosen, -2)[..., 0, :] for v in (mean, scale))
        drawn = location + spread * jax.random.logistic(where, location.shape, location.dtype)
        return jnp.clip(jnp.round(drawn * self.levels), 0, self.levels) / self.levels

    def output_precision(self, outputs: Array, free: Array) -> Array:
        """The Fisher information, a sum over levels of p (d log p / d output)^2; of a value's outputs one at a time."""
        blocks = 3 * self.components
        size = outputs.shape[-1] // blocks

        def one(total: Array, level: Array) -> tuple[Array, None]:
            x = jnp.broadcast_to(level / jnp.asarray(self.levels, outputs.dtype), (*outputs.shape[:-1], size))
            log_p, pull = jax.vjp(lambda values: self._log_level(values, x), outputs)
            # A value's outputs move its own log p alone, so that one pull finds every score.
            score = pull(jnp.ones_like(log_p))[0]
            return total + jnp.tile(jnp.exp(log_p), (*(1,) * (log_p.ndim - 1), blocks)) * score**2, None

        return jax.lax.scan(one, jnp.zeros_like(outputs), jnp.arange(self.levels + 1).astype(outputs.dtype))[0]
