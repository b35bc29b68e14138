#!/usr/bin/env python3
"""Speed of sbvi-train's own loop beside loops written for comparison, in one process and one sitting.

    scripts/benchmark.py [--rounds 5] [--parts start,columns]

Needs MNIST (SBVI_DATA_DIR or the cache; synthetic images of the same shape otherwise). PyTorch and
NumPyro are compared when they are installed. Rounds are interleaved: every round runs every loop for a
few seconds; figures are medians, and ratios are taken round by round. Writes docs/performance.json
and docs/performance.md with its figure. What is measured on a processor that is not the file's own is kept
in it too, and has a section of its own on the page.
"""

import argparse
import importlib.util
import json
import logging
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import jax
import numpy as np
import performance_page
import reference_loops
from measured import of_processor

from sbvi.evaluation.evaluator import Evaluator
from sbvi.runs import Experiment
from sbvi.runs.assembly import Assembly
from sbvi.runs.provenance import processor
from sbvi.runs.train import train

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = [(100, 1), (1000, 1), (100, 50)]
PARTS = ("start", "memory", "columns", "rank_one", "evaluation", "scaling")
SECONDS = 4.0  # of each loop in each round


def experiment(*overrides):
    """experiment=benchmark with overrides, as the command line would compose it."""
    return Experiment.from_overrides(["experiment=benchmark", *overrides])


