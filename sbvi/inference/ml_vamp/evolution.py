"""State evolution: the error of message passing, predicted by numbers alone (arXiv 1706.06549, state evolution).

In the limit of large random layers, what reaches a factor from below is (true, true + error) with a 2 x 2 matrix K of
second moments, and from above true + N(0, tau). So each factor's action on messages is an average over one entry:
in closed form over a linear layer's singular values, and by draws through a unit. The prediction is exact for weights
whose singular vectors are uniform; for a trained network it is what the algorithm would do were they so.

Biases are not uniform in direction: a unit is told its inputs' biases, and the message it exchanges with the linear
layer below is about the input without them. Message passing itself does not notice the difference.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.inference.ml_vamp.messages import Array, Message
from sbvi.inference.ml_vamp.network import Linear
from sbvi.inference.ml_vamp.passing import Limits
from sbvi.inference.ml_vamp.precision import in_float64
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


@dataclass(frozen=True)
class Evolution:
    """Mean squared errors by variable and iteration, (variables, iterations), and what messages claim of them.

    forward: of the estimate from below.  backward: of the one from above.  power (variables,): mean squares of the
    true values, by which errors are made relative.
    """

    forward: np.ndarray
    backward: np.ndarray
    forward_claimed: np.ndarray
    backward_claimed: np.ndarray
    power: np.ndarray


class _Spectrum(NamedTuple):
    """s (k,), sizes and noise of a linear layer; true: the mean square of its output without bias, where known."""

    s: Array
    n_in: float
    n_out: float
    noise: float
    true: float | None


class _Draws(NamedTuple):
    """A unit, its inputs' biases (N,) and standard normal numbers (3, N)."""

    unit: Unit
    bias: Array
    normal: Array


@in_float64
def evolve(
    layers: Sequence[Linear | Unit],
    noise: float,
    iterations: int,
    seed: int = 0,
    draws: int = 100_000,
    activations: Sequence[np.ndarray] | None = None,
) -> Evolution:
    """Predict the errors for y = the last linear layer's output + N(0, noise), without damping.

    Args:
      layers: units and linear layers in order (`Problem.measured_layers`), the measured one last; every unit after a
        linear layer.
      noise: variance of the measurement's noise.  iterations: passes up and down.
      seed, draws: of the averages over a unit's entries, `draws` an even number.
      activations: values (B, n) of every variable of a trained network, the latent's first, whose own distribution
        then stands in for the normal one that a random network's has.
    """
    parts: list[_Spectrum | _Draws] = []
    for place, layer in enumerate(layers):
        true = None if activations is None else activations[place + isinstance(layer, Linear)]
        if isinstance(layer, Linear):
            last = place + 1 == len(layers)
            square = None if true is None or last else float(np.mean((true - layer.bias) ** 2))
            s = jnp.asarray(np.linalg.svd(layer.weight, compute_uv=False))
            sides = float(layer.weight.shape[1]), float(layer.weight.shape[0])
            parts.append(_Spectrum(s, *sides, layer.noise, square))
        else:
            below = layers[place - 1]
            assert isinstance(below, Linear)
            parts.append(_draws(layer, below.bias, np.random.default_rng((seed, place)), draws, true))
    return _evolve(parts, noise, iterations)


