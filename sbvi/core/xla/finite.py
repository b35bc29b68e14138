"""Whether a tree of arrays holds finite numbers alone."""

from typing import Any

import jax
import jax.numpy as jnp

Array = jax.Array


def all_finite(tree: Any) -> Array:
    """Whether every floating-point number of a tree is finite, a scalar of bool."""
    leaves = [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in leaves]))
