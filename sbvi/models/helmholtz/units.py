"""Kinds of stochastic layers: a density of a layer's values given the values of a neighbouring layer.

A unit is a frozen value without parameters of its own; its functions take them. `given` is (..., I), the neighbour's
values, or None at the top, where nothing is above. A layer's values are (..., K); leading axes of `given` may be
fewer than those of the values, whose last ones they then are.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core.xla import for_cpu
from sbvi.core.xla.bounded import bounded
from sbvi.core.xla.random_bits import normal, words
from sbvi.core.xla.sums import down_columns
from sbvi.distributions.gaussian import LOG_2PI
from sbvi.distributions.likelihoods.bernoulli import log_bernoulli

Array = jax.Array
Params = Any

#: Draws behind a mean that has no closed form.
DRAWS = 32


class Drawn(NamedTuple):
    """A draw (..., K), with mean and variance of each value given all that was drawn before it."""

    value: Array
    mean: Array
    variance: Array


class Unit(Protocol):
    """discrete: values are 0 or 1, and no gradient passes through a draw.
    factorised: a layer's values are independent given the neighbour's."""

    @property
    def discrete(self) -> bool: ...

    @property
    def factorised(self) -> bool: ...

    def init(self, key: Array, sizes: Sequence[int], bias: np.ndarray | None) -> Params:
        """Parameters of a layer; sizes: of the neighbour, 0 for none, of deterministic layers, and K.
        bias: first output biases (K,) where the data gives them."""

    def draw(self, params: Params, key: Array, given: Array | None, shape: tuple[int, ...]) -> Drawn:
        """A draw (*shape, K), shape of at least one axis."""

    def log_prob(self, params: Params, given: Array | None, value: Array) -> Array:
        """log p(value | given), (...), nats."""


@runtime_checkable
class Relaxing(Protocol):
    """A unit of 0 and 1 that lets gradients pass its draws."""

    def relaxed(
        self, params: Params, key: Array, given: Array | None, shape: tuple[int, ...], temperature: float
    ) -> Drawn:
        """The draw, with a derivative by the parameters and by what is given."""


class Layer(NamedTuple):
    """A unit with its parameters: one conditional of a chain of layers."""

    unit: Unit
    params: Params

    def draw(self, key: Array, given: Array | None, shape: tuple[int, ...], temperature: float | None = None) -> Drawn:
        """temperature: of a relaxation for gradients, of units that have one (`Bernoulli.relaxed`)."""
        if temperature is not None and isinstance(self.unit, Relaxing):
            return self.unit.relaxed(self.params, key, given, shape, temperature)
        return self.unit.draw(self.params, key, given, shape)

    def log_prob(self, given: Array | None, value: Array) -> Array:
        return self.unit.log_prob(self.params, given, value)

    def mean(self, given: Array) -> Array:
        """E[value | given], (..., K): in closed form, or over draws from one fixed key."""
        shape, key = given.shape[:-1], jax.random.key(0)
        if self.unit.factorised:
            return self.draw(key, given, shape).mean
        return jnp.mean(self.draw(key, given, (DRAWS, *shape)).mean, 0)


# Networks between layers.


def small(key: Array, inputs: int, outputs: int) -> Array:
    """U(-1, 1) sqrt(6 / (I + K)) / I: Glorot's scale over the number of inputs, the authors' start."""
    scale = math.sqrt(6 / (inputs + outputs)) / inputs
    return scale * jax.random.uniform(key, (inputs, outputs), minval=-1.0, maxval=1.0)


def network(key: Array, sizes: Sequence[int], bias: Array) -> list[dict[str, Array]]:
    """Affine layers with tanh between: Glorot-uniform ones, the last one `small` with the given bias."""
    if sizes[0] == 0:
        return [{"bias": bias}]
    layers = []
    for position, (inputs, outputs) in enumerate(itertools.pairwise(sizes[:-1])):
        kernel = inputs * small(jax.random.fold_in(key, position), inputs, outputs)
        layers.append({"kernel": kernel, "bias": jnp.zeros(outputs)})
    return [*layers, {"kernel": small(key, sizes[-2], sizes[-1]), "bias": bias}]


def outputs(layers: Sequence[dict[str, Array]], given: Array | None, shape: tuple[int, ...]) -> Array:
    """The network's outputs, (*shape, O)."""
    if given is None:
        return down_columns(layers[0]["bias"], shape)
    rows = given.shape[:-1]
    values = given.reshape(-1, given.shape[-1]) if for_cpu() else given  # it transposes gradients of more axes
    for position, layer in enumerate(layers):
        values = jnp.tanh(values) if position else values
        values = values @ layer["kernel"] + down_columns(layer["bias"], values.shape[:-1])
    values = values.reshape(*rows, values.shape[-1])
    return jnp.broadcast_to(values, (*shape, values.shape[-1]))


