"""Bonnet's and Price's theorems: the gradient with respect to mean and covariance (PAPER eq. 7-9).

    d/dmu_i  E[f] = E[df/dxi_i],     d/dC_ij E[f] = 1/2 E[d^2 f / dxi_i dxi_j]

The values carry, besides f itself, g^T (mu - mu') + 1/2 Tr(H (C - C')) with the primed quantities held
constant: zero in value, and with the theorem's gradient. H is needed within each node only, since C is
block-diagonal. Three ways to contract it:

- price: every Hessian-vector product of a node, exact, up to 32 latents in all;
- price_hutchinson: z^T H C z for random signs z, unbiased for any size (`probes` of them);
- price_gauss_newton: H replaced by -J^T Lambda J, with J the derivative of the likelihood's outputs and
  Lambda their expected curvature. Biased, and never indefinite.

For networks with kinks (ReLU) the Hessian lacks the curvature in the kinks, and the rule would be
biased: refused.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from sbvi.core import PositiveInt, UserError, spec
from sbvi.distributions.gaussian import Gaussian
from sbvi.gradients.rule import Array, Composite, Integrand, Nodes, draw

LIMIT = 32


def _without_value(term: Array) -> Array:
    return term - jax.lax.stop_gradient(term)


def _prepare(key: Array, q: Mapping[str, Gaussian], f: Integrand, num_samples: int) -> tuple[Nodes, Array, Nodes]:
    """Points cut from q, f there, and f's gradient."""
    if isinstance(f, Composite) and not f.smooth:
        raise UserError(
            "Price's rule needs twice differentiable activations, and this network has kinks; use model.activation "
            "tanh, softplus, silu, gelu or sigmoid, or objective.rule=reparameterised."
        )
    points = jax.lax.stop_gradient(draw(jax.random.fold_in(key, 0), q, num_samples))
    values = f(points)
    slopes = jax.lax.stop_gradient(jax.grad(lambda p: jnp.sum(f(p)))(points))
    return points, values, slopes


def _mean_terms(q: Mapping[str, Gaussian], slopes: Nodes) -> Array:
    """Bonnet: g^T mu, (S, B), summed over nodes."""
    return sum(
        (jnp.sum(slopes[name] * node.mean[None], -1) for name, node in q.items()),
        start=jnp.zeros(next(iter(slopes.values())).shape[:2], next(iter(slopes.values())).dtype),
    )


def _hessian_times(f: Integrand, points: Nodes, name: str, direction: Array) -> Array:
    """H direction within one node, (S, B, K)."""

    def slope(value: Array) -> Array:
        return jax.grad(lambda v: jnp.sum(f(points | {name: v})))(value)

    return jax.lax.stop_gradient(jax.jvp(slope, (points[name],), (direction,))[1])


@spec
class Price:
    """Exact Hessian contractions, for up to 32 latents."""

    def __call__(self, key: Array, q: Mapping[str, Gaussian], f: Integrand, num_samples: int) -> tuple[Nodes, Array]:
        total = sum(node.mean.shape[-1] for node in q.values())
        if total > LIMIT:
            raise UserError(
                f"objective.rule=price forms exact Hessians of up to {LIMIT} latents, and the model has {total}; "
                f"use price_hutchinson, price_gauss_newton or reparameterised."
            )
        points, values, slopes = _prepare(key, q, f, num_samples)
        term = _mean_terms(q, slopes)
        for name, node in q.items():
            shape, dtype = points[name].shape, points[name].dtype

            def contracted(
                basis: Array, name: str = name, node: Gaussian = node, shape: tuple[int, ...] = shape
            ) -> Array:
                direction = jnp.broadcast_to(basis[None, None], shape)
                return jnp.sum(_hessian_times(f, points, name, direction) * node.covariance_times(direction), -1)

            term = term + 0.5 * jnp.sum(jax.vmap(contracted)(jnp.eye(shape[-1], dtype=dtype)), 0)
        return points, values + _without_value(term)


@spec
class PriceHutchinson:
    """Random Hessian contractions, for any number of latents."""

    probes: PositiveInt = 1
    """Random directions for each sample."""

    def __call__(self, key: Array, q: Mapping[str, Gaussian], f: Integrand, num_samples: int) -> tuple[Nodes, Array]:
        points, values, slopes = _prepare(key, q, f, num_samples)
        term = _mean_terms(q, slopes)
        for position, (name, node) in enumerate(q.items()):
            for probe in range(self.probes):
                probe_key = jax.random.fold_in(jax.random.fold_in(key, 1 + position), probe)
                z = jax.random.rademacher(probe_key, points[name].shape, points[name].dtype)
                curved = jnp.sum(_hessian_times(f, points, name, z) * node.covariance_times(z), -1)
                term = term + 0.5 / self.probes * curved
        return points, values + _without_value(term)


@spec
class PriceGaussNewton:
    """Gauss-Newton curvature contracted at random: biased, never indefinite."""

    probes: PositiveInt = 1
    """Random directions for each sample."""

    def __call__(self, key: Array, q: Mapping[str, Gaussian], f: Integrand, num_samples: int) -> tuple[Nodes, Array]:
        if not isinstance(f, Composite):
            raise UserError("price_gauss_newton needs f as a likelihood of a network's outputs; use price_hutchinson.")
        points, values, slopes = _prepare(key, q, f, num_samples)
        precision = jax.lax.stop_gradient(f.precision(f.inner(points)))
        term = _mean_terms(q, slopes)
        for position, (name, node) in enumerate(q.items()):

            def outputs(value: Array, name: str = name) -> Array:
                return f.inner(points | {name: value})

            for probe in range(self.probes):
                probe_key = jax.random.fold_in(jax.random.fold_in(key, 1 + position), probe)
                z = jax.random.rademacher(probe_key, points[name].shape, points[name].dtype)
                primal, pull = jax.vjp(outputs, points[name])
                # The forward derivative is the transpose of the backward one, for networks that know only that.
                (moved,) = jax.linear_transpose(pull, primal)((z,))
                curved = jax.lax.stop_gradient(-pull(precision * moved)[0])
                term = term + 0.5 / self.probes * jnp.sum(curved * node.covariance_times(z), -1)
        return points, values + _without_value(term)
