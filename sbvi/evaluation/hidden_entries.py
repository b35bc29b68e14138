"""How well a model of a table says entries that were held out of its training, by the others of their rows.

    log p(x_h | x_o) ~ log sum_s w_s p(x_h | z_s),   E[x_h | x_o] ~ sum_s w_s E[x_h | z_s],
    w_s ~ p(x_o, z_s) / q(z_s | x_o),  z_s ~ q(z | x_o),  sum_s w_s = 1

of each held-out entry h. No row is lost to training: some miss a few entries more.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core.precision import jit_reported

Array = jax.Array

#: Rows of which entries are held out, at most, and importance samples of each.
ROWS, SAMPLES = 1000, 50


class Places(NamedTuple):
    """rows: of a table, (R,).  hidden: of their entries, (R, D).  x: those rows without, (R, D).  truth: what is
    hidden, NaN elsewhere, (R, D)."""

    rows: np.ndarray
    hidden: np.ndarray
    x: np.ndarray
    truth: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, share: float, seed: int) -> "Places":
        """Of a table (N, D) with gaps: each entry of some rows with probability `share`, but none of a column that
        would have fewer than two left."""
        generator = np.random.default_rng([seed, 7])
        rows = np.sort(generator.permutation(len(x))[:ROWS])
        part = x[rows]
        hidden = ~np.isnan(part) & (generator.random(part.shape) < share)
        hidden &= (~np.isnan(x)).sum(0) - hidden.sum(0) >= 2
        nan = np.float32(np.nan)
        return cls(rows, hidden, np.where(hidden, nan, part), np.where(hidden, part, nan))

    def without(self, x: np.ndarray) -> np.ndarray:
        """The table (N, D) without what is hidden."""
        made = x.copy()
        made[self.rows] = self.x
        return made


class Prediction(NamedTuple):
    """Of places: log p, nats of the columns' units, and means in these units less
    `sbvi.data.tabular.columns.centres`, (R, D)."""

    places: Places
    log_prob: np.ndarray
    mean: np.ndarray


def predicting(model: Any) -> Callable[[Any, Array, Places], tuple[float, Prediction]]:
    """A function (params, key, places) -> mean log p of hidden entries, nats, 0 where nothing is hidden; and what is
    predicted; of a model that is Tabular."""

    def predicted(params: Any, key: Array, x: Array, truth: Array) -> tuple[Array, Array]:
        rollout = model.rollout(params, key, x, SAMPLES)
        weights = jax.nn.log_softmax(rollout.log_weights(), 0)
        entries = model.column_log_probs(params, rollout.latents, truth)
        log_prob = jax.nn.logsumexp(weights[..., None] + entries, 0)
        means = model.missing_columns(params, key, rollout.latents).mean
        return log_prob, jnp.einsum("sb,sbd->bd", jnp.exp(weights), means)

    compiled = jit_reported(predicted)

    def scored(params: Any, key: Array, places: Places) -> tuple[float, Prediction]:
        arrays = compiled(params, key, places.x, places.truth)
        log_prob, mean = jax.device_get(arrays)
        mean_log_prob = float(log_prob[places.hidden].mean(dtype=np.float64)) if places.hidden.any() else 0.0
        return mean_log_prob, Prediction(places, log_prob, mean)

    return scored
