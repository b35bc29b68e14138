"""A residual stack of masked convolutions over pixels in raster order (van den Oord et al. 2016).

    h_1 = f(K_1 * x + V_1 features + b_1),   h_l = h_{l-1} + f(K_l * h_{l-1} + V_l features + b_l),   given = W h_L

f is the exponential linear unit. K_1 sees pixels before its own, the other K_l their own too, so that what a pixel is
given depends on pixels of x before it alone, all of their channels; with L layers of k x k on those up to L (k // 2)
rows up. Of these it never sees a triangle on the right, which no row below leads to: this stack has the blind spot of
the first PixelCNN. Beyond the edges are zeros. W = 0 at the start.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core.xla.convolution import convolved

Array = jax.Array
#: (a pixel's features (N, F), what the stack gives it (N, outputs), its noise) -> its x (N, inputs), what is told of it
MakePixel = Callable[[Array, Array, Any], tuple[Array, Any]]


def check_side(kernel: int) -> None:
    """Refuse kernels that have no middle, or none beside it: these see no pixel before their own."""
    if kernel % 2 == 0 or kernel < 3:
        raise ValueError(f"kernel={kernel} must be odd, and at least 3")


def _elu(x: Array) -> Array:
    """The exponential linear unit, by exp(x) - 1 as it stands: expm1, which JAX's own has for its digits near zero,
    would take an eighth of a test's time."""
    below = jnp.where(x > 0, jnp.zeros((), x.dtype), x)
    return jnp.where(x > 0, x, jnp.exp(below) - jnp.ones((), x.dtype))


@dataclass(frozen=True)
class MaskedStack:
    """Functions of the stack's weights, a flat array (size,), over images (H, W, inputs).

    features: numbers F that each pixel has beside x. outputs: numbers that each pixel is given. channels: of h.
    """

    height: int
    width: int
    inputs: int
    features: int
    outputs: int
    channels: int
    layers: int
    kernel: int

    def _shapes(self) -> list[tuple[int, ...]]:
        """Of each layer: kernel, what it makes of the features, bias; and last of W."""
        c, k = self.channels, self.kernel
        shapes: list[tuple[int, ...]] = []
        for i in [self.inputs] + [c] * (self.layers - 1):
            shapes += [(k, k, i, c), (self.features, c), (c,)]
        return [*shapes, (c, self.outputs)]

    @property
    def size(self) -> int:
        return sum(prod(shape) for shape in self._shapes())

    def initial(self) -> np.ndarray:
        """Of variance one over a unit's inputs, the same for every seed; biases and W zero."""
        rng, weights = np.random.default_rng(0), []
        *layers, last = self._shapes()
        for shape in layers:
            # Of one channel V is zero too: so its runs have begun, and another draw would change all after it.
            zero = len(shape) == 1 or (len(shape) == 2 and shape[-1] == 1)
            wide = prod(shape[:-1])
            weights.append(np.zeros(prod(shape)) if zero else rng.normal(size=prod(shape)) / np.sqrt(wide))
        return np.concatenate([*weights, np.zeros(prod(last))])

    def _weights(self, flat: Array) -> tuple[list[tuple[Array, Array, Array]], Array]:
        """Layers' (masked kernel without the rows below its own, of the features, bias), and W."""
        parts, start = [], 0
        for shape in self._shapes():
            parts.append(flat[start : start + prod(shape)].reshape(shape))
            start += prod(shape)
        layers = []
        for level in range(self.layers):
            kernel, seen, bias = parts[3 * level : 3 * level + 3]
            mask = jnp.asarray(self._mask(own=level > 0), flat.dtype)
            layers.append((kernel[: len(mask)] * mask, seen, bias))
        return layers, parts[-1]

    def _mask(self, own: bool) -> np.ndarray:
        """Rows above, and in the pixel's own row what stands left of it; of layers also its own place."""
        above = left = self.kernel // 2
        mask = np.zeros((above + 1, self.kernel, 1, 1), np.float32)
        mask[:above] = 1
        mask[above, : left + own] = 1
        return mask

    def given(self, flat: Array, features: Array, images: Array) -> Array:
        """What each pixel is given, (N, H, W, outputs), of features (N, H, W, F) and the pixels before it.

        images: (B, H, W, inputs), of which N is a multiple; they repeat as a whole.
        """
        layers, last = self._weights(flat)
        aside = self.kernel // 2
        padding = (aside, 0), (aside, aside)  # none below, where nothing is seen
        h = jnp.zeros((), features.dtype)
        for level, (kernel, seen, bias) in enumerate(layers):
            filtered = convolved(images if level == 0 else h, kernel, padding)
            if level == 0:
                filtered = jnp.tile(filtered, (len(features) // len(images), 1, 1, 1))
            h = h + _elu(filtered + features @ seen + bias[None, None, None])
        return h @ last

    def drawn(self, flat: Array, features: Array, noise: Any, made_of: MakePixel) -> Any:
        """What `made_of` tells of every pixel, (H W, ...), as it makes one image for each of features (N, H, W, F).

        One loop over pixels, whose every turn makes one pixel of every layer from what earlier turns made around it.
        noise: arrays (H W, ...).
        """
        layers, last = self._weights(flat)
        count, pad, dtype = len(features), self.kernel // 2, features.dtype
        size, padded = self.height * self.width, (self.height + pad, self.width + 2 * pad)

        def one(maps: list[Array], inputs: tuple[Array, Any]) -> tuple[list[Array], Any]:
            position, own_noise = inputs
            row, column = position // self.width, position % self.width
            zero = jnp.zeros((), position.dtype)
            own = jax.lax.dynamic_slice(features, (zero, row, column, zero), (count, 1, 1, self.features))[:, 0, 0]

            def written(target: Array, value: Array) -> Array:
                return jax.lax.dynamic_update_slice(target, value[:, None, None], (zero, row + pad, column + pad, zero))

            h, made = jnp.zeros((), dtype), [maps[0]]
            for level, (kernel, seen, bias) in enumerate(layers):
                source = made[level]
                shape = (count, pad + 1, self.kernel, source.shape[-1])
                patch = jax.lax.dynamic_slice(source, (zero, row, column, zero), shape)
                filtered = patch.reshape(count, -1) @ kernel.reshape(-1, kernel.shape[-1])
                h = h + _elu(filtered + own @ seen + bias[None])
                if level + 1 < self.layers:
                    made.append(written(maps[level + 1], h))
            x, told = made_of(own, h @ last, own_noise)
            return [written(made[0], x), *made[1:]], told

        channels = [self.inputs] + [self.channels] * (self.layers - 1)
        start = [jnp.zeros((count, *padded, c), dtype) for c in channels]
        return jax.lax.scan(one, start, (jnp.arange(size, dtype=jnp.int32), noise))[1]
