"""Posteriors that are chains of Gaussians over stochastic layers: each layer's depends on layers drawn before it.

    q(z | x) = prod_i N(z_(i) | mu_i, diag(sigma_i)^2),   (mu_i, sigma_i) from d_i(x) and what was drawn before

The recognition network gives the deterministic messages d_i; the first layer's is read as it stands, and the others
through a small network, out = A_2 silu(d_i + A_1 z_before + a) + b.

hierarchical: from the layer nearest the data up, each seeing the one below (Burda et al. 2016).
top_down: from the top down, each seeing all above (Sonderby et al. 2016); `combine` says how a message meets N(0, I):
`precision`, by precisions, tau = tau_d + 1 and mu = mu_d tau_d / tau; `residual`, as a change of mean and log-scale
(Kingma et al. 2016); `ladder`, by precisions, but of the layer's activations (Sonderby et al. 2016): with
h_l = G_l xi_l + T_l(h_{l+1}) the message is of G_l^-1 h_l, and mu = (mu_d - G_l^-1 T_l(h_{l+1})) tau_d / tau. So what
the layers above say moves the prior and not the data's message, where otherwise q's network has to undo T_l. An empty
message, tau_d = 0 or no change, leaves N(0, I), which is the layer's prior where that is not learned. A message meets
N(0, I), also where the prior is learned: a way of writing q, which stays a valid one.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from sbvi.core import PositiveInt, spec
from sbvi.core.xla.random_bits import normal
from sbvi.distributions.diagonal import DiagonalGaussian
from sbvi.distributions.gaussian import Array, bounded
from sbvi.distributions.gaussian import log_prob as gaussian_log_prob
from sbvi.distributions.priors import Prior
from sbvi.gradients import Integrand, Paths, gated
from sbvi.networks.keys import Keys
from sbvi.posteriors.posterior import Draws, LayerMean, Moments, Nodes, Recognition, sampled_moments

Combine = Literal["precision", "residual", "ladder"]


class _Gaussian(NamedTuple):
    """Mean and log-scale (S, B, K) of a layer whose parameters differ between samples."""

    mean: Array
    log_scale: Array

    def log_prob(self, z: Array) -> Array:
        """log N(z), (S, B)."""
        s, b, k = z.shape
        flat = DiagonalGaussian(*(jnp.broadcast_to(v, z.shape).reshape(s * b, k) for v in self))
        return gaussian_log_prob(flat, z.reshape(1, s * b, k)).reshape(s, b)


def combined(raw: Array, how: Combine, layer_mean: Array | None = None) -> _Gaussian:
    """The Gaussian of (mean, r) in raw (S, B, 2 K), whatever the prior; r: the message's log-precision beside N(0, I),
    or the change of log-scale. layer_mean: where p puts the layer, in units of xi; None for 0."""
    mean, r = jnp.split(raw, 2, axis=-1)
    r = bounded(r)
    if how == "residual":
        return _Gaussian(mean, r)
    if layer_mean is not None:
        mean = mean - layer_mean
    return _Gaussian(mean * jax.nn.sigmoid(r), -0.5 * jax.nn.softplus(r))  # tau_d / tau, and tau^(-1/2)


class Chained(NamedTuple):
    """q for a batch of x. messages: node -> (B, n). weights: node -> those of its network. nodes: as the model has
    them. order: as they are drawn."""

    messages: dict[str, Array]
    weights: dict[str, Any]
    nodes: tuple[str, ...]
    order: tuple[str, ...]
    all_before: bool
    combine: Combine
    layer_mean: LayerMean | None = None
    generative: Any = None

    def with_layers(self, layer_mean: LayerMean, generative: Any) -> "Chained":
        return self._replace(layer_mean=layer_mean, generative=generative) if self.combine == "ladder" else self

    def _gaussian(self, node: str, before: Sequence[Array]) -> _Gaussian:
        message = self.messages[node][None]
        if not before:
            return combined(message, self.combine)
        own = self.weights[node]
        seen = jnp.concatenate(before, -1) if self.all_before else before[-1]
        h = jax.nn.silu(message + seen @ own["first"] + own["first_bias"][None, None])
        layer_mean = None
        if self.layer_mean is not None:  # drawn from the top down, while p counts from the data
            layer_mean = self.layer_mean(self.generative, self.nodes.index(node), list(reversed(before)))
        return combined(h @ own["last"] + own["last_bias"][None, None], self.combine, layer_mean)

    def _drawn(self, key: Array, num_samples: int) -> Nodes:
        drawn: Nodes = {}
        for position, node in enumerate(self.order):
            mean, log_scale = self._gaussian(node, list(drawn.values()))
            shape = (num_samples, *mean.shape[1:])
            drawn[node] = mean + jnp.exp(log_scale) * normal(jax.random.fold_in(key, position), shape, mean.dtype)
        return {node: drawn[node] for node in self.nodes}

    def sample(self, key: Array, num_samples: int, integrand: Integrand, paths: Paths) -> Draws:
        points, gate = self._drawn(key, num_samples), None
        if paths.gated:
            points, gate = gated(points)
        return Draws(points, integrand(points), gate)

    def draw(self, key: Array, num_samples: int) -> Nodes:
        return self._drawn(key, num_samples)

    def log_prob(self, latents: Nodes, *, detached: bool = False) -> Nodes:
        q = self
        if detached:
            messages, weights, generative = jax.lax.stop_gradient((self.messages, self.weights, self.generative))
            q = self._replace(messages=messages, weights=weights, generative=generative)
        scored: Nodes = {}
        before: list[Array] = []
        for node in self.order:
            scored[node] = q._gaussian(node, before).log_prob(latents[node])
            before.append(latents[node])
        return {node: scored[node] for node in self.nodes}

    def kl(self, prior: Prior, params: Any) -> None:
        """There is no closed form."""

    def moments(self) -> dict[str, Moments]:
        return sampled_moments(self)

    def rows(self) -> dict[str, Array]:
        return self.messages

    def with_rows(self, rows: dict[str, Array]) -> "Chained":
        return self._replace(messages=rows)


class ChainPosterior:
    """Nodes are `layer_1` (nearest the data) .. `layer_L`. Parameters: the recognition network's, and each node's."""

    def __init__(self, kind: "ChainKind", latents: Sequence[int], initial_scale: float, recognition: Recognition):
        self.nodes = {f"layer_{level + 1}": size for level, size in enumerate(latents)}
        self.kind, self._recognition = kind, recognition
        self.order = list(self.nodes) if kind.upward else list(reversed(self.nodes))
        # sigma = scale: of a residual the log-scale, of a message the log-precision tau_d = 1 / scale^2 - 1.
        message = jnp.log(jnp.maximum(initial_scale**-2 - 1, 1e-3))
        self._start = jnp.log(initial_scale) if kind.combine == "residual" else message
        keys = Keys(jax.random.key(0))
        self._graph, self._shapes = nnx.graphdef(nnx.eval_shape(lambda: self._network(keys))), keys.shapes

    def _bias(self, size: int) -> Array:
        return jnp.concatenate([jnp.zeros(size), jnp.full(size, self._start)])

    def _network(self, keys: Keys) -> Any:
        heads = [self._bias(self.nodes[self.order[0]])] + [jnp.zeros(self.kind.hidden) for _ in self.order[1:]]
        return self._recognition(heads, keys)

    def init(self, key: Array) -> dict[str, Any]:
        glorot = jax.nn.initializers.glorot_uniform()
        own: dict[str, Any] = {}
        for position, node in enumerate(self.order[1:], 1):
            first, last = jax.random.split(jax.random.fold_in(key, position))
            before = [self.nodes[n] for n in self.order[:position]]
            seen, size = sum(before) if self.kind.all_before else before[-1], self.nodes[node]
            own[node] = {
                "first": glorot(first, (seen, self.kind.hidden)),
                "first_bias": jnp.zeros(self.kind.hidden),
                "last": glorot(last, (self.kind.hidden, 2 * size)),
                "last_bias": self._bias(size),
            }
        return {"network": nnx.split(self._network(Keys(key, self._shapes)))[1], "chain": own}

    def given(self, params: Mapping[str, Any], x: Array) -> Chained:
        messages = dict(zip(self.order, nnx.merge(self._graph, params["network"])(x), strict=True))
        kind = self.kind
        weights = dict(params["chain"])
        return Chained(messages, weights, tuple(self.nodes), tuple(self.order), kind.all_before, kind.combine)


class ChainKind:
    """What the specs of chains share. upward: from the layer nearest the data. all_before: a layer sees all that were
    drawn before it, not the last alone."""

    gaussian: ClassVar[bool] = False
    joint: ClassVar[bool] = False
    upward: ClassVar[bool]
    all_before: ClassVar[bool]

    combine: Combine
    hidden: int

    def build(self, latents: Sequence[int], initial_scale: float, recognition: Recognition) -> ChainPosterior:
        """The posterior over stochastic layers of these sizes."""
        return ChainPosterior(self, latents, initial_scale, recognition)


@spec
class Hierarchical(ChainKind):
    """From the layer nearest the data up, each given the one below and the data."""

    upward: ClassVar[bool] = True
    all_before: ClassVar[bool] = False
    combine: ClassVar[Combine] = "residual"  # type: ignore[misc]

    hidden: PositiveInt = 100
    """Units of each layer's network."""


@spec
class TopDown(ChainKind):
    """From the top layer down, each given all above and the data."""

    upward: ClassVar[bool] = False
    all_before: ClassVar[bool] = True

    hidden: PositiveInt = 100
    """Units of each layer's network."""
    combine: Combine = "precision"
    """How a layer's message meets N(0, I), also where the prior is learned: by precisions, as a change of it, or by
    precisions in the layer's activations (ladder)."""

    @property
    def reads_layers(self) -> bool:
        return self.combine == "ladder"
