"""The networks of a deep latent Gaussian model, built with Flax NNX."""

from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from sbvi.networks.activations import ActivationName
from sbvi.networks.convolutions import Convolutions, ImageReader, ImageWriter
from sbvi.networks.dense import NETWORKS, NetworkName
from sbvi.networks.dropout import Dropout
from sbvi.networks.keys import Keys
from sbvi.networks.layers import Affine

Array = jax.Array
NoiseMatrix = Literal["full", "diagonal", "identity"]


class NoiseMap(nnx.Module):
    """G_l of PAPER eq. 2-3: how a layer's noise enters its activations; starts as the identity."""

    def __init__(self, size: int, kind: NoiseMatrix):
        self.kind = kind
        if kind == "full":
            self.matrix = nnx.Param(jnp.eye(size))
        elif kind == "diagonal":
            self.matrix = nnx.Param(jnp.ones(size))

    def __call__(self, noise: Array) -> Array:
        if self.kind == "full":
            return noise @ self.matrix[...]
        if self.kind == "diagonal":
            return noise * self.matrix[...].reshape((1,) * (noise.ndim - 1) + (-1,))
        return noise

    def inverse(self, h: Array) -> Array:
        """The noise (..., K) that becomes h."""
        if self.kind == "full":
            return jnp.linalg.solve(self.matrix[...].T, h.T).T
        if self.kind == "diagonal":
            return h / self.matrix[...].reshape((1,) * (h.ndim - 1) + (-1,))
        return h


class GenerativeNetwork(nnx.Module):
    """h_L = G_L xi_L;  h_l = T_l(h_{l+1}) + G_l xi_l;  outputs = T_0(h_1)  (PAPER eq. 2-4)."""

    def __init__(
        self,
        latents: Sequence[int],
        hidden: Sequence[Sequence[int]],
        outputs: int,
        activation: ActivationName,
        noise_matrix: NoiseMatrix,
        output_bias: np.ndarray,
        free: np.ndarray,
        activate_inputs: bool,
        writes: Convolutions | None,
        rngs: Keys,
        network: NetworkName = "dense",
    ):
        below = [outputs, *latents[:-1]]
        self.noise_maps = nnx.List([NoiseMap(size, noise_matrix) for size in latents])

        def made(k: int, h: Sequence[int], out: int, level: int) -> Any:
            if writes is not None and level == 0:
                return ImageWriter(k, h, writes, out, activation, rngs, activate_first=activate_inputs, network=network)
            return NETWORKS[network]([k, *h, out], activation, rngs, activate_first=activate_inputs)

        levels = range(len(latents))
        self.maps = nnx.List([made(*sizes) for sizes in zip(latents, hidden, below, levels, strict=True)])
        self.maps[0].set_bias(output_bias)
        if free.size:
            self.free = nnx.Param(jnp.asarray(free, jnp.float32))

    def __call__(self, noise: Sequence[Array], thinning: tuple[Array, Array] | None = None) -> Array:
        """noise: xi_1 .. xi_L, each (..., K_l) -> likelihood outputs (..., O).

        thinning: a key and the probability that a unit of a deterministic layer is left out.
        """
        # Samples and examples in one axis: on CPU, XLA multiplies two matrices half as fast again when the
        # first has two leading axes.
        leading = noise[-1].shape[:-1]
        noise = [xi.reshape(-1, xi.shape[-1]) for xi in noise]
        dropped = [Dropout(*thinning, leading).within(level) if thinning else None for level in range(len(noise))]
        h, before = noise[-1], None
        if self.noise_maps[-1].kind == "full" and self.maps[-1].joins(len(h)):
            before = self.noise_maps[-1].matrix[...]  # with many samples, made one with the map's first matrix
        else:
            h = self.noise_maps[-1](h)
        for level in range(len(noise) - 2, -1, -1):
            h = self.maps[level + 1](h, before, dropped[level + 1]) + self.noise_maps[level](noise[level])
            before = None
        outputs = self.maps[0](h, before, dropped[0])
        return outputs.reshape(*leading, outputs.shape[-1])

    def layer_mean(self, level: int, above: Sequence[Array], thinning: tuple[Array, Array] | None = None) -> Array:
        """G_l^-1 T_l(h_{l+1}), the mean of p(h_l | h_{l+1}) in units of xi_l, for l = level + 1.

        above: xi_{l+1} .. xi_L, each (..., K). thinning: as of a call, which leaves out the same units.
        """
        leading = above[0].shape[:-1]
        noise = [xi.reshape(-1, xi.shape[-1]) for xi in above]
        dropped = [Dropout(*thinning, leading).within(at) if thinning else None for at in range(len(self.maps))]
        h = self.noise_maps[-1](noise[-1])
        for position in range(len(noise) - 2, -1, -1):
            here = level + 1 + position
            h = self.maps[here + 1](h, None, dropped[here + 1]) + self.noise_maps[here](noise[position])
        mean = self.noise_maps[level].inverse(self.maps[level + 1](h, None, dropped[level + 1]))
        return mean.reshape(*leading, mean.shape[-1])

    def free_parameters(self) -> Array:
        free = getattr(self, "free", None)
        return jnp.zeros(0) if free is None else free[...]


class RecognitionNetwork(nnx.Module):
    """The parameters of every q(xi_l | v), read directly from v (PAPER eq. 12 and App. A.1).

    `shared`: one trunk, and the heads of all layers in one product; otherwise one net for each node.
    """

    def __init__(
        self,
        inputs: int,
        hidden: Sequence[int],
        head_biases: Sequence[Array],
        activation: ActivationName,
        shared: bool,
        reads: Convolutions | None,
        rngs: Keys,
        network: NetworkName = "dense",
    ):
        self.sizes = tuple(len(bias) for bias in head_biases)
        groups = [jnp.concatenate(list(head_biases))] if shared else list(head_biases)

        def made() -> Any:
            if reads is not None:
                return ImageReader(reads, hidden, activation, rngs, network)
            return NETWORKS[network]([inputs, *hidden], activation, rngs, activate_last=True)

        self.trunks = nnx.List([made() for _ in groups])
        last = hidden[-1] if hidden else inputs if reads is None else reads.features
        self.heads = nnx.List([Affine(last, len(bias), rngs) for bias in groups])
        for head, values in zip(self.heads, groups, strict=True):
            head.set_bias(values)

    def __call__(self, x: Array) -> list[Array]:
        """x (B, D) -> raw outputs of each node (B, n)."""
        outputs = [head(trunk(x)) for trunk, head in zip(self.trunks, self.heads, strict=True)]
        if len(outputs) == len(self.sizes):
            return outputs
        ends = [sum(self.sizes[: i + 1]) for i in range(len(self.sizes) - 1)]
        return jnp.split(outputs[0], ends, axis=-1)
