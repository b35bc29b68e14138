"""From grey values to binary ones: fixed draws, fresh draws at each use, or a threshold.

A stored value p of 0..levels stands for a Bernoulli variable with mean p / levels. All draws compare
16 random bits with the threshold t(p) = round(65536 p / levels): 0 is never on, `levels` always, and
the probability is wrong by less than 1 / 131072.
"""

from dataclasses import replace
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import UserError
from sbvi.core.xla.random_bits import halves
from sbvi.data.dataset import Dataset, Split

Binarization = Literal["auto", "static", "dynamic", "threshold", "none"]

STEPS = 1 << 16


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
    random = generator.integers(0, STEPS, values.shape, np.uint16)
    return (random < limits[values]).astype(np.uint8)


def binarize(dataset: Dataset, how: Binarization, seed: int) -> Dataset:
    """Apply a choice of binarization to a data set of values in [0, 1].

    static: every split drawn once. dynamic: validation and test drawn once, the training split left
    as means, to be drawn in the training step. threshold: on where the mean is at least one half.
    """
    if how == "none" or dataset.binary:
        return dataset

    def once(split: Split, offset: int) -> Split:
        if how == "threshold":
            return replace(split, x=(split.x >= (dataset.levels or 1) / 2).astype(np.uint8))
        return replace(split, x=fixed_draw(split.x, dataset.levels, seed + offset))

    if not isinstance(dataset.train.x, np.ndarray) and how != "dynamic":
        raise UserError(
            f"dataset.binarization={how} would take all shards into memory; use dynamic, or let sbvi-convert do it."
        )
    fixed = replace(dataset, validation=once(dataset.validation, 1), test=once(dataset.test, 2))
    if how == "dynamic":
        return replace(fixed, dynamic=True, binary=True)
    return replace(fixed, train=once(dataset.train, 0), levels=1, binary=True)