def _draws(
    unit: Unit, biases: np.ndarray, generator: np.random.Generator, draws: int, true: np.ndarray | None
) -> _Draws:
    half = generator.standard_normal((3, draws // 2))
    normal = np.concatenate([half, -half], axis=1)  # in pairs of opposite sign
    bias = np.resize(generator.permutation(biases), draws)  # each equally often
    if true is not None:
        row, column = generator.integers(len(true), size=draws), generator.integers(true.shape[1], size=draws)
        bias = biases[column]
        free = true[row, column] - bias
        normal[0] = free / np.sqrt(np.mean(free**2))
    return _Draws(unit, jnp.asarray(bias), jnp.asarray(normal))


def _evolve(parts: Sequence[_Spectrum | _Draws], noise: float, iterations: int) -> Evolution:
    limits = Limits()
    count = len(parts)
    evidence = Above(jnp.asarray(noise), jnp.asarray(noise))
    wide = jnp.asarray(limits.variance_max)
    above = [Above(wide, wide)] * count
    below = [Below(jnp.asarray(1.0), jnp.asarray(0.0), jnp.asarray(0.0), wide)] * count
    records = np.zeros((4, count, iterations))
    for turn in range(iterations):
        below[0], error, claimed = _prior(above[0])
        records[[0, 2], 0, turn] = float(error), float(claimed)
        for i in range(count - 1):
            (below[i + 1], error, claimed), _ = _act(parts[i], below[i], above[i + 1])
            records[[0, 2], i + 1, turn] = float(error), float(claimed)
        for i in reversed(range(count)):
            over = above[i + 1] if i + 1 < count else evidence
            _, (above[i], error, claimed) = _act(parts[i], below[i], over)
            records[[1, 3], i, turn] = float(error), float(claimed)
    # A unit's input has its bias besides what the linear layer makes of its own input.
    biases = [float(jnp.mean(part.bias**2)) if isinstance(part, _Draws) else 0.0 for part in parts]
    power = np.array([float(b.true) + more for b, more in zip(below, biases, strict=True)])
    return Evolution(records[0], records[1], records[2], records[3], power)


def _prior(above: Above) -> tuple[Below, Array, Array]:
    """The estimate of z ~ N(0, 1) from above; what goes up is the prior itself, at 0."""
    share = 1 / (1 + above.variance)
    error = share**2 * above.tau + (above.variance * share) ** 2
    one = jnp.ones_like(share)
    return Below(one, -one, one, one), error, above.variance * share


Upward = tuple[Below, Array, Array]
Downward = tuple[Above, Array, Array]


def _act(part: _Spectrum | _Draws, below: Below, above: Above) -> tuple[Upward, Downward]:
    return _linear(part, below, above) if isinstance(part, _Spectrum) else _unit(part, below, above)


def _linear(part: _Spectrum, below: Below, above: Above) -> tuple[Upward, Downward]:
    """Moments over the spectrum, padded with zeros to the size of each side."""
    s, v0, v1, noise = part.s, below.variance, above.variance, part.noise
    rank = s.shape[0]

    def mean_in(values: Array, rest: Array) -> Array:
        return (jnp.sum(values) + (part.n_in - rank) * rest) / part.n_in

    def mean_out(values: Array, rest: Array) -> Array:
        return (jnp.sum(values) + (part.n_out - rank) * rest) / part.n_out

    d, d0 = 1 / (s**2 * v0 + v1 + noise), 1 / (v1 + noise)
    gap = noise + above.tau + s**2 * below.error  # E of (w + Q- - s P+)^2
    gap0 = noise + above.tau
    # From above: the estimate's error is P+ + v0 s d (w + Q- - s P+).
    shift, pull = -v0 * s**2 * d * below.error, (v0 * s * d) ** 2 * gap
    claimed = mean_in(v0 * (1 - d * v0 * s**2), v0)
    alpha = claimed / v0
    gain = 1 / (1 - alpha)
    down_error = mean_in(below.error + 2 * shift + pull, below.error)
    tau = mean_in(below.error + 2 * gain * shift + gain**2 * pull, below.error)
    down = Above(tau, v0 * alpha * gain), down_error, claimed
    # From below: the estimate's error is Q- - v1 d (w + Q- - s P+).
    claimed_up = mean_out(v1 * noise * d0 + v1**2 * d * d0 * s**2 * v0, v1 * noise * d0)
    beta = claimed_up / v1
    up_gain = 1 / (1 - beta)

    def second(gain: Array | float) -> Array:
        def entry(d: Array, gap: Array) -> Array:
            return above.tau * (1 - 2 * gain * v1 * d) + (gain * v1 * d) ** 2 * gap

        return mean_out(entry(d, gap), entry(d0, gap0))

    true = mean_out(s**2 * below.true + noise, jnp.asarray(noise))
    true = true if part.true is None else jnp.asarray(part.true)
    # E Q0 Q+ with Q0 = s P0 + w and Q+ = Q- - gain v1 d (w + Q- - s P+).
    cross = mean_out(-up_gain * v1 * d * (noise - s**2 * below.cross), -up_gain * v1 * d0 * noise)
    up = Below(true, cross, second(up_gain), v1 * beta * up_gain), second(1.0), claimed_up
    return up, down


def _unit(part: _Draws, below: Below, above: Above) -> tuple[Upward, Downward]:
    r_true, estimates = _through(part.unit, part.bias, part.normal, below, above)
    (true_in, true_out, r_in, r_out) = r_true
    belief_in, claimed_in, belief_out, claimed_out = estimates
    alpha, beta = claimed_in / below.variance, claimed_out / above.variance
    down_error = (belief_in - alpha * r_in) / (1 - alpha) - true_in
    up_error = (belief_out - beta * r_out) / (1 - beta) - true_out
    up = Below(
        jnp.mean(true_out**2), jnp.mean(true_out * up_error), jnp.mean(up_error**2), above.variance * beta / (1 - beta)
    )
    down = Above(jnp.mean(down_error**2), below.variance * alpha / (1 - alpha))
    return (
        (up, jnp.mean((belief_out - true_out) ** 2), claimed_out),
        (down, jnp.mean((belief_in - true_in) ** 2), claimed_in),
    )


@partial(jax.jit, static_argnums=0)
def _through(
    unit: Unit, bias: Array, normal: Array, below: Below, above: Above
) -> tuple[tuple[Array, Array, Array, Array], tuple[Array, Array, Array, Array]]:
    """True values in and out, messages and estimates, entry by entry."""
    free = jnp.sqrt(below.true) * normal[0]
    slope = below.cross / below.true
    apart = jnp.sqrt(jnp.maximum(below.error - below.cross * slope, 0.0))
    true_in = free + bias
    true_out = unit(true_in)
    r_in = true_in + slope * free + apart * normal[1]
    r_out = true_out + jnp.sqrt(above.tau) * normal[2]
    one = jnp.ones((1, 1), r_in.dtype)
    belief = unit.estimate(
        Message(r_in[None], below.variance * one), Message(r_out[None], above.variance * one), "mmse"
    )
    return (
        (true_in, true_out, r_in, r_out),
        (belief.mean_in[0], jnp.mean(belief.variance_in), belief.mean_out[0], jnp.mean(belief.variance_out)),
    )
