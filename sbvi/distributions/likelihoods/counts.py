"""Logarithms of factorials and their ratios that keep their digits in float32.

Differences of `gammaln` at large arguments lose what they differ by. Stirling's series with its remainder,

    log Gamma(z) = (z - 1/2) log z - z + log(2 pi) / 2 + d(z),   d(z) ~ 1/(12 z) - 1/(360 z^3)

lets the large terms cancel on paper.
"""

import math

import jax
import jax.numpy as jnp

from sbvi.distributions.likelihoods.likelihood import Array

LARGE = 8.0  # from here on the series is exact to 3e-10


def remainder(z: Array) -> Array:
    """d(z) for z > 0: by the series from LARGE on, elsewhere by that of z + 8 and Gamma(z + 8) = Gamma(z) z .. (z + 7).

    One formula for all z, whose derivatives are short; those of `gammaln` are compiled for far longer.
    """
    large = z >= LARGE
    inverse = 1 / jnp.where(large, z, z + 8)
    series = inverse * (1 / 12 - inverse**2 * (1 / 360 - inverse**2 / 1260))
    low = jnp.where(large, 1, z)
    square = low * (low + 8)
    rising = (low + 4) * (square + 7) * (square + 12) * (square + 15)  # (z + 1) .. (z + 7), the outermost together
    below = (low + 7.5) * jnp.log1p(8 / low) - 8 + 7 * jnp.log(low) - jnp.log(rising)
    return jnp.where(large, series, series + below)


def excess(u: Array, ratio: Array) -> Array:
    """(1 + u) log(1 + u) - u for u > -1, without loss near 0. ratio: 1 + u, itself without loss near -1."""
    near = jnp.abs(u) < 0.2
    small = jnp.where(near, u, 0)
    series = jnp.zeros_like(u)
    for order in range(12, 1, -1):  # u^2 / 2 - u^3 / 6 + u^4 / 12 - ..
        series = 1 / (order * (order - 1)) - small * series
    other = jnp.where(near, 1, ratio)
    return jnp.where(near, small**2 * series, other * jnp.log(other) - u)


def log_poisson(count: Array, log_rate: Array) -> Array:
    """count log(rate) - rate - log(count!), by the deviance (Loader 2000):

        -rate excess((count - rate) / rate) - log(2 pi count) / 2 - d(count)

    and of no count -rate.
    """
    rate, some = jnp.exp(log_rate), jnp.maximum(count, 1)
    deviance = rate * excess((some - rate) / rate, some / rate)
    by_deviance = -deviance - 0.5 * jnp.log(2 * math.pi * some) - remainder(some)
    return jnp.where(count > 0, by_deviance, -rate)


def log_rising(shape: Array, count: Array) -> Array:
    """log Gamma(shape + count) - log Gamma(shape) - count log(shape):

    shape excess(count / shape) - log(1 + count / shape) / 2 + d(shape + count) - d(shape)
    """
    share = count / shape
    apart = remainder(shape + count) - remainder(shape)
    return shape * excess(share, 1 + share) - 0.5 * jnp.log1p(share) + apart


def log_negative_binomial(count: Array, log_mean: Array, log_shape: Array) -> Array:
    """log p(k) of mean m and shape r:

        log Gamma(k + r) - log Gamma(r) - log k! - r log(1 + m / r) - k log(1 + r / m)

    by deviances (Loader 2000), of n = k + r:

        d(n) - d(r) - d(k) + log(r / (2 pi n k)) / 2 - np excess((m - k) / n) - nq excess(r (k - m) / (m n))

    with np = n r / (r + m) and nq = n m / (r + m); and of no count -r log(1 + m / r).
    """
    mean, shape, k = jnp.exp(log_mean), jnp.exp(log_shape), jnp.maximum(count, 1)
    n, both = k + shape, shape + mean
    first = n * shape / both * excess((mean - k) / n, both / n)
    second = n * mean / both * excess(shape / n * ((k - mean) / mean), both / n * (k / mean))
    halves = 0.5 * (log_shape - jnp.log(2 * math.pi * k * n))
    some = remainder(n) - remainder(shape) - remainder(k) + halves - first - second
    return jnp.where(count > 0, some, -shape * jax.nn.softplus(log_mean - log_shape))
