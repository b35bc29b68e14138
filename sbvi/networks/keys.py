"""Keys for the weights of a network."""

import jax

Array = jax.Array


class Keys:
    """One key after another: the numbers of `flax.nnx.Rngs`, which counts by arrays that have to be traced."""

    def __init__(self, key: Array):
        self._key, self._given = key, 0

    def params(self) -> Array:
        key = jax.random.fold_in(self._key, self._given)
        self._given += 1
        return key
