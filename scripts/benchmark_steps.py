#!/usr/bin/env python3
"""Time a training step of experiments on this machine's accelerator, by both forms of a chunk's program.

    scripts/benchmark_steps.py [EXPERIMENT ...] [--steps 300] [--rounds 3] [--beside N]

One form has its number of steps as an argument, as on a CPU, the other has it written into the program, as everywhere
else (`sbvi.training.chunk.ByLength`). Both run the experiment's own chunk; kept is the best of the rounds. Writes
docs/steps.json under the device's name, beside what was measured before; docs/performance.md shows it.
"""

import argparse
import json
import time
from pathlib import Path

import jax
import numpy as np

from sbvi.core.atomic import write_atomically
from sbvi.runs import Experiment
from sbvi.runs.assembly import Assembly
from sbvi.training.chunk import ByLength, chunk_function

KEPT = Path(__file__).resolve().parents[1] / "docs" / "steps.json"
ANY, THIS = "any number of steps", "this number of steps"
EXPERIMENTS = (
    "benchmark",
    "iwae_full_k50",
    "table1_rank_one",
    "quick_mnist",
    "convolutional",
    "circuit_mnist",
    "bihm_mnist",
)


def measured(experiment, steps, rounds, words=(), only=None):
    """Milliseconds a step, and seconds of the first call, by form: of `only` that one, where it is named."""
    made = Experiment.from_overrides([f"experiment={experiment}", f"trainer.log_every={steps}", *words])
    assembly = Assembly.build(made)
    batches = assembly.batches()
    initial = assembly.placement.replicated(assembly.initial_state())
    hypers = assembly.algorithm.hypers(np.arange(steps), assembly.plan.steps_per_epoch, assembly.plan.total_steps)
    words = (batches.operands(), batches.indices(0, steps, steps), hypers, jax.random.key(0), np.int32(0))
    function = chunk_function(assembly.algorithm, batches)
    forms = {ANY: jax.jit(function, donate_argnums=0), THIS: ByLength(function)}
    forms = {name: form for name, form in forms.items() if only in (None, name)}
    milliseconds, first = {}, {}
    for name, chunk in forms.items():
        began = time.perf_counter()
        state = jax.block_until_ready(chunk(jax.tree.map(lambda leaf: leaf.copy(), initial), *words, np.int32(steps)))[
            0
        ]
        first[name] = time.perf_counter() - began
        times = []
        for _ in range(rounds):
            began = time.perf_counter()
            state = jax.block_until_ready(chunk(state, *words, np.int32(steps)))[0]
            times.append(time.perf_counter() - began)
        milliseconds[name] = 1e3 * min(times) / steps
    return {"batch": made.trainer.batch_size, "milliseconds": milliseconds, "first_seconds": first}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiments", nargs="*", default=EXPERIMENTS)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--beside", type=int, default=0, help="how many other programs use the device, for the record")
    given = parser.parse_args()
    device = jax.devices()[0]
    if device.platform == "cpu":
        parser.error("there is no accelerator on this machine")
    for experiment in given.experiments:
        record = {"beside": given.beside, "jax": jax.__version__, **measured(experiment, given.steps, given.rounds)}
        kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
        kept.setdefault(device.device_kind, {})[experiment] = record
        write_atomically(KEPT, (json.dumps(kept, indent=1) + "\n").encode())
        print(json.dumps({experiment: record}), flush=True)


if __name__ == "__main__":
    main()
