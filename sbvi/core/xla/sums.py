"""Sums and broadcasts as products with ones, each the other's derivative.

XLA's CPU compiler joins a plain sum with the matrix products around it into one program of its YNN library: terms
are then written out, and products wait for sums. A product with ones is made where its terms are; one with a single
column becomes a plain broadcast. To be used where it was measured to help, in the step's inner sums. On an
accelerator they are the plain sums and broadcasts that they stand for.
Benchmark: `scripts/benchmark_xla_tricks.py sums rank_one`.
"""

from math import prod

import jax
import jax.numpy as jnp

from sbvi.core.xla import for_cpu

Array = jax.Array

#: Rows of a block, and the most rows that one product sums over: a step with fifty samples of a hundred examples,
#: 5,000 rows, was a seventh slower in blocks, and its sums are off by less than 1e-4 without.
BLOCK = 2048
WHOLE = 8192


def row_sums(x: Array) -> Array:
    """Over the last axis, (..., K) -> (..., 1)."""
    if not for_cpu():
        return jnp.sum(x, -1, keepdims=True)
    flat = x.reshape(-1, x.shape[-1])
    ones = jnp.ones((x.shape[-1], 1), x.dtype)
    return jnp.matmul(flat, ones).reshape(*x.shape[:-1], 1)


def along_rows(x: Array, size: int) -> Array:
    """(..., 1) -> (..., size), the same along a row; its derivative is `row_sums`."""
    if not for_cpu():
        return jnp.broadcast_to(x, (*x.shape[:-1], size))
    ones = jnp.ones((1, size), x.dtype)
    return jnp.matmul(x.reshape(-1, 1), ones).reshape(*x.shape[:-1], size)


def down_columns(x: Array, rows: tuple[int, ...]) -> Array:
    """(K,) -> (*rows, K), the same in every row; its derivative sums over rows, beyond WHOLE in blocks of BLOCK.

    Over N rows a product with ones adds one after the other, with an error that grows with N: 2e-3 of a constant's
    sum over 200,000 in float32, and below 1e-4 over WHOLE. In blocks, and then over blocks, it stays below 2e-5 up to
    four million rows.
    """
    if not for_cpu():
        return jnp.broadcast_to(x, (*rows, *x.shape))
    count = prod(rows)
    if count <= WHOLE:  # over one axis: over several, the derivative writes all of its terms out, transposed
        return jnp.matmul(jnp.ones((count, 1), x.dtype), x[None]).reshape(*rows, -1)
    least = -(-count // BLOCK)
    # Blocks interleaved, row r in block r % blocks, so that their sums are one product; padded where none divide.
    blocks = next((n for n in range(least, 8 * least) if count % n == 0), least)
    each = down_columns(x, (blocks,)).reshape(1, -1)
    whole = jnp.matmul(jnp.ones((-(-count // blocks), 1), x.dtype), each).reshape(-1, x.shape[0])
    return whole[:count].reshape(*rows, -1)
