"""An autoregressive likelihood of binary images: masked convolutions over pixels in raster order.

    p(x | features) = prod_d Bernoulli(x_d; sigmoid(features_d,1 + w^T h_d(x_<d, features)))

h is the stack of masked convolutions of `sbvi.distributions.likelihoods.masked_stack`, each of which sees the features
that the decoder gives the pixel; w = 0 at the start, where it is the Bernoulli likelihood of the first feature. With L
layers of k x k a pixel sees L (k // 2) rows up: few keep the latents in use (Chen et al. 2017). The stack's weights are
the likelihood's free parameters.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import PositiveInt, UserError, spec
from sbvi.distributions.likelihoods.bernoulli import Bernoulli, log_bernoulli
from sbvi.distributions.likelihoods.likelihood import Array, LikelihoodSpec
from sbvi.distributions.likelihoods.masked_stack import MaskedStack, check_side


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
        check_side(self.kernel)

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
        self.features = settings.features
        self._stack = MaskedStack(
            height, width, 1, self.features, 1, settings.channels, settings.layers, settings.kernel
        )

    def check(self, levels: int | None) -> None:
        """Binary data is told by its own flag."""

    def outputs(self, size: int) -> int:
        return self.features * size

    def free(self, size: int) -> int:
        return self._stack.size

    def initial_outputs(self, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
        return np.concatenate([Bernoulli().initial_outputs(mean, spread), np.zeros((self.features - 1) * len(mean))])

    def initial_free(self, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
        return self._stack.initial()

    def _features(self, outputs: Array) -> Array:
        """(..., F D) -> (N, H, W, F)."""
        return jnp.moveaxis(outputs.reshape(-1, self.features, self.height, self.width), 1, -1)

    def logits(self, outputs: Array, free: Array, x: Array) -> Array:
        """Of every pixel given those before it in x (B, D): (S, B, D)."""
        features = self._features(outputs)
        added = self._stack.given(free, features, x.reshape(-1, self.height, self.width, 1))
        return (features[..., 0] + added[..., 0]).reshape(*outputs.shape[:-1], -1)

    def log_prob(self, outputs: Array, free: Array, x: Array) -> Array:
        logits = self.logits(outputs, free, x)
        return log_bernoulli(logits, jnp.broadcast_to(x[None], logits.shape))

    def drawn(self, key: Array, outputs: Array, free: Array) -> tuple[Array, Array]:
        """x, and p(x_d = 1 | x_<d) along it, (..., D)."""
        features = self._features(outputs)
        noise = jax.random.uniform(key, (self.height * self.width, len(features)), outputs.dtype)

        def pixel(own: Array, added: Array, u: Array) -> tuple[Array, tuple[Array, Array]]:
            p = jax.nn.sigmoid(own[:, 0] + added[:, 0])
            x = (u < p).astype(outputs.dtype)
            return x[:, None], (x, p)

        x, p = self._stack.drawn(free, features, noise, pixel)
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
