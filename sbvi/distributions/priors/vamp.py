"""The variational mixture of posteriors (Tomczak and Welling 2018): p(z) = 1/M sum_m q(z | u_m).

q is the recognition model, and the u_m are pseudo-inputs in the data's space, learned with the model. Every node has
its mixture, so that p is a product over nodes.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import PositiveInt, spec
from sbvi.core.xla.random_bits import normal
from sbvi.distributions.diagonal import DiagonalGaussian
from sbvi.distributions.diagonal_mixture import log_densities
from sbvi.distributions.gaussian import Array, Gaussian, log_prob, sample
from sbvi.distributions.priors.prior import Encode


def _among(q: Gaussian, z: Array) -> Array:
    """log sum_m N(z | q_m) for z (N, K), one component after the other, whatever the covariance."""

    def one(total: Array, own: Any) -> tuple[Array, None]:
        alone = jax.tree.map(lambda v: v[None], own)
        return jnp.logaddexp(total, log_prob(alone, z[:, None])[:, 0]), None

    return jax.lax.scan(one, jnp.full(z.shape[:1], -jnp.inf, z.dtype), q)[0]


class VampPrior:
    """Parameters: pseudo-inputs (M, D) as the recognition model's input stands for them. Prepared, which every
    density and sample asks for: node -> the M Gaussians q(z | u_m)."""

    grids = False

    def __init__(self, sizes: Mapping[str, int], components: int):
        self.sizes, self.inputs = dict(sizes), components

    def init(self, key: Array, inputs: Array) -> Array:
        """At the examples themselves, with a little noise to tell equal ones apart."""
        return inputs + 0.01 * jax.random.normal(key, inputs.shape, inputs.dtype)

    def prepare(self, params: Array, encode: Encode) -> dict[str, Any]:
        return dict(encode(params))

    def sample(self, prepared: Any, key: Array, num: int, dtype: Any = jnp.float32) -> dict[str, Array]:
        drawn = {}
        for k, node in zip(jax.random.split(key, len(self.sizes)), self.sizes, strict=True):
            which, where = jax.random.split(k)
            chosen = jax.random.randint(which, (num,), 0, self.inputs)
            q = jax.tree.map(lambda v, c=chosen: v[c].astype(dtype), prepared[node])
            drawn[node] = sample(q, normal(where, (1, num, self.sizes[node]), dtype))[0]
        return drawn

    def log_prob(self, prepared: Any, latents: Mapping[str, Array]) -> dict[str, Array]:
        scored = {}
        for node, z in latents.items():
            q, flat = prepared[node], z.reshape(-1, z.shape[-1])
            if isinstance(q, DiagonalGaussian):
                total = jax.nn.logsumexp(log_densities(flat, q.mean, q.log_scale), -1)
            else:
                total = _among(q, flat)
            scored[node] = total.reshape(z.shape[:-1]) - float(np.log(self.inputs))
        return scored

    def kl(self, prepared: Any, q: Mapping[str, Gaussian]) -> None:
        """There is no closed form."""
        return

    def plane(self, prepared: Any, node: str, steps: int) -> None:
        """A mixture has no grid of equal mass."""
        return


@spec
class Vamp:
    """A mixture of what the recognition model says of learned pseudo-inputs."""

    analytic_kl: ClassVar[bool] = False
    gaussian_posterior: ClassVar[bool] = True

    components: PositiveInt = 500
    """Number of pseudo-inputs M; a step reads them as it reads its batch."""

    def build(self, sizes: Mapping[str, int]) -> VampPrior:
        return VampPrior(sizes, self.components)
