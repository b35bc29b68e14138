"""How well each column of a table is predicted from the others, in nats of its own units.

    -log p(x_d | x_o without d) ~ -log sum_s w_s p(x_d | z_s),  w_s ~ p(x_o without d, z_s) / q(z_s | x_o without d)

for every observed entry, by samples of a recognition model that does not see it. These do not add up to -log p(x_o), of
which dependence among columns is a part.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core.placement import SINGLE, Placement
from sbvi.data import Batch, Dataset
from sbvi.evaluation.batched import batched, map_batches
from sbvi.evaluation.standard_error import standard_error
from sbvi.evaluation.trust import few_effective
from sbvi.inference.effective import effective_samples
from sbvi.inference.importance import even

Array = jax.Array

#: Rows at most: a column's number is a mean over rows.
ROWS = 1000
#: Samples of all entries together, and of each at least: of a large table, whose entries are many, each has fewer.
TOGETHER, LEAST = 4_000_000, 100


def left_out(model: Any, num_samples: int, chunk: int) -> Callable[[Any, Array, Batch], dict[str, Array]]:
    """A traced function (params, key, batch) -> log p of each entry given its row's others, (B, D), 0 where one is
    missing; and how many samples count, of the two means of which it is the ratio that of which fewer do."""
    chunk = even(num_samples, chunk)
    rounds = -(-num_samples // chunk)

    def scores(params: Any, key: Array, batch: Batch) -> dict[str, Array]:
        x = batch.x

        def one(column: Array) -> dict[str, Array]:
            hidden = jnp.where(jnp.arange(x.shape[1], dtype=jnp.int32)[None] == column, jnp.nan, x)
            own_key = jax.random.fold_in(key, column)

            def part(_: None, position: Array) -> tuple[None, tuple[Array, Array]]:
                rollout = model.rollout(params, jax.random.fold_in(own_key, position), hidden, chunk)
                entries = model.column_log_probs(params, rollout.latents, x)
                return None, (rollout.log_weights(), jnp.take(entries, column, axis=-1))

            parts = jax.lax.scan(part, None, jnp.arange(rounds, dtype=jnp.int32))[1]
            rest, own = (values.reshape(-1, len(x))[:num_samples] for values in parts)
            rest = jax.nn.log_softmax(rest, 0)  # before own is added, which far greater numbers would round
            return {
                "log_prob": jax.nn.logsumexp(rest + own, 0),
                "effective": jnp.minimum(effective_samples(rest), effective_samples(rest + own)),
            }

        by_column = jax.lax.map(one, jnp.arange(x.shape[1], dtype=jnp.int32))
        return {name: values.T for name, values in by_column.items()}

    return scores


def column_nll(
    model: Any,
    params: Any,
    dataset: Dataset,
    split: str,
    key: Array,
    num_samples: int,
    chunk: int,
    batch_size: int,
    placement: Placement = SINGLE,
) -> dict[str, tuple[float, float]]:
    """Column name -> mean of -log p(entry | others), nats, and its standard error over rows; of columns of which this
    split has an entry. Where few samples count for many entries a warning is due.

    num_samples: for each entry, fewer where entries are many.
    """
    table = dataset.preprocessing.table or ()
    batches = batched(dataset, split, batch_size, ROWS, placement)
    gaps = np.isnan(dataset.evaluated(split, ROWS).x)
    count = min(num_samples, max(LEAST, TOGETHER // gaps.size))
    scores = map_batches(left_out(model, count, chunk), dataset, placement=placement)
    found = scores(placement.replicated(params), key, batches)
    few_effective(f"{split}/nll of single columns", found["effective"][~gaps], count, of="entries")
    known = {c.name: -found["log_prob"][~gaps[:, d], d].astype(np.float64) for d, c in enumerate(table)}
    return {name: (float(np.mean(nll)), standard_error(nll)) for name, nll in known.items() if nll.size}
