#!/usr/bin/env python3
"""A move of stochastic gradient MCMC against a step of reweighted wake-sleep, and what the stack of draws adds.

    scripts/benchmark_sgmcmc.py [--samples 5] [--batch 100] [--rounds 9] [--thinning 60] [--kernel thermostat]

On one core, on random binary images of 784 pixels. Each round times every program in turn, by the process's own CPU
time, so that what else the machine does matters little; ratios are of one round's times, and what is told is their
median with quartiles. The stack's share is of wall-clock time, since the disk takes part: taking draws, writing and
flushing them, against the same steps without. What is told is printed as JSON; that of the documents is
docs/sgmcmc_cost.json.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.algorithms import ALGORITHMS
from sbvi.data import Batch
from sbvi.models import MODELS
from sbvi.models.values import DataFacts, DataSummary
from sbvi.training.draws import DrawStack

SIZE, EXAMPLES, STEPS, DRAWS = 784, 4100, 20, 10
MODELS_TIMED = {
    "helmholtz 784-200": MODELS["helmholtz"](layers=(200,)),
    "helmholtz 784-200-200-200": MODELS["helmholtz"](layers=(200, 200, 200)),
    "dlgm 784-200-200-50": MODELS["dlgm"](latents=(50,), hidden=(200, 200), noise_matrix="identity"),
}


class Program:
    """Some steps of an algorithm on one batch, compiled."""

    def __init__(self, name, spec, x, summary, **choices):
        completed = spec.completed("bernoulli")
        settings = ALGORITHMS[name](**choices).completed(completed)
        self.algorithm = settings.build(completed.build(DataFacts((SIZE,), True, 1)), EXAMPLES)
        self.state = self.algorithm.init(0, summary)
        index = jnp.arange(len(x), dtype=jnp.int32)
        batch = Batch(jnp.asarray(x), index, jnp.ones(len(x), jnp.float32))
        hypers = self.algorithm.hypers(np.zeros(1, np.int64), EXAMPLES / len(x), 10_000)
        hyper = {key: jnp.asarray(value[0]) for key, value in hypers.items()}

        @jax.jit
        def steps(state, key, count):
            def body(place, state):
                return self.algorithm.step(state, batch, jax.random.fold_in(key, place), hyper)[0]

            return jax.lax.fori_loop(0, count, body, state)

        self._steps = steps
        self.run(1)

    def run(self, count):
        self.state = jax.block_until_ready(self._steps(self.state, jax.random.key(0), count))

    def cpu(self, count):
        """CPU seconds of a step."""
        began = time.process_time()
        self.run(count)
        return (time.process_time() - began) / count


def quartiles(values, digits):
    low, middle, high = np.percentile(values, [25, 50, 75])
    return {"median": round(middle, digits), "quartiles": [round(low, digits), round(high, digits)]}


def timed(spec, given, x, summary):
    programs = {
        "reweighted_wake_sleep": Program("reweighted_wake_sleep", spec, x, summary, num_samples=given.samples),
        "without_dreams": Program("reweighted_wake_sleep", spec, x, summary, num_samples=given.samples, dreams=0.0),
        "sgmcmc": Program("sgmcmc", spec, x, summary, num_samples=given.samples, kernel=given.kernel),
    }
    rounds = [{name: program.cpu(STEPS) for name, program in programs.items()} for _ in range(given.rounds)]
    record = {f"{name}_ms": round(1000 * min(r[name] for r in rounds), 2) for name in programs}
    for other in ("reweighted_wake_sleep", "without_dreams"):
        record[f"sgmcmc_over_{other}"] = quartiles([r["sgmcmc"] / r[other] for r in rounds], 3)
    return record | {"stack_percent": stack_share(programs["sgmcmc"], given)}


def stack_share(program, given):
    """Percent that taking, writing and flushing draws adds to the wall-clock time of as many steps without: in each
    round DRAWS of them, and then all are waited for, as a checkpoint does."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        stack, shares = DrawStack(Path(folder)), []
        for draw in program.algorithm.draws(program.state):  # compiles
            stack.write(0, draw)
        for place in range(given.rounds):
            began = time.perf_counter()
            for _ in range(DRAWS):
                program.run(given.thinning)
            alone = time.perf_counter() - began
            began = time.perf_counter()
            for own in range(DRAWS):
                program.run(given.thinning)
                for draw in program.algorithm.draws(program.state):
                    stack.write(1 + place * DRAWS + own, draw)
            stack.settle()
            shares.append(100 * ((time.perf_counter() - began) / alone - 1))
    return quartiles(shares, 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=5)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--thinning", type=int, default=60)
    parser.add_argument("--kernel", default="thermostat")
    given = parser.parse_args()
    x = (np.random.default_rng(0).random((given.batch, SIZE)) < 0.2).astype(np.float32)
    summary = DataSummary(x, None, np.full(SIZE, 0.2, np.float32), np.ones(SIZE, np.float32), EXAMPLES)
    timings = {name: timed(spec, given, x, summary) for name, spec in MODELS_TIMED.items()}
    print(json.dumps(vars(given) | {"models": timings}, indent=1))


if __name__ == "__main__":
    main()
