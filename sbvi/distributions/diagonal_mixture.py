"""Log densities of many diagonal Gaussians at many points, of which mixtures are made: no (N, M, K) is held.

    log N(z | m, s^2) = -1/2 sum_k ((z_k - m_k) / s_k)^2 - sum_k log s_k - K/2 log 2 pi

The values are summed one dimension after the other. As products of z and z^2 with m / s^2 and 1 / s^2 they would be
differences of terms of (m / s)^2, of which float32 leaves some tenths of a nat where means are far and scales narrow.
Their derivatives are those of the products, which cost a tenth of what the sum's do. Those by z and by the means lose
no more than a share (m / s) of the last digit; those by the log scales are differences of (m / s)^2 still.
"""

import jax
import jax.numpy as jnp

from sbvi.core.precision import in_full
from sbvi.distributions.gaussian import LOG_2PI, Array


@jax.custom_jvp
def log_densities(z: Array, mean: Array, log_scale: Array) -> Array:
    """log N(z | mean_m, diag(exp(log_scale_m))^2) in nats: z (..., K), mean and log_scale (M, K), to (..., M)."""
    constant = -jnp.sum(log_scale + 0.5 * LOG_2PI, -1)

    def one(total: Array, dimension: tuple[Array, Array, Array]) -> tuple[Array, None]:
        value, centre, narrow = dimension  # (..., 1), (M,) and (M,)
        return total + jnp.square((value - _along(centre, z)) * _along(narrow, z)), None

    start = jnp.zeros((*z.shape[:-1], mean.shape[0]), z.dtype)
    squares, _ = jax.lax.scan(one, start, (jnp.moveaxis(z, -1, 0)[..., None], mean.T, jnp.exp(-log_scale).T))
    return _along(constant, z) - 0.5 * squares


def _by_products(z: Array, mean: Array, log_scale: Array) -> Array:
    """The same from products alone."""
    precision = jnp.exp(-2 * log_scale)
    constant = -jnp.sum(0.5 * mean**2 * precision + log_scale + 0.5 * LOG_2PI, -1)
    return in_full(z, (mean * precision).T) - in_full(0.5 * z**2, precision.T) + _along(constant, z)


@log_densities.defjvp
def _log_densities_jvp(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
    return log_densities(*primals), jax.jvp(_by_products, primals, tangents)[1]


def _along(values: Array, z: Array) -> Array:
    """values (M,) with the rank of z."""
    return values.reshape((1,) * (z.ndim - 1) + (-1,))
