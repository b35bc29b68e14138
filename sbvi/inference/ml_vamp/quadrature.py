"""Integrals of smooth peaked functions over the line, element-wise, to near float64.

The line is cut at points around several centres, each with its own width, close at the centre and wider outwards;
the union of all cuts makes panels, each with a Gauss-Legendre rule. A peak is integrated to full accuracy when it
lies at one of the centres and has about its width, wherever the others are; so the caller names every place where
the function has a scale of its own.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array

_CUTS = np.array([0.0, 0.8, 1.6, 2.5, 3.6, 5.0, 6.8, 9.0, 13.0, 20.0, 32.0])
_OFFSETS = np.concatenate([-_CUTS[:0:-1], _CUTS])
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(7)


def panels(centres: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
    """Points and log weights, each (..., M), of a rule for a function with these (centre, width) pairs, each (...)."""
    offsets = jnp.asarray(_OFFSETS)
    cuts = [c[..., None] + w[..., None] * offsets.reshape((1,) * c.ndim + (-1,)) for c, w in centres]
    edges = jnp.sort(jnp.concatenate(cuts, axis=-1), axis=-1)
    half = 0.5 * jnp.diff(edges, axis=-1)
    middle = 0.5 * (edges[..., 1:] + edges[..., :-1])
    shape = (1,) * half.ndim + (-1,)
    points = middle[..., None] + half[..., None] * jnp.asarray(_NODES).reshape(shape)
    weights = half[..., None] * jnp.asarray(_WEIGHTS).reshape(shape)
    flat = (*half.shape[:-1], -1)
    return points.reshape(flat), jnp.log(jnp.maximum(weights, 1e-300)).reshape(flat)


def expectations(log_mass: Array, values: Sequence[Array]) -> tuple[Array, list[tuple[Array, Array]]]:
    """log sum exp(log_mass) and, for each of `values`, its mean and variance under the normalised weights."""
    log_total = jax.nn.logsumexp(log_mass, axis=-1)
    weights = jnp.exp(log_mass - log_total[..., None])
    moments = []
    for value in values:
        mean = jnp.sum(weights * value, axis=-1)
        moments.append((mean, jnp.sum(weights * (value - mean[..., None]) ** 2, axis=-1)))
    return log_total, moments
