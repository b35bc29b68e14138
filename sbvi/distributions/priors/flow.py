"""A prior that is a RealNVP of affine couplings on every node (Dinh et al. 2017): z = f(e), e ~ N(0, I).

The couplings are those of `sbvi.distributions.couplings`. With their networks at zero the prior is N(0, I), from which
it starts nearly.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from sbvi.core import PositiveInt, spec
from sbvi.distributions import couplings
from sbvi.distributions.gaussian import Array, Gaussian, standard_log_prob
from sbvi.distributions.priors.prior import Encode
from sbvi.distributions.priors.standard import StandardPrior


class FlowPrior:
    """Parameters: node -> weights stacked over couplings, (L, ...)."""

    grids = True
    inputs = 0

    def __init__(self, sizes: Mapping[str, int], count: int, hidden: int):
        self.sizes, self.count, self.hidden = dict(sizes), count, hidden
        self.base = StandardPrior(sizes)

    def init(self, key: Array, inputs: Array) -> dict[str, dict[str, Array]]:
        keys = jax.random.split(key, len(self.sizes))
        return {
            node: couplings.init(k, size, self.count, self.hidden)
            for k, (node, size) in zip(keys, self.sizes.items(), strict=True)
        }

    def prepare(self, params: Any, encode: Encode) -> Any:
        return params

    def sample(self, params: Any, key: Array, num: int, dtype: Any = jnp.float32) -> dict[str, Array]:
        drawn = self.base.sample((), key, num, dtype)
        return {node: couplings.transform(params[node], e)[0] for node, e in drawn.items()}

    def log_prob(self, params: Any, latents: Mapping[str, Array]) -> dict[str, Array]:
        scored = {}
        for node, z in latents.items():
            e, log_det = couplings.inverse(params[node], z)
            scored[node] = standard_log_prob(e) + log_det
        return scored

    def kl(self, params: Any, q: Mapping[str, Gaussian]) -> None:
        """There is no closed form."""
        return

    def plane(self, params: Any, node: str, steps: int) -> Array:
        grid = jnp.asarray(self.base.plane((), node, steps))
        return couplings.transform(params[node], grid)[0]


@spec
class Flow:
    """A flow of affine couplings, learned with the model."""

    analytic_kl: ClassVar[bool] = False
    gaussian_posterior: ClassVar[bool] = False

    couplings: PositiveInt = 8
    """Number of couplings L."""
    hidden: PositiveInt = 128
    """Units in each of the two layers of a coupling's network."""

    def build(self, sizes: Mapping[str, int]) -> FlowPrior:
        return FlowPrior(sizes, self.couplings, self.hidden)