def run_ours(steps, *overrides):
    """A whole `sbvi-train` run. Examples a second between its first log point and its last: logging,
    metrics, TensorBoard and checkpoints included, compilation and the one validation at the end not."""
    log_every = max(1, steps // 5)
    words = [f"trainer.steps={steps}", f"trainer.log_every={log_every}", "trainer.validate_every=1000000"]
    config = experiment(*words, "evaluation.validation_limit=100", *overrides)
    marks = []
    with tempfile.TemporaryDirectory() as folder:

        def show(_, progress, *__):
            if not marks or progress.step > marks[-1][1]:  # the last validation shows its step once more
                marks.append((time.perf_counter(), progress.step))

        result = train(config, Path(folder) / "run", show)
    (first, done), (last, end) = marks[0], marks[-1]
    rate = (end - done) * config.trainer.batch_size / (last - first)
    return rate, result["examples_per_second"]


def cpu():
    """Jiffies this machine was busy, and seconds this process was."""
    with open("/proc/stat") as file:
        fields = [int(v) for v in file.readline().split()[1:]]
    busy = sum(fields) - fields[3] - fields[4]
    times = os.times()
    return busy / os.sysconf("SC_CLK_TCK"), times.user + times.system, time.perf_counter()


def others(before):
    """The share of all cores that other processes took since `before`."""
    busy, own, now = (b - a for a, b in zip(before, cpu(), strict=True))
    return max(0.0, (busy - own) / (now * os.cpu_count()))


def loops(images, batch, samples, without):
    by_name = {}
    for name, (module, make) in reference_loops.LOOPS.items():
        if module not in without and importlib.util.find_spec(module) is not None:
            by_name[name] = make(images, batch, samples)
    return by_name


def column(images, batch, samples, rounds, without=()):
    """without: libraries whose loops are left out."""
    by_name, length = loops(images, batch, samples, without), reference_loops.chunk_length(samples)
    steps = {}
    for name, loop in by_name.items():  # compile, then see how many steps fill the time
        loop(length)
        began = time.perf_counter()
        loop(length)
        each = (time.perf_counter() - began) / length
        steps[name] = max(1, round(SECONDS / each / length)) * length
    words = [f"trainer.batch_size={batch}", f"objective.num_samples={samples}"]
    ours, _ = run_ours(max(50, steps["bare JAX scan"] // 100 * 50), *words)
    ours_steps = max(50, round(6 / 5 * SECONDS * ours / batch / 50) * 50)  # the first fifth is not timed
    rates = {name: [] for name in ("sbvi-train", *by_name, "bound")}
    taken = []
    for _ in range(rounds):
        before = cpu()
        rates["sbvi-train"].append(run_ours(ours_steps, *words)[0])
        for name, loop in by_name.items():
            began = time.perf_counter()
            loop(steps[name])
            rates[name].append(steps[name] * batch / (time.perf_counter() - began))
        rates["bound"].append(batch / reference_loops.product_seconds(reference_loops.products(batch, samples)))
        taken.append(others(before))
        print(batch, samples, {name: round(values[-1]) for name, values in rates.items()}, f"others {taken[-1]:.0%}")
    ratios = {
        n: [a / b for a, b in zip(rates["sbvi-train"], v, strict=True)] for n, v in rates.items() if n != "sbvi-train"
    }
    return {"batch": batch, "samples": samples, "rates": rates, "ratios": ratios, "others": taken}


def start(cache):
    """A fresh process: seconds to the log line of its first step."""
    words = ["experiment=benchmark", "trainer.steps=1", "trainer.log_every=1", "evaluation.validation_limit=100"]
    # An installed package has its bytecode, wherever this environment forbids to write it; and the cache of programs
    # is the one that sbvi keeps for a user who set none.
    unset = ("PYTHONDONTWRITEBYTECODE", "JAX_COMPILATION_CACHE_DIR")
    environment = {k: v for k, v in os.environ.items() if k not in unset}
    with tempfile.TemporaryDirectory() as folder:
        began, first = time.perf_counter(), None
        process = subprocess.Popen(
            [sys.executable, "-m", "sbvi.cli.train", *words, "hydra.run.dir=run"],
            cwd=folder,
            env=environment | {"SBVI_CACHE_DIR": cache, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for line in process.stdout:
            if "step 1 of 1" in line:
                first = time.perf_counter() - began
        process.wait()
    assert first is not None, "the run took no step"
    return first


def starts(rounds):
    cold, warm = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as cache:
            cold.append(start(cache))
            warm.append(start(cache))
        print("start", f"cold {cold[-1]:.1f} s, warm {warm[-1]:.1f} s")
    return {"cold": cold, "warm": warm}


def peak_memory():
    """MB of a whole run of experiment=benchmark in a process of its own, one epoch."""
    # Of this program alone: getrusage counts what the parent held before it, too.
    code = (
        "from pathlib import Path; from sbvi.cli.train import main; main(); "
        "print('peak', Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
    )
    with tempfile.TemporaryDirectory() as folder:
        words = ["experiment=benchmark", "trainer.epochs=1", "hydra.run.dir=run"]
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
    return int(done.stdout.rsplit("peak", 1)[1]) / 1024


def evaluation_speed(rounds, samples=500):
    """Importance samples a second (examples x S) of the final test of all test images, as a run makes it, and the
    bound of its products: medians over interleaved rounds, the share taken round by round."""
    built = Assembly.build(experiment())
    settings = built.experiment.evaluation
    evaluator = Evaluator(built.model, built.dataset, settings)
    params = built.initial_state().params
    rows = settings.batch_size * settings.chunk
    shapes = [(rows, inner, columns) for inner, columns in reference_loops.DECODER]

    def rate():
        began = time.perf_counter()
        examples = len(evaluator.likelihood(params, "test", samples)["nll"])
        return examples * samples / (time.perf_counter() - began)

    rate()  # compiles
    rates, bounds = [], []
    for _ in range(rounds):
        rates.append(rate())
        bounds.append(rows / reference_loops.product_seconds(shapes))
    return {
        "samples_per_second": float(np.median(rates)),
        "bound": float(np.median(bounds)),
        "fraction": float(np.median(np.array(rates) / np.array(bounds))),
    }


FAMILIES = ("diagonal", "rank_one", "low_rank", "full")
SCALING = {
    "batch size": ("trainer.batch_size={}", [10, 30, 100, 300, 1000]),
    "samples": ("objective.num_samples={}", [1, 5, 20, 50]),
    "hidden layers of each map": ("model.hidden={}", [[200] * n for n in (1, 2, 4, 8)]),
    "stochastic layers": ("model.latents={}", [[50] * n for n in (1, 2, 3)]),
    "training examples": (
        "dataset=synthetic ~dataset.when_absent dataset.dimensions=784 dataset.train_size={}",
        [5_000, 20_000, 80_000],
    ),
} | {
    f"latents, {family}": (f"posterior={family} model.latents={{}}", [[n] for n in (10, 50, 200)])
    for family in FAMILIES
}


def scaling():
    """Examples a second as one number grows, everything else as in experiment=benchmark; and memory's growth."""
    measured = {}
    for name, (template, values) in SCALING.items():
        measured[name] = {}
        for value in values:
            words = template.format(str(value).replace(" ", "")).split()
            work = {"batch size": value, "samples": 100 * value if name == "samples" else 0}.get(name, 100)
            steps = max(10, 30_000 // work)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            rate = run_ours(steps, *words)[0]
            grew = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
            label = sum(value) if name.startswith("latents") else len(value) if isinstance(value, list) else value
            measured[name][label] = {"examples_per_second": rate, "peak_memory_grew_mb": grew}
            print(name, label, f"{rate:,.0f} examples/s")
    return measured


def rank_one_cost(rounds):
    """Time of a step with 200 latents, rank-one over diagonal, round by round."""
    ratios = []
    for _ in range(rounds):
        order = ("diagonal", "rank_one", "rank_one", "diagonal")  # so that a drift of the machine's speed cancels
        rates = [run_ours(1000, f"posterior={f}", "model.latents=[200]")[0] for f in order]
        ratios.append((1 / rates[1] + 1 / rates[2]) / (1 / rates[0] + 1 / rates[3]))
    return ratios


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--columns", default="0,1,2", help="which of " + ", ".join(map(str, COLUMNS)))
    parser.add_argument("--parts", default=",".join(PARTS), help="what to measure; the rest is kept as it was")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "performance.json")
    given = parser.parse_args()
    parts = given.parts.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"--parts {','.join(sorted(unknown))} is not known; allowed: {', '.join(PARTS)}")
    logging.disable(logging.INFO)
    kept = json.loads(given.output.read_text()) if given.output.exists() else {}
    record = of_processor(kept, processor())
    record |= {
        "processor": processor(),
        "cores": os.cpu_count(),
        "device": jax.devices()[0].device_kind,
        "versions": {n: version(n) for n in ("jax", "flax", "numpyro", "torch") if importlib.util.find_spec(n)},
        "python": platform.python_version(),
    }

    def columns():
        images = Assembly.build(experiment()).dataset.train.x.reshape(-1, reference_loops.PIXELS)
        by_case = {(c["batch"], c["samples"]): c for c in record.get("columns", [])}
        for number in map(int, given.columns.split(",")):
            by_case[COLUMNS[number]] = column(images, *COLUMNS[number], given.rounds)
            record["columns"] = [by_case[case] for case in COLUMNS if case in by_case]
            given.output.write_text(json.dumps(kept, indent=1) + "\n")
        return record["columns"]

    measure = {
        "start": lambda: starts(given.rounds),
        "memory": peak_memory,
        "columns": columns,
        "rank_one": lambda: rank_one_cost(given.rounds),
        "evaluation": lambda: evaluation_speed(given.rounds),
        "scaling": scaling,
    }
    for part in parts:
        record[part] = measure[part]()
        given.output.write_text(json.dumps(kept, indent=1) + "\n")  # nothing measured is lost to a later failure
    print(f"written: {given.output}")
    if record.get("columns"):
        print(performance_page.tables(record))
    if set(PARTS) <= set(kept) and given.output.parent == ROOT / "docs":
        performance_page.render(kept, given.output.parent)


if __name__ == "__main__":
    main()
