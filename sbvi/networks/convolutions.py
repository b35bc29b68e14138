"""Convolutional maps from images and to images, built with Flax NNX.

Halving an image moves its 2 x 2 blocks to channels, and doubling moves them back: what is learned are plain
convolutions of stride one at the smaller size, which a CPU makes near the speed of matrix products. Images are
(B, H, W, C) inside, and rows of D = H W C values outside.
"""

import itertools
from collections.abc import Sequence
from math import prod
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from sbvi.core import UserError
from sbvi.core.xla.convolution import convolved
from sbvi.core.xla.sums import down_columns
from sbvi.networks.activations import ACTIVATIONS, ActivationName
from sbvi.networks.dense import NETWORKS, NetworkName
from sbvi.networks.dropout import Dropout
from sbvi.networks.keys import Keys
from sbvi.networks.layers import layer_norm

Array = jax.Array


class Convolutions(NamedTuple):
    """Where a network meets an image (H, W, C): the channels of every halving, the side of the kernels, and the
    residual blocks at every size."""

    image: tuple[int, int, int]
    channels: tuple[int, ...]
    kernel: int
    blocks: int = 0

    @classmethod
    def of(cls, event_shape: Sequence[int], channels: Sequence[int], kernel: int, blocks: int = 0) -> "Convolutions":
        """For data of this shape, with or without an axis of channels.

        Raises:
          UserError: the data is no image, or cannot be halved so often.
        """
        factor = 2 ** len(channels)
        image = (*event_shape, 1) if len(event_shape) == 2 else tuple(event_shape)
        if len(image) != 3 or image[0] % factor or image[1] % factor:
            raise UserError(
                f"model.convolutions={list(channels)} needs images whose height and width are multiples of {factor}, "
                f"and the data has shape {tuple(event_shape)}; allowed: fewer layers, or model.convolutions=[]."
            )
        return cls((image[0], image[1], image[2]), tuple(channels), kernel, blocks)

    @property
    def smallest(self) -> tuple[int, int, int]:
        """(H, W, C) at the far end."""
        return self.image[0] >> len(self.channels), self.image[1] >> len(self.channels), self.channels[-1]

    @property
    def features(self) -> int:
        """What the deterministic layers see of an image."""
        return prod(self.smallest)

    def weights(self, outputs: int) -> int:
        """Of reading an image and of writing `outputs` values for each of its own, biases aside."""
        outer = (1 + outputs) * self.image[-1] * self.channels[0]
        inner = sum(a * b for a, b in itertools.pairwise(self.channels))
        deep = 2 * 2 * self.blocks * sum(c * c for c in self.channels)  # two convolutions a block, both ways
        return self.kernel**2 * (4 * (outer + 2 * inner) + deep)  # four times as many channels at the larger side


