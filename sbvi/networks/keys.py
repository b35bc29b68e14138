"""Keys for the weights of a network, and the weights themselves, many drawn at once."""

import math
from collections.abc import Mapping

import jax
import numpy as np

Array = jax.Array
Shape = tuple[int, ...]

#: Weights of at most so many values are drawn with one another, larger ones with those of less than four times as many.
SMALL = 4096

_glorot = jax.nn.initializers.glorot_uniform()


class Keys:
    """One key after another: the numbers of `flax.nnx.Rngs`, which counts by arrays that have to be traced.

    planned: `shapes` of the Keys by which the same network was made before, if only to learn its form. Weights of
    about one size are then drawn by one call of the generator and are bit for bit what they are one by one. Each call
    is traced, lowered and compiled by itself, which takes most of the time to a small network's first parameters.
    """

    def __init__(self, key: Array, planned: Mapping[int, Shape] | None = None):
        self._key, self._given = key, 0
        #: Of the Glorot-uniform weights made so far, by the place of each one's key.
        self.shapes: dict[int, Shape] = {}
        self._planned = dict(planned or {})
        self._drawn = _together(key, self._planned)

    def params(self) -> Array:
        key = jax.random.fold_in(self._key, self._given)
        self._given += 1
        return key

    def glorot(self, shape: Shape) -> Array:
        """Glorot-uniform weights (..., inputs, outputs), by the next key."""
        place = self._given
        self.shapes[place] = shape
        if place not in self._drawn or self._planned[place] != shape:
            return _glorot(self.params(), shape)
        self._given += 1
        return self._drawn[place].reshape(shape)


def _together(key: Array, shapes: Mapping[int, Shape]) -> dict[int, Array]:
    """Weights of these shapes, flat, by the place of each one's key."""
    partitionable = jax.config.jax_threefry_partitionable  # type: ignore[attr-defined]
    if not partitionable or jax.random.key_impl(key) != "threefry2x32":
        return {}  # there a number depends on how many are drawn with it
    groups: dict[int, list[int]] = {}
    for place, shape in shapes.items():
        groups.setdefault(math.ceil(math.log(max(math.prod(shape), SMALL), 4)), []).append(place)
    drawn = {}
    for places in groups.values():
        most = max(math.prod(shapes[place]) for place in places)
        keys = jax.vmap(lambda place: jax.random.fold_in(key, place))(np.asarray(places, np.uint32))
        unit = jax.vmap(lambda own, most=most: jax.random.uniform(own, (most,), minval=-1))(keys)
        for row, place in zip(unit, places, strict=True):
            drawn[place] = row[: math.prod(shapes[place])] * _limit(shapes[place], unit.dtype)
    return drawn


def _limit(shape: Shape, dtype: np.dtype) -> np.ndarray:
    """The largest value of a Glorot-uniform weight: sqrt(6 / (inputs + outputs)), rounded as JAX's initialiser does."""
    inputs, outputs = (math.prod(shape[:-2]) * size for size in shape[-2:])
    return np.sqrt(np.asarray(3, dtype) * np.asarray(1 / ((inputs + outputs) / 2), dtype))
