"""An autoregressive likelihood of binary images: masked convolutions over pixels in raster order.

    p(x | features) = prod_d Bernoulli(x_d; sigmoid(features_d,1 + w^T h_d(x_<d, features)))

h is a stack of residual layers of masked convolutions (van den Oord et al. 2016), each of which sees the features that
the decoder gives the pixel; w = 0 at the start, where it is the Bernoulli likelihood of the first feature. With L
layers of k x k a pixel sees L (k // 2) rows up: few keep the latents in use (Chen et al. 2017). The stack's weights are
the likelihood's free parameters.
"""

from collections.abc import Sequence
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import PositiveInt, UserError, spec
from sbvi.core.xla.convolution import convolved
from sbvi.distributions.likelihoods.bernoulli import Bernoulli, log_bernoulli
from sbvi.distributions.likelihoods.likelihood import Array, LikelihoodSpec


@spec
class PixelCNN(LikelihoodSpec):
    """Pixels depend on those before them, and on features of the latents."""

    features: PositiveInt = 1
    """Values that the decoder gives for each pixel; the first is a logit."""
    channels: PositiveInt = 32
    """Channels of the masked convolutions."""
    layers: PositiveInt = 4
    """Masked convolutions L, the first of the image."""
    kernel: PositiveInt = 3
    """Their side k, an odd number."""

    binary = True
    discrete = True
    factorised = False

    def __post_init__(self) -> None:
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel={self.kernel} must be odd")

    def check(self, levels: int | None) -> None:
        """Binary data is told by its own flag."""

    def of_shape(self, event_shape: Sequence[int]) -> "Pixels":
        """The likelihood of images (H, W) or (H, W, 1).

        Raises:
          UserError: the data has another shape.
        """
        shape = tuple(event_shape)
        if len(shape) == 3 and shape[-1] == 1:
            shape = shape[:-1]
        if len(shape) != 2:
            raise UserError(
                f"likelihood=pixel_cnn needs binary images of one channel, and the data has shape "
                f"{tuple(event_shape)}; allowed: (H, W) or (H, W, 1)."
            )
        return Pixels(self, *shape)


