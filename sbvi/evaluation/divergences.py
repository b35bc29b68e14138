"""KL(q || p(.|x)) and KL(p(.|x) || q) of models with two latents, and what they may be off.

    KL(q || p) = E_q[log q - log p(x, z)] + log p(x)         by a lattice of q's own place and scale
    KL(p || q) = E_p[log p(x, z) - log q] - log p(x)         by the points of log p(x)'s quadrature

The second weighs what is far from q by how far it is: where q is narrow, mass of the posterior too small to show in
log p(x) can be most of it. So each has an error of its own, which is no part of log p(x)'s: what it changes by when no
more than every other point of its lattice is kept, and its terms on the lattice's edge and in the cells beyond it.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp

from sbvi.distributions.gaussian import log_prob, sample, standard_log_prob
from sbvi.evaluation.posterior_grid import two_latents
from sbvi.evaluation.quadrature import Further
from sbvi.inference.quadrature import (
    FAR,
    SHIFT,
    Effort,
    Integral,
    coarser,
    lattice,
    log_joint,
    on_edge,
    tolerance,
)

Array = jax.Array
WIDE = 6.0  # standard deviations of q that its lattice spans on each side
FEWEST = 24  # points of q's lattice on an axis, at least
LATENTS = 2


def divergences(model: Any) -> Further:
    """kl, reverse_kl, and their errors kl_error and reverse_kl_error, (B,), nats."""
    node = two_latents(model)

    def further(params: Any, x: Array, integral: Integral, effort: Effort) -> dict[str, Array]:
        q = model.gaussians(params, x)[node]
        kl, kl_error = _forward(model, params, x, q, integral, effort)
        reverse, reverse_error = _reverse(q, integral, effort)
        # No KL is negative: one that is shows that log p(x) or a sum is off by as much.
        return {
            "kl": kl,
            "kl_error": _told(jnp.maximum(kl_error, -kl)),
            "reverse_kl": reverse,
            "reverse_kl_error": _told(jnp.maximum(reverse_error, -reverse)),
        }

    return further


def _told(error: Array) -> Array:
    return jnp.where(jnp.isnan(error), jnp.inf, error)


def _forward(model: Any, params: Any, x: Array, q: Any, integral: Integral, effort: Effort) -> tuple[Array, Array]:
    count = max(FEWEST, effort.points)
    unit = WIDE * lattice(count, LATENTS, x.dtype, SHIFT)
    noise = jnp.broadcast_to(unit[:, None], (len(unit), x.shape[0], LATENTS))
    points = sample(q, noise)
    gap = log_prob(q, points) - log_joint(model, params, x, points) + integral.log_likelihood[None]
    log_weight = standard_log_prob(noise)

    whole, _, _ = _mean(log_weight, gap)
    thin, _, _ = jax.vmap(_mean)(coarser(log_weight, count, LATENTS), coarser(gap, count, LATENTS))
    return whole, jnp.max(jnp.abs(thin - whole[None]), 0) + integral.error


def _reverse(q: Any, integral: Integral, effort: Effort) -> tuple[Array, Array]:
    """By the lattice; by the cells where the lattice's error is too large. They have none of their own, but are no
    farther off than from the lattice and as much as that is off."""
    count = effort.points**LATENTS
    log_mass = integral.log_joint + integral.log_volume
    ratio = integral.log_joint - log_prob(q, integral.points)

    def divergence(log_mass: Array, ratio: Array, spacing: float = 0.0) -> tuple[Array, Array, Array]:
        """The KL, the terms that it is the sum of and their masses, and log p(x), by points that stand for exp(spacing)
        times their volume."""
        mean, mass, evidence = _mean(log_mass, ratio)
        terms = mass * jnp.abs(jnp.where(mass > 0, ratio - evidence[None] - spacing, 0))
        return mean - evidence - spacing, mass + terms, evidence + spacing

    fine, terms, evidence = divergence(log_mass[:count], ratio[:count])
    parts = (coarser(values[:count], effort.points, LATENTS) for values in (log_mass, ratio))
    thin, _, _ = jax.vmap(lambda mass, ratio: divergence(mass, ratio, LATENTS * math.log(2)))(*parts)
    rough, cell_terms, rough_evidence = divergence(log_mass[count:], ratio[count:])
    edge = jnp.sum(terms[on_edge(effort.points, LATENTS)], 0)
    beyond = jnp.sum(jnp.where(integral.outside, cell_terms, 0), 0)
    error = jnp.max(jnp.abs(thin - fine[None]), 0) + edge + beyond
    good = (error <= tolerance(fine)) & (jnp.abs(evidence - rough_evidence) <= FAR)
    return jnp.where(good, fine, rough), jnp.where(good, error, error + jnp.abs(fine - rough))


def _mean(log_mass: Array, values: Array) -> tuple[Array, Array, Array]:
    """The mean of values by masses (M, B), (B,), the masses as shares, and the logarithm of their sum."""
    top = jnp.max(log_mass, 0)
    mass = jnp.exp(log_mass - top[None])
    whole = _total(mass)
    mean = _total(jnp.where(mass > 0, mass * jnp.where(mass > 0, values, 0), 0)) / whole
    return mean, mass / whole[None], jnp.log(whole) + top


def _total(values: Array) -> Array:
    """The sum over the first axis, in parts: of thousands of small terms that are added to one sum in float32, each is
    lost that is below its last digit."""
    part = math.isqrt(len(values)) + 1
    padded = jnp.concatenate([values, jnp.zeros((-len(values) % part, *values.shape[1:]), values.dtype)])
    return jnp.sum(jnp.sum(padded.reshape(part, -1, *values.shape[1:]), 0), 0)
