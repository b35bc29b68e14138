"""Posteriors that are flows: q(z | x) of z = f(e; x) with e ~ N(mu(x), diag(sigma(x))^2), node by node,

    log q(z | x) = log N(e | mu, diag(sigma)^2) - log|det df/de|

A recognition network gives mu, log sigma and what f takes of x; f may have weights of its own besides. The way of
drawing knows log q; the inverse is asked where it is needed at other points, or without its parameters' derivatives
(estimators that drop the score of q), which flows differ in the cost of.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from flax import nnx

from sbvi.core import PositiveInt, spec
from sbvi.core.xla.bounded import bounded
from sbvi.distributions.diagonal import DiagonalGaussian
from sbvi.distributions.gaussian import Array, log_prob
from sbvi.distributions.priors import Prior
from sbvi.gradients import Integrand, Paths, gated
from sbvi.gradients.rule import draw
from sbvi.networks.keys import Keys
from sbvi.posteriors.posterior import Draws, Moments, Nodes, Recognition, sampled_moments


class Kind(Protocol):
    """The flow f of one node of K = size latents; given: what it takes of x, (B, n)."""

    def outputs(self, size: int) -> int:
        """n."""

    def initial_outputs(self, size: int) -> Array:
        """Output biases of the recognition network for them, (n,)."""

    def init(self, key: Array, size: int) -> Any:
        """Weights of f's own; an empty tuple where there are none."""

    def forward(self, weights: Any, given: Array, e: Array) -> tuple[Array, Array]:
        """z = f(e) and log|det df/de|: (S, B, K) and (S, B)."""

    def backward(self, weights: Any, given: Array, z: Array) -> tuple[Array, Array]:
        """e = f^-1(z) and log|det df^-1/dz|."""


class Row(NamedTuple):
    """Of one node: base N(mean, scale^2) and what the flow takes of x; each has a row for every example."""

    base: DiagonalGaussian
    given: Array


class Flowed(NamedTuple):
    """q for a batch of x: node -> Row, and node -> the flow's own weights."""

    nodes: dict[str, Row]
    weights: dict[str, Any]
    kind: Any

    def sample(self, key: Array, num_samples: int, integrand: Integrand, paths: Paths) -> Draws:
        points, scored = self._drawn(key, num_samples)
        if paths.gated:
            points, gate = gated(points)
            return Draws(points, integrand(points), gate)
        return Draws(points, integrand(points), None, None if paths.detach_posterior else scored)

    def _drawn(self, key: Array, num_samples: int) -> tuple[Nodes, Nodes]:
        start = draw(key, {node: row.base for node, row in self.nodes.items()}, num_samples)
        points, scored = {}, {}
        for node, (base, given) in self.nodes.items():
            points[node], log_det = self.kind.forward(self.weights[node], given, start[node])
            scored[node] = log_prob(base, start[node]) - log_det
        return points, scored

    def draw(self, key: Array, num_samples: int) -> Nodes:
        return self._drawn(key, num_samples)[0]

    def log_prob(self, latents: Nodes, *, detached: bool = False) -> Nodes:
        nodes, weights = jax.lax.stop_gradient((self.nodes, self.weights)) if detached else (self.nodes, self.weights)
        scored = {}
        for node, z in latents.items():
            e, log_det = self.kind.backward(weights[node], nodes[node].given, z)
            scored[node] = log_prob(nodes[node].base, e) + log_det
        return scored

    def kl(self, prior: Prior, params: Any) -> None:
        """There is no closed form."""

    def moments(self) -> dict[str, Moments]:
        return sampled_moments(self)

    def rows(self) -> dict[str, Row]:
        return self.nodes

    def with_rows(self, rows: dict[str, Row]) -> "Flowed":
        return self._replace(nodes=rows)


class FlowPosterior:
    """Nodes are `layer_1` (nearest the data) .. `layer_L`. Parameters: the recognition network's, and each node's."""

    def __init__(self, kind: Kind, latents: Sequence[int], initial_scale: float, recognition: Recognition):
        self.nodes = {f"layer_{level + 1}": size for level, size in enumerate(latents)}
        self.kind, self._recognition, self._scale = kind, recognition, initial_scale
        keys = Keys(jax.random.key(0))
        self._graph, self._shapes = nnx.graphdef(nnx.eval_shape(lambda: self._network(keys))), keys.shapes

    def _network(self, keys: Keys) -> Any:
        heads = []
        for size in self.nodes.values():
            start = [jnp.zeros(size), jnp.full(size, jnp.log(self._scale)), self.kind.initial_outputs(size)]
            heads.append(jnp.concatenate(start))
        return self._recognition(heads, keys)

    def init(self, key: Array) -> dict[str, Any]:
        keys = jax.random.split(jax.random.fold_in(key, 1), len(self.nodes))
        own = {node: self.kind.init(k, size) for k, (node, size) in zip(keys, self.nodes.items(), strict=True)}
        return {"network": nnx.split(self._network(Keys(key, self._shapes)))[1], "flow": own}

    def given(self, params: Mapping[str, Any], x: Array) -> Flowed:
        raw = nnx.merge(self._graph, params["network"])(x)
        nodes = {}
        for (node, size), values in zip(self.nodes.items(), raw, strict=True):
            mean, log_scale, given = jnp.split(values, [size, 2 * size], axis=-1)
            nodes[node] = Row(DiagonalGaussian(mean, bounded(log_scale)), given)
        return Flowed(nodes, dict(params["flow"]), self.kind)


class FlowKind:
    """What the specs of flows share."""

    gaussian: ClassVar[bool] = False
    joint: ClassVar[bool] = False

    def build(self: Kind, latents: Sequence[int], initial_scale: float, recognition: Recognition) -> FlowPosterior:
        """The posterior over stochastic layers of these sizes."""
        return FlowPosterior(self, latents, initial_scale, recognition)


@spec
class ContextFlow(FlowKind):
    """A flow whose networks see a context c(x) of the recognition network, which starts at zero."""

    context: PositiveInt = 64
    """Values that the recognition network gives the flow."""

    def outputs(self, size: int) -> int:
        return self.context

    def initial_outputs(self, size: int) -> Array:
        return jnp.zeros(self.context)
