"""Bernoulli likelihood of binary data on logits."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero

from sbvi.core import spec
from sbvi.core.xla.exponential import exp_nonpositive
from sbvi.core.xla.sums import row_sums
from sbvi.distributions.likelihoods.likelihood import Array, LikelihoodSpec

#: Most factors 1 + exp(-|l|), each at most 2, under one logarithm.
FACTORS = 16
#: The same without a gradient: what is read at more places than 15, XLA's CPU compiler does not make where it is read,
#: and logits with their bias were written out once more for it. With a gradient they are written out anyway.
FACTORS_ALONE = 15
#: Values of a vector register, which slices fill where a division does.
REGISTER = 16
#: Fewest values of a slice, where a division has so many: narrower ones fill no vector register, and cost more than the
#: logarithms that they spare. Benchmark: `scripts/benchmark_helmholtz.py`.
NARROWEST = 24


def groups(size: int, beside_gradient: bool) -> int:
    """How many values share a logarithm: a divisor of the size, the most that leave no narrow slices; without a
    gradient the most that leave slices of whole registers, where there are such. All of a few values share one;
    more of them that would leave narrow slices share none."""
    most = FACTORS if beside_gradient else FACTORS_ALONE
    divisors = [n for n in range(1, most + 1) if size % n == 0]
    wide = [n for n in divisors if n > 1 and size // n >= NARROWEST]
    whole = [n for n in wide if size // n % REGISTER == 0 and not beside_gradient]
    return max(whole or wide or [size if size <= most else 1])


# JAX then traces its many operations once for a shape, not for each place in each program
@functools.partial(jax.jit, static_argnums=(2, 3))
def _terms(logits: Array, x: Array, count: int, exp: Callable[[Array], Array]) -> Array:
    """What is left to sum, (..., D / count) with count values under each logarithm, D a multiple of it."""
    size = logits.shape[-1]
    width = size // count
    linear, product = jnp.zeros((), logits.dtype), jnp.ones((), logits.dtype)
    for first in range(0, size, width):
        part = logits[..., first : first + width]
        linear = linear + x[..., first : first + width] * part - jnp.where(part >= 0, part, jnp.zeros_like(part))
        product = product * (1 + exp(-jnp.abs(part)))
    return linear - jnp.log(product)


@jax.custom_jvp
def log_bernoulli(logits: Array, x: Array) -> Array:
    """sum_d x_d l_d - log(1 + exp(l_d)) over the last axis, for logits and x of one shape.

    With log(1 + exp(l)) = max(l, 0) + log(1 + exp(-|l|)), up to 16 of the last terms share a logarithm, that of a
    product of at most 2^16; and what is left is summed as a product with ones, which XLA's CPU compiler does where
    the terms are made, while a sum has it write them out first. Together they halve what is not a matrix product.

    The derivative is stated, x - sigmoid(l): back-propagation then keeps one array of this size instead
    of four, and nothing is left to JAX's derivative of |l| at 0, which is 1.
    """
    return row_sums(_terms(logits, x, groups(logits.shape[-1], False), exp_nonpositive))[..., 0]


@jax.custom_jvp
def _beside_gradient(logits: Array, x: Array) -> Array:
    """The same where its derivative is taken too: each is faster in its place, by 7 % of a training step at batch 100
    (`scripts/benchmark.py`) and by a tenth of the final test."""
    return row_sums(_terms(logits, x, groups(logits.shape[-1], True), jnp.exp))[..., 0]


def _log_bernoulli_jvp(primals: tuple[Array, Array], tangents: tuple[Any, Any]) -> tuple[Array, Array]:
    logits, x = primals
    towards_logits, towards_x = tangents
    slope = jnp.zeros_like(logits)
    if not isinstance(towards_logits, SymbolicZero):
        slope = slope + (x - jax.nn.sigmoid(logits)) * towards_logits
    if not isinstance(towards_x, SymbolicZero):
        slope = slope + logits * towards_x
    return _beside_gradient(logits, x), jnp.sum(slope, -1)


log_bernoulli.defjvp(_log_bernoulli_jvp, symbolic_zeros=True)
_beside_gradient.defjvp(_log_bernoulli_jvp, symbolic_zeros=True)


@spec
class Bernoulli(LikelihoodSpec):
    """p(x_d = 1) = sigmoid(logit_d)."""

    binary = True
    discrete = True

    def check(self, levels: int | None) -> None:
        """Binary data is told by its own flag."""

    def outputs(self, size: int) -> int:
        return size

    def free(self, size: int) -> int:
        return 0

    def initial_outputs(self, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
        clipped = np.clip(mean, 0.001, 0.999)
        return np.log(clipped) - np.log1p(-clipped)

    def initial_free(self, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
        return np.zeros(0)

    def log_prob(self, outputs: Array, free: Array, x: Array) -> Array:
        return log_bernoulli(outputs, jnp.broadcast_to(x[None], outputs.shape))

    def log_probs(self, outputs: Array, free: Array, x: Array) -> Array:
        return x * outputs - jax.nn.softplus(outputs)

    def mean(self, outputs: Array, free: Array) -> Array:
        return jax.nn.sigmoid(outputs)

    def sample(self, key: Array, outputs: Array, free: Array) -> Array:
        return jax.random.bernoulli(key, jax.nn.sigmoid(outputs)).astype(outputs.dtype)

    def output_precision(self, outputs: Array, free: Array) -> Array:
        p = jax.nn.sigmoid(outputs)
        return p * (1 - p)
