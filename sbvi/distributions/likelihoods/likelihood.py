"""What every likelihood p(x | outputs) offers: the network's outputs are its natural parameters."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import jax
import numpy as np

from sbvi.core.xla.bounded import unbounded

Array = jax.Array


class Likelihood(Protocol):
    """A distribution of x (B, D) given network outputs (S, B, outputs(D)) and free parameters.

    binary: whether x must be 0 or 1. discrete: whether p is of whole levels of x, not a density.
    dequantize: whether whole numbers of the data get uniform noise. factorised: whether the values of x are
    independent given the outputs. by_column: whether it is put together of a table's columns.
    """

    @property
    def binary(self) -> bool: ...

    @property
    def discrete(self) -> bool: ...

    @property
    def dequantize(self) -> bool: ...

    @property
    def factorised(self) -> bool: ...

    @property
    def by_column(self) -> bool: ...

    def check(self, levels: int | None) -> None:
        """Refuse data stored as whole numbers 0..levels, or as floats (None), that it cannot be of.

        Raises:
          UserError: what the data holds and what is needed.
        """

    def outputs(self, size: int) -> int:
        """Number of network outputs for D = size values: whole blocks of them, each value's own at its place."""

    def free(self, size: int) -> int:
        """Number of parameters that do not depend on the latents."""

    def initial_outputs(self, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
        """Output biases from the data's means and standard deviations (D,)."""

    def initial_free(self, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
        """Free parameters from the data's means and standard deviations (D,)."""

    def log_prob(self, outputs: Array, free: Array, x: Array) -> Array:
        """log p(x | outputs) summed over dimensions, (S, B), nats."""

    def mean(self, outputs: Array, free: Array) -> Array:
        """E[x], (..., D)."""

    def sample(self, key: Array, outputs: Array, free: Array) -> Array:
        """A draw of x, (..., D)."""

    def output_precision(self, outputs: Array, free: Array) -> Array:
        """-d^2 log p / d outputs^2, expected, elementwise (..., outputs): for Gauss-Newton curvature."""


class LikelihoodSpec:
    """What the settings of most likelihoods say of them; see `Likelihood`."""

    binary = False
    discrete = False
    dequantize = False
    factorised = True
    by_column = False


@runtime_checkable
class OfShape(Protocol):
    """Settings of a likelihood that must know where in an example each value stands."""

    def of_shape(self, event_shape: Sequence[int]) -> Likelihood:
        """The likelihood of examples of this shape.

        Raises:
          UserError: it is of no such data.
        """


@runtime_checkable
class OneByOne(Protocol):
    """Its values are drawn one after the other, each given those before it."""

    def drawn(self, key: Array, outputs: Array, free: Array) -> tuple[Array, Array]:
        """A draw of x, and E[x_d | x_<d] of each value along that same draw; both (..., D)."""


@runtime_checkable
class Entrywise(Protocol):
    """Its entries are independent given the outputs: what a table's columns are put together of."""

    def log_probs(self, outputs: Array, free: Array, x: Array) -> Array:
        """log p(x_d | outputs) of each entry, (..., D), nats; x broadcasts against the entries' shape."""


def mean_and_draw(likelihood: Likelihood, key: Array, outputs: Array, free: Array) -> tuple[Array, Array]:
    """E[x] and a draw of x, both (..., D); of values drawn one by one the mean of each is along that same draw."""
    if isinstance(likelihood, OneByOne):
        value, mean = likelihood.drawn(key, outputs, free)
        return mean, value
    return likelihood.mean(outputs, free), likelihood.sample(key, outputs, free)


def gives_means(likelihood: Likelihood, free: Array, size: int) -> bool:
    """Whether each of `size` values has one output, which is its mean, or of bits the log-odds of a 1. What `mean`
    tells of outputs within the values' range and beyond it says so, whatever the law around the mean is."""
    if likelihood.outputs(size) != size:
        return False
    outputs = np.linspace(-2.5, 3.0, 3 * size, dtype=np.float32).reshape(3, 1, size)
    means = 1 / (1 + np.exp(-outputs)) if likelihood.binary else outputs
    return bool(np.allclose(jax.jit(likelihood.mean)(outputs, free), means, rtol=1e-5, atol=1e-5))


def row(values: Array, ndim: int) -> Array:
    """Free parameters (D,) with the rank of what they meet."""
    return values.reshape((1,) * (ndim - 1) + (-1,))


def initial_log_scale(spread: np.ndarray, least: float) -> np.ndarray:
    """r (D,) with exp(bounded(r)) + least = spread, the data's standard deviations, at least twice the least."""
    return unbounded(np.log(np.maximum(spread, 2 * least) - least))
