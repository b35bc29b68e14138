"""What models that learn by expectation maximisation offer."""

from typing import Any, Protocol, runtime_checkable

from sbvi.models.values import Array, Params


@runtime_checkable
class Mixing(Protocol):
    """Learns by expectation maximisation: statistics are sums over examples, and maximising them is closed form."""

    def statistics(self, params: Params, x: Array, mask: Array) -> Any:
        """Expected sufficient statistics of the latents' posterior, summed over examples weighed by mask (B,)."""

    def maximise(self, params: Params, statistics: Any, pseudocount: float) -> Params:
        """The parameters that maximise the expected complete log-likelihood of the statistics."""


@runtime_checkable
class Recentring(Protocol):
    """Learns by expectation maximisation from statistics about a centre, which the parameters have."""

    def recentred(self, statistics: Any, before: Params, after: Params) -> Any:
        """Statistics about the centre of some parameters as those about the centre of others."""


@runtime_checkable
class HardMixing(Protocol):
    """Learns by hard expectation maximisation: the latents' most probable state stands for their posterior."""

    def hard_statistics(self, params: Params, x: Array, mask: Array) -> Any:
        """Sufficient statistics of the latents' most probable state, summed over examples weighed by mask (B,)."""
