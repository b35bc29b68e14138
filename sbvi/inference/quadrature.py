"""log p(x) of models with one or two continuous latents in all, by a grid that finds the posterior's place and scale.

    p(x) = integral of p(x, z) dz ~ h^K |L| sum_u p(x, m + L u),   u on a lattice of spacing h

The trapezoidal rule converges faster than any power of h on such integrands, once h is a standard deviation or less.
m and L L^T are mean and covariance of p(z | x), found by cutting the cells that hold the most mass into smaller ones,
from a coarse grid where the prior's own draws lie. Nothing is asked of the prior but draws and its density.

The lattice's error is the largest of three, which see what it can miss: the change of log p(x) when no more than every
other point on each axis is kept, whichever these are, the share of the mass on its edge, and the share that cells
outside it hold. Where it is too large, or the lattice is far from the sum over cells, as for a posterior in several
places, that sum is the result. Middles of equal cells all over a peak add in its middle what they lack in its flanks;
cutting those in the middle takes away what they added, and leaves the flanks. So the error of the sum is what cutting
cells changed at each size, summed, but of each size no more than that change of FLANKS times the mass that was left in
its cells; or the share at the first grid's rim.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp

from sbvi.core.xla.matrices import cholesky, solve_lower
from sbvi.models.capabilities import LatentVariable, ObservedDensity, offers

Array = jax.Array

#: Errors above this, in nats, are not converged.
TOLERANCE = 0.01
#: How far, in nats, the lattice may be from the sum over cells, which is the rougher of the two for a single peak.
FAR = 0.1
#: How many times more of its mass a flank may lack than cutting changed of the middle's.
FLANKS = 30.0
#: By how much of its spacing the lattice is moved from the posterior's mean. One that lies evenly about it is made of
#: halves that are mirror images: of a symmetric posterior all of them tell the same, whatever they miss.
SHIFT = 0.25
ROWS = 2_000  # rows of outputs that are scored at once


def tolerance(value: Any) -> Any:
    """Of another integral over the posterior, such as a KL, nats: and a thousandth of it."""
    return TOLERANCE + 1e-3 * abs(value)


class Effort(NamedTuple):
    """coarse: cells of the first grid on an axis.  kept: cells that each of the `levels` cuts.  points: of the lattice
    on an axis, an even number.  extent: standard deviations that it spans on each side.  wide: how far the first grid
    spans, in ranges of the prior's draws."""

    coarse: int
    kept: int
    levels: int
    points: int
    extent: float
    wide: float


#: What is tried, by the number of latents: the next where an example's error is above the tolerance.
EFFORTS = {
    1: (Effort(128, 8, 6, 40, 6, 1.5), Effort(512, 32, 10, 400, 8, 2), Effort(2048, 64, 14, 4000, 10, 8)),
    2: (Effort(24, 32, 5, 28, 6, 1.5), Effort(64, 128, 8, 80, 8, 2), Effort(128, 256, 10, 240, 10, 8)),
}


class Integral(NamedTuple):
    """log_likelihood, error: by example, (B,), nats.  points: (M, B, K).
    log_mass: log p(z | x) of each and what it stands for, so that exp(log_mass) sums to one, (M, B).
    log_joint: log p(x, z).  log_volume: of what it stands for, (M, B): of the lattice's points, which are first, and of
    the cells', whichever of the two log p(x) is the sum over.
    outside: which of the cells, (N, B), are beyond the lattice.
    edges: columns, the edges of what a point of the lattice stands for and is the middle of, (B, K, K).
    sides: of the cells, along the axes, (N, B, K)."""

    log_likelihood: Array
    error: Array
    points: Array
    log_mass: Array
    log_joint: Array
    log_volume: Array
    outside: Array
    edges: Array
    sides: Array


class _Cells(NamedTuple):
    """centre: (N, B, K).  size: of a side, relative to the first grid's, (N, B).  log_mass: (N, B), -inf of those that
    were cut."""

    centre: Array
    size: Array
    log_mass: Array


def serves(model: Any) -> bool:
    """Whether the model has one or two continuous latents in all."""
    known = offers(model, LatentVariable) and offers(model, ObservedDensity)
    return known and sum(model.latent_sizes().values()) in EFFORTS


def split(model: Any, points: Array) -> dict[str, Array]:
    """(..., K) of all nodes as node -> (..., its own)."""
    parts, first = {}, 0
    for node, size in model.latent_sizes().items():
        parts[node] = points[..., first : first + size]
        first += size
    return parts


