"""A mixture, p(x) = sum_k pi_k prod_d p_k(x_d): everything about it is exact."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.models.mixture.components import Components, Statistics
from sbvi.models.values import Array, DataFacts, DataSummary, LogProb, Params, Samples


class BuiltMixture:
    """Parameters are {"weights": log pi up to a constant (K,), "components": ...}."""

    def __init__(self, count: int, components: Components, facts: DataFacts):
        self.count, self.components, self.facts = count, components, facts
        self.discrete = facts.binary

    def init(self, seed: int, summary: DataSummary) -> Params:
        """Equal weights; components near the data's mean, each drawn towards an example of its own."""
        generator = np.random.default_rng(seed)
        rows = summary.x[generator.choice(len(summary.x), self.count, replace=self.count > len(summary.x))]
        own = self.components.initial(rows, summary.mean, summary.spread)
        return {"weights": jnp.zeros(self.count), "components": own}

    def numbers(self, examples: int) -> dict[str, float]:
        return {}

    def _joint(self, params: Params, x: Array, observed: Array | None = None) -> Array:
        """log pi_k + log p_k(x_o), (B, K)."""
        return jax.nn.log_softmax(params["weights"])[None] + self.components.scores(params["components"], x, observed)

    def log_prob(self, params: Params, key: Array, x: Array) -> LogProb:
        return LogProb(jax.nn.logsumexp(self._joint(params, x), -1), "exact")

    def marginal_log_prob(self, params: Params, x: Array, observed: Array) -> LogProb:
        known = observed.astype(x.dtype)
        return LogProb(jax.nn.logsumexp(self._joint(params, x, known), -1), "exact")

    def conditional(self, params: Params, key: Array, x: Array, observed: Array) -> Samples:
        first, second = jax.random.split(key)
        joint = self._joint(params, x, observed.astype(x.dtype))
        drawn = self.components.sample(params["components"], second, jax.random.categorical(first, joint))
        mean = jax.nn.softmax(joint, -1) @ self.components.mean(params["components"])
        return Samples(jnp.where(observed, x, mean), jnp.where(observed, x, drawn))

    def sample(self, params: Params, key: Array, num: int) -> Samples:
        first, second = jax.random.split(key)
        component = jax.random.categorical(first, params["weights"], shape=(num,))
        mean = self.components.mean(params["components"])[component]
        return Samples(mean, self.components.sample(params["components"], second, component))

    def statistics(self, params: Params, x: Array, mask: Array) -> Statistics:
        share = jax.nn.softmax(self._joint(params, x), -1) * mask[:, None]
        return self.components.statistics(params["components"], x, share)

    def recentred(self, statistics: Any, before: Params, after: Params) -> Statistics:
        weight, away, squares = statistics
        old, new = (self.components.centre(params["components"]) for params in (before, after))
        shift = old - new
        moved = weight[:, None] * shift
        return Statistics(weight, away + moved, squares + shift * (2 * away + moved))

    def maximise(self, params: Params, statistics: Any, pseudocount: float) -> Params:
        """A component that nothing is left of keeps a weight of almost nothing, and may come back."""
        weight = jnp.maximum(statistics.weight + pseudocount, jnp.asarray(1e-6, statistics.weight.dtype))
        return {
            "weights": jnp.log(weight),
            "components": self.components.maximise(params["components"], statistics, pseudocount),
        }
