"""Numbers kept within bounds, with a slope everywhere."""

import jax
import jax.numpy as jnp


def bounded(log_value: jax.Array, limit: float = 15.0) -> jax.Array:
    """A log-scale kept within (-limit, limit), the identity near zero, with a gradient everywhere."""
    return limit * jnp.tanh(log_value / limit)
