"""Whether chains of one law agree, and what their correlated draws are worth.

Each chain is split in halves, so that a drift within a chain counts as a disagreement. R-hat compares the variance of
all halves together with that within them (Gelman and Rubin 1992), and goes to 1; the effective sample size is the
number of independent draws of the same standard error. Both are BlackJAX's.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

Array = jax.Array

#: R-hat above this says that chains of a few hundred draws have not met.
LIMIT = 1.1
#: Draws of a chain below which its halves say nothing.
LEAST = 4


class Convergence(NamedTuple):
    """By example, (B,). rhat: no unit. effective: draws; of several quantities the worst is told."""

    rhat: Array
    effective: Array


def convergence(values: Array) -> Convergence | None:
    """Of quantities of C chains of T draws each, (C, T, B, P); None for fewer than LEAST draws.

    A quantity that is the same in every draw of several chains has R-hat 1; in a single chain, which never moved,
    infinity.
    """
    chains, draws, examples, quantities = values.shape
    if draws < LEAST:
        return None
    half = draws // 2
    flat = values[:, draws - 2 * half :].reshape(2 * chains, half, examples * quantities)
    rhat, effective = _measured(flat, chains)
    shape = (examples, quantities)
    return Convergence(jnp.max(rhat.reshape(shape), 1), jnp.min(effective.reshape(shape), 1))


@partial(jax.jit, static_argnums=1)
def _measured(flat: Array, chains: int) -> tuple[Array, Array]:
    """R-hat and effective sample size of each of Q quantities in halves of `chains` chains, (2 C, T / 2, Q)."""
    from blackjax import diagnostics  # takes a second, which a run that needs none should not wait

    halves, half, _ = flat.shape
    constant = jnp.max(flat, (0, 1)) == jnp.min(flat, (0, 1))
    rhat = diagnostics.potential_scale_reduction(flat).reshape(-1)
    rhat = jnp.where(jnp.isnan(rhat), jnp.inf, rhat)
    rhat = jnp.where(constant, 1.0 if chains > 1 else jnp.inf, rhat)
    effective = diagnostics.effective_sample_size(flat).reshape(-1)
    return rhat, jnp.where(constant, float(halves * half) if chains > 1 else 1.0, effective)
