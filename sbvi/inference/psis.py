"""How far importance sampling can be trusted: the shape k of the weights' tail (PSIS; Vehtari et al. 2024).

The M = min(S/5, 3 sqrt(S)) largest of S weights are taken for draws from a generalised Pareto distribution above the
next one,

    p(r > y) = (1 + k y / sigma)^(-1/k),   y = r - threshold

whose moments of order 1/k and above are infinite. Below 0.7 the estimate is reliable at practical sizes; above, its
error is larger than its spread over examples says. k is fitted by the posterior mean of Zhang and Stephens (2009) in
b = k / sigma, then drawn towards 1/2 by a prior worth ten observations (Vehtari et al. 2024, appendix C).

Of discrete latents equal states have equal weights, and a tail of a few values, each many times over, is no power law:
nothing lies beyond it but states that were not met. These hold about as much of the sum of weights as the states that
were met once (Good 1953, doi 10.1093/biomet/40.3-4.237). So a k above LIMIT is set aside where less than half of the
tail's sum is of values that occur once, unless its effective number of weights is below REPEATED: a few rare states
with huge weights, which the estimate hangs on, stay a heavy tail. Continuous weights occur once,
but where they are so many nats from 0 that rounding makes them equal: there nothing is set aside. States that were not
met at all are not seen by this, as by no other look at the weights.

All is in logarithms, so that weights may be hundreds of nats apart.
"""

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array

#: Fewer points than these make no tail to fit.
LEAST = 25
#: Above this k, importance sampling is not to be trusted.
LIMIT = 0.7
#: A tail of repeated values that counts for fewer equal weights than these is fitted like any other.
REPEATED = 28
#: Log weights closer than this share of them, in steps of their dtype, are of equal states, which rounding sets apart.
STEPS = 4
#: Where such steps are larger than this, in nats, continuous weights are equal by rounding too: nothing is set aside.
FINE = 1e-3


def tail_length(num_samples: int) -> int | None:
    """M of S samples; None where S is too small for a tail of LEAST points (121 samples)."""
    length = int(np.ceil(min(num_samples / 5, 3 * np.sqrt(num_samples))))
    return length if length >= LEAST else None


def top(log_weights: Array, n: int) -> Array:
    """The n largest of (B, C): (B, n), from the largest down.

    Nothing that reads them is joined to them: XLA's CPU compiler would then sort all C, in three times as long.
    """
    found: Array = jax.lax.optimization_barrier(jax.lax.top_k(log_weights, n)[0])
    return found


def of_weights(log_weights: Array) -> Array | None:
    """k of S log weights (S, B): (B,); None where S is too small for a tail."""
    if (length := tail_length(len(log_weights))) is None:
        return None
    return khat(top(log_weights.T, length + 1))


def merged(largest: Array, log_weights: Array) -> Array:
    """The n largest of those already found (B, n) and new ones (C, B): (B, n), from the largest down."""
    return top(jnp.concatenate([largest, log_weights.T], axis=1), largest.shape[1])


def khat(largest: Array) -> Array:
    """k of the M + 1 largest log weights (B, M + 1), from the largest down: (B,).

    The last is the threshold. A tail without spread, such as that of equal weights, has k = 0 before the prior, and so
    has one of repeated values whose fit would be above LIMIT.
    """
    tail, threshold = largest[:, :-1], largest[:, -1:]
    # log (e^tail - e^threshold); a log weight of -inf is a weight of zero.
    gap = jnp.where(jnp.isfinite(threshold), threshold - tail, -jnp.inf)
    above = jnp.log(-jnp.expm1(jnp.where(gap < 0, gap, -jnp.ones_like(gap))))
    excess = jnp.where(gap < 0, tail + above, -jnp.inf)
    raw = generalised_pareto(excess)
    count = tail.shape[1]
    fitted = (count * raw + 5) / (count + 10)
    # Where k gives no alarm nothing is asked: nearly equal weights, hundreds of nats from 0, repeat by rounding.
    return jnp.where((fitted > LIMIT) & repeated(largest), jnp.full_like(raw, 5 / (count + 10)), fitted)


def repeated(largest: Array) -> Array:
    """Whether a tail (B, M + 1), from the largest down, is mostly of values that occur again, and hangs on none of its
    weights: (B,) of bool."""
    tail, first = largest[:, :-1], largest[:, :1]
    finite = jnp.isfinite(largest)
    held = jnp.where(finite, largest, jnp.zeros_like(largest))  # zeros of weight 0: no difference of two infinities
    step = STEPS * jnp.finfo(largest.dtype).eps * jnp.maximum(jnp.abs(held), jnp.ones_like(held))
    equal = (held[:, :-1] - held[:, 1:] <= step[:, :-1]) & finite[:, :-1] & finite[:, 1:]
    again = equal | jnp.pad(equal[:, :-1], ((0, 0), (1, 0)))
    weight = jnp.exp(jnp.where(finite[:, :-1], tail - jnp.where(jnp.isfinite(first), first, 0.0), -jnp.inf))
    total = jnp.sum(weight, 1)
    once = jnp.sum(jnp.where(again, jnp.zeros_like(weight), weight), 1)
    fine = jnp.max(jnp.where(finite, step, jnp.zeros_like(step)), 1) <= FINE
    return fine & (once < 0.5 * total) & (total**2 >= REPEATED * jnp.sum(weight**2, 1))


def generalised_pareto(log_excess: Array) -> Array:
    """k of a generalised Pareto distribution from n log excesses (B, n), from the largest down: (B,).

    Zhang and Stephens (2009), eqs. 4 to 7: the profile log-likelihood n (log(b / k) - k - 1), k = mean log(1 + b y),
    weighs m = 30 + sqrt(n) values of b spread over its prior, which the first quartile and the largest of y scale.
    """
    n = log_excess.shape[1]
    m = 30 + int(np.sqrt(n))
    dtype = log_excess.dtype
    first = log_excess[:, :1]
    least = jnp.min(jnp.where(jnp.isfinite(log_excess), log_excess, first), 1, keepdims=True)
    quartile = log_excess[:, n - int(n / 4 + 0.5)][:, None]
    quartile = jnp.where(jnp.isfinite(quartile), quartile, least)
    spread = jnp.isfinite(first)
    y = jnp.where(spread, log_excess - quartile, -jnp.inf)  # in units of the quartile

    def k_of(b: Array) -> Array:
        """mean log(1 + b y) for b (B, m)."""
        log_product = jnp.log(jnp.abs(b))[..., None] + y[:, None]
        positive = jax.nn.softplus(log_product)
        negative = jnp.log1p(-jnp.exp(jnp.minimum(log_product, -jnp.finfo(dtype).eps)))
        return jnp.mean(jnp.where(b[..., None] > 0, positive, negative), -1)

    steps = jnp.asarray((np.sqrt(m / (np.arange(1, m + 1) - 0.5)) - 1) / 3, dtype)[None]
    b = steps - jnp.where(spread, jnp.exp(quartile - first), jnp.ones_like(first))
    b = jnp.where(b == 0, jnp.finfo(dtype).tiny, b)
    k = k_of(b)
    weights = jax.nn.softmax(n * (jnp.log(b / k) - k), axis=1)
    tail_shape = k_of(jnp.sum(weights * b, 1, keepdims=True))[:, 0]
    return jnp.where(spread[:, 0], tail_shape, jnp.zeros_like(tail_shape))
