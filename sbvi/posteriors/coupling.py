"""Flows of affine couplings on q, whose networks see a context c(x) of the recognition network."""

from typing import Any

import jax.numpy as jnp

from sbvi.core import PositiveInt, spec
from sbvi.distributions import couplings
from sbvi.distributions.gaussian import Array
from sbvi.posteriors.flowed import FlowKind


@spec
class Coupling(FlowKind):
    """Affine couplings: as cheap backward as forward."""

    couplings: PositiveInt = 4
    """Number of couplings."""
    hidden: PositiveInt = 128
    """Units in each of the two layers of a coupling's network."""
    context: PositiveInt = 64
    """Values that the recognition network gives the couplings."""

    def outputs(self, size: int) -> int:
        return self.context

    def initial_outputs(self, size: int) -> Array:
        return jnp.zeros(self.context)

    def init(self, key: Array, size: int) -> dict[str, Array]:
        return couplings.init(key, size, self.couplings, self.hidden, self.context)

    def forward(self, weights: Any, given: Array, e: Array) -> tuple[Array, Array]:
        return couplings.transform(weights, e, given)

    def backward(self, weights: Any, given: Array, z: Array) -> tuple[Array, Array]:
        return couplings.inverse(weights, z, given)
