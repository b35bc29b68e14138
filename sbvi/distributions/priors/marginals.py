"""Marginals of a prior's latents, of which pictures take their ranges: known, or those of draws."""

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp

from sbvi.distributions.priors.prior import Array, Prior

DRAWS = 10_000  # of every latent, the same ones at every call; 13 of them lie beyond a quantile of 0.13 %
AT_ONCE = 1_000  # of a vamp prior each has a covariance beside it


@runtime_checkable
class OneMarginal(Protocol):
    """A prior under which every latent has the same marginal, whatever the parameters."""

    marginal: NormalDist


class Marginal(NamedTuple):
    """Of one node's latents. mean: (K,). quantiles: (n, K), at the shares that were asked for."""

    mean: Array
    quantiles: Array


def marginals(prior: Prior, params: Any, shares: Sequence[float], dtype: Any = jnp.float32) -> dict[str, Marginal]:
    """node -> its latents' means and quantiles; params: what `prepare` made."""
    if isinstance(prior, OneMarginal):
        mean, ends = prior.marginal.mean, jnp.asarray([[prior.marginal.inv_cdf(share)] for share in shares], dtype)
        return {
            node: Marginal(jnp.full(size, mean, dtype), jnp.broadcast_to(ends, (len(shares), size)))
            for node, size in prior.sizes.items()
        }
    keys = jax.random.split(jax.random.key(0), DRAWS // AT_ONCE)
    drawn = jax.lax.map(lambda key: prior.sample(params, key, AT_ONCE, dtype), keys)

    def of(z: Array) -> Marginal:
        rows = z.reshape(DRAWS, z.shape[-1])
        return Marginal(jnp.mean(rows, 0), jnp.quantile(rows, jnp.asarray(shares, dtype), axis=0))

    return {node: of(z) for node, z in drawn.items()}


def plane(quantiles: Array) -> Array:
    """Points (n^2, 2) at all pairs of the quantiles (n, 2) of two latents, the first one's along a row, top row
    first: where the latents are independent, a grid of equal mass."""
    return jnp.stack(jnp.meshgrid(quantiles[:, 0], quantiles[::-1, 1]), -1).reshape(-1, 2)
