"""Networks of deterministic layers by name: plain, gated, residual, and residual with normalisation.

Each is made from (sizes, activation, rngs) and called alike, so that encoders, decoders and the dense middle of
convolutional maps take any of them; `normalised` says whether residual convolutions beside it are normalised too. To
add one: a class with the interface of `MLP`, and a line in NETWORKS.
"""

import itertools
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from sbvi.networks.activations import ACTIVATIONS, ActivationName
from sbvi.networks.dropout import Dropout, thinned
from sbvi.networks.keys import Keys
from sbvi.networks.layers import MLP, Affine, layer_norm

Array = jax.Array
NetworkName = Literal["dense", "gated", "residual", "residual_normalised"]


class Gated(nnx.Module):
    """f(x W + b) * sigmoid(x V + c), with W and V in one product (Dauphin et al. 2017; f the identity there)."""

    def __init__(self, inputs: int, outputs: int, activation: ActivationName, rngs: Keys):
        self.both = Affine(inputs, 2 * outputs, rngs)
        each = [rngs.glorot((inputs, outputs)) for _ in range(2)]
        self.both.kernel.set_value(jnp.concatenate(each, -1))  # spread by the width of one of them
        self.activation, self.outputs = activation, outputs

    def __call__(self, x: Array, before: Array | None = None) -> Array:
        both = self.both(x, before)
        value = ACTIVATIONS[self.activation].function(both[..., : self.outputs])
        return value * jax.nn.sigmoid(both[..., self.outputs :])


class GatedMLP(nnx.Module):
    """Gated layers; the last is linear unless the network is to end with an activation, which is then its gate."""

    normalised: ClassVar[bool] = False

    def __init__(
        self,
        sizes: Sequence[int],
        activation: ActivationName,
        rngs: Keys,
        *,
        activate_first: bool = False,
        activate_last: bool = False,
    ):
        pairs = list(itertools.pairwise(sizes))
        gated = pairs if activate_last else pairs[:-1]
        self.layers = nnx.List([Gated(i, o, activation, rngs) for i, o in gated])
        if not activate_last:
            self.last = Affine(*pairs[-1], rngs)
        self.activation, self.activate_first, self.activate_last = activation, activate_first, activate_last

    def set_bias(self, values: np.ndarray) -> None:
        """Of the last layer."""
        self.last.set_bias(values)

    def joins(self, rows: int) -> bool:
        """See `MLP.joins`."""
        first = self.layers[0].both if self.layers else self.last
        return not self.activate_first and rows >= 2 * first.kernel.shape[-1]

    def __call__(self, x: Array, before: Array | None = None, dropout: Dropout | None = None) -> Array:
        """(..., sizes[0]) -> (..., sizes[-1]). before and dropout: see `MLP`."""
        if self.activate_first:
            x = ACTIVATIONS[self.activation].function(x)
        for position, layer in enumerate(self.layers):
            x = thinned(layer(x, None if position else before), dropout, position)
        return x if self.activate_last else self.last(x, None if self.layers else before)


class ResidualBlock(nnx.Module):
    """x + A_2 f(A_1 f(x)) with A_2 = 0 at the start, so that the block begins as the identity (He et al. 2016)."""

    def __init__(self, size: int, activation: ActivationName, rngs: Keys):
        self.first, self.second = Affine(size, size, rngs), Affine(size, size, rngs)
        self.second.kernel.set_value(jnp.zeros((size, size)))
        self.activation = activation

    def __call__(self, x: Array, dropout: Dropout | None = None) -> Array:
        """dropout: of the units within the block."""
        function = ACTIVATIONS[self.activation].function
        return x + self.second(thinned(function(self.first(function(x))), dropout, 0))


class NormalisedBlock(ResidualBlock):
    """x + A_2 f(N_2(A_1 f(N_1(x)))), the same with layer normalisations N."""

    def __init__(self, size: int, activation: ActivationName, rngs: Keys):
        super().__init__(size, activation, rngs)
        self.norms = nnx.List([layer_norm(size, rngs) for _ in range(2)])

    def __call__(self, x: Array, dropout: Dropout | None = None) -> Array:
        function = ACTIVATIONS[self.activation].function
        inner = self.norms[1](self.first(function(self.norms[0](x))))
        return x + self.second(thinned(function(inner), dropout, 0))


class ResidualMLP(nnx.Module):
    """A layer to the first width; then, for each further width, a residual block where it stays and a layer where it
    changes. The last layer is linear unless the network is to end with an activation."""

    normalised: ClassVar[bool] = False
    block: ClassVar[type[ResidualBlock]] = ResidualBlock

    def __init__(
        self,
        sizes: Sequence[int],
        activation: ActivationName,
        rngs: Keys,
        *,
        activate_first: bool = False,
        activate_last: bool = False,
    ):
        hidden = list(sizes) if activate_last else list(sizes[:-1])
        made: list[Any] = []  # the first is a layer
        for position, (i, o) in enumerate(itertools.pairwise(hidden)):
            made.append(self.block(o, activation, rngs) if position and i == o else Affine(i, o, rngs))
        self.blocks = nnx.List(made)
        if not activate_last:
            self.last = Affine(sizes[-2], sizes[-1], rngs)
        self.activation, self.activate_first, self.activate_last = activation, activate_first, activate_last

    def set_bias(self, values: np.ndarray) -> None:
        """Of the last layer."""
        self.last.set_bias(values)

    def joins(self, rows: int) -> bool:
        """See `MLP.joins`."""
        first = self.blocks[0] if self.blocks else self.last
        return not self.activate_first and rows >= 2 * first.bias.shape[-1]

    def __call__(self, x: Array, before: Array | None = None, dropout: Dropout | None = None) -> Array:
        """(..., sizes[0]) -> (..., sizes[-1]). before and dropout: see `MLP`."""
        function = ACTIVATIONS[self.activation].function
        if self.activate_first:
            x = function(x)
        for position, block in enumerate(self.blocks):
            if isinstance(block, ResidualBlock):
                x = block(x, None if dropout is None else dropout.within(position))
            else:
                x = block(thinned(function(x), dropout, position), None) if position else block(x, before)
        if self.blocks:
            x = thinned(function(x), dropout, len(self.blocks))
        return x if self.activate_last else self.last(x, None if self.blocks else before)


class NormalisedMLP(ResidualMLP):
    """The same with normalised blocks, here and in the convolutions beside it."""

    normalised: ClassVar[bool] = True
    block: ClassVar[type[ResidualBlock]] = NormalisedBlock


NETWORKS: dict[str, Any] = {
    "dense": MLP,
    "gated": GatedMLP,
    "residual": ResidualMLP,
    "residual_normalised": NormalisedMLP,
}
