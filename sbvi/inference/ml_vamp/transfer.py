"""What a layer does to the errors of messages, for state evolution: its action on second moments.

In the limit of large random layers, what reaches a factor from below is (true, true + error) with a 2 x 2 matrix K of
second moments, and from above true + N(0, tau). So each factor's action on messages is an average over one entry:
in closed form over a linear layer's singular values, and by draws through a unit or an output of bits.

Biases are not uniform in direction: a unit is told its inputs' biases, and the message it exchanges with the linear
layer below is about the input without them. Message passing itself does not notice the difference.
"""

from functools import partial
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.inference.ml_vamp.messages import Array, Factor, Message
from sbvi.inference.ml_vamp.problem import chance_of_one
from sbvi.inference.ml_vamp.units import Unit


class Below(NamedTuple):
    """What comes from below: E true^2, E true error, E error^2, and the variance that the message claims."""

    true: Array
    cross: Array
    error: Array
    variance: Array


class Above(NamedTuple):
    """What comes from above: the error's variance tau, and the variance that the message claims."""

    tau: Array
    variance: Array


class Up(NamedTuple):
    """The message to the layer above, and the error and claimed variance of the estimate of the output."""

    message: Below
    error: Array
    claimed: Array


class Down(NamedTuple):
    """The message to the layer below, and the error and claimed variance of the estimate of the input."""

    message: Above
    error: Array
    claimed: Array


class Reader(Protocol):
    """The last layer, whose output is observed. bias_power: the mean square of its inputs' biases, which `Below.true`
    does not have."""

    @property
    def bias_power(self) -> float: ...

    def down(self, below: Below, above: Above) -> Down: ...


class Transfer(Reader, Protocol):
    """A layer between two variables."""

    def up(self, below: Below, above: Above) -> Up: ...


def prior(above: Above) -> Up:
    """The estimate of z ~ N(0, 1) from above; what goes up is the prior itself, at 0."""
    share = 1 / (1 + above.variance)
    error = share**2 * above.tau + (above.variance * share) ** 2
    one = jnp.ones_like(share)
    return Up(Below(one, -one, one, one), error, above.variance * share)


class LinearTransfer(NamedTuple):
    """s (k,), sizes and noise of a linear layer; true: the mean square of its output without biases, where known;
    bias_power: see `Reader`."""

    s: Array
    n_in: float
    n_out: float
    noise: float
    true: float | None
    bias_power: float = 0.0

    def down(self, below: Below, above: Above) -> Down:
        """The estimate's error is P+ + v0 s d (w + Q- - s P+), over the spectrum padded with zeros."""
        s, v0 = self.s, below.variance
        d = 1 / (s**2 * v0 + above.variance + self.noise)
        gap = self.noise + above.tau + s**2 * below.error  # E of (w + Q- - s P+)^2
        shift, pull = -v0 * s**2 * d * below.error, (v0 * s * d) ** 2 * gap
        claimed = _padded(v0 * (1 - d * v0 * s**2), v0, self.n_in)
        alpha = claimed / v0
        gain = 1 / (1 - alpha)
        error = _padded(below.error + 2 * shift + pull, below.error, self.n_in)
        tau = _padded(below.error + 2 * gain * shift + gain**2 * pull, below.error, self.n_in)
        return Down(Above(tau, v0 * alpha * gain), error, claimed)

    def up(self, below: Below, above: Above) -> Up:
        """The estimate's error is Q- - v1 d (w + Q- - s P+)."""
        s, v0, v1, noise = self.s, below.variance, above.variance, self.noise
        d, d0 = 1 / (s**2 * v0 + v1 + noise), 1 / (v1 + noise)
        gap, gap0 = noise + above.tau + s**2 * below.error, noise + above.tau
        claimed = _padded(v1 * noise * d0 + v1**2 * d * d0 * s**2 * v0, v1 * noise * d0, self.n_out)
        beta = claimed / v1
        gain = 1 / (1 - beta)

        def second(gain: Array | float) -> Array:
            def entry(d: Array, gap: Array) -> Array:
                return above.tau * (1 - 2 * gain * v1 * d) + (gain * v1 * d) ** 2 * gap

            return _padded(entry(d, gap), entry(d0, gap0), self.n_out)

        true = _padded(s**2 * below.true + noise, jnp.asarray(noise), self.n_out)
        true = true if self.true is None else jnp.asarray(self.true)
        # E Q0 Q+ with Q0 = s P0 + w and Q+ = Q- - gain v1 d (w + Q- - s P+).
        cross = _padded(-gain * v1 * d * (noise - s**2 * below.cross), -gain * v1 * d0 * noise, self.n_out)
        return Up(Below(true, cross, second(gain), v1 * beta * gain), second(1.0), claimed)


