#!/usr/bin/env python3
"""Seconds a training step of a random circuit: sbvi beside SPFlow 1.1 (PyTorch), alternating.

    pip install spflow torch
    scripts/benchmark_circuits.py [--rounds 5] [--output docs/circuits/benchmark.json]

A random structure over 784 bits: 10 replicas halved 4 times, 40 leaves and 40 sums a region (0.54 million weights),
batches of 100, gradients of the log-likelihood and Adam; of SPFlow its RatSPN and its Einet of the same sizes. Every
measurement is a process of its own. Ratios of neighbours are compared, since machines change their speed.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from sbvi.core.atomic import write_atomically

UNITS, REPLICAS, DEPTH, BATCH, VALUES = 40, 10, 4, 100, 784

MODELS = {
    "RatSPN": f"RatSPN([leaves], n_root_nodes=1, n_region_nodes={UNITS}, num_repetitions={REPLICAS}, depth={DEPTH})",
    "Einet": f"Einet([leaves], num_sums={UNITS}, num_leaves={UNITS}, depth={DEPTH}, num_repetitions={REPLICAS})",
}
TORCH = f"""
import time
import torch
from spflow.meta.data.scope import Scope
from spflow.modules.leaves import Bernoulli
from spflow.zoo.einet.einet import Einet
from spflow.zoo.rat.rat_spn import RatSPN

torch.manual_seed(0)
leaves = Bernoulli(scope=Scope(list(range({VALUES}))), out_channels={UNITS}, num_repetitions={REPLICAS})
model = MODEL
adam = torch.optim.Adam(model.parameters(), 1e-2)
x = (torch.rand({BATCH}, {VALUES}) < 0.3).float()
seconds = []
for _ in range(STEPS):
    began = time.perf_counter()
    adam.zero_grad()
    (-model.log_likelihood(x).mean()).backward()
    adam.step()
    seconds.append(time.perf_counter() - began)
print(sorted(seconds[2:])[len(seconds[2:]) // 2], sum(p.numel() for p in model.parameters()))
"""


def ours(steps: int) -> float:
    """Seconds a step of a run of sbvi-train, without its start."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["model=circuit", "model.structure=random", f"model.units={UNITS}", f"model.replicas={REPLICAS}"]
        words += [f"model.depth={DEPTH}", "dataset=synthetic", f"dataset.dimensions={VALUES}"]
        words += ["dataset.train_size=2000", "dataset.validation_size=100", "dataset.test_size=100"]
        words += [f"trainer.batch_size={BATCH}", f"trainer.steps={steps}", f"trainer.log_every={max(1, steps // 6)}"]
        words += [f"trainer.validate_every={steps}", "optimizer.learning_rate=1e-2", "evaluation.test=false"]
        command = [sys.executable, "-m", "sbvi.cli.train", *words, f"hydra.run.dir={folder}/run"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        result = json.loads((Path(folder) / "run" / "result.json").read_text())
    return BATCH / float(result["examples_per_second"])


def theirs(model: str, steps: int) -> tuple[float, int]:
    """Seconds a step of one of SPFlow's, and its number of weights."""
    code = TORCH.replace("STEPS", str(steps)).replace("MODEL", MODELS[model])
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    return float(said[-2]), int(said[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    own: list[float] = []
    others: dict[str, list[float]] = {model: [] for model in MODELS}
    weights = {}
    for number in range(arguments.rounds):
        own.append(ours(60))
        for model, seconds in others.items():
            taken, weights[model] = theirs(model, 12)
            seconds.append(taken)
        latest = ", ".join(f"{model} {1e3 * seconds[-1]:.1f} ms" for model, seconds in others.items())
        print(f"round {number + 1}: sbvi {1e3 * own[-1]:.1f} ms, {latest}", flush=True)
    ratios = {model: float(np.median(np.divide(seconds, own))) for model, seconds in others.items()}
    record = {
        "milliseconds": {"sbvi": [1e3 * s for s in own]} | {m: [1e3 * s for s in v] for m, v in others.items()},
        "weights": weights,
        "median_ratio": ratios,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
    }
    for model, ratio in ratios.items():
        print(f"SPFlow's {model} takes {ratio:.2f} times as long (median of {arguments.rounds} rounds).")
    if arguments.output:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(arguments.output, (json.dumps(record, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
