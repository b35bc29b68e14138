"""How many of weighted samples count."""

import jax
import jax.numpy as jnp


def effective_samples(log_weights: jax.Array) -> jax.Array:
    """(sum w)^2 / sum w^2 of log weights (S, ...) over the samples; from 1 to S, and blind to their scale."""
    sums = jax.nn.logsumexp(log_weights, 0), jax.nn.logsumexp(2 * log_weights, 0)
    return jnp.exp(2 * sums[0] - sums[1])