def _padded(values: Array, rest: Array, size: float) -> Array:
    """The mean over a side of so many entries, of which `values` (k,) are some and `rest` all others."""
    return (jnp.sum(values) + (size - values.shape[0]) * rest) / size


class UnitTransfer(NamedTuple):
    """A unit, its inputs' biases (N,) and standard normal numbers (3, N)."""

    unit: Unit
    bias: Array
    normal: Array

    @property
    def bias_power(self) -> float:
        return float(jnp.mean(self.bias**2))

    def up(self, below: Below, above: Above) -> Up:
        return _through(self.unit, self.bias, self.normal, below, above)[0]

    def down(self, below: Below, above: Above) -> Down:
        return _through(self.unit, self.bias, self.normal, below, above)[1]


@partial(jax.jit, static_argnums=0)
def _through(unit: Unit, bias: Array, normal: Array, below: Below, above: Above) -> tuple[Up, Down]:
    true_in, r_in = _messages(bias, normal, below)
    true_out = unit(true_in)
    r_out = true_out + jnp.sqrt(above.tau) * normal[2]
    one = jnp.ones((1, 1), r_in.dtype)
    into, back = Message(r_in[None], below.variance * one), Message(r_out[None], above.variance * one)
    belief = unit.estimate(into, back, "mmse")
    claimed, beta = jnp.mean(belief.variance_out), jnp.mean(belief.variance_out) / above.variance
    apart = (belief.mean_out[0] - beta * r_out) / (1 - beta) - true_out
    message = Below(
        jnp.mean(true_out**2), jnp.mean(true_out * apart), jnp.mean(apart**2), above.variance * beta / (1 - beta)
    )
    up = Up(message, jnp.mean((belief.mean_out[0] - true_out) ** 2), claimed)
    return up, _downward(belief.mean_in[0], jnp.mean(belief.variance_in), true_in, r_in, below)


class BitsReader(NamedTuple):
    """An output of bits: its link and noise, its factor for N entries, their inputs' biases (N,), and standard normal
    (2, N) and uniform (N,) numbers."""

    link: str
    noise: float
    factor: Factor
    bias: Array
    normal: Array
    uniform: Array

    @property
    def bias_power(self) -> float:
        return float(jnp.mean(self.bias**2))

    def down(self, below: Below, above: Above) -> Down:
        return _read(*self, below)


@partial(jax.jit, static_argnums=(0, 1))
def _read(link: str, noise: float, factor: Factor, bias: Array, normal: Array, uniform: Array, below: Below) -> Down:
    true, r = _messages(bias, normal, below)
    bits = (uniform < chance_of_one(link, noise, true, jnp.zeros_like(true))).astype(r.dtype)
    one = jnp.ones((1, 1), r.dtype)
    belief = factor.estimate(Message(r[None], below.variance * one), Message(bits[None], one), "mmse")
    return _downward(belief.mean_in[0], jnp.mean(belief.variance_in), true, r, below)


def _messages(bias: Array, normal: Array, below: Below) -> tuple[Array, Array]:
    """True inputs with their biases, and what the message from below says of them, entry by entry."""
    free = jnp.sqrt(below.true) * normal[0]
    slope = below.cross / below.true
    apart = jnp.sqrt(jnp.maximum(below.error - below.cross * slope, 0.0))
    true = free + bias
    return true, true + slope * free + apart * normal[1]


def _downward(mean: Array, claimed: Array, true: Array, r: Array, below: Below) -> Down:
    alpha = claimed / below.variance
    apart = (mean - alpha * r) / (1 - alpha) - true
    message = Above(jnp.mean(apart**2), below.variance * alpha / (1 - alpha))
    return Down(message, jnp.mean((mean - true) ** 2), claimed)


def normals(
    rows: int, biases: np.ndarray, true: np.ndarray | None, draws: int, generator: np.random.Generator
) -> tuple[Array, Array]:
    """Biases (draws,), each equally often, and standard normal numbers (rows, draws), in pairs of opposite sign.

    true: values (B, n) that the input takes with its biases, which then stand in for the first row's normal numbers.
    """
    half = generator.standard_normal((rows, draws // 2))
    normal = np.concatenate([half, -half], axis=1)
    bias = np.resize(generator.permutation(biases), draws)
    if true is not None:
        row, column = generator.integers(len(true), size=draws), generator.integers(true.shape[1], size=draws)
        bias = biases[column]
        free = true[row, column] - bias
        normal[0] = free / np.sqrt(np.mean(free**2))
    return jnp.asarray(bias), jnp.asarray(normal)
