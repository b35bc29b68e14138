"""From grey values to binary ones: fixed draws, fresh draws at each use, or a threshold.

A stored value p of 0..levels stands for a Bernoulli variable with mean p / levels. All draws compare
16 random bits with the threshold t(p) = round(65536 p / levels): 0 is never on, `levels` always, and
the probability is wrong by less than 1 / 131072.
"""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core.xla.random_bits import halves

Binarization = Literal["auto", "static", "dynamic", "threshold", "none"]

STEPS = 1 << 16
ROWS = 512  # that are compared at once


def thresholds(values: jax.Array, levels: int) -> jax.Array:
    """t(p) of 0..65536 for whole numbers p of 0..levels, as uint32, in whole-number arithmetic."""
    p = values.astype(jnp.uint32)
    if levels == 255:  # 65536 / 255 = 257 + 1/255: a product and a comparison, no division
        return p * jnp.uint32(257) + (p > jnp.uint32(127)).astype(jnp.uint32)
    return (p * jnp.uint32(STEPS) + jnp.uint32(levels // 2)) // jnp.uint32(levels)


def draw(key: jax.Array, values: jax.Array, levels: int | None) -> jax.Array:
    """Bernoulli draws with means values / levels (values themselves when levels is None), as bool."""
    if levels is None:
        return jax.random.uniform(key, values.shape, values.dtype) < values
    random = halves(key, values.shape[0], values.size // values.shape[0]).reshape(values.shape)
    return random < thresholds(values, levels)


def fixed_draw(values: np.ndarray, levels: int | None, seed: int) -> np.ndarray:
    """One draw for the whole array, a function of the seed alone, as uint8."""
    generator = np.random.default_rng(seed)
    if levels is None:
        return (generator.random(values.shape, np.float32) < values).astype(np.uint8)
    limits = np.rint(np.arange(levels + 1) * (STEPS / levels)).astype(np.uint32)
    drawn = np.empty(values.shape, np.uint8)
    random = generator.integers(0, STEPS, values.shape, np.uint16)
    for start in range(0, len(values), ROWS):  # of all at once the limits would be four times the values
        some = slice(start, start + ROWS)
        np.less(random[some], limits[values[some]], out=drawn[some].view(bool))
    return drawn
