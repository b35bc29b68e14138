"""Factors and solutions of many small linear systems that take no thread of XLA's to wait for another.

On a CPU the LAPACK calls of jaxlib before 0.11.2 share a batch of matrices out among XLA's threads, and hold the one
that they run on until all have ended. Where every thread is held so, by programs of several Python threads or by
operations of one that do not depend on each other, none is left to do the work, and all wait for ever. What is here
is arithmetic on whole batches, or LAPACK's for one matrix after another, which is not shared out. Elsewhere it is
JAX's own. Benchmark: `scripts/benchmark_xla_tricks.py matrices`.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from sbvi.core.xla import for_cpu

Array = jax.Array

#: Up to so many rows arithmetic is faster than LAPACK for one matrix after another.
FEW = 4


def cholesky(matrix: Array) -> Array:
    """The lower factor (..., K, K) of symmetric ones, for small K; NaN where there is none."""
    if not for_cpu():
        return jnp.linalg.cholesky(matrix)
    size = matrix.shape[-1]
    rows: list[list[Array]] = []
    for i in range(size):
        row: list[Array] = []
        for j in range(i + 1):
            before = zip(row, row if i == j else rows[j], strict=False)
            left = matrix[..., i, j] - sum(a * b for a, b in before)
            if i == j:
                row.append(jnp.sqrt(jnp.where(left > 0, left, jnp.nan)))
            else:
                row.append(left / rows[j][j])
        rows.append(row)
    none = jnp.zeros_like(matrix[..., 0, 0])
    factor = jnp.stack([jnp.stack([*row, *(none,) * (size - len(row))], -1) for row in rows], -2)
    return jnp.where(jnp.isnan(rows[-1][-1])[..., None, None], jnp.nan, factor)


def solve_lower(factor: Array, right: Array) -> Array:
    """L^-1 B, for lower triangular L (..., K, K) and B (..., K, N)."""
    if not for_cpu():
        solved: Array = jax.scipy.linalg.solve_triangular(factor, right, lower=True)
        return solved
    lower = jnp.tril(factor)
    if lower.shape[-1] > FEW:
        return _implicit(lower, right, partial(_triangular, True), partial(_triangular, False))
    return _implicit(lower, right, _substituted, _substituted_back)


def solve(matrix: Array, right: Array) -> Array:
    """A^-1 B, for A (K, K) and B (K, N)."""
    if not for_cpu():
        return jnp.linalg.solve(matrix, right)
    return _implicit(matrix, right, _one_by_one, _one_by_one)


def _implicit(matrix: Array, right: Array, solver: Any, transposed: Any) -> Array:
    """A^-1 B by `solver` (A, B), whose derivatives are those of the solution and not of the way to it."""

    def product(x: Array) -> Array:
        return jnp.matmul(matrix, x, precision="highest")

    solved: Array = jax.lax.custom_linear_solve(
        product,
        right,
        lambda _, b: solver(matrix, b),
        lambda _, b: transposed(jnp.swapaxes(matrix, -1, -2), b),
    )
    return solved


def _substituted(lower: Array, right: Array) -> Array:
    """Row after row, each of what those before it leave."""
    rows: list[Array] = []
    for i in range(lower.shape[-1]):
        left = right[..., i, :] - sum(lower[..., i, j, None] * row for j, row in enumerate(rows))
        rows.append(left / lower[..., i, i, None])
    return jnp.stack(rows, -2)


def _substituted_back(upper: Array, right: Array) -> Array:
    return _substituted(upper[..., ::-1, ::-1], right[..., ::-1, :])[..., ::-1, :]


def _triangular(lower: bool, matrix: Array, right: Array) -> Array:
    """LAPACK's for each matrix of a batch, in a loop."""
    one = jax.custom_batching.sequential_vmap(partial(jax.scipy.linalg.solve_triangular, lower=lower))
    solved: Array = jnp.vectorize(one, signature="(k,k),(k,n)->(k,n)")(matrix, right)
    return solved


#: LAPACK's for one matrix, and for those of a batch in a loop.
_one_by_one: Any = jax.custom_batching.sequential_vmap(lambda matrix, right: jnp.linalg.solve(matrix, right))
