"""Numbers kept within bounds, with a slope everywhere."""

import jax
import jax.numpy as jnp
import numpy as np


def bounded(log_value: jax.Array, limit: float = 15.0) -> jax.Array:
    """A log-scale kept within (-limit, limit), the identity near zero, with a gradient everywhere."""
    return limit * jnp.tanh(log_value / limit)


def unbounded(log_value: np.ndarray, limit: float = 15.0) -> np.ndarray:
    """What `bounded` makes that of, as far as it reaches."""
    reach = limit - 0.1
    return limit * np.arctanh(np.clip(log_value, -reach, reach) / limit)
