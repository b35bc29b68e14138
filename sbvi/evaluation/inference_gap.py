"""How far the bound is from log p(x), and why (Cremer et al. 2018):

    log p(x) - L(q) = [log p(x) - L(q*)] + [L(q*) - L(q)]

the approximation gap, of the best member q* of the posterior's family for this x, and the amortisation gap, of a
network that gives every x its q at once. q* is found by Adam on what there is a row of for each example: all of a
Gaussian or of planar flows, but of `inverse_autoregressive` and `coupling` the base and the context, and of
`hierarchical` and `top_down` the messages, while the weights that examples share stay. There the family is the one with
these weights, and its gap includes what the network loses through them.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sbvi.inference import psis
from sbvi.inference.importance import even

Array = jax.Array
DECAYS = 0.9, 0.999  # of Adam's moments
#: A number that went so much of the way that its steps could take it had likely not arrived: Adam remembers the large
#: gradients of the start. In a linear model, where one of 0.4 ends, half a nat is missing, and of 0.25 a fifteenth.
FAR = 0.4


class Gaps(NamedTuple):
    """Per example, (B,), nats: log p(x) by importance sampling from q*, and the bounds of q and of q*.

    effective: effective sample size of q*'s weights.  khat: the shape of their tail (`sbvi.inference.psis`), None
      where there are too few samples for one.  travelled: of the number of q that moved most, how far, as a share of
      what the steps could take it; see `FAR`.
    """

    log_likelihood: Array
    amortised: Array
    optimal: Array
    effective: Array
    khat: Array | None
    travelled: Array

    @property
    def amortisation(self) -> Array:
        return self.optimal - self.amortised

    @property
    def approximation(self) -> Array:
        return self.log_likelihood - self.optimal


def inference_gaps(
    model: Any,
    params: Any,
    key: Array,
    x: Array,
    steps: int,
    samples: int,
    learning_rate: float,
    num_samples: int,
    chunk: int = 50,
) -> Gaps:
    """For x (B, D): T = steps of Adam, with a cosine to zero, on the bound over `samples` draws, from the network's q.

    model: LatentVariable with a PosteriorDensity whose draws carry gradients. num_samples: behind the bounds and
    log p(x), at most `chunk` at a time.
    """
    q = model.posterior(params, x)

    def log_weights(rows: Any, key: Array, count: int) -> Array:
        own = q.with_rows(rows)
        latents = own.draw(key, count)
        posterior = sum(own.log_prob(latents).values())
        result: Array = model.log_joint(params, latents, x) - posterior
        return result

    def one(carry: tuple[Any, Any, Any], position: Array) -> tuple[tuple[Any, Any, Any], None]:
        rows, first, second = carry
        own = jax.random.fold_in(key, position)
        # Examples are independent: a sum keeps each one's gradient its own.
        grads = jax.grad(lambda r: -jnp.sum(jnp.mean(log_weights(r, own, samples), 0)))(rows)
        step = position.astype(x.dtype)
        rate = 0.5 * learning_rate * (1 + jnp.cos(jnp.pi * step / steps))
        first = jax.tree.map(lambda m, g: DECAYS[0] * m + (1 - DECAYS[0]) * g, first, grads)
        second = jax.tree.map(lambda v, g: DECAYS[1] * v + (1 - DECAYS[1]) * g**2, second, grads)
        one, other = (1 - decay ** (step + 1) for decay in DECAYS)
        moved = jax.tree.map(lambda r, m, v: r - rate * (m / one) / (jnp.sqrt(v / other) + 1e-8), rows, first, second)
        return (moved, first, second), None

    start = q.rows()
    still = jax.tree.map(jnp.zeros_like, start)
    (best, _, _), _ = jax.lax.scan(one, (start, still, still), jnp.arange(steps, dtype=jnp.int32))
    chunk = even(num_samples, chunk)
    rounds = -(-num_samples // chunk)

    def measured(rows: Any) -> Array:
        """log weights, (S, B)."""

        def some(position: Array) -> Array:
            return log_weights(rows, jax.random.fold_in(jax.random.fold_in(key, steps), position), chunk)

        met = jax.lax.map(some, jnp.arange(rounds, dtype=jnp.int32)).reshape(rounds * chunk, -1)
        return met[:num_samples]  # chunks are of one size, and may have a few too many

    found, total = measured(best), jax.nn.logsumexp
    reach = learning_rate * (steps + 1) / 2  # the rates' sum: no step of Adam's is much longer than its rate
    return Gaps(
        log_likelihood=total(found, 0) - jnp.log(jnp.asarray(len(found), x.dtype)),
        amortised=jnp.mean(measured(start), 0),
        optimal=jnp.mean(found, 0),
        effective=jnp.exp(2 * total(found, 0) - total(2 * found, 0)),
        khat=psis.of_weights(found),
        travelled=_farthest(start, best) / reach,
    )


def _farthest(start: Any, end: Any) -> Array:
    """The greatest change of a number of each row, (B,)."""
    changes = [
        jnp.abs(e - s).reshape(len(s), -1).max(1) for s, e in zip(*map(jax.tree.leaves, (start, end)), strict=True)
    ]
    return jnp.stack(changes).max(0)