def halved(x: Array) -> Array:
    """(B, H, W, C) -> (B, H/2, W/2, 4C), every 2 x 2 block in one pixel's channels."""
    b, h, w, c = x.shape
    return x.reshape(b, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 2, 4, 5).reshape(b, h // 2, w // 2, 4 * c)


def doubled(x: Array) -> Array:
    """(B, H, W, 4C) -> (B, 2H, 2W, C), the inverse of `halved`."""
    b, h, w, c = x.shape
    return x.reshape(b, h, w, 2, 2, c // 4).transpose(0, 1, 3, 2, 4, 5).reshape(b, 2 * h, 2 * w, c // 4)


class Convolution(nnx.Module):
    """A convolution of stride one that keeps the size, from Glorot-uniform weights; on request without bias."""

    def __init__(self, inputs: int, outputs: int, kernel: int, rngs: Keys, *, biased: bool = True):
        self.kernel = nnx.Param(rngs.glorot((kernel, kernel, inputs, outputs)))
        if biased:
            self.bias = nnx.Param(jnp.zeros(outputs))
        self.biased = biased

    def __call__(self, x: Array) -> Array:
        """(B, H, W, inputs) -> (B, H, W, outputs)."""
        filtered = convolved(x, self.kernel[...])
        return filtered + down_columns(self.bias[...], filtered.shape[:-1]) if self.biased else filtered


class ConvolutionalBlock(nnx.Module):
    """x + C_2 f(C_1 f(x)) with C_2 = 0 at the start, so that the block begins as the identity (He et al. 2016)."""

    def __init__(self, channels: int, kernel: int, activation: ActivationName, rngs: Keys):
        self.first, self.second = (Convolution(channels, channels, kernel, rngs) for _ in range(2))
        self.second.kernel.set_value(jnp.zeros((kernel, kernel, channels, channels)))
        self.activation = activation

    def __call__(self, x: Array) -> Array:
        function = ACTIVATIONS[self.activation].function
        return x + self.second(function(self.first(function(x))))


class NormalisedConvolutionalBlock(ConvolutionalBlock):
    """x + C_2 f(N_2(C_1 f(N_1(x)))), with layer normalisations N over the channels of each pixel."""

    def __init__(self, channels: int, kernel: int, activation: ActivationName, rngs: Keys):
        super().__init__(channels, kernel, activation, rngs)
        self.norms = nnx.List([layer_norm(channels, rngs) for _ in range(2)])

    def __call__(self, x: Array) -> Array:
        function = ACTIVATIONS[self.activation].function
        inner = self.norms[1](self.first(function(self.norms[0](x))))
        return x + self.second(function(inner))


def _blocks(
    how: Convolutions, activation: ActivationName, rngs: Keys, network: NetworkName
) -> list[list[ConvolutionalBlock]]:
    """The residual blocks at every size, from the data up."""
    kind = NormalisedConvolutionalBlock if NETWORKS[network].normalised else ConvolutionalBlock
    return [[kind(c, how.kernel, activation, rngs) for _ in range(how.blocks)] for c in how.channels]


class ImageReader(nnx.Module):
    """Images (B, D) -> features (B, hidden[-1]): for each of `channels` halved, convolved, and led through the
    residual blocks; then a dense network."""

    def __init__(
        self,
        how: Convolutions,
        hidden: Sequence[int],
        activation: ActivationName,
        rngs: Keys,
        network: NetworkName = "dense",
    ):
        self.image, self.activation = how.image, activation
        sizes = [how.image[-1], *how.channels]
        self.convolutions = nnx.List([Convolution(4 * i, o, how.kernel, rngs) for i, o in itertools.pairwise(sizes)])
        self.dense = NETWORKS[network]([how.features, *hidden], activation, rngs, activate_last=True)
        if how.blocks:
            self.blocks = nnx.List([nnx.List(level) for level in _blocks(how, activation, rngs, network)])

    def __call__(self, x: Array) -> Array:
        function = ACTIVATIONS[self.activation].function
        x = x.reshape(-1, *self.image)
        for level, convolution in enumerate(self.convolutions):
            x = convolution(halved(x))
            for block in self.blocks[level] if hasattr(self, "blocks") else ():
                x = block(x)
            x = function(x)
        features: Array = self.dense(x.reshape(x.shape[0], -1))
        return features


class ImageWriter(nnx.Module):
    """Latents (B, K) -> likelihood outputs (B, O): a dense network; then for each of `channels` led through the
    residual blocks, convolved, and doubled.

    O = m D for likelihoods with m outputs a value, which stand one block of D after the other. The outputs' bias
    is one for each of them, as after an MLP.
    """

    def __init__(
        self,
        latents: int,
        hidden: Sequence[int],
        how: Convolutions,
        outputs: int,
        activation: ActivationName,
        rngs: Keys,
        *,
        activate_first: bool = False,
        network: NetworkName = "dense",
    ):
        self.activation, self.smallest = activation, how.smallest
        self.each, self.values = outputs // prod(how.image), how.image[-1]
        sizes = [latents, *hidden, how.features]
        self.dense = NETWORKS[network](sizes, activation, rngs, activate_first=activate_first, activate_last=True)
        sides = list(itertools.pairwise([*reversed(how.channels), self.each * self.values]))
        biased = [True] * (len(sides) - 1) + [False]
        self.convolutions = nnx.List(
            [Convolution(i, 4 * o, how.kernel, rngs, biased=b) for (i, o), b in zip(sides, biased, strict=True)]
        )
        self.bias = nnx.Param(jnp.zeros(outputs))
        if how.blocks:
            self.blocks = nnx.List([nnx.List(level) for level in reversed(_blocks(how, activation, rngs, network))])

    def set_bias(self, values: np.ndarray) -> None:
        self.bias.set_value(jnp.asarray(values, self.bias[...].dtype))

    def joins(self, rows: int) -> bool:
        """As of the network that it begins with."""
        joined: bool = self.dense.joins(rows)
        return joined

    def __call__(self, h: Array, before: Array | None = None, dropout: Dropout | None = None) -> Array:
        """dropout: of the deterministic layers' units."""
        function = ACTIVATIONS[self.activation].function
        x = self.dense(h, before, dropout).reshape(-1, *self.smallest)
        deep = hasattr(self, "blocks")
        for level, convolution in enumerate(self.convolutions):
            for block in self.blocks[level] if deep else ():
                x = block(x)
            x = doubled(convolution(function(x) if level or deep else x))
        blocks = x.reshape(*x.shape[:-1], self.each, self.values).transpose(0, 3, 1, 2, 4)
        outputs = blocks.reshape(x.shape[0], -1)
        return outputs + down_columns(self.bias[...], outputs.shape[:-1])
