"""The true posterior of a model with two latents, by quadrature on a grid, beside the recognition model's.

p(xi | x) = p(x, xi) / p(x),   p(x) = sum over cells of p(x, xi) times their area
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import UserError
from sbvi.core.precision import jit_reported
from sbvi.distributions.gaussian import covariance, log_prob
from sbvi.models import require
from sbvi.models.capabilities import GaussianRecognition, LatentVariable

Array = jax.Array
ROWS = 2_000  # points of the grid scored at once
EDGE = 1e-6  # of the mass, in the square's outermost points: more of it says that the posterior goes on beyond them
DOUBLINGS = 6  # of the square's sides, at most


class GridPosterior(NamedTuple):
    """One example. horizontal, vertical: (G,), the axes of the two latents.
    true, approximate, prior: log densities at (vertical, horizontal), (G, G); nats.
    mean, covariance: of q, (2,) and (2, 2). log_likelihood: log p(x), as a sum over the grid."""

    horizontal: np.ndarray
    vertical: np.ndarray
    true: np.ndarray
    approximate: np.ndarray
    prior: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    log_likelihood: float


def two_latents(model: Any) -> str:
    """The node of a model that has two latents in all.

    Raises:
      UserError: it has more, or fewer.
    """
    for capability in (LatentVariable, GaussianRecognition):
        require(model, capability, "A grid over latents")
    sizes = model.latent_sizes()
    if sum(sizes.values()) != 2 or len(sizes) != 1:
        held = ", ".join(f"{size} at {node}" for node, size in sizes.items())
        raise UserError(f"A grid needs a model with two latents at one node; this one has {held or 'none'}.")
    return next(iter(sizes))


def posterior_on_grid(
    model: Any, params: Any, x: np.ndarray, points: int = 200, extent: float = 5.0
) -> list[tuple[GridPosterior, GridPosterior]]:
    """For each x (N, D): the whole square [-extent, extent]^2, and a closer look where the densities are. The square's
    sides are doubled, six times at most, while the posterior reaches its edge.

    The closer look holds all but 1e-6 of the mass that the square shows, and q to five standard
    deviations.
    """
    node = two_latents(model)
    scored = jit_reported(lambda params, q, x, grid: _score(model, node, params, q, x, grid))
    pairs = []
    for row in np.asarray(x, np.float32):
        q = model.gaussians(params, jnp.asarray(row[None]))
        mean, matrix = np.asarray(q[node].mean)[0], np.asarray(covariance(q[node]))[0]
        for doubled in range(DOUBLINGS + 1):
            axis = 2**doubled * np.linspace(-extent, extent, points)
            whole = _grid(scored, params, q, row, axis, axis, mean, matrix)
            mass = np.exp(whole.true - whole.true.max())
            if 1 - mass[1:-1, 1:-1].sum() / mass.sum() <= EDGE:
                break
        low, high = [], []
        spread = 5 * np.sqrt(np.diag(matrix))
        for k, axis_mass in enumerate((mass.sum(0), mass.sum(1))):
            share = np.cumsum(axis_mass) / axis_mass.sum()
            step = axis[1] - axis[0]
            inside = axis[(share > 5e-7) & (share < 1 - 5e-7)]
            ends = (inside[0] - step, inside[-1] + step) if len(inside) else (mean[k], mean[k])
            low.append(min(ends[0], mean[k] - spread[k]))
            high.append(max(ends[1], mean[k] + spread[k]))
        axes = [np.linspace(a, b, points) for a, b in zip(low, high, strict=True)]
        pairs.append((whole, _grid(scored, params, q, row, axes[0], axes[1], mean, matrix)))
    return pairs


def _score(model: Any, node: str, params: Any, q: Any, x: Array, grid: Array) -> tuple[Array, Array, Array]:
    """log p(x, xi), log q(xi | x) and log p(xi) at grid points (M, 2)."""
    points = grid[:, None]
    prior = model.node_prior().log_prob(model.prior_params(params), {node: points})[node]
    return model.log_joint(params, {node: points}, x)[:, 0], log_prob(q[node], points)[:, 0], prior[:, 0]


def _grid(
    scored: Any,
    params: Any,
    q: Any,
    row: np.ndarray,
    horizontal: np.ndarray,
    vertical: np.ndarray,
    mean: np.ndarray,
    matrix: np.ndarray,
) -> GridPosterior:
    grid = np.stack(np.meshgrid(horizontal, vertical), -1).reshape(-1, 2).astype(np.float32)
    padded = np.concatenate([grid, np.repeat(grid[:1], -len(grid) % ROWS, 0)])
    parts = [scored(params, q, jnp.asarray(row[None]), jnp.asarray(part)) for part in padded.reshape(-1, ROWS, 2)]
    joint, approximate, prior = (
        np.concatenate([np.asarray(part, np.float64) for part in one])[: len(grid)] for one in zip(*parts, strict=True)
    )
    area = np.log((horizontal[1] - horizontal[0]) * (vertical[1] - vertical[0]))
    evidence = float(_logsumexp(joint) + area)
    true = joint - evidence
    shape = (len(vertical), len(horizontal))
    return GridPosterior(
        horizontal,
        vertical,
        true.reshape(shape),
        approximate.reshape(shape),
        prior.reshape(shape),
        mean,
        matrix,
        evidence,
    )


def _logsumexp(values: np.ndarray) -> float:
    top = values.max()
    return float(top + np.log(np.exp(values - top).sum()))
