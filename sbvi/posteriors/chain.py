"""Posteriors that are chains of Gaussians over stochastic layers; see `sbvi.posteriors.chained`."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import nnx

from sbvi.core import PositiveInt, spec
from sbvi.distributions.gaussian import Array
from sbvi.networks.keys import Keys
from sbvi.posteriors.chained import Chained, Combine, Variables
from sbvi.posteriors.posterior import Recognition


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
        names = tuple(self.nodes), tuple(self.order)
        return Chained(messages, weights, *names, kind.all_before, kind.combine, kind.variables)


class ChainKind:
    """What the specs of chains share. upward: from the layer nearest the data. all_before: a layer sees all that were
    drawn before it, not the last alone."""

    gaussian: ClassVar[bool] = False
    joint: ClassVar[bool] = False
    upward: ClassVar[bool]
    all_before: ClassVar[bool]

    combine: Combine
    variables: Variables
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
    variables: Variables = "noise"
    """What the chain is of: the layers' noise, or their activations (Burda et al. 2016), whose lowest layer does not
    move with what is drawn above."""

    @property
    def reads_layers(self) -> str:
        return "posterior.variables=activations" if self.variables == "activations" else ""

    @property
    def joins_kl(self) -> str:
        return self.reads_layers

    @property
    def placing(self) -> dict[str, str]:
        return {"posterior.variables": self.variables}


@spec
class TopDown(ChainKind):
    """From the top layer down, each given all above and the data."""

    upward: ClassVar[bool] = False
    all_before: ClassVar[bool] = True
    variables: ClassVar[Variables] = "noise"  # type: ignore[misc]

    hidden: PositiveInt = 100
    """Units of each layer's network."""
    combine: Combine = "precision"
    """How a layer's message meets N(0, I), also where the prior is learned: by precisions, as a change of it, or by
    precisions in the layer's activations (ladder)."""

    @property
    def reads_layers(self) -> str:
        return "posterior.combine=ladder" if self.combine == "ladder" else ""

    @property
    def placing(self) -> dict[str, str]:
        return {"posterior.combine": self.combine}