def uniform(key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
    """Uniform on multiples of 2^-24 in [0, 1)."""
    rows = shape if len(shape) > 1 else (1, *shape)
    return ((words(key, rows) >> jnp.uint32(8)).astype(dtype) * jnp.asarray(2.0**-24, dtype)).reshape(shape)


def first_bias(size: int, bias: np.ndarray | None) -> Array:
    """-1, the authors' start for every layer of 0 and 1, unless the data says better."""
    # With its dtype: a weakly typed one comes out of the first step otherwise, and the step is compiled twice.
    return jnp.full(size, -1.0, jnp.result_type(float)) if bias is None else jnp.asarray(bias, jnp.float32)


@dataclass(frozen=True)
class Bernoulli:
    """Independent values of 0 and 1 (a sigmoid belief network's layer)."""

    discrete: bool = True
    factorised: bool = True

    def init(self, key: Array, sizes: Sequence[int], bias: np.ndarray | None) -> Params:
        return network(key, sizes, first_bias(sizes[-1], bias))

    def draw(self, params: Params, key: Array, given: Array | None, shape: tuple[int, ...]) -> Drawn:
        return self._drawn(outputs(params, given, shape), key)[0]

    def relaxed(
        self, params: Params, key: Array, given: Array | None, shape: tuple[int, ...], temperature: float
    ) -> Drawn:
        """Values of `draw` with the derivatives of the binary Concrete variable of the same noise,

            sigmoid((logit - logit(u)) / temperature)   (Maddison et al. 2017, eq. 9)

        straight through (Jang et al. 2017). Their mean tends to the gradient of E[h] as the temperature falls, and
        their variance grows.
        """
        logits = outputs(params, given, shape)
        drawn, u = self._drawn(logits, key)
        least = jnp.asarray(2.0**-25, u.dtype)
        u = jnp.maximum(u, least)
        soft = jax.nn.sigmoid((logits - jnp.log(u) + jnp.log1p(-u)) / temperature)
        return drawn._replace(value=jax.lax.stop_gradient(drawn.value - soft) + soft)

    def _drawn(self, logits: Array, key: Array) -> tuple[Drawn, Array]:
        """A draw, and the uniform numbers behind it."""
        mean, u = jax.nn.sigmoid(logits), uniform(key, logits.shape, logits.dtype)
        return Drawn((u < mean).astype(mean.dtype), mean, mean * (1 - mean)), u

    def log_prob(self, params: Params, given: Array | None, value: Array) -> Array:
        shape = value.shape[:-1] if given is None else np.broadcast_shapes(value.shape[:-1], given.shape[:-1])
        logits = outputs(params, given, shape)
        return log_bernoulli(logits, jnp.broadcast_to(value, logits.shape))


@dataclass(frozen=True)
class Gaussian:
    """Independent real values; the network gives means and log-scales."""

    discrete: bool = False
    factorised: bool = True

    def init(self, key: Array, sizes: Sequence[int], bias: np.ndarray | None) -> Params:
        means = jnp.zeros(sizes[-1]) if bias is None else jnp.asarray(bias, jnp.float32)
        return network(key, [*sizes[:-1], 2 * sizes[-1]], jnp.concatenate([means, jnp.zeros(sizes[-1])]))

    def _moments(self, params: Params, given: Array | None, shape: tuple[int, ...]) -> tuple[Array, Array]:
        mean, raw = jnp.split(outputs(params, given, shape), 2, axis=-1)
        return mean, bounded(raw)

    def draw(self, params: Params, key: Array, given: Array | None, shape: tuple[int, ...]) -> Drawn:
        mean, log_scale = self._moments(params, given, shape)
        rows = mean.shape if mean.ndim > 1 else (1, *mean.shape)
        noise = normal(key, rows, mean.dtype).reshape(mean.shape)
        return Drawn(mean + jnp.exp(log_scale) * noise, mean, jnp.exp(2 * log_scale))

    def log_prob(self, params: Params, given: Array | None, value: Array) -> Array:
        shape = value.shape[:-1] if given is None else np.broadcast_shapes(value.shape[:-1], given.shape[:-1])
        mean, log_scale = self._moments(params, given, shape)
        away = (jnp.broadcast_to(value, mean.shape) - mean) * jnp.exp(-log_scale)
        return -jnp.sum(0.5 * away**2 + log_scale + 0.5 * LOG_2PI, -1)
