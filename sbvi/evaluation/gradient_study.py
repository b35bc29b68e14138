"""Bias, variance and cost of gradient rules on a trained model and its data.

What is measured is the gradient of E_q[log p(x | xi)] with respect to the recognition model's raw
outputs for each example: the parameters of the mean, and those of the covariance.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import UserError
from sbvi.gradients import RULES, Rule
from sbvi.models.capabilities import GaussianRecognition

Array = jax.Array
REFERENCE = "reparameterised"
TIMING_ROUNDS = 7


class Moments(NamedTuple):
    """Of one rule's gradient at one sample, node -> (B, n), over `draws` independent draws."""

    mean: dict[str, np.ndarray]
    variance: dict[str, np.ndarray]
    draws: int


class RuleStudy(NamedTuple):
    """How one rule does; or why it cannot serve this model.

    bias: |mean - reference| / |reference|.  noise: what sampling error alone would make of it.
    variance_mean, variance_covariance: of one sample, summed over parameters, mean over examples.
    microseconds: of one sample of one example, gradient included.
    """

    rule: str
    bias: float = float("nan")
    noise: float = float("nan")
    variance_mean: float = float("nan")
    variance_covariance: float = float("nan")
    microseconds: float = float("nan")
    refusal: str = ""


def _gradient(model: GaussianRecognition, params: Any, x: Array, rule: Rule) -> Callable[[Array], dict[str, Array]]:
    """key -> the rule's gradient from one sample, node -> (B, n)."""
    raw = model.recognise(params, x)
    f = model.expected(params, x)

    @jax.jit  # traced once, whatever loops call it
    def gradient(key: Array) -> dict[str, Array]:
        return jax.grad(lambda outputs: jnp.sum(rule(key, model.posteriors(outputs), f, 1)[1]))(raw)

    return gradient


def moments(model: GaussianRecognition, params: Any, x: Array, rule: Rule, draws: int, seed: int) -> Moments:
    """Mean and variance over draws, accumulated around the first draws so that no digits are lost."""

    @jax.jit
    def all_draws(params: Any, x: Array, keys: Array) -> Any:
        gradient = _gradient(model, params, x, rule)
        few = jax.lax.map(gradient, keys[:16])
        centre = jax.tree.map(lambda g: jnp.mean(g, 0), few)

        def one(sums: Any, key: Array) -> tuple[Any, None]:
            offset = jax.tree.map(jnp.subtract, gradient(key), centre)
            return jax.tree.map(lambda s, o: (s[0] + o, s[1] + o**2), sums, offset, is_leaf=_pair), None

        zeros = jax.tree.map(lambda c: (jnp.zeros_like(c), jnp.zeros_like(c)), centre)
        return centre, jax.lax.scan(one, zeros, keys)[0]

    keys = jax.random.split(jax.random.key(seed), draws)
    centre, sums = jax.device_get(all_draws(params, x, keys))
    mean = {n: centre[n] + sums[n][0] / draws for n in centre}
    variance = {n: sums[n][1] / draws - (sums[n][0] / draws) ** 2 for n in centre}
    return Moments(mean, variance, draws)


def _pair(value: Any) -> bool:
    return isinstance(value, tuple)


def _seconds(model: GaussianRecognition, params: Any, x: Array, rule: Rule) -> float:
    """Median time of one gradient of the whole batch."""
    step = jax.jit(lambda params, x, key: _gradient(model, params, x, rule)(key))
    key = jax.random.key(0)
    jax.block_until_ready(step(params, x, key))
    times = []
    for _ in range(TIMING_ROUNDS):
        repeats, began = 0, time.perf_counter()
        while time.perf_counter() - began < 0.05:
            jax.block_until_ready(step(params, x, key))
            repeats += 1
        times.append((time.perf_counter() - began) / repeats)
    return float(np.median(times))


def _norm(values: dict[str, np.ndarray]) -> float:
    return float(np.sqrt(sum(np.sum(np.square(v, dtype=np.float64)) for v in values.values())))


def _total(values: dict[str, np.ndarray]) -> float:
    return float(sum(np.sum(v, dtype=np.float64) for v in values.values()))


def study(
    model: GaussianRecognition, params: Any, x: Array, draws: int, reference_draws: int, seed: int
) -> Iterator[tuple[RuleStudy, Moments | None]]:
    """Every rule of the registry in turn on data x (B, D).

    The reference is the mean of `reference_draws` draws of the reparameterised rule, which is unbiased
    for networks with and without kinks.
    """
    reference = moments(model, params, x, RULES[REFERENCE](), reference_draws, seed + 1)
    scale = _norm(reference.mean)
    shapes = jax.eval_shape(model.gaussians, params, x)
    ends = {node: q.mean.shape[-1] for node, q in shapes.items()}
    for name, entry in RULES.items():
        try:
            estimate = moments(model, params, x, entry(), draws, seed)
        except UserError as error:
            yield RuleStudy(name, refusal=str(error)), None
            continue
        distance = _norm({n: estimate.mean[n] - reference.mean[n] for n in estimate.mean})
        noise = np.sqrt(_total(estimate.variance) / draws + _total(reference.variance) / reference_draws)
        yield (
            RuleStudy(
                rule=name,
                bias=distance / scale,
                noise=float(noise) / scale,
                variance_mean=_total({n: v[:, : ends[n]] for n, v in estimate.variance.items()}) / len(x),
                variance_covariance=_total({n: v[:, ends[n] :] for n, v in estimate.variance.items()}) / len(x),
                microseconds=1e6 * _seconds(model, params, x, entry()) / len(x),
            ),
            estimate,
        )
