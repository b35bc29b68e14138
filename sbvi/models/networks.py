"""The networks of a deep latent Gaussian model, built with Flax NNX."""

import itertools
from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from sbvi.distributions.sums import down_columns
from sbvi.models.activations import ACTIVATIONS, ActivationName

Array = jax.Array
NoiseMatrix = Literal["full", "diagonal", "identity"]


class Affine(nnx.Module):
    """x W + b from a Glorot-uniform W and b = 0, with b as a product with ones.

    The gradient of b, a sum over rows, is a product then too. XLA's CPU compiler would have such a sum by itself
    read what the products beside it have written: a step with five samples or more takes a twelfth longer.
    """

    def __init__(self, inputs: int, outputs: int, rngs: nnx.Rngs):
        self.kernel = nnx.Param(nnx.initializers.glorot_uniform()(rngs.params(), (inputs, outputs)))
        self.bias = nnx.Param(jnp.zeros(outputs))

    def __call__(self, x: Array) -> Array:
        """(..., inputs) -> (..., outputs)."""
        result: Array = x @ self.kernel[...] + down_columns(self.bias[...], x.shape[:-1])
        return result


def _set_bias(layer: Affine, values: np.ndarray) -> None:
    layer.bias[...] = jnp.asarray(values, layer.bias[...].dtype)


class MLP(nnx.Module):
    """Linear layers with an activation after each but, on request, the last; and, on request, before all."""

    def __init__(
        self,
        sizes: Sequence[int],
        activation: ActivationName,
        rngs: nnx.Rngs,
        *,
        activate_first: bool = False,
        activate_last: bool = False,
    ):
        self.layers = nnx.List([Affine(i, o, rngs) for i, o in itertools.pairwise(sizes)])
        self.activation = activation
        self.activate_first, self.activate_last = activate_first, activate_last

    def __call__(self, x: Array) -> Array:
        function = ACTIVATIONS[self.activation].function
        if self.activate_first:
            x = function(x)
        for position, layer in enumerate(self.layers):
            x = layer(x)
            if self.activate_last or position + 1 < len(self.layers):
                x = function(x)
        return x


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
        rngs: nnx.Rngs,
    ):
        below = [outputs, *latents[:-1]]
        self.noise_maps = nnx.List([NoiseMap(size, noise_matrix) for size in latents])
        self.maps = nnx.List(
            [
                MLP([k, *h, out], activation, rngs, activate_first=activate_inputs)
                for k, h, out in zip(latents, hidden, below, strict=True)
            ]
        )
        _set_bias(self.maps[0].layers[-1], output_bias)
        if free.size:
            self.free = nnx.Param(jnp.asarray(free, jnp.float32))

    def __call__(self, noise: Sequence[Array]) -> Array:
        """noise: xi_1 .. xi_L, each (..., K_l) -> likelihood outputs (..., O)."""
        # Samples and examples in one axis: on CPU, XLA multiplies two matrices half as fast again when the
        # first has two leading axes.
        leading = noise[-1].shape[:-1]
        noise = [xi.reshape(-1, xi.shape[-1]) for xi in noise]
        h = self.noise_maps[-1](noise[-1])
        for level in range(len(noise) - 2, -1, -1):
            h = self.maps[level + 1](h) + self.noise_maps[level](noise[level])
        outputs = self.maps[0](h)
        return outputs.reshape(*leading, outputs.shape[-1])

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
        head_biases: Sequence[np.ndarray],
        activation: ActivationName,
        shared: bool,
        rngs: nnx.Rngs,
    ):
        self.sizes = tuple(len(bias) for bias in head_biases)
        groups = [np.concatenate(head_biases)] if shared else list(head_biases)
        self.trunks = nnx.List([MLP([inputs, *hidden], activation, rngs, activate_last=True) for _ in groups])
        last = hidden[-1] if hidden else inputs
        self.heads = nnx.List([Affine(last, len(bias), rngs) for bias in groups])
        for head, values in zip(self.heads, groups, strict=True):
            _set_bias(head, values)

    def __call__(self, x: Array) -> list[Array]:
        """x (B, D) -> raw outputs of each node (B, n)."""
        found = [head(trunk(x)) for trunk, head in zip(self.trunks, self.heads, strict=True)]
        if len(found) == len(self.sizes):
            return found
        ends = [sum(self.sizes[: i + 1]) for i in range(len(self.sizes) - 1)]
        return jnp.split(found[0], ends, axis=-1)
