"""Chains of Gaussians over stochastic layers, given x: each layer's depends on layers drawn before it.

    q(z | x) = prod_i N(z_(i) | mu_i, diag(sigma_i)^2),   (mu_i, sigma_i) from d_i(x) and what was drawn before

The recognition network gives the deterministic messages d_i; the first layer's is read as it stands, and the others
through a small network, out = A_2 silu(d_i + A_1 z_before + a) + b.

With activations a_l = m_l + s_l xi_l, where p(a_l | h_{l+1}) is N(m_l, diag(s_l)^2): in units of the noise,
a_l = G_l^-1 h_l with s_l = 1, or h_l itself where its scale is predicted.

hierarchical: from the layer nearest the data up, each seeing the one below. `variables` says what the chain is of: the
layers' noise xi_l; or their activations (Burda et al. 2016), where q(h_1 | x) does not move with what is drawn above,
and the layers above learn to predict h_1: q(xi) = prod_l q(a_l | a_{l-1}, x) s_l, by the Jacobian of a triangular map.
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
from sbvi.distributions.diagonal import DiagonalGaussian
from sbvi.distributions.gaussian import Array
from sbvi.distributions.gaussian import log_prob as gaussian_log_prob
from sbvi.distributions.priors import Prior
from sbvi.gradients import Integrand, Paths, gated
from sbvi.posteriors.posterior import Draws, LayerGiven, Moments, Nodes, sampled_moments

Combine = Literal["precision", "residual", "ladder"]
Variables = Literal["noise", "activations"]


class _Gaussian(NamedTuple):
    """Mean and log-scale (S, B, K) of a layer whose parameters differ between samples."""

    mean: Array
    log_scale: Array

    def log_prob(self, z: Array) -> Array:
        """log N(z), (S, B)."""
        s, b, k = z.shape
        flat = DiagonalGaussian(*(jnp.broadcast_to(v, z.shape).reshape(s * b, k) for v in self))
        return gaussian_log_prob(flat, z.reshape(1, s * b, k)).reshape(s, b)


def combined(raw: Array, how: Combine, layer: tuple[Array, Array | None] | None = None) -> _Gaussian:
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

    def _gaussian(self, node: str, before: Sequence[Array]) -> _Gaussian:
        message = self.messages[node][None]
        if not before:
            return combined(message, self.combine)
        own = self.weights[node]
        seen = jnp.concatenate(before, -1) if self.all_before else before[-1]
        h = jax.nn.silu(message + seen @ own["first"] + own["first_bias"][None, None])
        layer = None
        if self.combine == "ladder":  # drawn from the top down, while p counts from the data
            layer = self._layer(node, list(reversed(before)))
        return combined(h @ own["last"] + own["last_bias"][None, None], self.combine, layer)

    def _layer(self, node: str, above: Sequence[Array]) -> tuple[Array, Array | None]:
        """Mean and log-scale of the layer's activations under p, given the noise above."""
        assert self.layer_given is not None  # a model tells a conditional that reads layers, before anything is drawn
        return self.layer_given(self.generative, self.nodes.index(node), above)

    def _noise(self, activations: Nodes) -> Nodes:
        """xi_l = (a_l - m_l) / s_l, from the top layer down."""
        above: list[Array] = [activations[self.nodes[-1]]]
        for node in reversed(self.nodes[:-1]):
            mean, log_scale = self._layer(node, above)
            centred = activations[node] - mean
            above.insert(0, centred if log_scale is None else centred * jnp.exp(-log_scale))
        return dict(zip(self.nodes, above, strict=True))

    def _activations(self, latents: Nodes) -> tuple[Nodes, Nodes]:
        """a_l = m_l + s_l xi_l, and sum log s_l (S, B) of the layers whose scale is not 1."""
        found, volumes = dict(latents), {}
        for level, node in enumerate(self.nodes[:-1]):
            mean, log_scale = self._layer(node, [latents[n] for n in self.nodes[level + 1 :]])
            scaled = latents[node] if log_scale is None else latents[node] * jnp.exp(log_scale)
            found[node] = mean + scaled
            if log_scale is not None:
                volumes[node] = jnp.sum(log_scale, -1)
        return found, volumes

    def _drawn(self, key: Array, num_samples: int) -> Nodes:
        drawn: Nodes = {}
        for position, node in enumerate(self.order):
            mean, log_scale = self._gaussian(node, list(drawn.values()))
            shape = (num_samples, *mean.shape[1:])
            drawn[node] = mean + jnp.exp(log_scale) * normal(jax.random.fold_in(key, position), shape, mean.dtype)
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
        for node in self.order:
            scored[node] = q._gaussian(node, before).log_prob(chained[node])
            before.append(chained[node])
        return {node: scored[node] + volumes[node] if node in volumes else scored[node] for node in self.nodes}

    def kl(self, prior: Prior, params: Any) -> None:
        """There is no closed form."""

    def moments(self) -> dict[str, Moments]:
        return sampled_moments(self)

    def rows(self) -> dict[str, Array]:
        return self.messages

    def with_rows(self, rows: dict[str, Array]) -> "Chained":
        return self._replace(messages=rows)
