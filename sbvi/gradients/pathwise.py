"""Draws that carry their derivative with respect to the parameters, for families beyond the Gaussian.

Two of the paper's rules (PAPER 2.3 and 2.4), for any f that JAX can differentiate:

- implicit: dx/dtheta = -(dF/dtheta) / p, the product rule in the form that has no poles, for gamma,
  inverse gamma, beta, Student-t and von Mises;
- coordinate transformations of a fixed base distribution for the others.

Each family is `sample(key, shape, **parameters)`; parameters broadcast against `shape`, which is that of
the result. `E[f]` is estimated by the mean of f over draws, and its gradient by differentiating that.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.gradients import log_gamma, von_mises

Array = jax.Array
Shape = tuple[int, ...]


def _full(value: Array, shape: Shape) -> Array:
    return jnp.broadcast_to(value, shape)


def _dtype(*values: Any) -> Any:
    return jnp.result_type(*values)


def _exp(log_value: Array) -> Array:
    """exp, held a little below the root of the greatest float (6e15 in float32), with no derivative beyond.

    At small shapes a share of the draws of a heavy tail is beyond any float. There bounded functions have come to
    rest; but squares within them, times a derivative, must be finite, or zero times infinity is what comes back.
    """
    highest = float(np.log(jnp.finfo(log_value.dtype).max)) / 2 - 8
    return jnp.exp(jnp.minimum(log_value, highest))


def gamma(key: Array, shape: Shape, concentration: Array, rate: Array) -> Array:
    """p(x) ~ x^(concentration - 1) exp(-rate x)."""
    return _exp(log_gamma.sample(key, _full(concentration, shape)) - jnp.log(_full(rate, shape)))


def inverse_gamma(key: Array, shape: Shape, concentration: Array, scale: Array) -> Array:
    """p(x) ~ x^(-concentration - 1) exp(-scale / x): the reciprocal of a gamma variable."""
    return _exp(jnp.log(_full(scale, shape)) - log_gamma.sample(key, _full(concentration, shape)))


def beta(key: Array, shape: Shape, a: Array, b: Array) -> Array:
    """p(x) ~ x^(a - 1) (1 - x)^(b - 1): a ratio of gamma variables, in logs."""
    first, second = jax.random.split(key)
    log_a = log_gamma.sample(first, _full(a, shape))
    log_b = log_gamma.sample(second, _full(b, shape))
    return jax.nn.sigmoid(log_a - log_b)


def student_t(key: Array, shape: Shape, df: Array, loc: Array, scale: Array) -> Array:
    """loc + scale z sqrt(df / chi^2_df)."""
    return _full(loc, shape) + _full(scale, shape) * _unit_t(key, _full(df, shape))


def _unit_t(key: Array, df: Array) -> Array:
    first, second = jax.random.split(key)
    return jax.random.normal(first, df.shape, df.dtype) * _root_of_tau(second, df)


def _root_of_tau(key: Array, df: Array) -> Array:
    """sqrt(df / chi^2_df), one for each df."""
    half = 0.5 * df
    return _exp(0.5 * (jnp.log(half) - log_gamma.sample(key, half)))


def multivariate_student_t(key: Array, shape: Shape, df: Array, loc: Array, root: Array) -> Array:
    """loc + sqrt(tau) R e with tau = df / chi^2_df shared by all dimensions: elliptical, heavy tails.

    shape (..., K); df scalar, loc (K,), root R (K, K).
    """
    first, second = jax.random.split(key)
    root_of_tau = _root_of_tau(second, _full(df, shape[:-1]))
    noise = jax.random.normal(first, shape, root.dtype)
    return _full(loc.reshape((1,) * (len(shape) - 1) + (-1,)), shape) + root_of_tau[..., None] * (noise @ root.T)


def von_mises_(key: Array, shape: Shape, loc: Array, concentration: Array) -> Array:
    """p(x) ~ exp(concentration cos(x - loc)); angles are not wrapped, so that the path is smooth."""
    return _full(loc, shape) + von_mises.sample(key, _full(concentration, shape))


def log_normal(key: Array, shape: Shape, loc: Array, scale: Array) -> Array:
    """exp(loc + scale z)."""
    z = jax.random.normal(key, shape, _dtype(loc, scale))
    return jnp.exp(_full(loc, shape) + _full(scale, shape) * z)


def _location_scale(base: Callable[[Array, Shape, Any], Array], doc: str) -> Callable[..., Array]:
    def draw(key: Array, shape: Shape, loc: Array, scale: Array) -> Array:
        return _full(loc, shape) + _full(scale, shape) * base(key, shape, _dtype(loc, scale))

    draw.__doc__ = doc
    return draw


def _exponential(key: Array, shape: Shape, dtype: Any) -> Array:
    # Kept away from zero: its logarithm is taken below.
    return jnp.maximum(jax.random.exponential(key, shape, dtype), jnp.finfo(dtype).tiny)


laplace = _location_scale(jax.random.laplace, "loc + scale x, x with density exp(-|x|) / 2.")
logistic = _location_scale(
    # log(e^X - 1) of X ~ Exp(1), written so that large X does not overflow.
    lambda key, shape, dtype: (lambda x: x + jnp.log(-jnp.expm1(-x)))(_exponential(key, shape, dtype)),
    "loc + scale log(e^X - 1), X ~ Exp(1) (the paper's map with its misprint mended).",
)
gumbel = _location_scale(
    lambda key, shape, dtype: -jnp.log(_exponential(key, shape, dtype)), "loc - scale log X, X ~ Exp(1)."
)
cauchy = _location_scale(jax.random.cauchy, "loc + scale tan(pi (u - 1/2)).")
levy = _location_scale(
    lambda key, shape, dtype: 1 / jnp.square(jax.random.normal(key, shape, dtype)), "loc + scale / z^2, z ~ N(0, 1)."
)


def generalised_extreme_value(key: Array, shape: Shape, loc: Array, scale: Array, tail: Array) -> Array:
    """loc + scale (X^-tail - 1) / tail, X ~ Exp(1); tail = 0 is the Gumbel distribution.

    scipy's `genextreme` has the shape parameter -tail.
    """
    minus_log = -jnp.log(_exponential(key, shape, _dtype(loc, scale, tail)))
    unit = minus_log * _growth(_full(tail, shape) * minus_log)
    return _full(loc, shape) + _full(scale, shape) * unit


def _growth(u: Array) -> Array:
    """(e^u - 1) / u, whose derivative keeps its digits: for |u| < 1 by the sum of u^n / (n + 1)!."""
    small = jnp.abs(u) < 1
    near = jnp.where(small, u, jnp.zeros_like(u))
    series = jnp.ones_like(u)
    for n in range(20, 1, -1):
        series = 1 + near / n * series
    far = jnp.where(small, jnp.ones_like(u), u)
    return jnp.where(small, series, jnp.expm1(far) / far)


def weibull(key: Array, shape: Shape, scale: Array, concentration: Array) -> Array:
    """scale X^(1 / concentration), X ~ Exp(1)."""
    base = _exponential(key, shape, _dtype(scale, concentration))
    return _full(scale, shape) * base ** (1 / _full(concentration, shape))


def exponential(key: Array, shape: Shape, rate: Array) -> Array:
    """X / rate, X ~ Exp(1)."""
    return _exponential(key, shape, _dtype(rate)) / _full(rate, shape)


class Family(NamedTuple):
    """sample: (key, shape, **parameters). implicit: by the distribution function, not by a map of a
    base without parameters. heavy: f must be bounded for its expectation to exist for all parameters."""

    sample: Callable[..., Array]
    parameters: tuple[str, ...]
    implicit: bool = False
    heavy: bool = False


FAMILIES: dict[str, Family] = {
    "gamma": Family(gamma, ("concentration", "rate"), implicit=True),
    "inverse_gamma": Family(inverse_gamma, ("concentration", "scale"), implicit=True, heavy=True),
    "beta": Family(beta, ("a", "b"), implicit=True),
    "student_t": Family(student_t, ("df", "loc", "scale"), implicit=True, heavy=True),
    "von_mises": Family(von_mises_, ("loc", "concentration"), implicit=True),
    "multivariate_student_t": Family(multivariate_student_t, ("df", "loc", "root"), implicit=True, heavy=True),
    "log_normal": Family(log_normal, ("loc", "scale")),
    "laplace": Family(laplace, ("loc", "scale")),
    "logistic": Family(logistic, ("loc", "scale")),
    "gumbel": Family(gumbel, ("loc", "scale")),
    "generalised_extreme_value": Family(generalised_extreme_value, ("loc", "scale", "tail"), heavy=True),
    "weibull": Family(weibull, ("scale", "concentration")),
    "exponential": Family(exponential, ("rate",)),
    "levy": Family(levy, ("loc", "scale"), heavy=True),
    "cauchy": Family(cauchy, ("loc", "scale"), heavy=True),
}
