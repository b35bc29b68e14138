"""The logarithm of a gamma variable, with its derivative in the shape a; for small a the variable itself underflows.

    d log x / da = -(d log F / da) / (d log F / d log x),   F the distribution function

For small x the power series F = x^a / Gamma(a + 1) (1 - a x / (a + 1) + ...) gives it in log x alone, whatever a; it
tends to (digamma(a + 1) - log x) / a. JAX's own derivative of a draw takes the least float in place of an x below it.
"""

import jax
import jax.numpy as jnp
from jax.scipy.special import digamma

Array = jax.Array

#: Below this x the series serves: its next term is of order x^2.
SMALL = 1e-5


@jax.custom_jvp
def sample(key: Array, concentration: Array) -> Array:
    """log x of p(x) ~ x^(a - 1) exp(-x), one for each concentration a (any shape)."""
    return jax.random.loggamma(key, concentration, dtype=concentration.dtype)


@sample.defjvp
def _sample_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    key, concentration = primals
    log_x = sample(key, concentration)
    return log_x, path_derivative(log_x, concentration) * tangents[1]


def path_derivative(log_x: Array, concentration: Array) -> Array:
    """d log x / da at a fixed value of the distribution function."""
    a, x = concentration, jnp.exp(log_x)
    small = x < SMALL
    tiny = jnp.where(small, x, jnp.zeros_like(x))
    factor = 1 - a * tiny / (a + 1)
    by_shape = log_x - digamma(a + 1) - tiny / (jnp.square(a + 1) * factor)
    series = -by_shape / (a - a * tiny / ((a + 1) * factor))
    safe = jnp.where(small, jnp.ones_like(x), x)
    return jnp.where(small, series, jax.lax.random_gamma_grad(a, safe) / safe)
