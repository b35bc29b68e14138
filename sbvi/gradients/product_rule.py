"""The B functions of the paper's product rule (PAPER 2.3, form A, eq. 30-33).

    d_theta p(x; theta) = B(x; theta) d_x p(x; theta),   B = d_theta log p / d_x log p

so that, where p vanishes at the ends of its support, d_theta E[f] = -E[d_x(B f)]. Every B but that of a
location has a pole at each mode of p, where d_x log p = 0, and there the Monte-Carlo estimate of this
form has infinite variance. They are for analysis; to estimate gradients use `pathwise`.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import digamma

Array = jax.Array


class BFunction(NamedTuple):
    """function: (x, **parameters) -> B. poles: where it is infinite, in words."""

    function: Callable[..., Array]
    poles: str


def _gaussian_mean(x: Array, **_: Array) -> Array:
    return -jnp.ones_like(x)


def _gaussian_variance(x: Array, mean: Array, variance: Array) -> Array:
    offset = x - mean
    return -(jnp.square(offset) - variance) / (2 * variance * offset)


def _log_normal_loc(x: Array, loc: Array, variance: Array) -> Array:
    offset = jnp.log(x) - loc
    return -x * offset / (offset + variance)


def _log_normal_variance(x: Array, loc: Array, variance: Array) -> Array:
    offset = jnp.log(x) - loc
    return -x * (jnp.square(offset) - variance) / (2 * variance * (offset + variance))


def _inverse_gamma_concentration(x: Array, concentration: Array, scale: Array) -> Array:
    top = jnp.log(scale) - digamma(concentration) - jnp.log(x)
    return jnp.square(x) * top / (scale - (concentration + 1) * x)


def _inverse_gamma_scale(x: Array, concentration: Array, scale: Array) -> Array:
    return jnp.square(x) * (concentration / scale - 1 / x) / (scale - (concentration + 1) * x)


def _gamma_concentration(x: Array, concentration: Array, rate: Array) -> Array:
    return x * (jnp.log(rate) - digamma(concentration) + jnp.log(x)) / (concentration - 1 - rate * x)


def _gamma_rate(x: Array, concentration: Array, rate: Array) -> Array:
    return x * (concentration / rate - x) / (concentration - 1 - rate * x)


def _laplace_loc(x: Array, **_: Array) -> Array:
    return -jnp.ones_like(x)


def _laplace_scale(x: Array, loc: Array, scale: Array) -> Array:
    return -(jnp.abs(x - loc) - scale) / (scale * jnp.sign(x - loc))


B_FUNCTIONS: dict[tuple[str, str], BFunction] = {
    ("gaussian", "mean"): BFunction(_gaussian_mean, "none"),
    ("gaussian", "variance"): BFunction(_gaussian_variance, "x = mean"),
    ("log_normal", "loc"): BFunction(_log_normal_loc, "log x = loc - variance"),
    ("log_normal", "variance"): BFunction(_log_normal_variance, "log x = loc - variance"),
    ("inverse_gamma", "concentration"): BFunction(_inverse_gamma_concentration, "x = scale / (concentration + 1)"),
    ("inverse_gamma", "scale"): BFunction(_inverse_gamma_scale, "x = scale / (concentration + 1)"),
    ("gamma", "concentration"): BFunction(_gamma_concentration, "x = (concentration - 1) / rate"),
    ("gamma", "rate"): BFunction(_gamma_rate, "x = (concentration - 1) / rate"),
    ("laplace", "loc"): BFunction(_laplace_loc, "none"),
    ("laplace", "scale"): BFunction(_laplace_scale, "x = loc, where it jumps"),
}


def exponential_family(
    statistics: Callable[[Array], Array],
    log_base: Callable[[Array], Array],
    natural: Callable[[Array], Array],
    log_normaliser: Callable[[Array], Array],
) -> Callable[[Array, Array], Array]:
    """B of p = h(x) exp(eta(theta)^T phi(x) - A(theta)) for scalar x and theta (PAPER eq. 33):

        B = (eta'(theta)^T phi(x) - A'(theta)) / (d_x log h(x) + eta(theta)^T phi'(x))

    statistics: phi, scalar -> (M,). natural: eta, scalar -> (M,). Poles where the denominator is zero.
    """

    def b(x: Array, theta: Array) -> Array:
        top = jnp.dot(jax.jacfwd(natural)(theta), statistics(x)) - jax.grad(log_normaliser)(theta)
        return top / (jax.grad(log_base)(x) + jnp.dot(natural(theta), jax.jacfwd(statistics)(x)))

    return b
