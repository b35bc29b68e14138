"""An autoregressive likelihood of images of levels, grey or in colour: PixelCNN++'s output (Salimans et al. 2017) over
masked convolutions, each pixel given those before it in raster order and the decoder's features.

    p(x | features) = prod_i sum_m pi_im prod_c p(x_ic | mean_imc + sum_{e<c} tanh(a_imce) (x_ie - 1/2), scale_imc)

of `sbvi.distributions.likelihoods.discretized_logistic`'s p: one mixture for all channels c of a pixel i, whose means
follow the channels before them. Its parameters are the decoder's plus W h_i, of the stack of
`sbvi.distributions.likelihoods.masked_stack`; W = 0 at the start. Outputs stand in blocks of D = H W C: logits, means
and raw log-scales, as of `sbvi.distributions.likelihoods.logistic_mixture`, where a pixel's logit is the sum over its
channels; whole blocks that hold the M C (C - 1) / 2 coefficients a of each pixel, the last of which may be longer than
that; and `features` that the stack alone sees. Of PixelCNN++ it is the output: that has other streams of convolutions,
without a blind spot, strided, gated and with dropout.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import NonNegativeInt, Positive, PositiveInt, UserError, spec
from sbvi.core.xla.bounded import bounded
from sbvi.distributions.likelihoods.discretized_logistic import log_level, mean_level
from sbvi.distributions.likelihoods.likelihood import Array, LikelihoodSpec
from sbvi.distributions.likelihoods.logistic_mixture import LogisticMixture
from sbvi.distributions.likelihoods.masked_stack import MaskedStack, check_side

#: The most channels of an image; coefficients between channels grow with their square.
MOST_CHANNELS = 4


@spec
class PixelMixture(LikelihoodSpec):
    """Levels of grey or colour depend on pixels before them and features of the latents, with PixelCNN++'s output."""

    levels: PositiveInt = 255
    """The greatest whole number in the data: 255 for 8-bit images, 16 for the digits."""
    components: PositiveInt = 5
    """Number of logistics M for each pixel."""
    minimum_scale: Positive = 0.002
    """Least scale, where the levels span [0, 1]."""
    features: NonNegativeInt = 0
    """Values that the decoder gives for each value of x beside the mixture's, for the masked convolutions alone."""
    channels: PositiveInt = 32
    """Channels of the masked convolutions."""
    layers: PositiveInt = 4
    """Masked convolutions L, the first of the image."""
    kernel: PositiveInt = 3
    """Their side k, an odd number."""

    discrete = True
    factorised = False

    def __post_init__(self) -> None:
        check_side(self.kernel)

    @property
    def mixture(self) -> LogisticMixture:
        """The likelihood of grey pixels by themselves."""
        return LogisticMixture(levels=self.levels, components=self.components, minimum_scale=self.minimum_scale)

    def check(self, levels: int | None) -> None:
        """Refuse data of other levels.

        Raises:
          UserError: the data's levels are not these.
        """
        self.mixture.check(levels)

    def of_shape(self, event_shape: Sequence[int]) -> "PixelLevels":
        """The likelihood of images (H, W) or (H, W, C).

        Raises:
          UserError: the data has another shape.
        """
        shape = tuple(event_shape)
        if len(shape) not in (2, 3) or (len(shape) == 3 and shape[-1] > MOST_CHANNELS):
            raise UserError(
                f"likelihood=pixel_mixture needs images of levels, and the data has shape {shape}; "
                f"allowed: (H, W), or (H, W, C) with up to {MOST_CHANNELS} channels."
            )
        return PixelLevels(self, shape[0], shape[1], shape[2] if len(shape) == 3 else 1)


class _Mixture(NamedTuple):
    """Of pixels (...): log pi (..., M), means and scales (..., M, C), slopes (..., M, C (C - 1) / 2) by rows."""

    log_pi: Array
    mean: Array
    scale: Array
    slopes: Array

    def mean_of(self, channel: int, before: Sequence[Array]) -> Array:
        """The means of a channel given the values (...) of those before it, (..., M)."""
        mean, first = self.mean[..., channel], channel * (channel - 1) // 2
        for place, x in enumerate(before):
            mean = mean + self.slopes[..., first + place] * (x[..., None] - 0.5)
        return mean


