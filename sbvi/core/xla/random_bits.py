"""Random bits and normal noise in the compiled step, at the least cost, and made by rows.

JAX's generator is kept, threefry with 20 rounds (Salmon et al. 2011), its uses are not: on CPU JAX runs the rounds
as a loop that writes every round's words to memory, and of a block's two words `jax.random.bits` makes one. Here
the rounds are one expression and both words serve. A row's bits are a function of the key and the row, so that
devices which share a batch by rows make their own and exchange nothing.
Benchmark: `scripts/benchmark_xla_tricks.py normal halves`.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core.xla.normal_quantile import normal_quantile

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA


@jax.jit  # one equation to those who trace or differentiate what it serves, and traced once for a shape
def threefry(one: jax.Array, other: jax.Array, row: jax.Array, column: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Threefry-2x32-20: the two words of the block with this key and counter, all uint32 of one shape or scalars."""
    keys = (one, other, one ^ other ^ jnp.uint32(PARITY))
    x, y = row + keys[0], column + keys[1]
    for group in range(5):
        for by in ROTATIONS[group % 2]:
            x = jax.lax.add(x, y)
            left, right = (jnp.full_like(y, shift) for shift in (by, 32 - by))
            rotated = jax.lax.bitwise_or(jax.lax.shift_left(y, left), jax.lax.shift_right_logical(y, right))
            y = jax.lax.bitwise_xor(x, rotated)
        x, y = x + keys[(group + 1) % 3], y + (keys[(group + 2) % 3] + jnp.uint32(group + 1))
    return x, y


def words(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """32 random bits for each place, as uint32. Rows are the axis before the last; one block, two words, serves two
    places of the last axis, and what a row gets does not depend on how many rows there are."""
    if jax.random.key_impl(key) != "threefry2x32":
        return jax.random.bits(key, shape, jnp.uint32)
    one, other = jax.random.key_data(key)
    blocks = (*shape[:-1], -(-shape[-1] // 2))
    last = len(shape) - 1
    row = jax.lax.broadcasted_iota(jnp.uint32, blocks, last - 1)
    column = jnp.zeros((), jnp.uint32)
    for axis in (*range(last - 1), last):  # none is joined to another: any can be divided over devices
        column = column * jnp.uint32(blocks[axis]) + jax.lax.broadcasted_iota(jnp.uint32, blocks, axis)
    first, second = threefry(one, other, row, column)
    # The odd place is cut before both are joined: after it, XLA's CPU compiler makes them by single values.
    return jnp.concatenate([first, second[..., : shape[-1] - blocks[-1]]], -1)


def halves(key: jax.Array, rows: int, width: int) -> jax.Array:
    """16 random bits for each place of (rows, width), as uint32; one word serves two places of a row."""
    # Two words of one block lie half the row apart, and so do a word's halves within that: a shift that is
    # broadcast, and no parts joined, for each of which XLA would make the words anew.
    count = -(-width // 4)
    pairs = words(key, (rows, 2 * count)).reshape(rows, 2, 1, count)
    shifts = jnp.asarray([0, 16], jnp.uint32).reshape(1, 1, 2, 1)
    return ((pairs >> shifts) & jnp.uint32(0xFFFF)).reshape(rows, 4 * count)[:, :width]


def normal(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
    """Standard normal noise for at least two axes, by the inverse of the distribution function at 23 random bits, as
    jax.random.normal makes it, from the same numbers in (-1, 1) for the same bits; that function itself where the dtype
    is not float32, which wants other bits."""
    if jnp.dtype(dtype) != jnp.float32:
        return jax.random.normal(key, shape, dtype)
    return normal_quantile(uniform(words(key, shape)))


def uniform(bits: jax.Array) -> jax.Array:
    """Numbers in (-1, 1) from the upper 23 of 32 bits: the mantissa of one in [1, 2), from there to (-1, 1), and never
    an end, where the inverse is infinite."""
    unit = jax.lax.bitcast_convert_type((bits >> jnp.uint32(9)) | jnp.uint32(0x3F800000), jnp.float32) - 1
    lowest = np.nextafter(np.float32(-1), np.float32(0))
    return jnp.maximum(lowest, unit * (1 - lowest) + lowest)
