#!/usr/bin/env python3
"""Time each trick of `sbvi.core.xla` against the plain JAX that it stands in for.

    scripts/benchmark_xla_tricks.py [normal halves sums exponential silu silu_images rank_one convolution
                                     convolution_batch masked matrices] [--rounds 9] [--steps 30]

Both forms run as a training chunk does: compiled, as the steps of a scan. They take turns; printed are the medians
over rounds in microseconds a step, and the plain form's median over the trick's: above 1 the trick is faster.
"""

import argparse
import itertools
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core.xla.convolution import convolved, plain_convolution
from sbvi.core.xla.exponential import exp_nonpositive
from sbvi.core.xla.matrices import solve_lower
from sbvi.core.xla.random_bits import halves, normal
from sbvi.core.xla.silu import silu
from sbvi.core.xla.sums import along_rows, down_columns, row_sums

Array = jax.Array
Step = Callable[[Any, Array], Any]  # state, key -> state
Form = Callable[[Array, Array], Array]  # images, kernel -> what is filtered


class Case(NamedTuple):
    """The same step in two forms, and the state that it starts from."""

    about: str
    state: Any
    trick: Step
    plain: Step


def noise() -> Case:
    """Standard normal noise for a batch of 100 with 200 latents."""
    shape = (100, 200)
    return Case(
        f"normal noise {shape}",
        jnp.zeros(shape),
        lambda state, key: state + normal(key, shape),
        lambda state, key: state + jax.random.normal(key, shape),
    )


def bits() -> Case:
    """The 16 random bits with which a batch of 100 images is binarised."""
    shape = (100, 784)
    return Case(
        f"16 random bits {shape}",
        jnp.zeros(shape, jnp.uint32),
        lambda state, key: state ^ halves(key, *shape),
        lambda state, key: state ^ jax.random.bits(key, shape, jnp.uint16).astype(jnp.uint32),
    )


class Sums(NamedTuple):
    """The three sums and broadcasts of `sbvi.core.xla.sums`, in one form or the other."""

    columns: Callable[[Array, tuple[int, ...]], Array]
    total: Callable[[Array], Array]
    along: Callable[[Array, int], Array]


TRICK = Sums(down_columns, row_sums, along_rows)
PLAIN = Sums(
    lambda x, rows: jnp.broadcast_to(x, (*rows, *x.shape)),
    lambda x: x.sum(-1, keepdims=True),
    lambda x, size: jnp.broadcast_to(x, (*x.shape[:-1], size)),
)


def descent(about: str, sizes: tuple[int, ...], loss: Callable[[Any, Array, Sums], Array]) -> Case:
    """Steps of descent of dense layers of these sizes."""
    rng = np.random.default_rng(0)
    layers = [
        (jnp.asarray(rng.normal(0, inputs**-0.5, (inputs, outputs)), jnp.float32), jnp.zeros(outputs))
        for inputs, outputs in itertools.pairwise(sizes)
    ]

    def step(form: Sums, state: Any, key: Array) -> Any:
        slopes = jax.grad(loss)(state, key, form)
        return jax.tree.map(lambda value, slope: value - 1e-5 * slope, state, slopes)

    return Case(about, layers, partial(step, TRICK), partial(step, PLAIN))


def dense(layer: tuple[Array, Array], x: Array, form: Sums) -> Array:
    kernel, bias = layer
    return x @ kernel + form.columns(bias, x.shape[:-1])


def sums() -> Case:
    """Biases and the sum of a Bernoulli density: a decoder of 1,000 rows, as of 100 images with ten samples each."""
    rows, sizes = 1000, (50, 200, 200, 784)
    x = jnp.asarray(np.random.default_rng(1).random((rows, sizes[-1])) < 0.5, jnp.float32)

    def loss(state: Any, key: Array, form: Sums) -> Array:
        h = normal(key, (rows, sizes[0]))
        for layer in state[:-1]:
            h = jax.nn.relu(dense(layer, h, form))
        logits = dense(state[-1], h, form)
        return -jnp.mean(form.total(x * logits - jax.nn.softplus(logits)))

    return descent("a decoder's biases and density", sizes, loss)


def exponential() -> Case:
    """1 + exp(-|l|) of the logits of five samples of a hundred images, seven under a product."""
    logits = jnp.asarray(np.random.default_rng(0).normal(size=(500, 784)), jnp.float32)

    def step(state: Array, form: Callable[[Array], Array]) -> Array:
        product = jnp.ones((), state.dtype)
        for first in range(0, 784, 112):
            product = product * (1 + form(-jnp.abs(logits[:, first : first + 112] + state)))
        return state + 1e-9 * jnp.sum(product)

    return Case(
        "1 + exp(-|l|) (500, 784)",
        jnp.zeros(()),
        lambda state, _: step(state, exp_nonpositive),
        lambda state, _: step(state, jnp.exp),
    )


