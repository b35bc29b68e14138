"""Components of a mixture: distributions of x that factorise over dimensions, K of them, scored by matrix products.

With o (B, D) one where a value is observed and zero elsewhere, both families are linear in few functions of x:

    bernoulli   log p_k(x_o) = sum_d o_d (x_d l_kd - softplus(l_kd))
    gaussian    log p_k(x_o) = sum_d o_d (-x_d^2 / 2 v_kd + x_d m_kd / v_kd - m_kd^2 / 2 v_kd - 1/2 log 2 pi v_kd)

Of Gaussians that lie far apart for their width the three terms are large and their sum is not: these are scored, and
their moments summed, by the square of the difference, component by component.
"""

from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.distributions.gaussian import LOG_2PI

#: Nats that rounding may cost the expanded square, about.
LOST = 0.004

Array = jax.Array
Parameters = dict[str, Array]


class Statistics(NamedTuple):
    """Sums over examples weighed by responsibilities: weight (K,), away (K, D) of x - c_k, squares (K, D)
    of (x - c_k)^2, c_k the centre that a component's parameters have."""

    weight: Array
    away: Array
    squares: Array


class Components(Protocol):
    """K factorised distributions; parameters are a dict of (K, D)."""

    def initial(self, rows: np.ndarray, mean: np.ndarray, spread: np.ndarray) -> Parameters:
        """Parameters from the data's moments (D,), the components told apart by rows (K, D) of the data."""

    def scores(self, parameters: Parameters, x: Array, observed: Array | None) -> Array:
        """log p_k(x_o), (B, K); observed (B, D) as ones and zeros, None for all."""

    def mean(self, parameters: Parameters) -> Array:
        """E_k[x], (K, D)."""

    def sample(self, parameters: Parameters, key: Array, component: Array) -> Array:
        """A draw of x for each component index (n,): (n, D)."""

    def centre(self, parameters: Parameters) -> Array:
        """(K, D), what statistics are about."""

    def statistics(self, parameters: Parameters, x: Array, share: Array) -> Statistics:
        """Of x (B, D) by responsibilities (B, K), about these parameters' centre."""

    def maximise(self, parameters: Parameters, statistics: Statistics, pseudocount: float) -> Parameters:
        """The parameters that maximise the likelihood of statistics about these parameters' centre."""


class BernoulliComponents:
    """p_k(x_d = 1) = sigmoid(l_kd)."""

    def initial(self, rows: np.ndarray, mean: np.ndarray, spread: np.ndarray) -> Parameters:
        p = np.clip(0.75 * mean + 0.25 * rows, 0.02, 0.98)
        return {"logits": jnp.asarray(np.log(p) - np.log1p(-p), jnp.float32)}

    def scores(self, parameters: Parameters, x: Array, observed: Array | None) -> Array:
        logits = parameters["logits"]
        base = jax.nn.softplus(logits)
        if observed is None:
            return x @ logits.T - jnp.sum(base, -1)[None]
        return (observed * x) @ logits.T - observed @ base.T

    def mean(self, parameters: Parameters) -> Array:
        return jax.nn.sigmoid(parameters["logits"])

    def sample(self, parameters: Parameters, key: Array, component: Array) -> Array:
        p = jax.nn.sigmoid(parameters["logits"])[component]
        return jax.random.bernoulli(key, p).astype(p.dtype)

    def centre(self, parameters: Parameters) -> Array:
        return jnp.zeros_like(parameters["logits"])

    def statistics(self, parameters: Parameters, x: Array, share: Array) -> Statistics:
        ones = share.T @ x  # zeros and ones are their own squares
        return Statistics(jnp.sum(share, 0), ones, ones)

    def maximise(self, parameters: Parameters, statistics: Statistics, pseudocount: float) -> Parameters:
        """With a Beta(1 + c, 1 + c) prior on every probability."""
        weight, first = statistics.weight[:, None], statistics.away
        tiny = jnp.asarray(1e-6, first.dtype)
        ones = jnp.maximum(first + pseudocount, tiny)
        zeros = jnp.maximum(weight - first + pseudocount, tiny)
        return {"logits": jnp.log(ones) - jnp.log(zeros)}


def _expanded(x: Array, mean: Array, variance: Array, observed: Array | None) -> Array:
    base = -0.5 * (mean**2 / variance + jnp.log(variance) + LOG_2PI)
    quadratic, linear = -0.5 / variance, mean / variance
    if observed is None:
        return x**2 @ quadratic.T + x @ linear.T + jnp.sum(base, -1)[None]
    return (observed * x**2) @ quadratic.T + (observed * x) @ linear.T + observed @ base.T


