"""How well each column of a table is predicted from the others, in nats of its own units.

    -log p(x_d | x_o without d) ~ -log sum_s w_s p(x_d | z_s),  w_s ~ p(x_o without d, z_s) / q(z_s | x_o without d)

for every observed entry, by samples of a recognition model that does not see it. These do not add up to -log p(x_o), of
which dependence among columns is a part.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core.placement import SINGLE, Placement
from sbvi.data import Batch, Dataset
from sbvi.evaluation.batched import batched, map_batches

Array = jax.Array

#: Importance samples for each entry, and rows at most: a column's number is a mean over rows.
SAMPLES, ROWS = 100, 1000


def left_out(model: Any) -> Any:
    """A traced function (params, key, batch) -> log p of each entry given its row's others, (B, D); 0 where one is
    missing."""

    def scores(params: Any, key: Array, batch: Batch) -> Array:
        x = batch.x

        def one(column: Array) -> Array:
            hidden = jnp.where(jnp.arange(x.shape[1], dtype=jnp.int32)[None] == column, jnp.nan, x)
            rollout = model.rollout(params, jax.random.fold_in(key, column), hidden, SAMPLES)
            weights = jax.nn.log_softmax(rollout.log_weights(), 0)
            entries = model.column_log_probs(params, rollout.latents, x)
            own = jnp.take(entries, column, axis=-1)
            return jax.nn.logsumexp(weights + own, axis=0)

        return jax.lax.map(one, jnp.arange(x.shape[1], dtype=jnp.int32)).T

    return scores


def column_nll(
    model: Any, params: Any, dataset: Dataset, split: str, key: Array, batch_size: int, placement: Placement = SINGLE
) -> dict[str, float]:
    """Column name -> mean of -log p(entry | others), nats; of columns of which this split has an entry."""
    table = dataset.preprocessing.table or ()
    batches = batched(dataset, split, batch_size, ROWS, placement)
    log_probs = map_batches(left_out(model), dataset, placement=placement)(placement.replicated(params), key, batches)
    gaps = np.isnan(dataset.evaluated(split, ROWS).x)
    known = np.where(gaps, np.nan, log_probs.astype(np.float64))
    return {c.name: float(-np.nanmean(known[:, d])) for d, c in enumerate(table) if not np.isnan(known[:, d]).all()}
