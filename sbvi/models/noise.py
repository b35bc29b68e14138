"""Noise on the recognition model's input, at training only (PAPER 3.1)."""

import jax
import jax.numpy as jnp

from sbvi.core.xla.random_bits import halves
from sbvi.models.rollout import Array, Noise


def chance(key: Array, probability: Array, shape: tuple[int, int]) -> Array:
    """Independent events of one probability, from 16 random bits each, as bool.

    The probability is rounded to a multiple of 1 / 65536.
    """
    return halves(key, *shape) < jnp.round(probability * 65536).astype(jnp.uint32)


def corrupt(key: Array, x: Array, noise: Noise) -> Array:
    """x (B, D) with bits flipped, then inputs dropped and the rest scaled up by 1 / (1 - dropout)."""
    if noise.bit_flip is not None:
        flipped = chance(jax.random.fold_in(key, 0), noise.bit_flip, (x.shape[0], x.shape[1]))
        x = jnp.where(flipped, 1 - x, x)
    if noise.dropout is not None:
        dropped = chance(jax.random.fold_in(key, 1), noise.dropout, (x.shape[0], x.shape[1]))
        x = jnp.where(dropped, jnp.zeros_like(x), x / (1 - noise.dropout))
    return x


def hidden(key: Array, x: Array, noise: Noise) -> Array:
    """x (B, D) with further entries missing (NaN)."""
    if noise.missing is None:
        return x
    gone = chance(jax.random.fold_in(key, 3), noise.missing, (x.shape[0], x.shape[1]))
    return jnp.where(gone, jnp.full_like(x, jnp.nan), x)
