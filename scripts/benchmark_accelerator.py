#!/usr/bin/env python3
"""How well the loop uses one accelerator: launches, precision of products, sweeps in one program, other loops.

    scripts/benchmark_accelerator.py [--parts steps,sweep,columns,precision] [--points 8] [--epochs 60] [--rounds 3]

steps: a training step of `experiment=benchmark`, and its floor, the step of the same program over a network and a
batch so small that what is left is the launching of its kernels; both with products by JAX's own default, and the
step by three precisions that JAX_DEFAULT_MATMUL_PRECISION knows.
sweep: a sweep of learning rates by Hydra's basic launcher, one run after another, and by `hydra/launcher=sbvi`, in one
program, as whole commands, once each, each from an empty cache of compiled programs.
columns: whole runs beside the loops of scripts/reference_loops.py whose libraries are at hand.
precision: test NLL after training by each precision; the test itself takes all digits of float32 (docs/rules.md).
Writes docs/accelerator.json under the device's name, each part beside what was measured before;
docs/performance.md shows it (`scripts/render_docs.py`).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import benchmark
import benchmark_steps
import benchmark_sweeps
import jax
import reference_loops

from sbvi.core.atomic import write_atomically
from sbvi.runs.assembly import Assembly

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "docs" / "accelerator.json"
#: (batch, importance samples), as the columns of scripts/benchmark.py.
SHAPES = ((100, 1), (1000, 1), (100, 50))
PRECISIONS = ("float32", "tensorfloat32", "bfloat16")
#: A network and a batch whose arithmetic is nothing beside the launches of its kernels.
LEAST = ("model.latents=[8]", "model.hidden=[8,8]", "model.recognition_hidden=[8,8]", "trainer.batch_size=8")
LEARNS = (
    *(
        "experiment=benchmark",
        "dataset.binarization=static",
        "dataset.when_absent=fail",
        "optimizer.learning_rate=2e-3",
    ),
    *("optimizer.schedule.kind=cosine", "model.input_dropout=0.1"),
    *("objective.kl_weight.warmup_epochs=10", "evaluation.test=true", "evaluation.num_samples=1000"),
)


def step(words, rounds, steps=2000):
    form = benchmark_steps.THIS
    return benchmark_steps.measured("benchmark", steps, rounds, words, only=form)["milliseconds"][form]


def steps(given):
    found = []
    for batch, samples in SHAPES:
        words = [f"trainer.batch_size={batch}", f"objective.num_samples={samples}"]
        record = {"batch": batch, "samples": samples, "step": step(words, given.rounds)}
        record["floor"] = step([*words, *LEAST], given.rounds)
        record["by_precision"] = {}
        for precision in PRECISIONS:
            with jax.default_matmul_precision(precision):
                record["by_precision"][precision] = step(words, given.rounds)
        found.append(record)
        print(json.dumps(record), flush=True)
    return found


def sweep(given):
    """Seconds of whole commands, and of training as the runs tell it, compilation included."""
    words = ["experiment=benchmark", f"trainer.epochs={given.epochs}", "evaluation.test=true"]
    commands = benchmark_sweeps.ways([*words, "evaluation.num_samples=100"], given.points, "auto")
    record = {"points": given.points, "epochs": given.epochs, "seconds": {}, "training": {}}
    for way in ("basic", "vmap"):
        with tempfile.TemporaryDirectory() as folder:
            record["seconds"][way] = benchmark_sweeps.timed(commands[way], folder)
            results = [json.loads(path.read_text()) for path in Path(folder).rglob("result.json")]
            seconds = [result["train_seconds"] for result in results]
        assert len(seconds) == given.points
        record["training"][way] = sum(seconds) if way == "basic" else max(seconds)
        print(json.dumps(record), flush=True)
    return record


def columns(given):
    """Loops that run on the device: PyTorch's is written for a CPU."""
    images = Assembly.build(benchmark.experiment()).dataset.train.x.reshape(-1, reference_loops.PIXELS)
    return [benchmark.column(images, *shape, given.rounds, without=("torch",)) for shape in SHAPES[:2]]


def precision(given):
    """Test NLL by seed, of runs that train side by side."""
    found = {}
    for name in PRECISIONS:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "sbvi.cli.train", "--multirun", *LEARNS, f"trainer.epochs={given.epochs}"]
            command += ["seed=0,1,2,3,4", "hydra/launcher=sbvi", "hydra.launcher.mode=vmap", "hydra.sweep.dir=sweep"]
            environment = os.environ | {"JAX_DEFAULT_MATMUL_PRECISION": name, "PYTHONPATH": benchmark_sweeps.path()}
            done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
            if done.returncode:
                sys.exit(done.stderr[-500:])
            results = [json.loads(path.read_text()) for path in sorted(Path(folder).rglob("result.json"))]
        found[name] = [result["metrics"]["test/nll"] for result in results]
        print(name, found[name], flush=True)
    return {"command": f"sbvi-train {' '.join(LEARNS)} trainer.epochs={given.epochs}", "nll": found}


PARTS = {"steps": steps, "sweep": sweep, "columns": columns, "precision": precision}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--points", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    if unknown := set(given.parts.split(",")) - set(PARTS):
        parser.error(f"--parts {','.join(sorted(unknown))} is not known; allowed: {', '.join(PARTS)}")
    device = jax.devices()[0]
    if device.platform == "cpu":
        parser.error("there is no accelerator on this machine")
    for part in given.parts.split(","):
        record = PARTS[part](given)
        kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
        kept.setdefault(device.device_kind, {"jax": jax.__version__})[part] = record
        write_atomically(KEPT, (json.dumps(kept, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
