#!/usr/bin/env python3
"""Times the forms of NADE's conditionals that `sbvi/models/nade/conditionals.py` was chosen from.

    scripts/benchmark_nade.py [scan blocks-einsum blocks-ones blocks-diagonal] [--block 14] [--rounds 5]

CPU milliseconds (all threads, the least over rounds) of the mean log-likelihood of 100 images of 784 bits under 500
rectifiers, with its gradient and alone. `blocks`: a scan over blocks of values, rematerialised, whose hidden units are
a strictly lower triangular product; by `einsum`, a multiplication and a product with `ones`, or the `diagonal` of a
product with V.
"""

import argparse
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core.xla.sums import row_sums
from sbvi.models.nade import NADE
from sbvi.models.values import DataFacts

Array = jax.Array
Params = dict[str, Array]
BATCH, SIZE, HIDDEN = 100, 784, 500

SCORES: dict[str, Callable[[Array, Array], Array]] = {
    "einsum": lambda h, v: jnp.einsum("mbh,mh->mb", h, v),
    "ones": lambda h, v: row_sums(h * v[:, None])[..., 0],
    "diagonal": lambda h, v: jnp.einsum("mbm->mb", (h.reshape(-1, h.shape[-1]) @ v.T).reshape(*h.shape[:2], -1)),
}


def blocks(score: Callable[[Array, Array], Array], size: int) -> Callable[[Params, Array], Array]:
    """log p(x), (B,), a block of values at a time."""

    @jax.checkpoint
    def one(a: Array, rows: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        x, inputs, outputs = rows  # (m, B), (m, H), (m, H)
        before = jnp.tril(jnp.ones((size, size)), -1)
        within = (before[:, None] * x.T[None]).reshape(-1, size) @ inputs
        return a + x.T @ inputs, score(jax.nn.relu(within.reshape(size, *a.shape) + a[None]), outputs)

    def log_prob(params: Params, x: Array) -> Array:
        rows = tuple(part.reshape(-1, size, part.shape[-1]) for part in (x.T, params["inputs"], params["outputs"]))
        start = jnp.broadcast_to(params["hidden_bias"][None], (len(x), HIDDEN))
        logit = jax.lax.scan(one, start, rows)[1].reshape(x.T.shape).T + params["output_bias"][None]
        return jnp.sum(x * logit - jax.nn.softplus(logit), -1)

    return log_prob


def scan(params: Params, x: Array) -> Array:
    """The model's own."""
    model = NADE(hidden=HIDDEN).build(DataFacts((SIZE,), True, 1))
    return model.log_prob(params, jax.random.key(0), x).value


def milliseconds(function: Callable[..., object], rounds: int, *given: object) -> float:
    """CPU time of a call, the least over rounds, after one that compiles."""
    jax.block_until_ready(function(*given))
    spent = []
    for _ in range(rounds):
        before = time.process_time()
        jax.block_until_ready(function(*given))
        spent.append(time.process_time() - before)
    return 1000 * min(spent)


def main() -> None:
    forms = ["scan", *(f"blocks-{name}" for name in SCORES)]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("forms", nargs="*", metavar="FORM", help=", ".join(forms))
    parser.add_argument("--block", type=int, default=14, help="values in a block, a divisor of 784")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    if wrong := [name for name in given.forms if name not in forms]:
        parser.error(f"{wrong[0]} is not a form; there is: {', '.join(forms)}")
    if given.block < 1 or SIZE % given.block:
        parser.error(f"--block {given.block} must divide {SIZE}")
    rng = np.random.default_rng(0)
    shapes = {"inputs": (SIZE, HIDDEN), "outputs": (SIZE, HIDDEN), "hidden_bias": (HIDDEN,), "output_bias": (SIZE,)}
    params = {name: jnp.asarray(0.05 * rng.normal(size=shape), jnp.float32) for name, shape in shapes.items()}
    x = jnp.asarray(rng.random((BATCH, SIZE)) < 0.19, jnp.float32)
    print(f"{'form':<16} {'value and gradient':>18} {'value':>6}")
    for name in given.forms or forms:
        log_prob = scan if name == "scan" else blocks(SCORES[name.removeprefix("blocks-")], given.block)
        mean = jax.jit(lambda p, x, f=log_prob: jnp.mean(f(p, x)))
        both = jax.jit(jax.value_and_grad(lambda p, x, f=log_prob: jnp.mean(f(p, x))))
        times = [milliseconds(function, given.rounds, params, x) for function in (both, mean)]
        print(f"{name:<16} {times[0]:>18.0f} {times[1]:>6.0f}", flush=True)


if __name__ == "__main__":
    main()
