"""Logarithms of factorials and their ratios that keep their digits in float32.

Differences of `gammaln` at large arguments lose what they differ by. Stirling's series with its remainder,

    log Gamma(z) = (z - 1/2) log z - z + log(2 pi) / 2 + d(z),   d(z) ~ 1/(12 z) - 1/(360 z^3)

lets the large terms cancel on paper.
"""

import math

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln

from sbvi.distributions.likelihoods.likelihood import Array

LARGE = 16.0  # from here on the series is exact to 1e-9


def remainder(z: Array) -> Array:
    """d(z), for z of LARGE or more."""
    inverse = 1 / z
    return inverse * (1 / 12 - inverse**2 * (1 / 360 - inverse**2 / 1260))


def excess(u: Array) -> Array:
    """(1 + u) log(1 + u) - u for u > -1, without loss near 0."""
    near = jnp.abs(u) < 0.1
    small = jnp.where(near, u, 0)
    series = jnp.zeros_like(u)
    for order in range(10, 1, -1):  # u^2 / 2 - u^3 / 6 + u^4 / 12 - ..
        series = 1 / (order * (order - 1)) - small * series
    series = small**2 * series
    other = jnp.where(near, 1, u)
    return jnp.where(near, series, (1 + other) * jnp.log1p(other) - other)


def log_poisson(count: Array, log_rate: Array) -> Array:
    """count log(rate) - rate - log(count!): for large counts by their deviance (Loader 2000),

    -rate excess((count - rate) / rate) - log(2 pi count) / 2 - d(count)
    """
    large = count >= LARGE
    rate = jnp.exp(log_rate)
    safe = jnp.where(large, count, LARGE)
    by_deviance = -rate * excess((safe - rate) / rate) - 0.5 * jnp.log(2 * math.pi * safe) - remainder(safe)
    return jnp.where(large, by_deviance, count * log_rate - rate - gammaln(count + 1))


def log_rising(shape: Array, count: Array) -> Array:
    """log Gamma(shape + count) - log Gamma(shape) - count log(shape): for large shapes

    shape excess(count / shape) - log(1 + count / shape) / 2 + d(shape + count) - d(shape)
    """
    large = shape >= LARGE
    safe = jnp.where(large, shape, LARGE)
    share = count / safe
    series = safe * excess(share) - 0.5 * jnp.log1p(share) + remainder(safe + count) - remainder(safe)
    low = jnp.where(large, 1, shape)
    return jnp.where(large, series, gammaln(low + count) - gammaln(low) - count * jnp.log(low))


def log_negative_binomial(count: Array, log_mean: Array, log_shape: Array) -> Array:
    """log p(k) of mean m and shape r:

        log Gamma(k + r) - log Gamma(r) - log k! - r log(1 + m / r) - k log(1 + r / m)

    where k and r are both large, by deviances (Loader 2000), of n = k + r:

        log(r / n) + d(n) - d(r) - d(k) + log(n / (2 pi r k)) / 2
            - np excess((m - k) / n) - nq excess(r (k - m) / (m n))

    with np = n r / (r + m) and nq = n m / (r + m).
    """
    mean, shape = jnp.exp(log_mean), jnp.exp(log_shape)
    odds = log_mean - log_shape  # of k against r
    many, round_ = count >= LARGE, shape >= LARGE
    k, r = jnp.where(many, count, LARGE), jnp.where(round_, shape, LARGE)
    n = k + r
    near = jnp.where(many & round_, mean, k)  # a harmless one elsewhere
    first, second = n * r / (r + near), n * near / (r + near)
    apart = first * excess((near - k) / n) + second * excess(r * (k - near) / (near * n))
    both = (
        remainder(n) - remainder(r) - remainder(k) + jnp.log(r / n) + 0.5 * jnp.log(n / (2 * math.pi * r * k)) - apart
    )
    few = jnp.where(many, 0, count)
    small = jnp.where(round_, 1, shape)
    # The ratio of gamma functions, by whichever of the two is large.
    ratio = jnp.where(
        round_,
        log_rising(r, few) + few * log_shape - gammaln(few + 1),
        jnp.where(
            many,
            log_rising(k, small) + (small - 1) * jnp.log(k) - gammaln(small),
            gammaln(few + small) - gammaln(small) - gammaln(few + 1),
        ),
    )
    one = ratio - shape * jax.nn.softplus(odds) - count * jax.nn.softplus(-odds)
    return jnp.where(many & round_, both, one)
