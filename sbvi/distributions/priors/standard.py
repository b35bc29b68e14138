"""The standard normal prior N(0, I) on every node (PAPER eq. 6)."""

from collections.abc import Mapping
from statistics import NormalDist
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import spec
from sbvi.core.xla.random_bits import normal
from sbvi.distributions.gaussian import Array, Gaussian, standard_log_prob
from sbvi.distributions.priors.prior import Encode


class StandardPrior:
    """N(0, I), without parameters."""

    grids = True
    inputs = 0
    marginal = NormalDist()

    def __init__(self, sizes: Mapping[str, int]):
        self.sizes = dict(sizes)

    def init(self, key: Array, inputs: Array) -> tuple[()]:
        return ()

    def prepare(self, params: Any, encode: Encode) -> Any:
        return params

    def sample(self, params: Any, key: Array, num: int, dtype: Any = jnp.float32) -> dict[str, Array]:
        keys = jax.random.split(key, len(self.sizes))
        return {n: normal(k, (num, s), dtype) for k, (n, s) in zip(keys, self.sizes.items(), strict=True)}

    def log_prob(self, params: Any, latents: Mapping[str, Array]) -> dict[str, Array]:
        return {node: standard_log_prob(points) for node, points in latents.items()}

    def kl(self, params: Any, q: Mapping[str, Gaussian]) -> dict[str, Array]:
        return {node: gaussian.kl() for node, gaussian in q.items()}

    def plane(self, params: Any, node: str, steps: int) -> np.ndarray:
        axis = [self.marginal.inv_cdf((i + 0.5) / steps) for i in range(steps)]
        return np.array([(a, b) for b in reversed(axis) for a in axis], np.float32)


@spec
class Standard:
    """Independent standard normal latents."""

    analytic_kl: ClassVar[bool] = True
    gaussian_posterior: ClassVar[bool] = False

    def build(self, sizes: Mapping[str, int]) -> StandardPrior:
        return StandardPrior(sizes)
