"""Low-rank precision, C^-1 = D + U U^T with U of rank r: O(K r^2) (PAPER 3.4, item 4).

With W = D^-1/2 U = [w_1 .. w_r], the rank-one form is applied r times: M_0 = I and

    v_i = M_{i-1}^T w_i,   s_i = v_i^T v_i,   eta_i = 1 / (1 + s_i)
    M_i = M_{i-1} (I - eta_i / (1 + sqrt(eta_i)) v_i v_i^T)

so that M_r M_r^T = (I + W W^T)^-1 by the matrix inversion lemma, and

    R       = D^-1/2 M_r
    log |C| = -sum log d - sum log(1 + s_i)
    Tr C    = sum 1/d - sum_i eta_i |D^-1/2 M_{i-1} v_i|^2

The product is kept as M_r = I - V T V^T with V = [v_1 .. v_r] and T upper triangular, its inverse as
I + V S V^T with S lower triangular; both grow by a row or column for each v. No factorisation of an
r x r matrix is formed: every digit of a small W counts (the rank-one terms are small themselves), and
nothing is left to a linear algebra library.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.config import PositiveInt, spec
from sbvi.distributions.gaussian import Array, Gaussian, bounded


class _Root(NamedTuple):
    """M_r and what it leaves of the covariance.

    v (B, K, r); upper T and lower S (B, r, r); s (B, r); removed: M_{i-1} v_i, of whose square eta_i
    leaves C (B, K, r).
    """

    v: Array
    upper: Array
    lower: Array
    s: Array
    removed: Array

    def times(self, vector: Array) -> Array:
        """M vector for (S, B, K)."""
        return vector - self._through(self.upper, vector)

    def transposed_times(self, vector: Array) -> Array:
        return vector - self._through(jnp.swapaxes(self.upper, -1, -2), vector)

    def solve(self, vector: Array) -> Array:
        return vector + self._through(self.lower, vector)

    def _through(self, inner: Array, vector: Array) -> Array:
        along = jnp.einsum("bkr,sbk->sbr", self.v, vector)
        return jnp.einsum("bkr,brt,sbt->sbk", self.v, inner, along)


def _root(w: Array) -> _Root:
    """M_r of W (B, K, r), one column after the other."""
    batch, _, rank = w.shape
    square = jnp.zeros((batch, rank, rank), w.dtype)

    def along(v: Array, vector: Array) -> Array:
        return jnp.sum(v * vector[..., None], -2)

    def one(carry: tuple[Array, Array, Array], inputs: tuple[Array, Array]) -> tuple[Any, Any]:
        v, upper, lower = carry
        column, place = inputs  # (B, K), and a one at the column's place (r,)
        inner = jnp.einsum("brt,br->bt", upper, along(v, column))
        new = column - jnp.sum(v * inner[:, None], -1)
        s = jnp.sum(new**2, -1)
        root = jnp.sqrt(1 / (1 + s))
        gamma, delta = root**2 / (1 + root), root / (1 + root)
        overlap = along(v, new)
        ahead = jnp.einsum("brt,bt->br", upper, overlap)
        removed = new - jnp.sum(v * ahead[:, None], -1)
        behind = jnp.einsum("bt,btr->br", overlap, lower)
        upper = upper + (gamma[:, None] * (place[None] - ahead))[..., None] * place[None, None]
        lower = lower + place[None, :, None] * (delta[:, None] * (place[None] + behind))[:, None]
        return (v + new[..., None] * place[None, None], upper, lower), (s, removed)

    start = (jnp.zeros_like(w), square, square)
    columns = jnp.moveaxis(w, -1, 0), jnp.eye(rank, dtype=w.dtype)
    (v, upper, lower), (s, removed) = jax.lax.scan(one, start, columns)
    return _Root(v, upper, lower, jnp.moveaxis(s, 0, -1), jnp.moveaxis(removed, 0, -1))


class LowRankGaussian(NamedTuple):
    """N(mean, (diag(exp(log_precision)) + U U^T)^-1); mean, log_precision (B, K), u (B, K, r)."""

    mean: Array
    log_precision: Array
    u: Array

    def _white(self) -> tuple[Array, _Root]:
        """D^-1/2 (B, K), and M_r."""
        inverse_root = jnp.exp(-0.5 * self.log_precision)
        return inverse_root, _root(self.u * inverse_root[..., None])

    def scale(self, noise: Array) -> Array:
        inverse_root, root = self._white()
        return inverse_root[None] * root.times(noise)

    def unscale(self, offset: Array) -> Array:
        _, root = self._white()
        return root.solve(jnp.exp(0.5 * self.log_precision)[None] * offset)

    def covariance_times(self, vector: Array) -> Array:
        inverse_root, root = self._white()
        return inverse_root[None] * root.times(root.transposed_times(inverse_root[None] * vector))

    def variance(self) -> Array:
        inverse_root, root = self._white()
        return jnp.square(inverse_root) * (1 - jnp.sum(root.removed**2 / (1 + root.s)[:, None], -1))

    def log_det(self) -> Array:
        _, root = self._white()
        return -jnp.sum(self.log_precision, -1) - jnp.sum(jnp.log1p(root.s), -1)

    def kl(self) -> Array:
        inverse_root, root = self._white()
        diagonal = jnp.sum(jnp.expm1(-self.log_precision) + self.log_precision + jnp.square(self.mean), -1)
        lost = jnp.sum((root.removed * inverse_root[..., None]) ** 2, -2) / (1 + root.s)
        return 0.5 * (diagonal + jnp.sum(jnp.log1p(root.s) - lost, -1))


@spec
class LowRank:
    """Several directions of correlation for each layer."""

    rank: PositiveInt = 4
    """Number r of directions."""

    joint = False

    def outputs(self, size: int) -> int:
        return (2 + self.rank) * size

    def initial_outputs(self, size: int, scale: float) -> np.ndarray:
        return np.repeat([0.0, -2 * np.log(scale), 0.0], [size, size, size * self.rank])

    def distribution(self, outputs: Array, size: int) -> Gaussian:
        mean, log_precision, u = jnp.split(outputs, [size, 2 * size], axis=-1)
        return LowRankGaussian(mean, bounded(log_precision), u.reshape(*u.shape[:-1], size, self.rank))
