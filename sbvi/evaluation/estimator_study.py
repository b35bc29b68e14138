"""Bias, variance and cost of the gradients that models with discrete latents learn by."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.data import Batch
from sbvi.models.rollout import Noise
from sbvi.models.values import LatentParams
from sbvi.objectives import OBJECTIVES, View
from sbvi.objectives.discrete import DISCRETE, init_companion

Array = jax.Array
Gradient = Callable[[Any, Array], Any]
Loss = Callable[[Any, Array, Array, Noise], tuple[Array, Any]]

BOUNDS = ("free_energy", "importance_weighted", "renyi")
#: Samples of an algorithm's reference for each of its own.
MANY = 50


class EstimatorStudy(NamedTuple):
    """One estimator of the gradient of one bound, or an algorithm's own, the mean over the examples.

    bias: distance of the mean from the reference, relative to it; noise: the part of it that sampling error alone
    explains.  variance_recognition, variance_generative: of one gradient, summed over the parameters of q and of p.
    microseconds: of one gradient.
    """

    bound: str
    estimator: str
    bias: float
    noise: float
    variance_recognition: float
    variance_generative: float
    microseconds: float


class _Moments(NamedTuple):
    mean: Any
    variance: Any
    draws: int
    seconds: float


def _moments(gradient: Gradient, params: Any, draws: int, seed: int) -> _Moments:
    """Of `draws` gradients, value by value, and the seconds that each took.

    Sums are of differences from the first gradient: in float32 the difference E[g^2] - E[g]^2 has no digit left where
    the mean is a thousand deviations, nor has a sum of gradients its deviation's.
    """

    def one(carry: tuple[Any, Any, Any], draw: tuple[Array, Array]) -> tuple[Any, None]:
        centre, first, second = carry
        key, count = draw
        grads = gradient(params, key)
        centre = jax.tree.map(lambda c, g: jnp.where(count == 0, g, c), centre, grads)
        apart = jax.tree.map(jnp.subtract, grads, centre)
        first = jax.tree.map(jnp.add, first, apart)
        return (centre, first, jax.tree.map(lambda s, a: s + a**2, second, apart)), None

    zeros = jax.tree.map(jnp.zeros_like, params)
    each = jax.random.split(jax.random.key(seed), draws), jnp.arange(draws)
    compiled = jax.jit(lambda each: jax.lax.scan(one, (zeros, zeros, zeros), each)[0]).lower(each).compile()
    began = time.perf_counter()
    sums = jax.device_get(compiled(each))
    seconds = (time.perf_counter() - began) / draws
    centre, first, second = jax.tree.map(lambda a: np.asarray(a, np.float64), sums)
    mean = jax.tree.map(lambda c, a: c + a / draws, centre, first)
    variance = jax.tree.map(lambda a, s: np.maximum(s / draws - (a / draws) ** 2, 0), first, second)
    return _Moments(mean, variance, draws, seconds)


def _total(tree: Any) -> float:
    return float(sum(np.sum(leaf, dtype=np.float64) for leaf in jax.tree.leaves(tree)))


def _gradient(model: Any, bound: str, estimator: str, samples: int, x: Array, level: float) -> Gradient:
    batch = Batch(x, jnp.arange(x.shape[0], dtype=jnp.int32), jnp.ones(x.shape[0], x.dtype))
    objective = OBJECTIVES[bound](num_samples=samples, estimator=estimator)
    companion = init_companion(estimator, jax.random.key(0), x.shape[1])
    if companion is not None:
        companion = companion | {"level": jnp.full(1, level, x.dtype)}

    @jax.jit  # traced once for all numbers of draws
    def gradient(params: LatentParams, key: Array) -> Any:
        numbers = {"kl_weight": jnp.ones((), x.dtype)}
        return jax.grad(lambda p: objective(View(model, p, key, batch, companion=companion), numbers)[0])(params)

    return gradient


def _compared(bound: str, estimator: str, estimate: _Moments, reference: _Moments) -> EstimatorStudy:
    scale = np.sqrt(_total(jax.tree.map(np.square, reference.mean)))
    away = jax.tree.map(lambda a, b: (a - b) ** 2, estimate.mean, reference.mean)
    error = sum(_total(moments.variance) / moments.draws for moments in (estimate, reference))
    return EstimatorStudy(
        bound,
        estimator,
        float(np.sqrt(_total(away)) / scale),
        float(np.sqrt(error) / scale),
        _total(estimate.variance.recognition),
        _total(estimate.variance.generative) + _total(estimate.variance.prior),
        1e6 * estimate.seconds,
    )


def study_estimators(
    model: Any,
    params: LatentParams,
    x: Array,
    samples: int,
    draws: int,
    reference_draws: int,
    seed: int,
    estimators: Sequence[str] = DISCRETE,
) -> Iterator[EstimatorStudy]:
    """Estimators of every bound over `samples` samples, for examples x (B, D).

    The reference is the mean of other draws of `vimco`. `nvil` is given what its network learns first, a constant, the
    mean bound.
    """
    for bound in BOUNDS:
        objective = OBJECTIVES[bound](num_samples=max(samples, 100), estimator="vimco")
        batch = Batch(x, jnp.arange(x.shape[0], dtype=jnp.int32), jnp.ones(x.shape[0], x.dtype))
        view = View(model, params, jax.random.key(seed + 2), batch, values_only=True)
        report = jax.jit(lambda: objective(view, {"kl_weight": jnp.ones((), x.dtype)})[1])()  # noqa: B023  (called here)
        level = float(np.mean(report.get("bound", report["elbo"])))
        gradients = {e: _gradient(model, bound, e, samples, x, level) for e in {"vimco", *estimators}}
        reference = _moments(gradients["vimco"], params, reference_draws, seed + 1)
        for estimator in estimators:
            estimate = _moments(gradients[estimator], params, draws, seed)
            yield _compared(bound, estimator, estimate, reference)


class Descended(NamedTuple):
    """What an algorithm descends, and what its mean is beside: with MANY times the samples where they are weighed by
    normalised weights, else itself."""

    loss: Loss
    limit: Loss
    normalised: bool


def study_algorithms(
    algorithms: Mapping[str, Descended], params: LatentParams, x: Array, draws: int, reference_draws: int, seed: int
) -> Iterator[EstimatorStudy]:
    """Gradients of algorithms that climb no bound by one of its estimators, named in the column of the bounds, for
    examples x (B, D).

    Where weights are normalised the reference is of MANY times the samples, and of fewer draws, so that it costs as
    much as those of the bounds: what the weights are normalised by costs no bias there to speak of.
    """
    for name, of in algorithms.items():
        count = max(2, reference_draws // MANY) if of.normalised else reference_draws
        reference = _moments(_one_by_one(of.limit, x), params, count, seed + 1)
        yield _compared(name, "own", _moments(_together(of.loss, x), params, draws, seed), reference)


def _together(loss: Loss, x: Array) -> Gradient:
    return jax.grad(lambda params, key: loss(params, key, x, Noise())[0])


def _one_by_one(loss: Loss, x: Array) -> Gradient:
    """The same in the mean, holding the samples of one example at a time: some models keep hundreds of values of each
    for the way back."""

    def gradient(params: Any, key: Array) -> Any:
        def one(total: Any, example: tuple[Array, Array]) -> tuple[Any, None]:
            key, row = example
            return jax.tree.map(jnp.add, total, _together(loss, row[None])(params, key)), None

        zeros = jax.tree.map(jnp.zeros_like, params)
        total, _ = jax.lax.scan(one, zeros, (jax.random.split(key, x.shape[0]), x))
        return jax.tree.map(lambda a: a / x.shape[0], total)

    return gradient
