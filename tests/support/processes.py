"""Real sbvi processes on a tiny problem, and what a run leaves that must not depend on its interruptions."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
from conftest import ROOT

from sbvi.training import checkpoint

TINY = (
    "dataset=synthetic",
    "dataset.train_size=300",
    "dataset.test_size=60",
    "dataset.validation_size=60",
    "model.latents=[2]",
    "model.hidden=[8]",
    "model.recognition_hidden=[8]",
    "evaluation.num_samples=10",
    "trainer.batch_size=20",
    "trainer.checkpoint_minutes=0",
)


def start(*words, cwd, name="train"):
    environment = {k: v for k, v in os.environ.items() if k != "HYDRA_FULL_ERROR"} | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", f"sbvi.cli.{name}", *words],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process, timeout=120):
    """(exit code, what it printed)."""
    output = process.communicate(timeout=timeout)[0]
    return process.returncode, output


def run(*words, cwd, name="train"):
    return finish(start(*words, cwd=cwd, name=name))


def kill_when(process, seen, timeout=120):
    """SIGKILL at the first moment that `seen()` is true; False when the process ended before."""
    deadline = time.monotonic() + timeout
    while not seen():
        if process.poll() is not None:
            return False
        assert time.monotonic() < deadline
        time.sleep(0.0005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return True


def numbers(folder):
    """Every log line without its timings, and every array of the two checkpoints."""
    timing = {"train/examples_per_second"}
    text = (folder / "metrics.jsonl").read_text()
    lines = [{k: v for k, v in json.loads(line).items() if k not in timing} for line in text.splitlines()]
    arrays = {n: checkpoint.read(folder / "checkpoints" / f"{n}.safetensors")[0] for n in ("last", "best")}
    return lines, arrays


def assert_same(a, b):
    (lines_a, arrays_a), (lines_b, arrays_b) = numbers(a), numbers(b)
    assert lines_a == lines_b
    for name in arrays_a:
        assert arrays_a[name].keys() == arrays_b[name].keys()
        for key in arrays_a[name]:
            np.testing.assert_array_equal(arrays_a[name][key], arrays_b[name][key], err_msg=f"{name} {key}")


def tree(folder):
    """Every file's content, the lock aside."""
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != ".lock"}