def lattice(count: int, latents: int, dtype: Any, shift: float = 0.0) -> Array:
    """Middles of count^K cells of the cube [-1, 1]^K, moved by `shift` of a cell's side, (count^K, K)."""
    axis = (2 * (jnp.arange(count, dtype=dtype) + shift) + 1) / count - 1
    return jnp.stack(jnp.meshgrid(*(axis,) * latents, indexing="ij"), -1).reshape(-1, latents)


def coarser(values: Array, count: int, latents: int) -> Array:
    """What stands at every other point of a lattice on each axis, (count^K, ...) to (2^K, (count / 2)^K, ...): each of
    the lattices that make it up."""
    pairs = values.reshape(*(count // 2, 2) * latents, *values.shape[1:])
    axes = tuple(range(1, 2 * latents, 2))
    first = jnp.moveaxis(pairs, axes, tuple(range(latents)))
    return first.reshape(2**latents, (count // 2) ** latents, *values.shape[1:])


def on_edge(count: int, latents: int) -> np.ndarray:
    """Which of a lattice's points are outermost, (count^K,)."""
    inside = np.zeros((count,) * latents, bool)
    inside[(slice(1, -1),) * latents] = True
    return ~inside.reshape(-1)


def log_joint(model: Any, params: Any, x: Array, points: Array) -> Array:
    """log p(x, z) at many points (M, B, K), (M, B), some of them at once."""
    count, piece = points.shape[0], max(1, ROWS // x.shape[0])
    padded = jnp.concatenate([points, jnp.broadcast_to(points[:1], (-count % piece, *points.shape[1:]))])
    parts = padded.reshape(-1, piece, *points.shape[1:])
    log_probs = jax.lax.map(lambda part: model.log_joint(params, split(model, part), x), parts)
    return log_probs.reshape(-1, x.shape[0])[:count]


def quadrature(model: Any, params: Any, x: Array, effort: Effort) -> Integral:
    """For x (B, D); see the module."""
    latents = sum(model.latent_sizes().values())

    def scored(points: Array) -> Array:
        return log_joint(model, params, x, points)

    cells, unit, rough_error = _cut(model, params, x, scored, effort, latents)
    rough = logsumexp(cells.log_mass, 0)
    mean, factor = _moments(cells, unit)
    unit_points = effort.extent * lattice(effort.points, latents, x.dtype, SHIFT)
    points = mean[None] + jnp.einsum("bkl,ml->mbk", factor, unit_points)
    step = jnp.log(jnp.asarray(2 * effort.extent / effort.points, x.dtype))
    volume = latents * step + jnp.sum(jnp.log(jnp.diagonal(factor, axis1=1, axis2=2)), 1)
    joint = scored(points)
    log_mass = joint + volume[None]
    fine = logsumexp(log_mass, 0)
    outside = _outside(cells, mean, factor, effort)
    error = _error(log_mass - fine[None], cells, outside, effort)
    apart = jnp.abs(fine - rough)
    good = (error <= TOLERANCE) & (apart <= FAR)
    # A lattice that is nearly good enough shows what the cells do not see of their own error.
    seen = jnp.where(error <= FAR, jnp.minimum(apart, 2 * rough_error), 0)
    rough_error = jnp.maximum(rough_error, seen)
    log_likelihood = jnp.where(good, fine, rough)
    none, unit_volume = jnp.asarray(-jnp.inf, x.dtype), jnp.sum(jnp.log(unit))
    masses = jnp.where(good[None], log_mass, none), jnp.where(good[None], none, cells.log_mass)
    cell_volume = jnp.log(cells.size) * latents + unit_volume
    return Integral(
        log_likelihood,
        jnp.where(good, error, jnp.where(jnp.isnan(rough_error), jnp.inf, rough_error)),
        jnp.concatenate([points, cells.centre]),
        jnp.concatenate(masses) - log_likelihood[None],
        jnp.concatenate([joint, cells.log_mass - cell_volume]),
        jnp.concatenate([jnp.broadcast_to(volume[None], log_mass.shape), cell_volume]),
        outside,
        jnp.exp(step) * factor,
        cells.size[..., None] * unit[None, None],
    )


def _cut(model: Any, params: Any, x: Array, scored: Any, effort: Effort, latents: int) -> tuple[_Cells, Array, Array]:
    """The cells after all levels, the sides of the first grid's, (K,), and the error of their sum, (B,), nats."""
    drawn = model.node_prior().sample(model.prior_params(params), jax.random.key(0), 2000, x.dtype)
    joined = jnp.concatenate([drawn[node] for node in model.latent_sizes()], 1)
    middle, half = (joined.max(0) + joined.min(0)) / 2, effort.wide * (joined.max(0) - joined.min(0)) / 2
    first = middle[None] + half[None] * lattice(effort.coarse, latents, x.dtype)
    unit = 2 * half / effort.coarse
    batch = x.shape[0]
    centre = jnp.broadcast_to(first[:, None], (len(first), batch, latents))
    whole = _Cells(centre, jnp.ones(centre.shape[:2], x.dtype), scored(centre) + jnp.sum(jnp.log(unit)))
    corners = lattice(2, latents, x.dtype)  # from a cell's middle to its parts', in sides of a part
    rows = jnp.arange(batch, dtype=jnp.int32)[None]

    def parted(cells: _Cells) -> tuple[_Cells, _Cells]:
        """Those that hold the most mass, which are cut next, and the rest. Only cells of one size are compared: smaller
        ones would crowd out a place whose peak the larger still miss."""
        chosen = jax.lax.top_k(cells.log_mass.T, effort.kept)[1].T  # (kept, B)
        most = jax.tree.map(lambda values: values[chosen, rows], cells)
        return most, cells._replace(log_mass=cells.log_mass.at[chosen, rows].set(-jnp.inf))

    def cut(cells: _Cells, _: None) -> tuple[_Cells, tuple[_Cells, Array, Array]]:
        size = cells.size / 2
        parts = cells.centre[None] + corners[:, None, None] * (size[..., None] * unit[None, None])[None]
        parts, sizes = parts.reshape(-1, batch, latents), jnp.tile(size, (2**latents, 1))
        finer = _Cells(parts, sizes, scored(parts) + jnp.sum(jnp.log(unit)) + latents * jnp.log(sizes))
        mass = logsumexp(finer.log_mass, 0)
        most, rest = parted(finer)
        return most, (rest, mass, jnp.abs(mass - logsumexp(cells.log_mass, 0)))

    most, rest = parted(whole)
    last, (levels, masses, changes) = jax.lax.scan(cut, most, None, effort.levels)
    left = jnp.concatenate([logsumexp(rest.log_mass, 0)[None], logsumexp(levels.log_mass, 1)])
    flat = jax.tree.map(lambda values: values.reshape(-1, *values.shape[2:]), levels)
    cells = jax.tree.map(lambda *parts: jnp.concatenate(parts), rest, flat, last)
    total = logsumexp(cells.log_mass, 0)
    shares, were_cut = jnp.exp(left - total[None]), jnp.exp(masses - total[None])
    off = jnp.maximum(shares[:-1], jnp.minimum(were_cut, FLANKS * shares[:-1]))
    smallest = shares[-1] + jnp.exp(logsumexp(last.log_mass, 0) - total)
    rim = jnp.any(jnp.abs(cells.centre - middle[None, None]) > (half - unit)[None, None], -1)
    outer = jnp.sum(jnp.where(rim, jax.nn.softmax(cells.log_mass, 0), 0), 0)
    return cells, unit, jnp.maximum(outer, jnp.sum(off * changes, 0) + smallest * changes[-1])


def _moments(cells: _Cells, unit: Array) -> tuple[Array, Array]:
    """Mean (B, K) and the Cholesky factor (B, K, K) of the covariance, that within cells included."""
    weight = jax.nn.softmax(cells.log_mass, 0)
    mean = jnp.sum(weight[..., None] * cells.centre, 0)
    offset = jnp.where(weight[..., None] > 0, cells.centre - mean[None], 0)
    within = jnp.sum(weight * cells.size**2, 0)[:, None] * unit[None] ** 2 / 12
    covariance = jnp.einsum("nb,nbk,nbl->bkl", weight, offset, offset) + jax.vmap(jnp.diag)(within)
    return mean, cholesky(covariance)


def _outside(cells: _Cells, mean: Array, factor: Array, effort: Effort) -> Array:
    """Which cells, (N, B), the lattice does not reach."""
    offset = jnp.transpose(cells.centre - mean[None], (1, 2, 0))  # (B, K, N)
    place = jnp.max(jnp.abs(solve_lower(factor, offset)), 1).T
    return place > effort.extent


def _error(log_mass: Array, cells: _Cells, outside: Array, effort: Effort) -> Array:
    """Of the lattice, (B,), nats."""
    latents = cells.centre.shape[-1]
    thin = logsumexp(coarser(log_mass, effort.points, latents), 1) + latents * math.log(2)
    change = jnp.max(jnp.abs(thin), 0)
    edge = jnp.sum(jnp.exp(log_mass[on_edge(effort.points, latents)]), 0)
    beyond = jnp.sum(jnp.where(outside, jax.nn.softmax(cells.log_mass, 0), 0), 0)
    worst = jnp.maximum(change, jnp.maximum(edge, beyond))
    return jnp.where(jnp.isnan(worst), jnp.inf, worst)