class Pixels:
    """The likelihood of images of one height and width; see `PixelCNN` and `Likelihood`."""

    binary = discrete = True
    factorised = dequantize = by_column = False

    def __init__(self, settings: PixelCNN, height: int, width: int):
        self.height, self.width = height, width
        self.features, self.channels = settings.features, settings.channels
        self.layers, self.kernel = settings.layers, settings.kernel

    def check(self, levels: int | None) -> None:
        """Binary data is told by its own flag."""

    def outputs(self, size: int) -> int:
        return self.features * size

    def _shapes(self) -> list[tuple[int, ...]]:
        """Of each layer: kernel, what it makes of the features, bias; and last of w."""
        c, k = self.channels, self.kernel
        inputs = [1] + [c] * (self.layers - 1)
        shapes: list[tuple[int, ...]] = []
        for i in inputs:
            shapes += [(k, k, i, c), (self.features, c), (c,)]
        return [*shapes, (c, 1)]

    def free(self, size: int) -> int:
        return sum(prod(shape) for shape in self._shapes())

    def initial_outputs(self, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
        return np.concatenate([Bernoulli().initial_outputs(mean, spread), np.zeros((self.features - 1) * len(mean))])

    def initial_free(self, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
        """Of variance one over a unit's inputs, the same for every seed; biases and w zero."""
        rng, weights = np.random.default_rng(0), []
        for shape in self._shapes():
            wide = prod(shape[:-1])
            zero = len(shape) == 1 or (shape[-1] == 1 and len(shape) == 2)
            weights.append(np.zeros(prod(shape)) if zero else rng.normal(size=prod(shape)) / np.sqrt(wide))
        return np.concatenate(weights)

    def _weights(self, free: Array) -> tuple[list[tuple[Array, Array, Array]], Array]:
        """Layers' (masked kernel, of the features, bias), and w."""
        parts, start = [], 0
        for shape in self._shapes():
            parts.append(free[start : start + prod(shape)].reshape(shape))
            start += prod(shape)
        layers = []
        for level in range(self.layers):
            kernel, seen, bias = parts[3 * level : 3 * level + 3]
            layers.append((kernel * jnp.asarray(self._mask(own=level > 0), free.dtype), seen, bias))
        return layers, parts[-1]

    def _mask(self, own: bool) -> np.ndarray:
        """Rows above, and in the pixel's own row what stands left of it; of layers also its own place."""
        k, middle = self.kernel, self.kernel // 2
        mask = np.zeros((k, k, 1, 1), np.float32)
        mask[:middle] = 1
        mask[middle, : middle + own] = 1
        return mask

    def _features(self, outputs: Array) -> Array:
        """(..., F D) -> (N, H, W, F)."""
        return jnp.moveaxis(outputs.reshape(-1, self.features, self.height, self.width), 1, -1)

    def logits(self, outputs: Array, free: Array, x: Array) -> Array:
        """Of every pixel given those before it in x (B, D): (S, B, D)."""
        features = self._features(outputs)
        layers, last = self._weights(free)
        images = x.reshape(-1, *features.shape[1:3], 1)
        h = jnp.zeros((), features.dtype)
        for level, (kernel, seen, bias) in enumerate(layers):
            filtered = convolved(images if level == 0 else h, kernel)
            if level == 0:
                filtered = jnp.tile(filtered, (outputs.shape[0], 1, 1, 1))
            h = h + jax.nn.elu(filtered + features @ seen + bias[None, None, None])
        return (features[..., 0] + (h @ last)[..., 0]).reshape(*outputs.shape[:-1], -1)

    def log_prob(self, outputs: Array, free: Array, x: Array) -> Array:
        logits = self.logits(outputs, free, x)
        return log_bernoulli(logits, jnp.broadcast_to(x[None], logits.shape))

    def drawn(self, key: Array, outputs: Array, free: Array) -> tuple[Array, Array]:
        """x, and p(x_d = 1 | x_<d) along it, (..., D): one loop over pixels, whose every turn makes one pixel of
        every layer from what earlier turns made around it."""
        features = self._features(outputs)
        layers, last = self._weights(free)
        count, pad = len(features), self.kernel // 2
        size, padded = self.height * self.width, (self.height + 2 * pad, self.width + 2 * pad)
        noise = jax.random.uniform(key, (size, count), outputs.dtype)

        def one(maps: list[Array], inputs: tuple[Array, Array]) -> tuple[list[Array], Any]:
            position, u = inputs
            row, column = position // self.width, position % self.width
            own = jax.lax.dynamic_slice(features, (0, row, column, 0), (count, 1, 1, self.features))[:, 0, 0]

            def written(target: Array, value: Array) -> Array:
                return jax.lax.dynamic_update_slice(target, value[:, None, None], (0, row + pad, column + pad, 0))

            h, made = jnp.zeros((), outputs.dtype), [maps[0]]
            for level, (kernel, seen, bias) in enumerate(layers):
                source = made[level]
                shape = (count, self.kernel, self.kernel, source.shape[-1])
                patch = jax.lax.dynamic_slice(source, (0, row, column, 0), shape)
                filtered = patch.reshape(count, -1) @ kernel.reshape(-1, kernel.shape[-1])
                h = h + jax.nn.elu(filtered + own @ seen + bias[None])
                if level + 1 < self.layers:
                    made.append(written(maps[level + 1], h))
            p = jax.nn.sigmoid(own[:, 0] + (h @ last)[:, 0])
            x = (u < p).astype(outputs.dtype)
            return [written(made[0], x[:, None]), *made[1:]], (x, p)

        start = [jnp.zeros((count, *padded, c), outputs.dtype) for c in [1] + [self.channels] * (self.layers - 1)]
        _, (x, p) = jax.lax.scan(one, start, (jnp.arange(size, dtype=jnp.int32), noise))
        return x.T.reshape(*outputs.shape[:-1], -1), p.T.reshape(*outputs.shape[:-1], -1)

    def mean(self, outputs: Array, free: Array) -> Array:
        """p(x_d = 1 | x_<d) along one draw, the same at every call: E[x] has no closed form, and is its mean."""
        return self.drawn(jax.random.key(0), outputs, free)[1]

    def sample(self, key: Array, outputs: Array, free: Array) -> Array:
        return self.drawn(key, outputs, free)[0]

    def output_precision(self, outputs: Array, free: Array) -> Array:
        """Refuse: the curvature is not elementwise.

        Raises:
          UserError: what would serve.
        """
        raise UserError("likelihood=pixel_cnn has no elementwise curvature; allowed: objective.rule=reparameterised.")
