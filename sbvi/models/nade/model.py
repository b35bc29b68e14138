"""The neural autoregressive density estimator in the order of the data (Larochelle & Murray 2011; Uria et al. 2014).

h_i = f(c + sum_{j<i} W_j x_j),   p(x_i = 1 | x_<i) = sigmoid(b_i + V_i . h_i)
"""

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.models.nade.conditionals import logits
from sbvi.models.nade.particles import filtered, systematic
from sbvi.models.values import Array, DataFacts, DataSummary, LogProb, Params, Samples
from sbvi.networks.activations import ACTIVATIONS, ActivationName

#: Fewest particles with which missing values are drawn, and of how many rows they are held at once.
PARTICLES, ROWS = 400, 64


class BuiltNADE:
    """Parameters: inputs W (D, H), outputs V (D, H), hidden_bias c (H,), output_bias b (D,)."""

    discrete = True

    def __init__(self, hidden: int, activation: ActivationName, facts: DataFacts):
        self.hidden, self.facts = hidden, facts
        self.activation = ACTIVATIONS[activation].function

    def init(self, seed: int, summary: DataSummary) -> Params:
        """Weights uniform as Glorot & Bengio (2010) have them; output biases at the data's means."""
        size = self.facts.event_size
        generator = np.random.default_rng(seed)
        bound = np.sqrt(6 / (size + self.hidden))
        inputs, outputs = generator.uniform(-bound, bound, (2, size, self.hidden)).astype(np.float32)
        mean = np.clip(summary.mean, 0.01, 0.99)
        return {
            "inputs": jnp.asarray(inputs),
            "outputs": jnp.asarray(outputs),
            "hidden_bias": jnp.zeros(self.hidden),
            "output_bias": jnp.asarray(np.log(mean) - np.log1p(-mean), jnp.float32),
        }

    def numbers(self, examples: int) -> dict[str, float]:
        return {}

    def logits(self, params: Params, x: Array) -> Array:
        """log p(x_i = 1 | x_<i) - log p(x_i = 0 | x_<i), (B, D)."""
        start = jnp.broadcast_to(params["hidden_bias"][None], (x.shape[0], self.hidden))
        projected = logits(self.activation, start, params["inputs"], params["outputs"], x.T)
        return projected.T + params["output_bias"][None]

    def log_prob(self, params: Params, key: Array, x: Array) -> LogProb:
        logit = self.logits(params, x)
        return LogProb(jnp.sum(x * logit - jax.nn.softplus(logit), -1), "exact")

    def sample(self, params: Params, key: Array, num: int) -> Samples:
        """Value after value; each adds one row of W to what the hidden units take."""
        bias = params["hidden_bias"]
        rows = params["inputs"], params["outputs"], params["output_bias"]

        def one(state: Array, row: tuple[Array, ...]) -> tuple[Array, tuple[Array, Array]]:
            noise, *own = row
            mean = jax.nn.sigmoid(self._conditional(state, tuple(own)))
            value = (noise < mean).astype(mean.dtype)
            return self._extended(state, tuple(own), value), (mean, value)

        noise = jax.random.uniform(key, (self.facts.event_size, num), bias.dtype)
        start = jnp.broadcast_to(bias[None], (num, self.hidden))
        _, (mean, value) = jax.lax.scan(one, start, (noise, *rows))
        return Samples(mean.T, value.T)

    def impute(self, params: Params, key: Array, x: Array, observed: Array, num: int) -> Samples:
        """Draws by particles, at least PARTICLES of them; their mean is that of all particles, the same for each.

        Draws of p(x_m | x_o) in the limit of many: a particle is drawn without a look at what is observed after it.
        """
        size = min(ROWS, x.shape[0])
        blocks = -(-x.shape[0] // size)
        places = (jnp.arange(blocks * size, dtype=jnp.int32) % x.shape[0]).reshape(blocks, size)

        def one(block: tuple[Array, Array]) -> tuple[Array, Array]:
            key, rows = block
            return self._population(params, key, x[rows], observed[rows], num)

        means, drawn = jax.lax.map(one, (jax.random.split(key, blocks), places))
        mean = means.reshape(-1, x.shape[1])[: x.shape[0]]
        drawn = jnp.swapaxes(drawn, 0, 1).reshape(num, -1, x.shape[1])[:, : x.shape[0]]
        return Samples(jnp.broadcast_to(mean[None], drawn.shape), drawn)

    def _population(self, params: Params, key: Array, x: Array, observed: Array, num: int) -> tuple[Array, Array]:
        """The mean (B, D) of a population for each row, and num draws from it, (num, B, D)."""
        first, second = jax.random.split(key)
        bias, count = params["hidden_bias"], max(num, PARTICLES)
        start = jnp.broadcast_to(bias[None, None], (x.shape[0], count, self.hidden))
        rows = params["inputs"], params["outputs"], params["output_bias"]
        values, weights = filtered(first, start, self._conditional, self._extended, rows, x, observed)
        chosen = systematic(jax.random.uniform(second, x.shape[:1], x.dtype), weights, num)
        drawn = jnp.moveaxis(jnp.take_along_axis(values, chosen[:, :, None], 1), 1, 0)
        return jnp.einsum("bn,bnd->bd", weights, values), drawn

    def _conditional(self, state: Array, row: tuple[Array, ...]) -> Array:
        """The logit of the next value for states (..., H)."""
        _, outputs, bias = row
        return self.activation(state) @ outputs + bias

    def _extended(self, state: Array, row: tuple[Array, ...], value: Array) -> Array:
        """The states after values (...)."""
        into = row[0].reshape((1,) * value.ndim + (-1,))
        return state + value[..., None] * into
