"""Chains of Gaussians over stochastic layers, given x: each layer's depends on layers drawn before it.

    q(z | x) = prod_i N(z_(i) | mu_i, diag(sigma_i)^2),   (mu_i, sigma_i) from d_i(x) and what was drawn before

The recognition network gives the deterministic messages d_i; the first layer's is read as it stands, and the others
through a small network, out = A_2 silu(d_i + A_1 z_before + a) + b.

With activations a_l = m_l + s_l xi_l, where p(a_l | h_{l+1}) is N(m_l, diag(s_l)^2): in units of the noise,
a_l = G_l^-1 h_l with s_l = 1, or h_l itself where its scale is predicted.

hierarchical: from the layer nearest the data up, each seeing the one below. `variables` says what the chain is of: the
layers' noise xi_l; or their activations (Burda et al. 2016), where q(h_1 | x) does not move with what is drawn above,
and the layers above learn to predict h_1: q(xi) = prod_l q(a_l | a_{l-1}, x) s_l, by the Jacobian of a triangular map.
Then a layer's log q - log p may be below 0 in the mean, since a_{l+1} is drawn after a_l: only their sum is a KL.
top_down: from the top down, each seeing all above (Sonderby et al. 2016); `combine` says how a message meets N(0, I):
`precision`, by precisions, tau = tau_d + 1 and mu = mu_d tau_d / tau; `residual`, as a change of mean and log-scale
(Kingma et al. 2016); `ladder`, by precisions, but of the layer's activations (Sonderby et al. 2016): the message is of
a_l, so that in units of xi_l its mean is (mu_d - m_l) / s_l and its precision tau_d s_l^2. So what
the layers above say moves the prior and not the data's message, where otherwise q's network has to undo T_l. An empty
message, tau_d = 0 or no change, leaves N(0, I), which is the layer's prior where that is not learned. A message meets
N(0, I), also where the prior is learned: a way of writing q, which stays a valid one.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from sbvi.core.xla.bounded import bounded
from sbvi.core.xla.random_bits import normal
from sbvi.core.xla.silu import silu
from sbvi.distributions.diagonal import DiagonalGaussian
from sbvi.distributions.gaussian import Array
from sbvi.distributions.gaussian import log_prob as gaussian_log_prob
from sbvi.distributions.priors import Prior
from sbvi.gradients import Integrand, Paths, gated
from sbvi.posteriors.posterior import Draws, LayerGiven, Moments, Nodes, sampled_moments

Combine = Literal["precision", "residual", "ladder"]
Variables = Literal["noise", "activations"]
#: Mean and log-scale of a layer's activations under p; the log-scale is None for 0.
Layer = tuple[Array, Array | None]


class _Gaussian(NamedTuple):
    """Mean and log-scale (S, B, K) of a layer whose parameters differ between samples."""

    mean: Array
    log_scale: Array

    def log_prob(self, z: Array) -> Array:
        """log N(z), (S, B)."""
        s, b, k = z.shape
        flat = DiagonalGaussian(*(jnp.broadcast_to(v, z.shape).reshape(s * b, k) for v in self))
        return gaussian_log_prob(flat, z.reshape(1, s * b, k)).reshape(s, b)


def activated(noise: Array, layer: Layer | None) -> Array:
    """a_l = m_l + s_l xi_l."""
    if layer is None:
        return noise
    mean, log_scale = layer
    return mean + (noise if log_scale is None else jnp.exp(log_scale) * noise)


def noise_of(activations: Array, layer: Layer | None) -> Array:
    """xi_l = (a_l - m_l) / s_l."""
    if layer is None:
        return activations
    mean, log_scale = layer
    return activations - mean if log_scale is None else (activations - mean) * jnp.exp(-log_scale)


def combined(raw: Array, how: Combine, layer: Layer | None = None) -> _Gaussian:
    """The Gaussian of (mean, r) in raw (S, B, 2 K), whatever the prior; r: the message's log-precision beside N(0, I),
    or the change of log-scale. layer: the message is of activations, of which p has this mean and log-scale."""
    mean, r = jnp.split(raw, 2, axis=-1)
    r = bounded(r)
    if how == "residual":
        return _Gaussian(mean, r)
    if layer is not None:
        mean, log_scale = mean - layer[0], layer[1]
        if log_scale is not None:
            mean, r = mean * jnp.exp(-log_scale), r + 2 * log_scale
    return _Gaussian(mean * jax.nn.sigmoid(r), -0.5 * jax.nn.softplus(r))  # tau_d / tau, and tau^(-1/2)


class Chained(NamedTuple):
    """q for a batch of x. messages: node -> (B, n). weights: node -> those of its network. nodes: as the model has
    them. order: as they are drawn. variables: what the chain is of."""

    messages: dict[str, Array]
    weights: dict[str, Any]
    nodes: tuple[str, ...]
    order: tuple[str, ...]
    all_before: bool
    combine: Combine
    variables: Variables
    layer_given: LayerGiven | None = None
    generative: Any = None

    def with_layers(self, layer_given: LayerGiven, generative: Any) -> "Chained":
        if self.combine == "ladder" or self.variables == "activations":
            return self._replace(layer_given=layer_given, generative=generative)
        return self

    def _gaussian(self, node: str, before: Sequence[Array], layer: Layer | None = None) -> _Gaussian:
        """Of a node given those drawn before; layer: what p says of its activations, of ladders."""
        message = self.messages[node][None]
        if not before:
            return combined(message, self.combine)
        own = self.weights[node]
        seen = jnp.concatenate(before, -1) if self.all_before else before[-1]
        h = silu(message + seen @ own["first"] + own["first_bias"][None, None])
        return combined(h @ own["last"] + own["last_bias"][None, None], self.combine, layer)

    def _layer(self, node: str, above: Array | None) -> Layer | None:
        """Mean and log-scale of the layer's activations under p, given those above; None of the top layer's."""
        if above is None:
            return None
        assert self.layer_given is not None  # a model tells a conditional that reads layers, before anything is drawn
        return self.layer_given(self.generative, self.nodes.index(node), above)

    def _noise(self, activations: Nodes) -> Nodes:
        """xi_l = (a_l - m_l) / s_l."""
        found = {}
        for node, above in zip(self.nodes, [*self.nodes[1:], None], strict=True):
            found[node] = noise_of(activations[node], self._layer(node, None if above is None else activations[above]))
        return found

    def _activations(self, latents: Nodes) -> tuple[Nodes, Nodes]:
        """a_l = m_l + s_l xi_l from the top layer down, and sum log s_l (S, B) of the layers whose scale is not 1."""
        found, volumes, above = {}, {}, None
        for node in reversed(self.nodes):
            layer = self._layer(node, above)
            found[node] = above = activated(latents[node], layer)
            if layer is not None and layer[1] is not None:
                volumes[node] = jnp.sum(layer[1], -1)
        return found, volumes

    def _drawn(self, key: Array, num_samples: int) -> Nodes:
        drawn: Nodes = {}
        above = None  # what the layers drawn so far make of their noise, of ladders
        for position, node in enumerate(self.order):
            layer = self._layer(node, above)
            mean, log_scale = self._gaussian(node, list(drawn.values()), layer)
            shape = (num_samples, *mean.shape[1:])
            drawn[node] = mean + jnp.exp(log_scale) * normal(jax.random.fold_in(key, position), shape, mean.dtype)
            above = activated(drawn[node], layer) if self.combine == "ladder" else None
        return self._noise(drawn) if self.variables == "activations" else {node: drawn[node] for node in self.nodes}

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
        chained, volumes = q._activations(latents) if self.variables == "activations" else (latents, {})
        scored: Nodes = {}
        before: list[Array] = []
        above = None
        for node in self.order:
            layer = q._layer(node, above)
            scored[node] = q._gaussian(node, before, layer).log_prob(chained[node])
            before.append(chained[node])
            above = activated(chained[node], layer) if self.combine == "ladder" else None
        return {node: scored[node] + volumes[node] if node in volumes else scored[node] for node in self.nodes}

    def kl(self, prior: Prior, params: Any) -> None:
        """There is no closed form."""

    def moments(self) -> dict[str, Moments]:
        return sampled_moments(self)

    def rows(self) -> dict[str, Array]:
        return self.messages

    def with_rows(self, rows: dict[str, Array]) -> "Chained":
        return self._replace(messages=rows)
