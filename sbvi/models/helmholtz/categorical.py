"""A layer of categorical variables."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.models.helmholtz.units import Array, Drawn, Params, network, outputs, uniform


@dataclass(frozen=True)
class Categorical:
    """K / C independent variables of C states each. A layer's values (..., K) are their indicators, variable after
    variable: C values of which one is 1.

        p(h_m = c | given) = softmax(logits_m)_c
    """

    categories: int
    discrete: bool = True
    factorised: bool = False  # of the C values of a variable one alone is 1

    def init(self, key: Array, sizes: Sequence[int], bias: np.ndarray | None) -> Params:
        return network(key, sizes, jnp.zeros(sizes[-1]) if bias is None else jnp.asarray(bias, jnp.float32))

    def draw(self, params: Params, key: Array, given: Array | None, shape: tuple[int, ...]) -> Drawn:
        return self._drawn(self._logits(params, given, shape), key)[0]

    def relaxed(
        self, params: Params, key: Array, given: Array | None, shape: tuple[int, ...], temperature: float
    ) -> Drawn:
        """Values of `draw` with the derivatives of the Concrete variable of the same noise,

            softmax((logits + gumbel) / temperature)   (Maddison et al. 2017, eq. 10)

        straight through (Jang et al. 2017).
        """
        logits = self._logits(params, given, shape)
        drawn, gumbel = self._drawn(logits, key)
        soft = jax.nn.softmax((logits + gumbel) / temperature).reshape(drawn.value.shape)
        return drawn._replace(value=jax.lax.stop_gradient(drawn.value - soft) + soft)

    def log_prob(self, params: Params, given: Array | None, value: Array) -> Array:
        shape = value.shape[:-1] if given is None else np.broadcast_shapes(value.shape[:-1], given.shape[:-1])
        logits = self._logits(params, given, shape)
        own = jnp.broadcast_to(value, (*shape, value.shape[-1])).reshape(logits.shape)
        return jnp.sum(own * jax.nn.log_softmax(logits), (-2, -1))

    def _logits(self, params: Params, given: Array | None, shape: tuple[int, ...]) -> Array:
        """(*shape, K / C, C)."""
        return outputs(params, given, shape).reshape(*shape, -1, self.categories)

    def _drawn(self, logits: Array, key: Array) -> tuple[Drawn, Array]:
        """A draw, and the Gumbel noise behind it: the greatest logit with noise is the state (Gumbel-max)."""
        u = jnp.maximum(uniform(key, logits.shape, logits.dtype), jnp.asarray(2.0**-25, logits.dtype))
        gumbel = -jnp.log(-jnp.log(u))
        value = jax.nn.one_hot(jnp.argmax(logits + gumbel, -1), self.categories, dtype=logits.dtype)
        mean = jax.nn.softmax(logits)
        flat = (*logits.shape[:-2], logits.shape[-2] * self.categories)
        return Drawn(*(part.reshape(flat) for part in (value, mean, mean * (1 - mean)))), gumbel
