"""From held values to the floats a model sees, inside the compiled program."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from sbvi.data.binarization import draw
from sbvi.data.preprocessing import Preprocessing


@dataclass(frozen=True)
class Traced:
    """(key, held values (B, D)) -> model input (B, D): drawn, scaled (with uniform noise), or only cast.

    training: whether the values are the training split's as held; else they are as evaluation sees them, where
      binary draws were made before (`Preprocessing.once`), and noise goes by the key.
    """

    preprocessing: Preprocessing
    training: bool
    dtype: Any = jnp.float32

    def __call__(self, key: jax.Array, held: jax.Array) -> jax.Array:
        p = self.preprocessing
        if p.dynamic and self.training:
            return draw(key, self._means(held), p.levels).astype(self.dtype)
        x = held.astype(self.dtype)
        if p.binary or p.levels is None:
            return x
        if p.dequantize:
            noisy = x + jax.random.uniform(key, x.shape, self.dtype)
            return noisy / jnp.asarray(p.levels + 1, self.dtype)
        return x / jnp.asarray(p.levels, self.dtype)

    def _means(self, held: jax.Array) -> jax.Array:
        """The same as `Preprocessing.means`."""
        p = self.preprocessing
        if p.levels is not None or p.rescale or (p.minimum, p.maximum) == (0, 1):
            return held
        assert p.minimum is not None
        assert p.maximum is not None
        low, width = (jnp.asarray(v, held.dtype) for v in (p.minimum, p.maximum - p.minimum))
        return (held - low) / width
