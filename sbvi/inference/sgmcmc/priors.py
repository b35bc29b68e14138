"""Priors on parameters, the same for every element, biases among them; log densities with their constants, nats."""

import math
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from sbvi.core import Positive, spec

Array = jax.Array


class ParameterPrior(Protocol):
    """log p(theta) of a tree, and its gradient in closed form."""

    def log_prob(self, tree: Any) -> Array:
        """Summed over all elements."""

    def gradient(self, tree: Any) -> Any:
        """d log p / d theta, of the tree's structure."""


def _sum(tree: Any, term: Any, constant: float) -> Array:
    leaves = jax.tree.leaves(tree)
    total: Array = sum(jnp.sum(term(leaf)) for leaf in leaves)  # type: ignore[assignment]
    return total + constant * sum(leaf.size for leaf in leaves)


@spec
class GaussianPrior:
    """N(0, scale^2)."""

    scale: Positive = 1.0
    """Standard deviation."""

    def log_prob(self, tree: Any) -> Array:
        constant = -math.log(self.scale) - 0.5 * math.log(2 * math.pi)
        return _sum(tree, lambda x: -0.5 * (x / self.scale) ** 2, constant)

    def gradient(self, tree: Any) -> Any:
        return jax.tree.map(lambda x: -x / self.scale**2, tree)


@spec
class StudentPrior:
    """Student's t: log p = -(1 + nu) / 2 log(1 + theta^2 / (nu scale^2)) + constant."""

    scale: Positive = 0.0953471
    """Scale; the authors' value."""
    degrees: Positive = 2.2
    """Degrees of freedom nu; the authors' value."""

    def log_prob(self, tree: Any) -> Array:
        nu = self.degrees
        constant = math.lgamma((nu + 1) / 2) - math.lgamma(nu / 2) - 0.5 * math.log(nu * math.pi) - math.log(self.scale)
        return _sum(tree, lambda x: -0.5 * (1 + nu) * jnp.log1p(x**2 / (nu * self.scale**2)), constant)

    def gradient(self, tree: Any) -> Any:
        nu = self.degrees
        return jax.tree.map(lambda x: -(1 + nu) * x / (nu * self.scale**2 + x**2), tree)
