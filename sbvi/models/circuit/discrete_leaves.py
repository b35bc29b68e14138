"""Leaves over whole levels: binomial (Bernoulli among them), categorical, and indicators of a level."""

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from sbvi.models.circuit.leaf import Array, Free, moment, summed
from sbvi.models.values import IMPOSSIBLE


@dataclass(frozen=True)
class Binomial:
    """Whole numbers 0..total, scaled to [0, 1]; with total = 1, Bernoulli. free: the logit of p, bounded to +-`limit`
    where it is maximised."""

    total: int = 1
    limit: float = 15.0
    discrete = True

    def init(self, noise: Array, mean: Array, spread: Array) -> Free:
        p = jnp.clip(mean, 0.01, 0.99)
        return {"logit": (jnp.log(p) - jnp.log1p(-p))[..., None] + noise}

    def log_density(self, free: Free, x: Array, seen: Array) -> Array:
        logit = free["logit"]
        count = x * seen
        constant = summed(seen, self.total * jax.nn.log_sigmoid(-logit))
        log_likelihood = summed(self.total * count, logit) + constant
        if self.total == 1:
            return log_likelihood
        k = self.total * x
        free_of_p = math.lgamma(self.total + 1) - jax.lax.lgamma(k + 1) - jax.lax.lgamma(self.total - k + 1)
        return log_likelihood + jnp.sum(free_of_p * seen, 1)[..., None]

    def log_peak(self, free: Free) -> Array:
        mode = self.mode(free)
        k = self.total * mode
        constant = math.lgamma(self.total + 1) - jax.lax.lgamma(k + 1) - jax.lax.lgamma(self.total - k + 1)
        return constant + k * free["logit"] + self.total * jax.nn.log_sigmoid(-free["logit"])

    def statistics(self, free: Free, responsibility: Array, x: Array, seen: Array) -> Any:
        return {"count": moment(responsibility, seen), "sum": moment(responsibility, x * seen)}

    def maximise(self, free: Free, statistics: Any, pseudocount: float) -> Free:
        """The pseudocount's examples have half of their trials on, as values that are spread evenly have."""
        ones = self.total * (statistics["sum"] + pseudocount / 2)
        zeros = self.total * (statistics["count"] - statistics["sum"] + pseudocount / 2)
        tiny = jnp.asarray(1e-30, ones.dtype)
        logit = jnp.log(jnp.maximum(ones, tiny)) - jnp.log(jnp.maximum(zeros, tiny))
        never = statistics["count"] + pseudocount <= 0
        return {"logit": jnp.where(never, free["logit"], jnp.clip(logit, -self.limit, self.limit))}

    def mean(self, free: Free) -> Array:
        return jax.nn.sigmoid(free["logit"])

    def mode(self, free: Free) -> Array:
        highest = jnp.floor((self.total + 1) * self.mean(free))
        return jnp.minimum(highest, self.total) / self.total

    def sample(self, key: Array, free: Free) -> Array:
        p = self.mean(free)
        if self.total == 1:
            return (jax.random.uniform(key, p.shape, p.dtype) < p).astype(p.dtype)
        return jax.random.binomial(key, self.total, p, dtype=p.dtype) / self.total


@dataclass(frozen=True)
class Categorical:
    """Whole numbers 0..total, scaled to [0, 1], each with a probability of its own. free: log-weights (n, s, K, total +
    1)."""

    total: int
    discrete = True

    def init(self, noise: Array, mean: Array, spread: Array) -> Free:
        """A discretised Gaussian around the mean, on a floor of one part in a hundred."""
        grid = jnp.arange(self.total + 1, dtype=noise.dtype) / self.total
        width = jnp.maximum(spread, 1 / self.total)[..., None]
        centre = jnp.clip(mean[..., None] + width * noise, 0, 1)
        bell = jax.nn.softmax(-0.5 * ((grid[None, None, None] - centre[..., None]) / width[..., None]) ** 2, -1)
        return {"weights": jnp.log(0.99 * bell + 0.01 / (self.total + 1))}

    def _levels(self, x: Array) -> Array:
        return jnp.clip(jnp.round(self.total * x), 0, self.total).astype(jnp.int32)

    def log_density(self, free: Free, x: Array, seen: Array) -> Array:
        table = jax.nn.log_softmax(free["weights"], -1)
        rows = jnp.take_along_axis(table.transpose(0, 1, 3, 2), self._levels(x)[..., None], axis=2)
        return jnp.sum(rows * seen[..., None], 1)

    def log_peak(self, free: Free) -> Array:
        return jnp.max(jax.nn.log_softmax(free["weights"], -1), -1)

    def statistics(self, free: Free, responsibility: Array, x: Array, seen: Array) -> Any:
        n, s, _ = x.shape
        counted = responsibility[:, None] * seen[..., None]
        zeros = jnp.zeros((n, s, self.total + 1, responsibility.shape[-1]), responsibility.dtype)
        place = (jnp.arange(n)[:, None, None], jnp.arange(s)[None, :, None], self._levels(x))
        return zeros.at[place].add(counted).transpose(0, 1, 3, 2)

    def maximise(self, free: Free, statistics: Any, pseudocount: float) -> Free:
        counts = statistics + pseudocount / (self.total + 1)
        never = jnp.sum(counts, -1, keepdims=True) <= 0
        log_counts = jnp.log(jnp.maximum(counts, jnp.asarray(1e-30, counts.dtype)))
        return {"weights": jnp.where(never, free["weights"], jax.nn.log_softmax(log_counts, -1))}

    def mean(self, free: Free) -> Array:
        grid = jnp.arange(self.total + 1, dtype=free["weights"].dtype) / self.total
        return jax.nn.softmax(free["weights"], -1) @ grid

    def mode(self, free: Free) -> Array:
        return jnp.argmax(free["weights"], -1).astype(free["weights"].dtype) / self.total

    def sample(self, key: Array, free: Free) -> Array:
        drawn = jax.random.categorical(key, free["weights"], axis=-1)
        return drawn.astype(free["weights"].dtype) / self.total


@dataclass(frozen=True)
class Indicator:
    """Unit k is one where the value is k, of 0..total scaled to [0, 1]: the state itself. It has nothing to learn.
    free: the states (n, s, K), so that they travel with the parameters."""

    total: int = 1
    discrete = True

    def init(self, noise: Array, mean: Array, spread: Array) -> Free:
        states = jnp.arange(noise.shape[-1], dtype=noise.dtype) / self.total
        return {"state": jnp.zeros_like(noise) + states[None, None]}

    def log_density(self, free: Free, x: Array, seen: Array) -> Array:
        state = jax.lax.stop_gradient(free["state"])
        off = jnp.abs(x[..., None] - state[:, :, None]) * self.total > 0.5
        return jnp.sum(jnp.where(off & (seen[..., None] > 0), jnp.asarray(IMPOSSIBLE, x.dtype), 0), 1)

    def log_peak(self, free: Free) -> Array:
        return jnp.zeros_like(free["state"])

    def statistics(self, free: Free, responsibility: Array, x: Array, seen: Array) -> Any:
        return ()

    def maximise(self, free: Free, statistics: Any, pseudocount: float) -> Free:
        return free

    def mean(self, free: Free) -> Array:
        return free["state"]

    def mode(self, free: Free) -> Array:
        return free["state"]

    def sample(self, key: Array, free: Free) -> Array:
        return free["state"]
