"""The score function rule (REINFORCE): no derivative of f is needed (PAPER eq. 34).

    d/dtheta E[f] = E[(f - b) d/dtheta log q]

for any b that does not depend on the sample. With a baseline, b is the mean of f over the other
samples of the same example; with a single sample, over the other examples of the batch.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from sbvi.core import spec
from sbvi.distributions.gaussian import Gaussian, log_prob
from sbvi.gradients.rule import Array, Integrand, Nodes, draw


def baseline(values: Array) -> Array:
    """Mean of the other samples (S > 1) or else of the other examples, (S, B)."""
    axis = 0 if values.shape[0] > 1 else 1
    count = values.shape[axis]
    if count == 1:
        return jnp.zeros_like(values)
    return (jnp.sum(values, axis, keepdims=True) - values) / (count - 1)


def surrogate(values: Array, log_q: Array, *, with_baseline: bool) -> Array:
    """Values (S, B) whose gradient is the score function's; log_q (S, B) of points held constant.

    Serves any distribution, discrete ones too.
    """
    centred = values - baseline(values) if with_baseline else values
    score = log_q - jax.lax.stop_gradient(log_q)
    return values + jax.lax.stop_gradient(centred) * score


@spec
class ScoreFunction:
    """For comparison, of Gaussian latents; discrete ones have `objective.estimator=score_function`. High variance."""

    baseline: bool = True
    """Subtract the mean over the other samples."""

    def __call__(self, key: Array, q: Mapping[str, Gaussian], f: Integrand, num_samples: int) -> tuple[Nodes, Array]:
        points = jax.lax.stop_gradient(draw(key, q, num_samples))
        log_q = sum(log_prob(node, points[name]) for name, node in q.items())
        return points, surrogate(f(points), jnp.asarray(log_q), with_baseline=self.baseline)
