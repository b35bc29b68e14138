"""Flows of affine couplings on q, whose networks see a context c(x) of the recognition network."""

from typing import Any

from sbvi.core import PositiveInt, spec
from sbvi.distributions import couplings
from sbvi.distributions.gaussian import Array
from sbvi.posteriors.flowed import ContextFlow


@spec
class Coupling(ContextFlow):
    """Affine couplings: as cheap backward as forward."""

    couplings: PositiveInt = 4
    """Number of couplings."""
    hidden: PositiveInt = 128
    """Units in each of the two layers of a coupling's network."""

    def init(self, key: Array, size: int) -> dict[str, Array]:
        return couplings.init(key, size, self.couplings, self.hidden, self.context)

    def forward(self, weights: Any, given: Array, e: Array) -> tuple[Array, Array]:
        return couplings.transform(weights, e, given)

    def backward(self, weights: Any, given: Array, z: Array) -> tuple[Array, Array]:
        return couplings.inverse(weights, z, given)
