"""Ordinal likelihood: levels that have an order and no distances, cut from one latent scale."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import spec
from sbvi.core.xla.bounded import bounded, unbounded
from sbvi.distributions.likelihoods.levels import Levels
from sbvi.distributions.likelihoods.likelihood import Array


@spec
class Ordinal(Levels):
    """P(x_d <= k / levels) = sigmoid(cut_dk - place_d) (McCullagh 1980): the place from the network, increasing cuts
    learned for each dimension."""

    kind: ClassVar[str] = "the ranks"

    def outputs(self, size: int) -> int:
        return size

    def free(self, size: int) -> int:
        return self.levels * size

    def initial_outputs(self, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
        """Places at which the first cuts give the mean, by bisection."""
        cuts = self._first_cuts()[:, None]
        low, high = np.full(mean.shape, -30.0), np.full(mean.shape, 30.0)
        for _ in range(60):
            middle = (low + high) / 2
            above = (1 / (1 + np.exp(cuts - middle))).mean(0) > np.clip(mean, 1e-3, 1 - 1e-3)
            low, high = np.where(above, low, middle), np.where(above, middle, high)
        return (low + high) / 2

    def initial_free(self, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
        """The first cut and what the logarithms of the distances to the next are made of, (levels, D) in one row."""
        cuts = self._first_cuts()
        raw = np.concatenate([cuts[:1], unbounded(np.log(np.diff(cuts)))])
        return np.repeat(raw[:, None], len(mean), 1).reshape(-1)

    def _first_cuts(self) -> np.ndarray:
        """Those that make all ranks equally likely at 0."""
        ranks = np.arange(1, self.levels + 1)
        return np.log(ranks) - np.log(self.levels + 1 - ranks)

    def _log_levels(self, outputs: Array, free: Array) -> Array:
        """log p of every rank, (..., levels + 1, D).

        With cuts a < b around a rank, log(sigmoid(b) - sigmoid(a)) = log sigmoid(b) + log sigmoid(-a) +
        log(1 - exp(a - b)).
        """
        raw = free.reshape(self.levels, -1)
        gaps = jnp.exp(bounded(raw[1:]))
        cuts = jnp.concatenate([raw[:1], raw[:1] + jnp.cumsum(gaps, 0)], 0)
        place = cuts.reshape((1,) * (outputs.ndim - 1) + cuts.shape) - outputs[..., None, :]
        below, above = jax.nn.log_sigmoid(place), jax.nn.log_sigmoid(-place)
        inside = jnp.log(-jnp.expm1(-gaps)).reshape((1,) * (outputs.ndim - 1) + gaps.shape)
        middle = below[..., 1:, :] + above[..., :-1, :] + inside
        return jnp.concatenate([below[..., :1, :], middle, above[..., -1:, :]], -2)

    def log_prob(self, outputs: Array, free: Array, x: Array) -> Array:
        return jnp.sum(self.log_probs(outputs, free, x[None]), -1)

    def log_probs(self, outputs: Array, free: Array, x: Array) -> Array:
        log_p = self._log_levels(outputs, free)
        level = jnp.arange(self.levels + 1, dtype=jnp.int32).reshape((1,) * (log_p.ndim - 2) + (-1, 1))
        chosen = jnp.round(x * self.levels).astype(jnp.int32)[..., None, :] == level
        return jnp.sum(jnp.where(chosen, log_p, jnp.zeros_like(log_p)), -2)

    def mean(self, outputs: Array, free: Array) -> Array:
        level = jnp.arange(self.levels + 1, dtype=outputs.dtype) / self.levels
        return jnp.einsum("...kd,k->...d", jnp.exp(self._log_levels(outputs, free)), level)

    def sample(self, key: Array, outputs: Array, free: Array) -> Array:
        drawn = jax.random.categorical(key, self._log_levels(outputs, free), axis=-2)
        return drawn.astype(outputs.dtype) / self.levels

    def output_precision(self, outputs: Array, free: Array) -> Array:
        """The Fisher information of the place, sum_k p_k (d log p_k / d place)^2."""
        log_p, slope = jax.jvp(lambda o: self._log_levels(o, free), (outputs,), (jnp.ones_like(outputs),))
        return jnp.sum(jnp.exp(log_p) * jnp.square(slope), -2)