def activation(shape: tuple[int, ...]) -> Case:
    """silu and its derivative, both written out as for the layers around."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)

    def step(state: Array, form: Callable[[Array], Array]) -> Array:
        value, pull = jax.vjp(form, x + state)
        value = jax.lax.optimization_barrier(value)
        both = jax.lax.optimization_barrier((value, pull(2 * value)[0]))
        return state + 1e-9 * sum(jnp.sum(part[0]) for part in both)

    return Case(
        f"silu {shape}", jnp.zeros(()), lambda state, _: step(state, silu), lambda state, _: step(state, jax.nn.silu)
    )


def rank_one() -> Case:
    """Noise scaled by a covariance of rank one between two products: 100 rows, 200 latents, two outputs for each."""
    rows, size = 100, 200

    def loss(state: Any, key: Array, form: Sums) -> Array:
        outputs = dense(state[0], normal(key, (rows, 200)), form)
        root, u = jnp.split(outputs, 2, -1)
        w = u * jnp.exp(root)
        eta = 1 / (1 + form.total(jnp.square(w)))
        noise = normal(jax.random.fold_in(key, 1), (rows, size))
        removed = form.along(eta / (1 + jnp.sqrt(eta)), size) * w
        latents = jnp.exp(root) * (noise - removed * form.along(form.total(w * noise), size))
        return jnp.mean(jnp.square(dense(state[1], jnp.concatenate([latents, noise], -1), form)))

    return descent("a rank-one posterior's noise", (200, 2 * size, 200), loss)


def kernel_descent(about: str, images: tuple[int, ...], channels: int, trick: Form, plain: Form) -> Case:
    """A step of descent of one 3 x 3 convolution's kernel, with its gradient to the images too."""
    values = jnp.asarray(np.random.default_rng(0).normal(size=images), jnp.float32)

    def step(state: Array, key: Array, form: Form) -> Array:
        moved = values + 1e-3 * jax.random.normal(key, ())
        to_images, to_kernel = jax.grad(lambda x, kernel: jnp.sum(form(x, kernel) ** 2), (0, 1))(moved, state)
        return state - 1e-9 * to_kernel + 1e-12 * jnp.sum(to_images)

    start = jnp.full((3, 3, images[-1], channels), 0.01)
    return Case(about, start, lambda state, key: step(state, key, trick), lambda state, key: step(state, key, plain))


def convolution(examples: int) -> Case:
    """From 16 to 32 channels."""
    about = f"a convolution's gradient, {examples} images"
    return kernel_descent(about, (examples, 14, 14, 16), 32, convolved, plain_convolution)


def masked() -> Case:
    """Of 100 images, where no row below a pixel is seen: with the kernel's other rows, and with zeros in that one."""

    def seen(x: Array, kernel: Array) -> Array:
        return convolved(x, kernel[:2], ((1, 0), (1, 1)))

    def whole(x: Array, kernel: Array) -> Array:
        return convolved(x, kernel.at[2].set(0))

    return kernel_descent("a masked convolution's gradient", (100, 28, 28, 32), 32, seen, whole)


def matrices() -> Case:
    """A hundred lower triangular systems of two rows each, as those of a grid over two latents."""
    factor = jnp.broadcast_to(jnp.array([[2.0, 0.0], [0.5, 1.0]]), (100, 2, 2))
    return Case(
        "triangular systems (100, 2, 1000)",
        jnp.ones((100, 2, 1000)),
        lambda state, _: solve_lower(factor, state),
        lambda state, _: jax.scipy.linalg.solve_triangular(factor, state, lower=True),
    )


CASES: dict[str, Callable[[], Case]] = {
    "normal": noise,
    "halves": bits,
    "sums": sums,
    "exponential": exponential,
    "silu": partial(activation, (100, 300)),
    "silu_images": partial(activation, (100, 14, 14, 32)),
    "rank_one": rank_one,
    "convolution": partial(convolution, 10),
    "convolution_batch": partial(convolution, 100),
    "masked": masked,
    "matrices": matrices,
}


def chunk(step: Step, steps: int) -> Callable[[Any], Any]:
    """The steps of a chunk as one compiled program."""

    def run(state: Any) -> Any:
        keys = jax.random.split(jax.random.key(0), steps)
        return jax.lax.scan(lambda carry, key: (step(carry, key), None), state, keys)[0]

    return jax.jit(run)


def microseconds(run: Callable[[Any], Any], state: Any, steps: int) -> float:
    """Wall time of one step."""
    began = time.perf_counter()
    jax.block_until_ready(run(state))
    return 1e6 * (time.perf_counter() - began) / steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; all where none is named")
    parser.add_argument("--rounds", type=int, default=9, help="timings of each form")
    parser.add_argument("--steps", type=int, default=30, help="steps of one timing")
    options = parser.parse_args()
    if unknown := set(options.cases) - set(CASES):
        parser.error(f"{', '.join(sorted(unknown))} is no case; allowed: {', '.join(CASES)}")
    print(f"{'case':<32}{'trick, us':>12}{'plain, us':>12}{'plain/trick':>12}   on {jax.devices()[0].device_kind}")
    for name in options.cases or CASES:
        case = CASES[name]()
        runs = [chunk(form, options.steps) for form in (case.trick, case.plain)]
        for run in runs:
            jax.block_until_ready(run(case.state))  # compiles
        rounds = [[microseconds(run, case.state, options.steps) for run in runs] for _ in range(options.rounds)]
        trick, plain = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"{case.about:<32}{trick:>12.1f}{plain:>12.1f}{plain / trick:>12.2f}", flush=True)


if __name__ == "__main__":
    main()
