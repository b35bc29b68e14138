"""A prior that is a RealNVP of affine couplings on every node (Dinh et al. 2017): z = f(e), e ~ N(0, I).

Each of L couplings splits z into halves (a, b), of which a conditions an affine map of b, and then reverses the order:

    (a, b) -> reversed (a, b exp(s(a)) + t(a)),   s = 2 tanh(r / 2),   (r, t) = network(a)

so that log|det| is the sum of s. With the networks at zero the prior is N(0, I), from which it starts nearly.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from sbvi.core import PositiveInt, spec
from sbvi.distributions.gaussian import Array, Gaussian, standard_log_prob
from sbvi.distributions.priors.standard import StandardPrior

BOUND = 2.0  # of |s| in each coupling


def _network(weights: Mapping[str, Array], a: Array) -> tuple[Array, Array]:
    """s and t (..., K - K // 2) for a (..., K // 2)."""

    def along(bias: Array) -> Array:
        return bias.reshape((1,) * (a.ndim - 1) + (-1,))

    h = jax.nn.silu(a @ weights["first"] + along(weights["first_bias"]))
    h = jax.nn.silu(h @ weights["second"] + along(weights["second_bias"]))
    raw, shift = jnp.split(h @ weights["last"] + along(weights["last_bias"]), 2, axis=-1)
    return BOUND * jnp.tanh(raw / BOUND), shift


class FlowPrior:
    """Parameters: node -> weights stacked over couplings, (L, ...)."""

    grids = True

    def __init__(self, sizes: Mapping[str, int], couplings: int, hidden: int):
        self.sizes, self.couplings, self.hidden = dict(sizes), couplings, hidden
        self.base = StandardPrior(sizes)

    def init(self, key: Array) -> dict[str, dict[str, Array]]:
        glorot = jax.nn.initializers.glorot_uniform()

        def one(key: Array, size: int) -> dict[str, Array]:
            first, second, last = jax.random.split(key, 3)
            given, moved = size // 2, size - size // 2
            wide = glorot(first, (max(given, 1), self.hidden))[:given]
            return {
                "first": wide,
                "first_bias": jnp.zeros(self.hidden),
                "second": glorot(second, (self.hidden, self.hidden)),
                "second_bias": jnp.zeros(self.hidden),
                "last": 0.01 * glorot(last, (self.hidden, 2 * moved)),
                "last_bias": jnp.zeros(2 * moved),
            }

        keys = jax.random.split(key, len(self.sizes))
        return {
            node: jax.vmap(lambda k, size=size: one(k, size))(jax.random.split(k, self.couplings))
            for k, (node, size) in zip(keys, self.sizes.items(), strict=True)
        }

    def transform(self, weights: Mapping[str, Array], e: Array) -> tuple[Array, Array]:
        """z = f(e) and log|det df/de| for one node, e (..., K)."""
        given = e.shape[-1] // 2

        def one(carry: tuple[Array, Array], layer: Mapping[str, Array]) -> tuple[tuple[Array, Array], None]:
            z, log_det = carry
            scale, shift = _network(layer, z[..., :given])
            moved = z[..., given:] * jnp.exp(scale) + shift
            return (jnp.concatenate([z[..., :given], moved], -1)[..., ::-1], log_det + jnp.sum(scale, -1)), None

        (z, log_det), _ = jax.lax.scan(one, (e, jnp.zeros(e.shape[:-1], e.dtype)), dict(weights))
        return (z if self.couplings % 2 == 0 else z[..., ::-1]), log_det

    def inverse(self, weights: Mapping[str, Array], z: Array) -> tuple[Array, Array]:
        """e = f^-1(z) and log|det df^-1/dz|."""
        given = z.shape[-1] // 2

        def one(carry: tuple[Array, Array], layer: Mapping[str, Array]) -> tuple[tuple[Array, Array], None]:
            e, log_det = carry
            e = e[..., ::-1]
            scale, shift = _network(layer, e[..., :given])
            moved = (e[..., given:] - shift) * jnp.exp(-scale)
            return (jnp.concatenate([e[..., :given], moved], -1), log_det - jnp.sum(scale, -1)), None

        start = z if self.couplings % 2 == 0 else z[..., ::-1]
        zeros = jnp.zeros(z.shape[:-1], z.dtype)
        (e, log_det), _ = jax.lax.scan(one, (start, zeros), dict(weights), reverse=True)
        return e, log_det

    def sample(self, params: Any, key: Array, num: int, dtype: Any = jnp.float32) -> dict[str, Array]:
        drawn = self.base.sample((), key, num, dtype)
        return {node: self.transform(params[node], e)[0] for node, e in drawn.items()}

    def log_prob(self, params: Any, latents: Mapping[str, Array]) -> dict[str, Array]:
        scored = {}
        for node, z in latents.items():
            e, log_det = self.inverse(params[node], z)
            scored[node] = standard_log_prob(e) + log_det
        return scored

    def kl(self, params: Any, q: Mapping[str, Gaussian]) -> None:
        """There is no closed form."""
        return

    def plane(self, params: Any, node: str, steps: int) -> Array:
        grid = jnp.asarray(self.base.plane((), node, steps))
        return self.transform(params[node], grid)[0]


@spec
class Flow:
    """A flow of affine couplings, learned with the model."""

    analytic_kl: ClassVar[bool] = False

    couplings: PositiveInt = 8
    """Number of couplings L."""
    hidden: PositiveInt = 128
    """Units in each of the two layers of a coupling's network."""

    def build(self, sizes: Mapping[str, int]) -> FlowPrior:
        return FlowPrior(sizes, self.couplings, self.hidden)
