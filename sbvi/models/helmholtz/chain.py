"""Chains of layers: the prior of all latents, drawn top-down, and q(latents | x), drawn bottom-up."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sbvi.distributions.gaussian import Gaussian
from sbvi.distributions.priors import Encode, Prior
from sbvi.gradients import Integrand, Paths
from sbvi.models.helmholtz.units import DRAWS, Array, Drawn, Layer, Unit
from sbvi.posteriors.posterior import Draws, Moments

Latents = dict[str, Array]


class TopDown:
    """p(h_1, .., h_L) = p(h_L) prod_l p(h_l | h_{l+1}), node by node; its parameters: node -> those of its unit."""

    grids = False
    inputs = 0

    def __init__(self, units: Mapping[str, Unit], sizes: Mapping[str, int], between: Any):
        """between: (neighbour's size, own size) -> the sizes that a unit's `init` takes."""
        self.units, self.sizes, self._between = dict(units), dict(sizes), between
        self.nodes = list(sizes)

    def above(self, latents: Mapping[str, Array], node: str) -> Array | None:
        """What the node depends on: the values of the next, none at the top."""
        position = self.nodes.index(node)
        return latents[self.nodes[position + 1]] if position + 1 < len(self.nodes) else None

    def init(self, key: Array, inputs: Array) -> dict[str, Any]:
        params = {}
        for position, node in enumerate(self.nodes):
            above = self.sizes[self.nodes[position + 1]] if position + 1 < len(self.nodes) else 0
            sizes = self._between(above, self.sizes[node])
            params[node] = self.units[node].init(jax.random.fold_in(key, position), sizes, None)
        return params

    def prepare(self, params: Any, encode: Encode) -> Any:
        return params

    def sample(self, params: Any, key: Array, num: int, dtype: Any = jnp.float32) -> Latents:
        latents: Latents = {}
        for position, node in reversed(list(enumerate(self.nodes))):
            own = jax.random.fold_in(key, position)
            latents[node] = (
                self.units[node].draw(params[node], own, self.above(latents, node), (num,)).value.astype(dtype)
            )
        return {node: latents[node] for node in self.nodes}

    def log_prob(self, params: Any, latents: Mapping[str, Array]) -> Latents:
        return {n: self.units[n].log_prob(params[n], self.above(latents, n), latents[n]) for n in self.nodes}

    def kl(self, params: Any, q: Mapping[str, Gaussian]) -> None:
        """There is no closed form."""

    def plane(self, params: Any, node: str, steps: int) -> None:
        """Layers that depend on one another have no grid of equal mass."""
        return


class BottomUp(NamedTuple):
    """q(h | x) = prod_l q(h_l | h_{l-1}) with h_0 = x (B, D); layers: by node, the lowest first."""

    layers: dict[str, Layer]
    x: Array

    def walk(self, key: Array, num_samples: int, temperature: float | None = None) -> dict[str, Drawn]:
        """Draws of every node, (S, B, K); temperature: see `Paths`."""
        drawn: dict[str, Drawn] = {}
        below = self.x
        for position, (node, layer) in enumerate(self.layers.items()):
            shape = num_samples, self.x.shape[0]
            drawn[node] = layer.draw(jax.random.fold_in(key, position), below, shape, temperature)
            below = drawn[node].value
        return drawn

    def draw(self, key: Array, num_samples: int, temperature: float | None = None) -> Latents:
        return {node: drawn.value for node, drawn in self.walk(key, num_samples, temperature).items()}

    def sample(self, key: Array, num_samples: int, integrand: Integrand, paths: Paths) -> Draws:
        points = self.draw(key, num_samples)
        return Draws(points, integrand(points), None)

    def log_prob(self, latents: Latents, *, detached: bool = False) -> Latents:
        log_probs: Latents = {}
        below = self.x
        for node, layer in self.layers.items():
            seen = Layer(layer.unit, jax.lax.stop_gradient(layer.params)) if detached else layer
            log_probs[node] = seen.log_prob(below, latents[node])
            below = latents[node]
        return log_probs

    def kl(self, prior: Prior, params: Any) -> None:
        """There is no closed form."""

    def moments(self) -> dict[str, Moments]:
        """Over draws of the layers below from one fixed key; exact at the lowest layer where its unit factorises."""
        drawn = self.walk(jax.random.key(0), DRAWS)
        between = {node: jnp.var(d.mean, axis=0) for node, d in drawn.items()}
        return {
            node: Moments(jnp.mean(d.mean, 0), jnp.mean(d.variance, 0) + between[node], between[node] / (DRAWS - 1))
            for node, d in drawn.items()
        }

    def rows(self) -> Array:
        return self.x

    def with_rows(self, rows: Array) -> "BottomUp":
        return self._replace(x=rows)
