"""Random bits in the compiled step, at the least cost, and made by rows."""

import jax
import jax.numpy as jnp
from jax.extend.random import threefry2x32_p


def halves(key: jax.Array, rows: int, width: int) -> jax.Array:
    """16 random bits for each place of (rows, width), as uint32.

    Each 32-bit word serves two places: its halves lie one after the other along a row. A row's bits are a function
    of the key and the row, so that devices which share a batch by rows make their own and exchange nothing.
    """
    words = _words(key, rows, -(-width // 4))
    parts = [half for word in words for half in (word & jnp.uint32(0xFFFF), word >> jnp.uint32(16))]
    return jnp.concatenate(parts, 1)[:, :width]


def _words(key: jax.Array, rows: int, count: int) -> tuple[jax.Array, jax.Array]:
    """Two arrays of words, each (rows, count). `jax.random.bits` folds the two words of a threefry block into one;
    here both serve, at half the cost, and a block's counter is its row and column."""
    if jax.random.key_impl(key) != "threefry2x32":
        first, second = jax.random.bits(key, (2, rows, count), jnp.uint32)
        return first, second
    one, other = jax.random.key_data(key)
    row, column = (jax.lax.broadcasted_iota(jnp.uint32, (rows, count), axis) for axis in (0, 1))
    first, second = threefry2x32_p.bind(one, other, row, column)
    return first, second
