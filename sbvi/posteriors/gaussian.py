"""Factorised Gaussians: q(z | x) = prod_l N(z_l | mu_l(x), C_l(x)), from one recognition network (PAPER eq. 12).

The gradient rules of `sbvi.gradients` are an option of theirs: other posteriors have the reparameterised path alone.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from flax import nnx

from sbvi.distributions.gaussian import Array, Gaussian, log_prob
from sbvi.distributions.priors import Prior
from sbvi.gradients import Integrand, Paths, gated
from sbvi.gradients.rule import draw
from sbvi.networks.keys import Keys
from sbvi.posteriors.posterior import Draws, Moments, Nodes, Recognition


class Family(Protocol):
    """How a recognition network's outputs become a Gaussian; `joint`: one over all layers."""

    @property
    def joint(self) -> bool: ...

    def outputs(self, size: int) -> int: ...

    def initial_outputs(self, size: int, scale: float) -> Array:
        """Output biases that make every latent's standard deviation `scale`."""

    def distribution(self, outputs: Array, size: int) -> Gaussian: ...


class FactorisedGaussian(NamedTuple):
    """q for a batch of x, one Gaussian a node."""

    nodes: dict[str, Any]

    def sample(self, key: Array, num_samples: int, integrand: Integrand, paths: Paths) -> Draws:
        if paths.gated:
            points, gate = gated(draw(key, self.nodes, num_samples))
            return Draws(points, integrand(points), gate)
        points, values = paths.rule(key, self.nodes, integrand, num_samples)
        return Draws(points, values, None)

    def draw(self, key: Array, num_samples: int) -> Nodes:
        return draw(key, self.nodes, num_samples)

    def log_prob(self, latents: Nodes, *, detached: bool = False) -> Nodes:
        scored = jax.lax.stop_gradient(self.nodes) if detached else self.nodes
        return {node: log_prob(scored[node], points) for node, points in latents.items()}

    def kl(self, prior: Prior, params: Any) -> Nodes | None:
        return prior.kl(params, self.nodes)

    def moments(self) -> dict[str, Moments]:
        return {node: Moments(q.mean, q.variance(), jnp.zeros_like(q.mean)) for node, q in self.nodes.items()}

    def rows(self) -> dict[str, Any]:
        return self.nodes

    def with_rows(self, rows: dict[str, Any]) -> "FactorisedGaussian":
        return FactorisedGaussian(rows)


class GaussianPosterior:
    """Nodes are `layer_1` (nearest the data) .. `layer_L`, or `joint` for a family that spans all layers."""

    def __init__(self, family: Family, latents: Sequence[int], initial_scale: float, recognition: Recognition):
        layers = {f"layer_{level + 1}": size for level, size in enumerate(latents)}
        self.family, self.latents = family, tuple(latents)
        self.nodes = {"joint": sum(latents)} if family.joint else layers
        self._recognition, self._scale = recognition, initial_scale
        keys = Keys(jax.random.key(0))
        self._graph, self._shapes = nnx.graphdef(nnx.eval_shape(lambda: self._network(keys))), keys.shapes

    def _network(self, keys: Keys) -> Any:
        heads = [self.family.initial_outputs(size, self._scale) for size in self.nodes.values()]
        return self._recognition(heads, keys)

    def init(self, key: Array) -> Any:
        return nnx.split(self._network(Keys(key, self._shapes)))[1]

    def recognise(self, params: Any, x: Array) -> dict[str, Array]:
        """The recognition model's raw outputs at each node, (B, n): first the mean (B, K)."""
        return dict(zip(self.nodes, nnx.merge(self._graph, params)(x), strict=True))

    def posteriors(self, raw: dict[str, Array]) -> dict[str, Gaussian]:
        """The distribution of each node from raw outputs."""
        return {node: self.family.distribution(raw[node], size) for node, size in self.nodes.items()}

    def given(self, params: Any, x: Array) -> FactorisedGaussian:
        return FactorisedGaussian(self.posteriors(self.recognise(params, x)))
