"""What every model may offer: draws of data, its density, and where data lies in latent space."""

from typing import Protocol, runtime_checkable

from sbvi.models.values import Array, DataFacts, DataSummary, LogProb, Params, Samples
from sbvi.posteriors import Moments


class Model(Protocol):
    """What every built model has."""

    facts: DataFacts
    discrete: bool  # p is of whole levels of x, not a density

    def init(self, seed: int, summary: DataSummary) -> Params:
        """The first parameters, a function of the seed and the data's summary."""

    def numbers(self, examples: int) -> dict[str, float]:
        """Numbers that every training step takes, such as the strength of noise and of the weight prior; those that
        are zero may be left out."""


@runtime_checkable
class Generative(Protocol):
    """Draws data."""

    def sample(self, params: Params, key: Array, num: int) -> Samples:
        """num draws of x with their means."""


@runtime_checkable
class Density(Protocol):
    """Knows log p(x) by itself."""

    def log_prob(self, params: Params, key: Array, x: Array) -> LogProb:
        """log p(x) for x (B, D). An exact density does not look at the key."""


@runtime_checkable
class Encoder(Protocol):
    """Says where x lies in latent space."""

    def encode(self, params: Params, x: Array) -> dict[str, Moments]:
        """Moments of q(latents | x) at every stochastic node."""
