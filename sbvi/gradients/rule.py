"""What a gradient rule is: an estimate of E_q[f] whose JAX gradient is the rule's estimator.

q is a product of Gaussians, one for each stochastic node; f maps a point of all nodes to one value
for each sample and example. A rule returns the points it drew and f there; the values are plain
Monte-Carlo values, while differentiating them with respect to whatever q was computed from gives the
rule's estimate of the derivative of the expectation. Parameters inside f are differentiated as usual.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from sbvi.core.xla.random_bits import normal
from sbvi.distributions.gaussian import Gaussian, sample

Array = jax.Array
Nodes = dict[str, Array]


class Integrand(Protocol):
    """f: node -> (S, B, K) to values (S, B), each from its own sample and example alone."""

    def __call__(self, points: Nodes) -> Array: ...


class Composite(NamedTuple):
    """f = outer(inner(points)), with the curvature of `outer`; what Gauss-Newton needs.

    inner: points -> outputs (S, B, O). outer: outputs -> values (S, B).
    precision: outputs -> -d^2 outer / d outputs^2, elementwise (S, B, O).
    smooth: whether `inner` is twice differentiable everywhere.
    """

    inner: Any
    outer: Any
    precision: Any
    smooth: bool = True

    def __call__(self, points: Nodes) -> Array:
        result: Array = self.outer(self.inner(points))
        return result


class Rule(Protocol):
    """Points of q, and values of f at them whose gradient in q's parameters is the rule's."""

    def __call__(
        self, key: Array, q: Mapping[str, Gaussian], f: Integrand, num_samples: int
    ) -> tuple[Nodes, Array]: ...


def noise_like(key: Array, q: Mapping[str, Gaussian], num_samples: int) -> Nodes:
    """Standard normal noise (S, B, K) for each node, from one stream."""
    sizes = [node.mean.shape[-1] for node in q.values()]
    first = next(iter(q.values())).mean
    noise = normal(key, (num_samples, first.shape[0], sum(sizes)), first.dtype)
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes) - 1)]
    return dict(zip(q, jnp.split(noise, ends, axis=-1), strict=True))


def draw(key: Array, q: Mapping[str, Gaussian], num_samples: int) -> Nodes:
    """Samples (S, B, K) of each node, differentiable in q's parameters."""
    noise = noise_like(key, q, num_samples)
    return {name: sample(node, noise[name]) for name, node in q.items()}
