#!/usr/bin/env python3
"""Time of a training step with each kind of network, beside that of the network's own matrix products.

    scripts/benchmark_networks.py [--rounds 5] [--steps 150]

A DLGM of 50 latents on static MNIST, batch 100, K = 1, silu, Adam: maps of [300, 300, 300] both ways, dense ones or
with convolutions to 24 and 32 channels and a residual block at each size. A step runs in the experiment's own chunk.
The products are those of the weights, forward and for both gradients, each at its best rate; a convolution counts as
the product of its patches. Rounds run every network in turn; medians are shown. Writes docs/networks.json, which
docs/performance.md shows. Needs MNIST.
"""

import argparse
import itertools
import json
import os
import time
from pathlib import Path

import jax
import numpy as np
import performance_page
import reference_loops

from sbvi.core.atomic import write_atomically
from sbvi.networks.dense import NETWORKS
from sbvi.runs import Experiment
from sbvi.runs.assembly import Assembly
from sbvi.runs.provenance import provenance
from sbvi.training.chunk import chunk_function

DOCS = Path(__file__).resolve().parents[1] / "docs"
PIXELS, SIDE, LATENTS, WIDTH, LAYERS, BATCH, KERNEL = 784, 28, 50, 300, 3, 100, 3
CHANNELS = (24, 32)
KINDS = {
    **{name: (name, "") for name in NETWORKS},
    "dense, convolutions": ("dense", "plain"),
    "dense, residual convolutions": ("dense", "residual"),
    "residual_normalised, residual convolutions": ("residual_normalised", "residual"),
}


def words(network, convolutions):
    """What the command line would be told."""
    hidden = f"[{','.join([str(WIDTH)] * LAYERS)}]"
    said = ["dataset=mnist", "dataset.binarization=static", f"trainer.batch_size={BATCH}", f"model.latents=[{LATENTS}]"]
    for side in ("", "recognition_"):
        said += [f"model.{side}network={network}", f"model.{side}hidden={hidden}", f"model.{side}activation=silu"]
    if convolutions:
        said.append(f"model.convolutions=[{','.join(map(str, CHANNELS))}]")
        said.append(f"model.residual_blocks={int(convolutions == 'residual')}")
    return said


def dense_sizes(network, sizes, last):
    """(inputs, outputs) of every matrix of a network of these sizes; last: whether it ends with an activation."""
    pairs = list(itertools.pairwise(sizes))
    found = []
    for position, (i, o) in enumerate(pairs):
        inner = last or position + 1 < len(pairs)
        if network == "gated" and inner:
            found.append((i, 2 * o))
        elif network.startswith("residual") and inner and position and i == o:
            found += [(i, o), (o, o)]
        else:
            found.append((i, o))
    return found


def convolution_sizes(blocks):
    """(rows an example, inputs, outputs) of every convolution of an encoder, from the pixels up."""
    found, side = [], SIDE
    for i, o in itertools.pairwise([1, *CHANNELS]):
        side //= 2
        found.append((side**2, KERNEL**2 * 4 * i, o))
        found += [(side**2, KERNEL**2 * o, o)] * (2 * blocks)
    return found


def products(network, convolutions):
    """(rows, inner, columns) of every product of a step."""
    features = (SIDE >> len(CHANNELS)) ** 2 * CHANNELS[-1] if convolutions else PIXELS
    hidden = [WIDTH] * LAYERS
    encoder = [*dense_sizes(network, [features, *hidden], last=True), (WIDTH, 2 * LATENTS)]
    if convolutions:
        decoder = dense_sizes(network, [LATENTS, *hidden, features], last=True)
        outer = convolution_sizes(int(convolutions == "residual"))
    else:
        decoder, outer = dense_sizes(network, [LATENTS, *hidden, PIXELS], last=False), []
    # The one that reads the data comes first, whose input needs no gradient. What the decoder's convolutions write is
    # what the encoder's read: their products have the same sizes.
    matrices = [(BATCH * n, i, o) for n, i, o in outer * 2] + [(BATCH, i, o) for i, o in encoder + decoder]
    shapes = [shape for rows, i, o in matrices for shape in ((rows, o, i), (rows, i, o), (i, rows, o))]
    return shapes[1:]


def runner(network, convolutions, steps):
    """A function that runs so many steps and gives back seconds a step."""
    made = Experiment.from_overrides([*words(network, convolutions), f"trainer.log_every={steps}"])
    assembly = Assembly.build(made)
    batches = assembly.batches()
    chunk = jax.jit(chunk_function(assembly.algorithm, batches), donate_argnums=0)
    hypers = assembly.algorithm.hypers(np.arange(steps), assembly.plan.steps_per_epoch, assembly.plan.total_steps)
    given = (batches.operands(), batches.indices(0, steps, steps), hypers, jax.random.key(0), np.int32(0))
    state = [assembly.placement.replicated(assembly.initial_state())]

    def run():
        began = time.perf_counter()
        state[0] = jax.block_until_ready(chunk(state[0], *given, np.int32(steps)))[0]
        return (time.perf_counter() - began) / steps

    run()
    return run


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=150)
    given = parser.parse_args()
    runs = {name: runner(*kind, given.steps) for name, kind in KINDS.items()}
    times, bounds = {name: [] for name in KINDS}, {name: [] for name in KINDS}
    for _ in range(given.rounds):
        for name, kind in KINDS.items():
            times[name].append(1e3 * runs[name]())
            bounds[name].append(1e3 * reference_loops.product_seconds(products(*kind)))
        print({name: round(values[-1], 2) for name, values in times.items()}, flush=True)
    record = {
        "processor": provenance()["machine"]["processor"],
        "cores": os.cpu_count(),
        "rounds": given.rounds,
        "networks": {name: {"step_ms": times[name], "products_ms": bounds[name]} for name in KINDS},
    }
    write_atomically(DOCS / "networks.json", (json.dumps(record, indent=1) + "\n").encode())
    performance_page.render(json.loads((DOCS / "performance.json").read_text()), DOCS)


if __name__ == "__main__":
    main()
