"""Estimates of log p(x) by importance sampling from the recognition model (PAPER 3.5):

    log p(x) ~ log (1/S) sum_s p(x, xi_s) / q(xi_s | x),   xi_s ~ q(xi | x)

a stochastic lower bound that rises to log p(x) with S. Memory is bounded by the samples of one chunk, beside the log
weights, or for very many the 3 sqrt(S) largest: their tail says how far the estimate can be trusted.

A row of which nothing is observed needs no estimate: log p of nothing is 0.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sbvi.inference import psis
from sbvi.models.rollout import Rollout

Array = jax.Array
ScoredRollout = Callable[[Any, Array, Array, int], Rollout]


#: Up to so many samples all log weights are held, and the largest are found once in place of at every chunk.
HELD = 10_000


class Likelihood(NamedTuple):
    """Per example, (B,), nats.

    log_likelihood: the importance-sampling estimate of log p(x).
    elbo: the mean log weight.  expected_log_likelihood: E_q[log p(x | xi)].
    kl: node -> the mean of log q - log p.  effective: effective sample size (sum w)^2 / sum w^2.
    geometric: the estimate of log p~(x) = 2 log E_q[sqrt(w)], the bound of `algorithm=bihm`, low in expectation.
    geometric_effective: effective sample size of the weights sqrt(w).
    khat: shape of the weights' tail (sbvi.inference.psis), no unit; None where S is too small for one.
    """

    log_likelihood: Array
    elbo: Array
    expected_log_likelihood: Array
    kl: dict[str, Array]
    effective: Array
    geometric: Array
    geometric_effective: Array
    khat: Array | None = None


class _Terms(NamedTuple):
    """What means over the samples are told of, by sample and example, or as sums or an anchor by example."""

    weight: Array
    fit: Array
    kl: dict[str, Array]


class _Sums(NamedTuple):
    top: Array  # the greatest log weight so far: everything below is relative to it
    half: Array  # of square roots
    first: Array
    second: Array
    anchor: _Terms  # those of the first sample: a sum of the terms themselves would leave float32 no digits of a mean
    beyond: _Terms  # sums of what they are beyond the anchor
    largest: Array | None  # the log weights of the tail and its threshold so far, (B, M + 1)


def even(num_samples: int, chunk: int) -> int:
    """The size of the chunks that S samples are met with, all of one size, of at most `chunk`."""
    return -(-num_samples // -(-num_samples // chunk))


def nothing_observed(x: Array, fit: Array) -> Array:
    """Of which rows (B,) of x (B, D) no entry is there, and log p(x | xi) is 0 at every sample, as its mean `fit` (B,)
    tells. A model of which entries are missing gives such a row a likelihood too, by which it is estimated."""
    return jnp.isnan(x).all(-1) & (fit == 0)


def _known(estimated: Likelihood, empty: Array, num_samples: int) -> Likelihood:
    """The estimate, with log p = 0 of the empty rows (B,), of which every sample counts and the weights have no tail;
    their bound stays that of q."""

    def known(value: float, estimate: Array) -> Array:
        return jnp.where(empty, jnp.full_like(estimate, value), estimate)

    return estimated._replace(
        log_likelihood=known(0.0, estimated.log_likelihood),
        effective=known(num_samples, estimated.effective),
        khat=None if estimated.khat is None else known(0.0, estimated.khat),
    )


def importance_sampling(rollout: ScoredRollout, num_samples: int, chunk: int) -> Callable[[Any, Array, Array], Any]:
    """A traced function (params, key, x (B, D)) -> Likelihood, with S samples in chunks.

    rollout: (params, key, x, samples) -> Rollout. A number of samples that the chunk does not divide
    is met exactly: by chunks of a size a little smaller, the last one's surplus masked.
    """
    chunk = even(num_samples, chunk)
    rounds = -(-num_samples // chunk)
    tail = psis.tail_length(num_samples)
    merges = tail is not None and num_samples > HELD

    def estimate(params: Any, key: Array, x: Array) -> Likelihood:
        def one(sums: _Sums, position: Array) -> tuple[_Sums, Array | None]:
            scored = rollout(params, jax.random.fold_in(key, position), x, chunk)
            real = (position * chunk + jnp.arange(chunk, dtype=jnp.int32) < num_samples)[:, None]

            terms = _Terms(
                scored.log_weights(),
                scored.log_likelihood,
                {n: scored.log_posterior[n] - scored.log_prior[n] for n in sums.anchor.kl},
            )

            def begun(values: Array, anchor: Array) -> Array:
                first = jnp.where(jnp.isfinite(values[0]), values[0], jnp.zeros_like(anchor))
                return jnp.where(position == 0, first, anchor)

            def added(beyond: Array, values: Array, anchor: Array) -> Array:
                return beyond + jnp.sum(jnp.where(real, values - anchor[None], jnp.zeros_like(values)), 0)

            anchor = jax.tree.map(begun, terms, sums.anchor)
            log_weights = jnp.where(real, terms.weight, -jnp.inf)
            top = jnp.maximum(sums.top, jnp.max(log_weights, 0))
            scaled = jnp.exp(log_weights - top[None])
            before = jnp.exp(sums.top - top)
            return _Sums(
                top,
                sums.half * jnp.sqrt(before) + jnp.sum(jnp.sqrt(scaled), 0),
                sums.first * before + jnp.sum(scaled, 0),
                sums.second * before**2 + jnp.sum(scaled**2, 0),
                anchor,
                jax.tree.map(added, sums.beyond, terms, anchor),
                None if sums.largest is None else psis.merged(sums.largest, log_weights),
            ), None if merges or tail is None else log_weights

        nodes = jax.eval_shape(lambda: rollout(params, key, x, 1)).log_prior
        zeros = jnp.zeros(x.shape[:1], x.dtype)
        none = jnp.full_like(zeros, -jnp.inf)
        largest = jnp.tile(none[:, None], (1, tail + 1)) if merges and tail is not None else None
        terms = _Terms(zeros, zeros, dict.fromkeys(nodes, zeros))
        start = _Sums(none, *(zeros,) * 3, terms, terms, largest)
        sums, held = jax.lax.scan(one, start, jnp.arange(rounds, dtype=jnp.int32))
        largest = sums.largest
        if held is not None and tail is not None:
            largest = psis.top(held.reshape(-1, x.shape[0]).T, tail + 1)
        count = jnp.log(jnp.asarray(num_samples, x.dtype))
        mean = jax.tree.map(lambda anchor, beyond: anchor + beyond / num_samples, sums.anchor, sums.beyond)
        estimated = Likelihood(
            log_likelihood=sums.top + jnp.log(sums.first) - count,
            elbo=mean.weight,
            expected_log_likelihood=mean.fit,
            kl=mean.kl,
            effective=jnp.minimum(sums.first**2 / sums.second, num_samples),
            geometric=sums.top + 2 * (jnp.log(sums.half) - count),
            geometric_effective=jnp.minimum(sums.half**2 / sums.first, num_samples),
            khat=None if largest is None else psis.khat(largest),
        )
        return _known(estimated, nothing_observed(x, mean.fit), num_samples)

    return estimate