def _one_by_one(x: Array, mean: Array, variance: Array, observed: Array | None) -> Array:
    @jax.checkpoint  # (K, B, D) numbers are not kept for the gradient
    def one(component: tuple[Array, Array]) -> Array:
        m, v = component
        terms = -0.5 * ((x - m[None]) ** 2 / v[None] + jnp.log(v)[None] + LOG_2PI)
        return jnp.sum(terms if observed is None else observed * terms, -1)

    return jax.lax.map(one, (mean, variance)).T


def _middle(parameters: Parameters) -> Array:
    """(D,), no function of the parameters to gradients."""
    return jax.lax.stop_gradient(jnp.mean(parameters["mean"], 0))


def _moments(x: Array, mean: Array, share: Array) -> tuple[Array, Array]:
    weight, first = jnp.sum(share, 0)[:, None], share.T @ x
    return first - weight * mean, share.T @ x**2 - 2 * mean * first + weight * mean**2


def _moments_one_by_one(x: Array, mean: Array, share: Array) -> tuple[Array, Array]:
    def one(component: tuple[Array, Array]) -> tuple[Array, Array]:
        m, own = component
        away = x - m[None]
        return own @ away, own @ away**2

    first, second = jax.lax.map(one, (mean, share.T))
    return first, second


class GaussianComponents:
    """N(m_kd, v_kd) with v = minimum_scale^2 + exp(2 s): the bound on the scale keeps the density bounded."""

    def __init__(self, minimum_scale: float):
        self.minimum_scale = minimum_scale

    def initial(self, rows: np.ndarray, mean: np.ndarray, spread: np.ndarray) -> Parameters:
        start = np.broadcast_to(np.maximum(spread, 2 * self.minimum_scale), rows.shape)
        return {
            "mean": jnp.asarray(0.75 * mean + 0.25 * rows, jnp.float32),
            "log_scale": jnp.asarray(np.log(start), jnp.float32),
        }

    def _variance(self, parameters: Parameters) -> Array:
        return self.minimum_scale**2 + jnp.exp(2 * parameters["log_scale"])

    def scores(self, parameters: Parameters, x: Array, observed: Array | None) -> Array:
        middle, variance = _middle(parameters), self._variance(parameters)
        x, mean = x - middle[None], parameters["mean"] - middle[None]
        return jax.lax.cond(self._near(parameters), _expanded, _one_by_one, x, mean, variance, observed)

    def _near(self, parameters: Parameters) -> Array:
        """Whether squares about the middle of all components keep the digits of those about each one's mean."""
        apart = (parameters["mean"] - _middle(parameters)[None]) ** 2 / self._variance(parameters)
        return jnp.finfo(apart.dtype).eps * jnp.max(jnp.sum(apart, -1)) < LOST

    def mean(self, parameters: Parameters) -> Array:
        return parameters["mean"]

    def sample(self, parameters: Parameters, key: Array, component: Array) -> Array:
        mean, scale = parameters["mean"][component], jnp.sqrt(self._variance(parameters))[component]
        return mean + scale * jax.random.normal(key, mean.shape, mean.dtype)

    def centre(self, parameters: Parameters) -> Array:
        """The means: squares of values far from them would cost the digits of the variances."""
        return parameters["mean"]

    def statistics(self, parameters: Parameters, x: Array, share: Array) -> Statistics:
        middle = _middle(parameters)
        x, mean = x - middle[None], parameters["mean"] - middle[None]
        first, second = jax.lax.cond(self._near(parameters), _moments, _moments_one_by_one, x, mean, share)
        return Statistics(jnp.sum(share, 0), first, second)

    def maximise(self, parameters: Parameters, statistics: Statistics, pseudocount: float) -> Parameters:
        """With `pseudocount` further examples for each component, spread as the whole data is."""
        weight = jnp.maximum(statistics.weight, jnp.asarray(1e-6, statistics.weight.dtype))[:, None]
        total, place = jnp.sum(weight), parameters["mean"] - _middle(parameters)[None]
        # The whole about the middle of all components, and from there about each one's mean.
        whole = jnp.sum(statistics.away + weight * place, 0, keepdims=True) / total
        squares = (
            jnp.sum(statistics.squares + 2 * place * statistics.away + weight * place**2, 0, keepdims=True) / total
        )
        spread, whole = squares - whole**2, whole - place
        mean = (statistics.away + pseudocount * whole) / (weight + pseudocount)
        second = (statistics.squares + pseudocount * (spread + whole**2)) / (weight + pseudocount)
        rest = jnp.maximum(second - mean**2 - self.minimum_scale**2, jnp.asarray(1e-12, mean.dtype))
        return {"mean": parameters["mean"] + mean, "log_scale": 0.5 * jnp.log(rest)}
