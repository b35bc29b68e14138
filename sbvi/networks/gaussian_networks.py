"""The networks of a deep latent Gaussian model, built with Flax NNX."""

from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from sbvi.core.xla.bounded import bounded
from sbvi.core.xla.matrices import solve
from sbvi.networks.activations import ActivationName
from sbvi.networks.convolutions import Convolutions, ImageReader, ImageWriter
from sbvi.networks.dense import NETWORKS, NetworkName
from sbvi.networks.dropout import Dropout
from sbvi.networks.keys import Keys
from sbvi.networks.layers import Affine

Array = jax.Array
NoiseMatrix = Literal["full", "diagonal", "identity", "predicted"]


class NoiseMap(nnx.Module):
    """G_l of PAPER eq. 2-3: how a layer's noise enters its activations; starts as the identity. Of a layer whose scale
    is predicted it stays that: the network has scaled the noise."""

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
            return solve(self.matrix[...].T, h.T).T
        if self.kind == "diagonal":
            return h / self.matrix[...].reshape((1,) * (h.ndim - 1) + (-1,))
        return h


class GenerativeNetwork(nnx.Module):
    """h_L = G_L xi_L;  h_l = T_l(h_{l+1}) + G_l xi_l;  outputs = T_0(h_1)  (PAPER eq. 2-4).

    With noise_matrix=predicted, G_L = I and G_l = diag(exp s_l(h_{l+1})), s_l the second half of T_l's outputs (Burda
    et al. 2016), 0 at the start.
    """

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
        self.predicted = noise_matrix == "predicted"
        below = [outputs, *(2 * size if self.predicted else size for size in latents[:-1])]
        self.noise_maps = nnx.List([NoiseMap(size, noise_matrix) for size in latents])

        def made(k: int, h: Sequence[int], out: int, level: int) -> Any:
            if writes is not None and level == 0:
                return ImageWriter(k, h, writes, out, activation, rngs, activate_first=activate_inputs, network=network)
            return NETWORKS[network]([k, *h, out], activation, rngs, activate_first=activate_inputs)

        levels = range(len(latents))
        self.maps = nnx.List([made(*sizes) for sizes in zip(latents, hidden, below, levels, strict=True)])
        self.maps[0].set_bias(output_bias)
        if self.predicted:
            for level, size in enumerate(latents[:-1], 1):
                kernel = self.maps[level].last.kernel
                kernel.set_value(kernel[...].at[:, size:].set(0.0))
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
            h = self._layer(level, h, noise[level], before, dropped)
            before = None
        outputs = self.maps[0](h, before, dropped[0])
        return outputs.reshape(*leading, outputs.shape[-1])

    def _given(
        self, level: int, h: Array, before: Array | None, dropped: Sequence[Dropout | None]
    ) -> tuple[Array, Array | None]:
        """T_l(h_{l+1}), and the log-scale s_l(h_{l+1}) where it is predicted."""
        outputs = self.maps[level + 1](h, before, dropped[level + 1])
        if not self.predicted:
            return outputs, None
        mean, raw = jnp.split(outputs, 2, -1)
        return mean, bounded(raw)

    def _layer(
        self, level: int, h: Array, noise: Array, before: Array | None, dropped: Sequence[Dropout | None]
    ) -> Array:
        """h_l of h_{l+1} and xi_l."""
        mean, log_scale = self._given(level, h, before, dropped)
        added: Array = self.noise_maps[level](noise if log_scale is None else jnp.exp(log_scale) * noise)
        return mean + added

    def layer_given(
        self, level: int, above: Array, thinning: tuple[Array, Array] | None = None
    ) -> tuple[Array, Array | None]:
        """Mean and log-scale of p(a_l | a_{l+1}), for l = level + 1: of a_l = G_l^-1 h_l, in units of xi_l, whose
        log-scale is 0, said as None; or of a_l = h_l where its scale is predicted.

        above: a_{l+1} (..., K). thinning: as of a call, which leaves out the same units.
        """
        leading = above.shape[:-1]
        dropped = [Dropout(*thinning, leading).within(at) if thinning else None for at in range(len(self.maps))]
        h = self.noise_maps[level + 1](above.reshape(-1, above.shape[-1]))
        mean, log_scale = self._given(level, h, None, dropped)
        shape = (*leading, mean.shape[-1])
        mean = self.noise_maps[level].inverse(mean).reshape(shape)
        return mean, None if log_scale is None else log_scale.reshape(shape)

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