class PixelLevels:
    """The likelihood of images of one height, width and number of channels; see `PixelMixture` and `Likelihood`."""

    discrete = True
    binary = factorised = dequantize = by_column = False

    def __init__(self, settings: PixelMixture, height: int, width: int, depth: int):
        self.height, self.width, self.depth = height, width, depth
        self.levels, self.components, self.features = settings.levels, settings.components, settings.features
        self._one, self._minimum = settings.mixture, settings.minimum_scale
        self._pairs = depth * (depth - 1) // 2
        self._blocks = 3 * self.components + -(-self.components * self._pairs // depth)  # of the mixture
        own = self._blocks * depth
        self._stack = MaskedStack(
            height,
            width,
            inputs=depth,
            features=own + self.features * depth,
            outputs=own,
            channels=settings.channels,
            layers=settings.layers,
            kernel=settings.kernel,
        )

    def check(self, levels: int | None) -> None:
        """See `PixelMixture`."""
        self._one.check(levels)

    def outputs(self, size: int) -> int:
        return (self._blocks + self.features) * size

    def free(self, size: int) -> int:
        return self._stack.size

    def initial_outputs(self, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
        first = self._one.initial_outputs(mean, spread)
        return np.concatenate([first, np.zeros(self.outputs(len(mean)) - len(first))])

    def initial_free(self, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
        return self._stack.initial()

    def _features(self, outputs: Array) -> Array:
        """(..., blocks D) -> (N, H, W, blocks C)."""
        blocks = self._blocks + self.features
        pixels = jnp.moveaxis(outputs.reshape(-1, blocks, self.height, self.width, self.depth), 1, -2)
        return pixels.reshape(*pixels.shape[:-2], blocks * self.depth)

    def _images(self, x: Array) -> Array:
        return x.reshape(-1, self.height, self.width, self.depth)

    def _mixture(self, features: Array, added: Array) -> _Mixture:
        """Of pixels (...) from the decoder's (..., F) and the stack's."""
        own = features[..., : added.shape[-1]] + added
        m, blocks = self.components, own.reshape(*own.shape[:-1], self._blocks, self.depth)
        logits, mean, raw = (blocks[..., i * m : (i + 1) * m, :] for i in range(3))
        start = 3 * m * self.depth
        slopes = own[..., start : start + m * self._pairs].reshape(*own.shape[:-1], m, self._pairs)
        log_pi = jax.nn.log_softmax(jnp.sum(logits, -1), -1)
        return _Mixture(log_pi, mean, jnp.exp(bounded(raw)) + self._minimum, jnp.tanh(slopes))

    def _scored(self, outputs: Array, free: Array, x: Array) -> tuple[_Mixture, Array]:
        """Of every pixel (N, H, W) given x (B, D): its mixture, with the means that its own channels give, and of these
        log p of each component, (N, H, W, M, C)."""
        features, images = self._features(outputs), self._images(x)
        mixture = self._mixture(features, self._stack.given(free, features, images))
        whole = jnp.tile(images, (len(features) // len(images), 1, 1, 1))
        values = [whole[..., c] for c in range(self.depth)]
        mixture = mixture._replace(mean=jnp.stack([mixture.mean_of(c, values[:c]) for c in range(self.depth)], axis=-1))
        each = jnp.broadcast_to(whole[..., None, :], mixture.mean.shape)
        return mixture, log_level(self.levels, mixture.mean, mixture.scale, each)

    def log_prob(self, outputs: Array, free: Array, x: Array) -> Array:
        mixture, each = self._scored(outputs, free, x)
        pixels = jax.nn.logsumexp(mixture.log_pi + jnp.sum(each, -1), axis=-1)
        return jnp.sum(pixels.reshape(*outputs.shape[:-1], -1), -1)

    def drawn(self, key: Array, outputs: Array, free: Array) -> tuple[Array, Array]:
        """x, and E[x_d | x_<d] along it, (..., D), where a pixel's channels tell of its component."""
        x = self.sample(key, outputs, free)
        rows = outputs.reshape(1, -1, outputs.shape[-1])
        mixture, each = self._scored(rows, free, x.reshape(-1, x.shape[-1]))
        before = jnp.cumsum(each[..., :-1], -1)  # of channels before each but the first
        log_pi = mixture.log_pi[..., None] + jnp.concatenate([jnp.zeros_like(each[..., :1]), before], -1)
        means = mean_level(self.levels, mixture.mean, mixture.scale)
        return x, jnp.sum(jax.nn.softmax(log_pi, -2) * means, -2).reshape(x.shape)

    def mean(self, outputs: Array, free: Array) -> Array:
        """E[x_d | x_<d] along one draw, the same at every call: E[x] has no closed form, and is its mean."""
        return self.drawn(jax.random.key(0), outputs, free)[1]

    def sample(self, key: Array, outputs: Array, free: Array) -> Array:
        features, dtype = self._features(outputs), outputs.dtype
        which, where = jax.random.split(key)
        turns = (self.height * self.width, len(features))
        noise = (
            jax.random.gumbel(which, (*turns, self.components), dtype),
            jax.random.logistic(where, (*turns, self.depth), dtype),
        )

        def pixel(own: Array, added: Array, noise: tuple[Array, Array]) -> tuple[Array, Array]:
            mixture, (gumbel, logistic) = self._mixture(own, added), noise
            chosen = jnp.argmax(mixture.log_pi + gumbel, -1)[:, None]
            values: list[Array] = []
            for c in range(self.depth):
                mean, scale = (
                    jnp.take_along_axis(v, chosen, -1)[:, 0]
                    for v in (mixture.mean_of(c, values), mixture.scale[..., c])
                )
                drawn = mean + scale * logistic[:, c]
                values.append(jnp.clip(jnp.round(drawn * self.levels), 0, self.levels) / self.levels)
            x = jnp.stack(values, -1)
            return x, x

        x = self._stack.drawn(free, features, noise, pixel)
        return jnp.moveaxis(x, 0, 1).reshape(*outputs.shape[:-1], -1)

    def output_precision(self, outputs: Array, free: Array) -> Array:
        """Refuse: the curvature is not elementwise.

        Raises:
          UserError: what would serve.
        """
        raise UserError(
            "likelihood=pixel_mixture has no elementwise curvature; allowed: objective.rule=reparameterised."
        )
