#!/usr/bin/env python3
"""What streaming a training set costs, and how much memory it takes as the set grows.

    scripts/benchmark_streaming.py [--rounds 3] [--seconds 20]

The network of experiment=benchmark on random images of MNIST's shape: ten times as many as MNIST has, resident
and streamed in turn; then once, four and sixteen times as many, streamed, with the greatest private memory
of the process (mapped pages of the files are the kernel's cache, and not counted). Prints and writes
docs/streaming.json.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from sbvi.data import Dataset, Preprocessing, Split
from sbvi.data.convert import convert

ROOT = Path(__file__).resolve().parents[1]
MNIST = 60_000
NETWORK = (
    "model.latents=[50]",
    "model.activation=tanh",
    "model.recognition_activation=tanh",
    "model.noise_matrix=identity",
    "model.weight_prior_variance=null",
    "evaluation.test=false",
    "evaluation.validation_limit=1000",
    "trainer.validate_every=1000000",
    "trainer.epochs=1000",
)


def shards(folder, times):
    """Random images, `times` as many as MNIST has."""
    generator = np.random.default_rng(0)

    def split(count):
        return Split(generator.integers(0, 256, (count, 28, 28), np.uint8))

    splits = split(times * MNIST), split(1000), split(1000)
    convert(Dataset("random", *splits, Preprocessing.whole((28, 28), 255)), folder, 10_000)


def private(pid):
    """Bytes of a process's memory that are its own."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon")), 0)


def trained(folder, batch, stream, seconds):
    """Steady examples a second, and the greatest private memory."""
    with tempfile.TemporaryDirectory() as run:
        words = [*NETWORK, "dataset=shards", f"dataset.path={folder}", "dataset.binarization=dynamic"]
        words += [f"dataset.stream={stream}", f"trainer.batch_size={batch}", f"trainer.max_minutes={seconds / 60}"]
        words += [f"trainer.log_every={25_000 // batch}", f"hydra.run.dir={run}"]
        process = subprocess.Popen(
            [sys.executable, "-m", "sbvi.cli.train", *words],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        peak = 0
        while process.poll() is None:
            peak = max(peak, private(process.pid))
            time.sleep(0.05)
        if process.returncode:
            sys.exit(process.stderr.read()[-500:])
        return json.loads((Path(run) / "result.json").read_text())["examples_per_second"], peak


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20)
    given = parser.parse_args()
    record = {"cores": len(os.sched_getaffinity(0)), "speed": [], "memory": []}
    with tempfile.TemporaryDirectory() as folder:
        shards(Path(folder) / "10", 10)
        for batch in (100, 1000):
            pairs = []
            for _ in range(given.rounds):
                rates = [trained(Path(folder) / "10", batch, s, given.seconds)[0] for s in ("false", "true")]
                pairs.append(rates)
                print(f"batch {batch}: resident {rates[0]:,.0f}, streamed {rates[1]:,.0f} examples/s", flush=True)
            ratio = float(np.median([streamed / resident for resident, streamed in pairs]))
            record["speed"].append({"batch": batch, "pairs": pairs, "ratio": ratio})
            print(f"batch {batch}: streamed over resident {ratio:.2f}", flush=True)
        for times in (1, 4, 16):
            place = Path(folder) / str(times)
            shards(place, times)
            peak = trained(place, 100, "true", given.seconds)[1]
            record["memory"].append({"times": times, "bytes": times * MNIST * 784, "peak": peak})
            print(f"{times} x MNIST, {times * MNIST * 784 / 1e6:,.0f} MB: {peak / 1e6:,.0f} MB of memory", flush=True)
    (ROOT / "docs" / "streaming.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
