"""The messages' way through a network: pure `init` and `step` (arXiv 1706.06549, algorithm 1; 1911.03409 for MAP).

Forward, each factor's estimate of its output, (z^, v^), less what the message from above already said, goes up:

    alpha = mean(v^) / v_back      v_new = alpha / (1 - alpha) v_back      r_new = (z^ - alpha r_back) / (1 - alpha)

Backward likewise down. Damping mixes the natural parameters r / v and 1 / v with those of the step before: so an
estimate that is less certain than its message, which would need a negative precision, only lowers the next one. At a
fixed point both estimates of each variable agree, in mean and in average variance. Limits on alpha and v keep
messages proper; how often each of them acted is counted, since one that acts moves the fixed point.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from sbvi.core import NonNegative, Positive, spec
from sbvi.inference.ml_vamp.messages import Array, Factor, Message, Mode, average

GUARDS = ("alpha_min", "negative_precision", "variance_min", "variance_max", "not_finite", "alpha_max")


@spec
class Limits:
    """Bounds of what messages may be."""

    alpha_min: NonNegative = 1e-12
    """Least share of a message's variance that may be left."""
    alpha_max: Positive = 1e12
    """Greatest share: below 1, every estimate adds some certainty, which steadies the messages of trained networks and
    makes variances too small."""
    variance_min: Positive = 1e-12
    """Least variance of a message."""
    variance_max: Positive = 1e8
    """Greatest variance, and that of the first messages from above."""


class State(NamedTuple):
    """Messages by variable; clips (B, 6): how often each of GUARDS acted; gap (B,): see `step`; iteration ()."""

    forward: tuple[Message, ...]
    backward: tuple[Message, ...]
    clips: Array
    gap: Array
    iteration: Array


class Estimates(NamedTuple):
    """Each variable's mean (B, n) and average variance (B, 1), from below and from above."""

    forward: tuple[Message, ...]
    backward: tuple[Message, ...]


def init(sizes: list[int], examples: int, limits: Limits) -> State:
    """Nothing known: means 0, variances as great as they may be. NumPy arrays, for which nothing is compiled."""
    blank = tuple(
        Message(np.zeros((examples, n)), np.full((examples, 1), limits.variance_max))  # type: ignore[arg-type]
        for n in sizes
    )
    clips = np.zeros((examples, len(GUARDS)), np.int64)
    return State(blank, blank, clips, np.full(examples, np.inf), np.zeros((), np.int64))  # type: ignore[arg-type]


def step(
    factors: tuple[Factor, ...], evidence: Message, state: State, damping: Array, mode: Mode, limits: Limits
) -> tuple[State, Estimates]:
    """One pass up and one down.

    damping: (B, 1), the share of the new message's natural parameters; 1 for no damping.
    The state's gap is the greatest over variables of |z^+ - z^-|^2 / (|z^-|^2 + n v^-) and (log v^+/v^-)^2.
    """
    forward, backward = list(state.forward), list(state.backward)
    up: list[Message] = []
    down: list[Message] = []
    clips = state.clips
    for i in range(len(forward)):
        below = forward[i - 1] if i else backward[0]  # the prior has no input
        belief = factors[i].estimate(below, backward[i], mode)
        up.append(Message(belief.mean_out, average(belief.variance_out)))
        forward[i], acted = _extrinsic(up[-1], backward[i], forward[i], damping, limits)
        clips = clips + acted
    for i in reversed(range(len(forward))):
        above = backward[i + 1] if i + 1 < len(forward) else evidence
        belief = factors[i + 1].estimate(forward[i], above, mode)
        down.insert(0, Message(belief.mean_in, average(belief.variance_in)))
        backward[i], acted = _extrinsic(down[0], forward[i], backward[i], damping, limits)
        clips = clips + acted
    gap = jnp.max(jnp.stack([_gap(a, b) for a, b in zip(up, down, strict=True)]), axis=0)
    gap = jnp.where(jnp.isfinite(gap), gap, jnp.inf)
    new = State(tuple(forward), tuple(backward), clips, gap, state.iteration + 1)
    return new, Estimates(tuple(up), tuple(down))


def _extrinsic(
    estimate: Message, message: Message, old: Message, share: Array, limits: Limits
) -> tuple[Message, Array]:
    """The new message in the other direction, mixed with the old one, and (B, 6) which guards acted."""
    ratio = estimate.variance / message.variance
    alpha = jnp.clip(ratio, limits.alpha_min, limits.alpha_max)
    precision = (1 - alpha) / (alpha * message.variance)
    pull = estimate.mean / (alpha * message.variance) - message.mean / message.variance
    precision = share * precision + (1 - share) / old.variance
    pull = share * pull + (1 - share) * old.mean / old.variance
    vague, sharp = precision < 1 / limits.variance_max, precision > 1 / limits.variance_min
    variance = jnp.where(vague, limits.variance_max, 1 / jnp.where(vague, 1.0, precision))
    # A message that says nothing stands at the estimate, not where a quotient of two small numbers would put it.
    mean = jnp.where(vague, estimate.mean, pull * variance)
    variance = jnp.maximum(variance, limits.variance_min)
    proper = jnp.isfinite(jnp.sum(mean, axis=1, keepdims=True)) & jnp.isfinite(variance)
    acted = [ratio < limits.alpha_min, vague & (ratio >= 1), sharp, vague & (ratio < 1), ~proper]
    acted.append(ratio > limits.alpha_max)
    kept = Message(jnp.where(proper, mean, old.mean), jnp.where(proper, variance, old.variance))
    return kept, jnp.concatenate(acted, axis=1).astype(jnp.int64)


def _gap(up: Message, down: Message) -> Array:
    apart = jnp.sum((up.mean - down.mean) ** 2, axis=1)
    size = jnp.sum(down.mean**2 + down.variance, axis=1)
    tiny = 1e-100
    spread = jnp.log((up.variance[:, 0] + tiny) / (down.variance[:, 0] + tiny)) ** 2
    return jnp.maximum(apart / (size + tiny), spread)
