"""Missing entries of tables where one or two continuous latents are all there is: by quadrature's grid.

    E[x_m | x_o] = sum_u p(z_u | x_o) E[x_m | z_u]
    draws: one of z_1 .. z_M with probability p(z_u | x_o), z* evenly from what it stands for, then x_m ~ p(x_m | z*)

No recognition model is asked, which may be far from p(z | x_o) where more is missing than in training.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sbvi.inference.quadrature import ROWS, Effort, Integral, quadrature, split
from sbvi.inference.resampling import systematic

Array = jax.Array


class OnGrid(NamedTuple):
    """mean, draws: see `Resampled`.  log_likelihood, error: of log p(x_o), nats, (B,)."""

    mean: Array
    draws: Array
    log_likelihood: Array
    error: Array


def on_grid(model: Any, params: Any, key: Array, x: Array, draws: int, effort: Effort) -> OnGrid:
    """R draws of every entry of x (B, D) given those that are not NaN.

    Args:
      model: a Tabular one that `quadrature.serves`.
    """
    first, second, third = jax.random.split(key, 3)
    integral = quadrature(model, params, x, effort)
    chances = jnp.exp(integral.log_mass)
    chosen = systematic(first, chances, draws)
    # A grid is sorted, as samples of q are not: in one order for all rows draw r would be at the same end of each.
    chosen = jax.random.permutation(jax.random.fold_in(first, 2), chosen, 0, independent=True)
    latents = _spread(second, integral, chosen)
    values = model.missing_columns(params, third, split(model, latents)).value
    means = _means(model, params, third, integral.points, chances)
    return OnGrid(means, values, integral.log_likelihood, integral.error)


def _spread(key: Array, integral: Integral, chosen: Array) -> Array:
    """The chosen points (R, B), each moved to anywhere in what it stands for: (R, B, K)."""
    points = jnp.take_along_axis(integral.points, chosen[..., None], 0)
    cells = len(integral.sides)
    on_lattice = len(integral.points) - cells
    moved = jax.random.uniform(key, points.shape, points.dtype, -0.5, 0.5)
    by_lattice = jnp.einsum("bkl,rbl->rbk", integral.edges, moved)
    sides = jnp.take_along_axis(integral.sides, jnp.maximum(chosen - on_lattice, 0)[..., None], 0)
    return points + jnp.where((chosen < on_lattice)[..., None], by_lattice, sides * moved)


def _means(model: Any, params: Any, key: Array, points: Array, chances: Array) -> Array:
    """sum_u p(z_u | x_o) E[x | z_u] / sum_u p(z_u | x_o), (B, D), some of the points at once."""
    batch = points.shape[1]
    piece = max(1, ROWS // batch)
    more = -len(points) % piece
    points = jnp.concatenate([points, jnp.broadcast_to(points[:1], (more, *points.shape[1:]))])
    chances = jnp.concatenate([chances, jnp.zeros((more, batch), chances.dtype)])

    def part(total: Array, given: tuple[Array, Array]) -> tuple[Array, None]:
        places, chance = given
        means = model.missing_columns(params, key, split(model, places)).mean
        return total + jnp.einsum("mb,mbd->bd", chance, means), None

    width = jax.eval_shape(lambda z: model.missing_columns(params, key, split(model, z)).mean, points[:1]).shape[-1]
    parts = points.reshape(-1, piece, *points.shape[1:]), chances.reshape(-1, piece, batch)
    total, _ = jax.lax.scan(part, jnp.zeros((batch, width), points.dtype), parts)
    return total / jnp.sum(chances, 0)[:, None]
