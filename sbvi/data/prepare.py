"""From stored values to the floats a model sees, inside the compiled program."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from sbvi.data.binarization import draw
from sbvi.data.dataset import Dataset


@dataclass(frozen=True)
class Prepare:
    """(key, stored values (B, D)) -> float values (B, D): drawn, scaled (with uniform noise), or only cast."""

    levels: int | None
    dynamic: bool
    binary: bool
    dequantized: bool = False
    dtype: Any = jnp.float32

    def __call__(self, key: jax.Array, stored: jax.Array) -> jax.Array:
        if self.dynamic:
            return draw(key, stored, self.levels).astype(self.dtype)
        x = stored.astype(self.dtype)
        if self.dequantized and self.levels is not None:
            noisy = x + jax.random.uniform(key, x.shape, self.dtype)
            return noisy / jnp.asarray(self.levels + 1, self.dtype)
        return x if self.binary or self.levels is None else x / jnp.asarray(self.levels, self.dtype)


def training(dataset: Dataset, dtype: Any = jnp.float32) -> Prepare:
    """How training batches are prepared."""
    return Prepare(dataset.levels, dataset.dynamic, dataset.binary, dataset.dequantized, dtype)


def evaluation(dataset: Dataset, dtype: Any = jnp.float32) -> Prepare:
    """How validation and test batches are prepared: binary draws were made once, before; noise goes by the key."""
    return Prepare(dataset.levels, False, dataset.binary, dataset.dequantized, dtype)
