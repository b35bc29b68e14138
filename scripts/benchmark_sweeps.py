#!/usr/bin/env python3
"""How fast a sweep of eight points is: a fresh process for each, Hydra's basic launcher, and our own in both modes.

    scripts/benchmark_sweeps.py [--points 8] [--rounds 3] [--only digits|small|tiny|mnist] [--ways basic,workers]
                             [--platform auto]

Beside our workers stand the matrix products of the same points alone, one point a core: what no way of running
them can undercut. Prints seconds and ratios and writes docs/sweeps.json. Every round runs the four ways after one
another with a compilation cache of its own, empty at the start of each way, so that no way profits from another.
The mnist part needs its files; with dataset.when_absent=synthetic random images of its shape stand in.
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

from sbvi.runs.provenance import processor

ROOT = Path(__file__).resolve().parents[1]
PARTS = {
    "digits": [],  # the defaults as they are
    # Steps so small that calls outweigh products: where one program for all points should gain.
    "small": [
        *("model.latents=[2]", "model.hidden=[16]", "model.recognition_hidden=[16]", "trainer.batch_size=20"),
        *("trainer.steps=30000", "trainer.examples=null", "trainer.epochs=null", "evaluation.num_samples=20"),
    ],
    # The least there is to a step: on one core (taskset -c 0), such as a job of a cluster has, one program gains.
    "tiny": [
        *("model.latents=[3]", "model.hidden=[8]", "model.recognition_hidden=[8]", "trainer.batch_size=10"),
        *("trainer.steps=1000000", "trainer.examples=null", "trainer.epochs=null", "evaluation.num_samples=20"),
        *("trainer.log_every=100000", "trainer.validate_every=100000"),
    ],
    "mnist": ["dataset=mnist", "dataset.binarization=dynamic", "dataset.when_absent=synthetic", "trainer.epochs=5"],
}

#: Parts with the network whose products are timed.
PRODUCTS = ("digits", "mnist")


def pinned_products(run, points):
    """Seconds that the matrix products of `points` runs like this one would take by themselves, one run a core."""
    config, sizes = run["config"], run["data"]["sizes"]
    result = json.loads((Path(run["folder"]) / "result.json").read_text())
    pixels, batch = int(np.prod(run["data"]["event_shape"])), config["trainer"]["batch_size"]
    scored = sizes["test"] * config["evaluation"]["num_samples"]
    call = f"reference_loops.default_point_seconds({pixels}, {batch}, {result['steps']}, {scored})"
    environment = os.environ | {"PYTHONPATH": str(ROOT / "scripts"), "JAX_PLATFORMS": "cpu"}
    cores = sorted(os.sched_getaffinity(0))
    working = []
    for core in cores:
        code = f"import os; os.sched_setaffinity(0, {{{core}}})\nimport reference_loops; print({call})"
        words = [sys.executable, "-c", code]
        working.append(subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True))
    each = np.mean([float(process.communicate()[0]) for process in working])
    return float(points / len(cores) * each)


def a_run(folder):
    """What run.json says of one of the runs in a folder."""
    path = next(Path(folder).rglob("run.json"))
    return json.loads(path.read_text()) | {"folder": str(path.parent)}


def path():
    """What a process imports from: this tree first."""
    return os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))


def timed(commands, folder):
    """Seconds for all commands in a folder and a cache of their own; each must end well."""
    environment = os.environ | {
        "PYTHONPATH": path(),
        "SBVI_CACHE_DIR": str(Path(folder) / "cache"),
        "JAX_COMPILATION_CACHE_DIR": "",
    }
    began = time.perf_counter()
    for words in commands:
        command = [sys.executable, "-m", "sbvi.cli.train", *words]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(words)} failed: {done.stderr[-500:]}")
    return time.perf_counter() - began


def ways(words, points, platform):
    rates = [f"{rate:.3g}" for rate in np.geomspace(3e-4, 3e-3, points)]
    words = [*words, f"runtime.platform={platform}"]
    swept = ["--multirun", f"optimizer.learning_rate={','.join(rates)}", *words, "hydra.sweep.dir=sweep"]
    return {
        "fresh": [[f"optimizer.learning_rate={r}", *words, f"hydra.run.dir=run{i}"] for i, r in enumerate(rates)],
        "basic": [swept],
        "workers": [[*swept, "hydra/launcher=sbvi", "hydra.launcher.mode=workers"]],
        "vmap": [[*swept, "hydra/launcher=sbvi", "hydra.launcher.mode=vmap"]],
    }


def summary(seconds, points):
    """Medians over rounds of the ratios within a round."""
    ratios = {
        f"{slow} / {ours}": float(np.median([a / b for a, b in zip(seconds[slow], seconds[ours], strict=True)]))
        for ours in ("workers", "vmap", "products")
        for slow in ("fresh", "basic", "workers")
        if slow != ours and (slow, ours) != ("workers", "products") and slow in seconds and ours in seconds
    }
    return {
        "points": points,
        "seconds": seconds,
        "ratios": ratios,
        "cores": len(os.sched_getaffinity(0)),
        "processor": processor(),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--ways", default="fresh,basic,workers,vmap", help="some of fresh, basic, workers, vmap")
    parser.add_argument("--platform", default="auto")
    given = parser.parse_args()
    wanted = given.ways.split(",")
    path = ROOT / "docs" / "sweeps.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    for part in [given.only] if given.only else PARTS:
        seconds = {name: [] for name in wanted}
        for number in range(given.rounds):
            for name, commands in ways(PARTS[part], given.points, given.platform).items():
                if name not in wanted:
                    continue
                with tempfile.TemporaryDirectory() as folder:
                    seconds[name].append(timed(commands, folder))
                    if name == "workers" and part in PRODUCTS:
                        seconds.setdefault("products", []).append(pinned_products(a_run(folder), given.points))
                print(f"{part} round {number + 1}, {name}: {seconds[name][-1]:.1f} s", flush=True)
            kept[part] = summary(seconds, given.points)
            path.write_text(json.dumps(kept, indent=1) + "\n")  # a benchmark that is cut short keeps its rounds
        for name, ratio in kept[part]["ratios"].items():
            print(f"{part}: {name} = {ratio:.2f}")


if __name__ == "__main__":
    main()
