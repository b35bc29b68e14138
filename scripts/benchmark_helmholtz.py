#!/usr/bin/env python3
"""A training step of a deep Helmholtz machine against its matrix products alone, on one core.

    scripts/benchmark_helmholtz.py [--samples 10] [--batch 100] [--steps 20]

Both are timed by the process's own CPU time, the least of several rounds, so that what else the machine does matters
little. Discrete layers need two products a conditional: the outputs, and the gradient of the weights.
"""

import argparse
import json
import os
import time

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.algorithms import ALGORITHMS
from sbvi.data import Batch
from sbvi.models import MODELS
from sbvi.models.values import DataFacts, DataSummary

LAYERS = (300, 200, 100, 75, 50, 35, 30, 25, 20, 15, 10, 10)
SIZE = 784
ROUNDS = 7


def seconds(function, *arguments, steps):
    """Least CPU seconds of one of `steps` calls."""
    jax.block_until_ready(function(*arguments))
    times = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(steps):
            jax.block_until_ready(function(*arguments))
        times.append((time.process_time() - began) / steps)
    return min(times)


def products(batch, samples, steps):
    """The step's matrix products, each timed by itself: seconds of all."""
    rows, total = batch * samples, 0.0
    sizes = (SIZE, *LAYERS)
    pairs = [(sizes[i + 1], sizes[i], rows) for i in range(len(LAYERS))]  # p
    pairs += [(sizes[i], sizes[i + 1], rows if i else batch) for i in range(len(LAYERS))]  # q
    generator = np.random.default_rng(0)
    for inputs, outputs, count in pairs:
        x, w, g = (
            jnp.asarray(generator.normal(size=s), jnp.float32)
            for s in ((count, inputs), (inputs, outputs), (count, outputs))
        )
        total += seconds(jax.jit(jnp.matmul), x, w, steps=steps)
        total += seconds(jax.jit(lambda x, g: x.T @ g), x, g, steps=steps)
    return total


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--steps", type=int, default=20)
    given = parser.parse_args()
    model = MODELS["helmholtz"](layers=LAYERS).build(DataFacts((SIZE,), True, 1))
    algorithm = ALGORITHMS["bihm"](num_samples=given.samples).build(model, 50_000)
    generator = np.random.default_rng(0)
    x = (generator.random((given.batch, SIZE)) < 0.2).astype(np.float32)
    state = algorithm.init(0, DataSummary(x, None, np.full(SIZE, 0.2, np.float32), np.ones(SIZE, np.float32), 50_000))
    batch = Batch(jnp.asarray(x), jnp.arange(given.batch, dtype=jnp.int32), jnp.ones(given.batch))
    hyper = {"learning_rate": jnp.asarray(1e-3, jnp.float32)}
    step = seconds(jax.jit(algorithm.step), state, batch, jax.random.key(0), hyper, steps=given.steps)
    matrices = products(given.batch, given.samples, given.steps)
    print(
        json.dumps(
            {
                "batch": given.batch,
                "samples": given.samples,
                "step_ms": round(1000 * step, 2),
                "products_ms": round(1000 * matrices, 2),
                "share": round(matrices / step, 3),
            }
        )
    )


if __name__ == "__main__":
    main()
