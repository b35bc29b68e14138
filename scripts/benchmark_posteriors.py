#!/usr/bin/env python3
"""Time of one sample with its KL and their gradient, by posterior family and number of latents.

Writes docs/posterior_cost.json and docs/posterior_cost.png. Median of interleaved rounds; batch 4.
"""

import argparse
import json
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sbvi.distributions.gaussian import sample
from sbvi.posteriors import POSTERIORS
from sbvi.posteriors.families import GaussianFamily

FAMILIES = {name: kind for name, kind in POSTERIORS.items() if issubclass(kind, GaussianFamily)}

BATCH, ROUNDS = 4, 7
SIZES = [10, 32, 100, 320, 1000, 4096]


def compiled(family, size):
    noise = jax.random.normal(jax.random.key(0), (1, BATCH, size))

    def value(outputs):
        q = family.distribution(outputs, size)
        return jnp.sum(jnp.sin(sample(q, noise))) + jnp.sum(q.kl())

    outputs = 0.1 * jax.random.normal(jax.random.key(1), (BATCH, family.outputs(size)))
    step = jax.jit(jax.grad(value))
    step(outputs).block_until_ready()
    return lambda: step(outputs).block_until_ready()


def main():
    argparse.ArgumentParser(description=__doc__).parse_args()
    docs = Path(__file__).resolve().parents[1] / "docs"
    cases = {}
    for name, family in FAMILIES.items():
        for size in SIZES:
            cases[name, size] = compiled(family(), size)
    times = {case: [] for case in cases}
    for _ in range(ROUNDS):
        for case, step in cases.items():
            repeats, began = 0, time.perf_counter()
            while time.perf_counter() - began < 0.05:
                step()
                repeats += 1
            times[case].append((time.perf_counter() - began) / repeats)
    medians = {name: {size: float(np.median(times[name, size])) for n, size in cases if n == name} for name in FAMILIES}
    record = {"batch": BATCH, "rounds": ROUNDS, "device": jax.devices()[0].device_kind, "seconds": medians}
    (docs / "posterior_cost.json").write_text(json.dumps(record, indent=1) + "\n")
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for name, values in medians.items():
        axes.loglog(list(values), [1e6 * v for v in values.values()], "o-", label=name, markersize=3)
    axes.set_xlabel("latents K")
    axes.set_ylabel("microseconds, batch 4")
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    figure.savefig(docs / "posterior_cost.png", dpi=110)
    for name, values in medians.items():
        print(name, {size: f"{1e6 * v:.0f} us" for size, v in values.items()})


if __name__ == "__main__":
    main()
