"""What is observed of a network's output, and the factors that message passing runs on.

y = A x + N(0, noise I) of the output x, or bits y that are 1 with a probability that grows with x. Entries of y may
be missing (NaN): rows of the last linear layer then count no more. Examples with the same entries missing share one
decomposition.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import UserError
from sbvi.inference.ml_vamp.channels import LogisticOutput, Prior, ProbitOutput, logistic_moments
from sbvi.inference.ml_vamp.linear import LinearFactor, MeasuredFactor, linear_factor
from sbvi.inference.ml_vamp.messages import Factor, Message
from sbvi.inference.ml_vamp.network import Layer, Linear, Network


@dataclass(frozen=True, eq=False)
class GaussianOutput:
    """y = A x + N(0, noise I).  operator: A, (m, outputs); the identity where None."""

    noise: float
    operator: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class BinaryOutput:
    """Bits of a = A x.  link "probit": P(y = 1) = Phi(a / sqrt(noise)), the sign of a with noise 0; "logistic":
    sigmoid(a).  operator: A, (m, outputs); the identity where None."""

    link: str = "logistic"
    noise: float = 1.0
    operator: np.ndarray | None = None

    def probability(self, mean: jax.Array, variance: jax.Array) -> jax.Array:
        """P(y = 1) for x ~ N(mean, variance), element-wise."""
        return chance_of_one(self.link, self.noise, mean, variance)


@partial(jax.jit, static_argnums=(0, 1))
def chance_of_one(link: str, noise: float, mean: jax.Array, variance: jax.Array) -> jax.Array:
    """See `BinaryOutput.probability`."""
    if link == "logistic":
        return jnp.exp(logistic_moments(mean, jnp.maximum(variance, 1e-12))[0])
    return jnp.exp(jax.scipy.special.log_ndtr(mean / jnp.sqrt(jnp.maximum(variance + noise, 1e-12))))


Output = GaussianOutput | BinaryOutput


@dataclass(frozen=True, eq=False)
class Problem:
    """Infer the variables of `network` from y (B, m), NaN where missing.

    Raises:
      UserError: y, the operator or the noise cannot be used.
    """

    network: Network
    output: Output
    y: np.ndarray

    def __post_init__(self) -> None:
        _check_output(self.network, self.output)
        if self.y.ndim != 2 or self.y.shape[1] != self.measured:
            raise UserError(f"y has shape {self.y.shape}; allowed: (examples, {self.measured}).")
        seen = self.y[~np.isnan(self.y)]
        if not np.isfinite(seen).all():
            raise UserError("y holds infinite values; allowed: finite numbers, and NaN where missing.")
        if isinstance(self.output, BinaryOutput) and not np.isin(seen, (0, 1)).all():
            raise UserError("y of a binary output holds values other than 0 and 1.")
        if np.isnan(self.y).all(1).any():
            raise UserError(f"row {int(np.isnan(self.y).all(1).argmax())} of y has every entry missing.")

    @property
    def measured(self) -> int:
        """The number of entries of one example's y."""
        operator = self.output.operator
        return self.network.outputs if operator is None else len(operator)

    @property
    def of_bits(self) -> bool:
        """Whether y is bits of the output itself, of which the signal is the probability of a 1."""
        return isinstance(self.output, BinaryOutput) and self.output.operator is None

    @cached_property
    def chain(self) -> tuple[tuple[Layer, ...], Linear]:
        """Layers before the last linear one, and that one, whose output is observed: the operator is folded in."""
        layers, operator = self.network.layers, self.output.operator
        last = layers[-1]
        if operator is None and isinstance(last, Linear) and (last.noise == 0 or isinstance(self.output, BinaryOutput)):
            return layers[:-1], last
        operator = np.eye(self.network.outputs) if operator is None else operator
        if isinstance(last, Linear) and last.noise == 0:
            return layers[:-1], Linear(operator @ last.weight, operator @ last.bias)
        return layers, Linear(operator, np.zeros(len(operator)))

    @property
    def measured_layers(self) -> tuple[Layer, ...]:
        """The layers, the measured one last, without outputs that no example has."""
        before, last = self.chain
        return (*before, Linear(last.weight[self.entries], last.bias[self.entries], last.noise))

    @property
    def signal(self) -> tuple[np.ndarray, np.ndarray, float]:
        """(weight, bias, noise) that lead from the last factor's linear layer's input to the output x."""
        layers = self.network.layers
        last = layers[-1]
        if isinstance(last, Linear) and len(self.chain[0]) < len(layers):
            return last.weight, last.bias, last.noise
        size = self.network.outputs
        return np.eye(size), np.zeros(size), 0.0

    @cached_property
    def _inner(self) -> tuple[Factor, ...]:
        layers = self.chain[0]
        return tuple(linear_factor(x.weight, x.bias, x.noise) if isinstance(x, Linear) else x for x in layers)

    @cached_property
    def entries(self) -> np.ndarray:
        """Places of y that some example has, (k,)."""
        return np.flatnonzero(~np.isnan(self.y).all(0))

    def factors(self, rows: np.ndarray) -> tuple[Factor, ...]:
        """Prior, layers, and what is observed, for examples that have `rows` (k,) bool of `entries`."""
        last, kept = self.chain[1], self.entries
        layer = linear_factor(last.weight[kept], last.bias[kept], last.noise, rows)
        if isinstance(self.output, GaussianOutput):
            return (Prior(), *self._inner, MeasuredFactor(layer))
        return (Prior(), *self._inner, layer, channel(self.output, rows))

    def groups(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(examples, which of `entries` they have) of those that have the same."""
        patterns, member = np.unique(~np.isnan(self.y[:, self.entries]), axis=0, return_inverse=True)
        for number, rows in enumerate(patterns):
            yield np.flatnonzero(member.ravel() == number), rows

    def evidence(self, examples: np.ndarray) -> Message:
        """What reaches the last factor: y, 0 where missing, and the variance of its noise."""
        y = jnp.asarray(np.nan_to_num(self.y[examples][:, self.entries], nan=0.0), jnp.float64)
        noise = self.output.noise if isinstance(self.output, GaussianOutput) else 1.0
        return Message(y, jnp.full((len(examples), 1), noise, jnp.float64))


def channel(output: BinaryOutput, rows: np.ndarray) -> Factor:
    """The factor of bits, of which `rows` (k,) bool are observed."""
    seen = jnp.asarray(rows[None], jnp.float64)
    return LogisticOutput(seen) if output.link == "logistic" else ProbitOutput(seen, output.noise)


def sizes(factors: tuple[Factor, ...], first: int) -> list[int]:
    """The sizes of the variables between factors, the latent's first."""
    widths = [first]
    for factor in factors[1:-1]:
        widths.append(factor.u.shape[0] if isinstance(factor, LinearFactor) else widths[-1])
    return widths


def _check_output(network: Network, output: Output) -> None:
    operator = output.operator
    if operator is not None:
        if operator.ndim != 2 or operator.shape[1] != network.outputs or not len(operator):
            raise UserError(f"the operator has shape {operator.shape}; allowed: (m, {network.outputs}).")
        if not np.isfinite(operator).all():
            raise UserError("the operator holds values that are not finite.")
    if isinstance(output, GaussianOutput):
        if not (np.isfinite(output.noise) and output.noise > 0):
            raise UserError(f"noise={output.noise}; allowed: a finite variance above 0.")
        return
    if output.link not in ("probit", "logistic"):
        raise UserError(f"link={output.link} is not known; allowed: logistic, probit.")
    if operator is None and not isinstance(network.layers[-1], Linear):
        raise UserError(f"layer {len(network.layers)} is a unit; bits need a linear layer as the last one.")
    if not (np.isfinite(output.noise) and output.noise >= 0):
        raise UserError(f"noise={output.noise} of a binary output; allowed: a finite variance, 0 or more.")


def energy_of_output(output: Output, x: jax.Array, y: jax.Array) -> jax.Array:
    """-log p(y | x), (B,), nats; entries of y that are NaN count nothing."""
    seen = ~jnp.isnan(y)
    target = jnp.where(seen, y, jnp.zeros_like(y))
    if output.operator is not None:
        x = x @ jnp.asarray(output.operator.T, x.dtype)
    if isinstance(output, BinaryOutput):
        side = 2 * target - 1
        logs = (
            jax.nn.log_sigmoid(side * x)
            if output.link == "logistic"
            else jax.scipy.special.log_ndtr(side * x / float(np.sqrt(output.noise)))
        )
        return -jnp.sum(jnp.where(seen, logs, jnp.zeros_like(logs)), axis=1)
    costs = 0.5 * ((x - target) ** 2 / output.noise + float(np.log(2 * np.pi * output.noise)))
    return jnp.sum(jnp.where(seen, costs, jnp.zeros_like(costs)), axis=1)
