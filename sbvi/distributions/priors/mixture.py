"""A prior that is a mixture of diagonal Gaussians on every node, p(z) = sum_m pi_m N(z | m_m, s_m^2), and learned."""

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from sbvi.core import Positive, PositiveInt, spec
from sbvi.core.xla.bounded import bounded
from sbvi.core.xla.random_bits import normal
from sbvi.distributions.diagonal_mixture import log_densities
from sbvi.distributions.gaussian import Array, Gaussian
from sbvi.distributions.priors.prior import Encode


class MixturePrior:
    """Parameters: node -> {"weights": (M,), "mean": (M, K), "log_scale": (M, K)}."""

    grids = False
    inputs = 0

    def __init__(self, sizes: Mapping[str, int], components: int, spread: float):
        self.sizes, self.components, self.spread = dict(sizes), components, spread

    def init(self, key: Array, inputs: Array) -> dict[str, dict[str, Array]]:
        """Equal weights, unit scales, and means drawn with the spread."""
        keys = jax.random.split(key, len(self.sizes))
        return {
            node: {
                "weights": jnp.zeros(self.components),
                "mean": self.spread * jax.random.normal(k, (self.components, size)),
                "log_scale": jnp.zeros((self.components, size)),
            }
            for k, (node, size) in zip(keys, self.sizes.items(), strict=True)
        }

    def prepare(self, params: Any, encode: Encode) -> Any:
        return params

    def sample(self, params: Any, key: Array, num: int, dtype: Any = jnp.float32) -> dict[str, Array]:
        drawn = {}
        for k, node in zip(jax.random.split(key, len(self.sizes)), self.sizes, strict=True):
            which, where = jax.random.split(k)
            own = params[node]
            chosen = jax.random.categorical(which, own["weights"], shape=(num,))
            scale = jnp.exp(bounded(own["log_scale"]))[chosen]
            noise = normal(where, (num, self.sizes[node]), dtype)
            drawn[node] = own["mean"][chosen].astype(dtype) + scale.astype(dtype) * noise
        return drawn

    def log_prob(self, params: Any, latents: Mapping[str, Array]) -> dict[str, Array]:
        def one(own: Mapping[str, Array], z: Array) -> Array:
            log_weights = jax.nn.log_softmax(own["weights"]).reshape((1,) * (z.ndim - 1) + (-1,))
            each = log_densities(z, own["mean"], bounded(own["log_scale"]))
            return jax.nn.logsumexp(each + log_weights, -1)

        return {node: one(params[node], z) for node, z in latents.items()}

    def kl(self, params: Any, q: Mapping[str, Gaussian]) -> None:
        """There is no closed form."""
        return

    def plane(self, params: Any, node: str, steps: int) -> None:
        """A mixture has no grid of equal mass."""
        return


@spec
class Mixture:
    """Gaussian components, learned with the model."""

    analytic_kl: ClassVar[bool] = False
    gaussian_posterior: ClassVar[bool] = False
    of_training: ClassVar[tuple[str, ...]] = ("spread",)

    components: PositiveInt = 50
    """Number of components M."""
    spread: Positive = 1.0
    """Standard deviation of the components' means at the start."""

    def build(self, sizes: Mapping[str, int]) -> MixturePrior:
        return MixturePrior(sizes, self.components, self.spread)
