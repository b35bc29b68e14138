"""Gaussian posteriors by the structure of their covariance: what a network gives for each, and how it starts."""

from collections.abc import Sequence
from typing import ClassVar

import jax.numpy as jnp
import numpy as np

from sbvi.core import PositiveInt, UserError, spec
from sbvi.core.xla.bounded import bounded
from sbvi.distributions.diagonal import DiagonalGaussian
from sbvi.distributions.full import FullGaussian
from sbvi.distributions.gaussian import Array, Gaussian
from sbvi.distributions.low_rank import LowRankGaussian
from sbvi.distributions.rank_one import RankOneGaussian
from sbvi.posteriors.gaussian import Family, GaussianPosterior
from sbvi.posteriors.posterior import Recognition

#: Directions of a low-rank posterior by default.
RANK = 4


def _repeated(values: Sequence[float], counts: Sequence[int]) -> Array:
    """Values, each as often as its count: by JAX, so that no array is made where only shapes are asked for."""
    return jnp.concatenate([jnp.full(count, value) for value, count in zip(values, counts, strict=True)])


class GaussianFamily:
    """What the families share: one Gaussian for each layer, built the same way."""

    joint: ClassVar[bool] = False
    gaussian: ClassVar[bool] = True

    def build(
        self: Family, latents: Sequence[int], initial_scale: float, recognition: Recognition
    ) -> GaussianPosterior:
        """The posterior over stochastic layers of these sizes."""
        return GaussianPosterior(self, latents, initial_scale, recognition)


@spec
class Diagonal(GaussianFamily):
    """Independent latents: the cheapest posterior, blind to correlation."""

    def outputs(self, size: int) -> int:
        return 2 * size

    def initial_outputs(self, size: int, scale: float) -> Array:
        return _repeated([0.0, np.log(scale)], [size, size])

    def distribution(self, outputs: Array, size: int) -> Gaussian:
        mean, log_scale = jnp.split(outputs, [size], axis=-1)
        return DiagonalGaussian(mean, bounded(log_scale))


@spec
class RankOne(GaussianFamily):
    """One direction of correlation for each layer, at linear cost; the paper's choice."""

    def outputs(self, size: int) -> int:
        return 3 * size

    def initial_outputs(self, size: int, scale: float) -> Array:
        return _repeated([0.0, -2 * np.log(scale), 0.0], [size, size, size])

    def distribution(self, outputs: Array, size: int) -> Gaussian:
        mean, log_precision, u = jnp.split(outputs, [size, 2 * size], axis=-1)
        return RankOneGaussian(mean, bounded(log_precision), u)


@spec
class JointRankOne(RankOne):
    """One D and one u over the latents of all layers together; still linear cost."""

    joint: ClassVar[bool] = True


@spec
class LowRank(GaussianFamily):
    """Several directions of correlation for each layer."""

    rank: PositiveInt = RANK
    """Number r of directions, at most the latents of the largest layer where these are more than 4; the time to compile
    grows with its square."""

    def check_sizes(self, latents: Sequence[int]) -> None:
        """Refuse directions beyond the dimensions that there are; the default is of small layers too.

        Raises:
          UserError: there are more.
        """
        most = max(latents)
        if self.rank > max(most, RANK):
            raise UserError(
                f"posterior.rank={self.rank} is more than the {most} latents of the largest layer, and says no more "
                f"than posterior=full; allowed: 1 to {max(most, RANK)}."
            )

    def outputs(self, size: int) -> int:
        return (2 + self.rank) * size

    def initial_outputs(self, size: int, scale: float) -> Array:
        return _repeated([0.0, -2 * np.log(scale), 0.0], [size, size, size * self.rank])

    def distribution(self, outputs: Array, size: int) -> Gaussian:
        mean, log_precision, u = jnp.split(outputs, [size, 2 * size], axis=-1)
        return LowRankGaussian(mean, bounded(log_precision), u.reshape(*u.shape[:-1], size, self.rank))


@spec
class Full(GaussianFamily):
    """Every correlation within a layer, for small layers."""

    def outputs(self, size: int) -> int:
        return 2 * size + size * (size - 1) // 2

    def initial_outputs(self, size: int, scale: float) -> Array:
        return _repeated([0.0, np.log(scale), 0.0], [size, size, size * (size - 1) // 2])

    def distribution(self, outputs: Array, size: int) -> Gaussian:
        mean, log_diagonal, values = jnp.split(outputs, [size, 2 * size], axis=-1)
        rows, columns = np.tril_indices(size, -1)
        below = jnp.zeros((*mean.shape, size), mean.dtype).at[..., rows, columns].set(values)
        return FullGaussian(mean, bounded(log_diagonal), below)
