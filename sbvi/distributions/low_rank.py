"""Low-rank precision, C^-1 = D + U U^T with U of rank r: O(K r^2) (PAPER 3.4, item 4).

With W = D^-1/2 U = [w_1 .. w_r], the rank-one form is applied r times: M_0 = I and

    v_i = M_{i-1}^T w_i,   s_i = v_i^T v_i,   eta_i = 1 / (1 + s_i)
    M_i = M_{i-1} (I - eta_i / (1 + sqrt(eta_i)) v_i v_i^T)

so that M_r M_r^T = (I + W W^T)^-1 by the matrix inversion lemma, and

    R       = D^-1/2 M_r
    log |C| = -sum log d - sum log(1 + s_i)
    Tr C    = sum 1/d - sum_i eta_i |D^-1/2 M_{i-1} v_i|^2

No factorisation of an r x r matrix is formed: every digit of a small W counts (the rank-one terms are
small themselves), and nothing is left to a linear algebra library.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from sbvi.distributions.gaussian import Array


class _Factor(NamedTuple):
    """I - gamma v v^T, its inverse I + delta v v^T, and what it adds to the covariance.

    v (B, K); s, gamma, delta (B, 1); removed: M_{i-1} v_i, of which eta times the square leaves C.
    """

    v: Array
    s: Array
    gamma: Array
    delta: Array
    removed: Array

    def times(self, vector: Array) -> Array:
        """(I - gamma v v^T) vector for (..., B, K); symmetric."""
        return vector - self.gamma * self.v * _dot(self.v, vector)

    def solve(self, vector: Array) -> Array:
        return vector + self.delta * self.v * _dot(self.v, vector)


def _dot(a: Array, b: Array) -> Array:
    return jnp.sum(a * b, -1, keepdims=True)


def _factors(w: Array) -> list[_Factor]:
    """The factors of M_r for W (B, K, r)."""
    factors: list[_Factor] = []
    for position in range(w.shape[-1]):
        v = w[..., position]
        for factor in factors:
            v = factor.times(v)
        s = _dot(v, v)
        root = jnp.sqrt(1 / (1 + s))
        removed = v
        for factor in reversed(factors):
            removed = factor.times(removed)
        factors.append(_Factor(v, s, root**2 / (1 + root), root / (1 + root), removed))
    return factors


class LowRankGaussian(NamedTuple):
    """N(mean, (diag(exp(log_precision)) + U U^T)^-1); mean, log_precision (B, K), u (B, K, r)."""

    mean: Array
    log_precision: Array
    u: Array

    def _white(self) -> tuple[Array, list[_Factor]]:
        """D^-1/2 (B, K), and the factors of M_r."""
        inverse_root = jnp.exp(-0.5 * self.log_precision)
        return inverse_root, _factors(self.u * inverse_root[..., None])

    def scale(self, noise: Array) -> Array:
        inverse_root, factors = self._white()
        return inverse_root[None] * _over_samples(reversed(factors), _Factor.times, noise)

    def unscale(self, offset: Array) -> Array:
        _, factors = self._white()
        return _over_samples(factors, _Factor.solve, jnp.exp(0.5 * self.log_precision)[None] * offset)

    def covariance_times(self, vector: Array) -> Array:
        inverse_root, factors = self._white()
        inner = _over_samples(factors, _Factor.times, inverse_root[None] * vector)
        return inverse_root[None] * _over_samples(reversed(factors), _Factor.times, inner)

    def variance(self) -> Array:
        # Row by row of M_r^T e_k = e_k + sum_i c_ik v_i, whose squares keep the digits that 1 - sum eta_i .. has lost.
        inverse_root, factors = self._white()
        along: list[Array] = []  # c_i, (B, K)
        for factor in factors:
            met = sum((c * _dot(factor.v, f.v) for c, f in zip(along, factors, strict=False)), start=factor.v)
            along.append(-factor.gamma * met)

        def row(total: Array, values: tuple[Array, Array]) -> tuple[Array, None]:
            at, v = values  # e_j (K,), and the v_i there (r, B)
            entry = at[None] + sum((v[i][:, None] * c for i, c in enumerate(along)), start=jnp.zeros_like(total))
            return total + jnp.square(entry), None

        rows = jnp.stack([jnp.transpose(factor.v) for factor in factors], 1)  # (K, r, B)
        identity = jnp.eye(rows.shape[0], dtype=rows.dtype)
        total, _ = jax.lax.scan(row, jnp.zeros_like(inverse_root), (identity, rows))
        return jnp.square(inverse_root) * total

    def log_det(self) -> Array:
        _, factors = self._white()
        return -jnp.sum(self.log_precision, -1) - _log_growth(factors)

    def kl(self) -> Array:
        inverse_root, factors = self._white()
        diagonal = jnp.sum(jnp.expm1(-self.log_precision) + self.log_precision + jnp.square(self.mean), -1)
        lost = sum(jnp.sum((f.removed * inverse_root) ** 2 / (1 + f.s), -1) for f in factors)
        return 0.5 * (diagonal - lost + _log_growth(factors))


def _over_samples(factors: Iterable[_Factor], apply: Callable[[_Factor, Array], Array], vector: Array) -> Array:
    """Apply factors, first to last, to (S, B, K)."""
    for factor in factors:
        vector = apply(_Factor(*(part[None] for part in factor)), vector)
    return vector


def _log_growth(factors: list[_Factor]) -> Array:
    """log |I + W W^T|, (B,)."""
    return sum((jnp.log1p(f.s[..., 0]) for f in factors), start=jnp.zeros_like(factors[0].s[..., 0]))
