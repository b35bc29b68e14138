"""What travels between the variables and the factors of a layered network.

Every variable z_i has two Gaussian messages, N(z_i; mean, variance I): `forward`, from the factor below it, and
`backward`, from the factor above. Rows are examples: means are (B, n), variances (B, 1), one number an example.
A factor joins its input variable to its output variable; given the messages that reach it, it makes a `Belief`.
"""

from typing import Literal, NamedTuple, Protocol

import jax
import jax.numpy as jnp

Array = jax.Array
Mode = Literal["mmse", "map"]


class Message(NamedTuple):
    """mean (B, n); variance (B, 1), or (B, n) where it is what was observed."""

    mean: Array
    variance: Array


class Belief(NamedTuple):
    """Moments of a factor's two variables under factor times incoming messages.

    mean_in, mean_out: (B, n). variance_in, variance_out: (B, n), or (B, 1) where only their average is known.
    evidence: (B,), log of the integral of factor times messages, nats; with mode `map`, minus the factor's own cost
    at the estimates.
    """

    mean_in: Array
    variance_in: Array
    mean_out: Array
    variance_out: Array
    evidence: Array


class Factor(Protocol):
    """One layer: p(z_out | z_in), or p(y | z_in) at the end with y in `back`."""

    def estimate(self, into: Message, back: Message, mode: Mode) -> Belief: ...


def log_normal(x: Array, variance: Array) -> Array:
    """log N(x; 0, variance), element-wise."""
    return -0.5 * (x**2 / variance + jnp.log(2 * jnp.pi * variance))


def average(variance: Array) -> Array:
    """(B, n) or (B, 1) -> (B, 1)."""
    return jnp.mean(variance, axis=1, keepdims=True)
