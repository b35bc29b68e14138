"""Sweeps as a user meets them: killed, run again, with a job that fails, under each launcher at hand."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from test_commands import ROOT, TINY, run

SEEDS = 6
LAUNCHERS = {"basic": [], "sbvi": ["hydra/launcher=sbvi", "hydra.launcher.workers=2"]}


def results(folder):
    """Run directory -> (status, time of result.json)."""
    found = {}
    for path in folder.glob("*/result.json"):
        found[path.parent.name] = (json.loads(path.read_text())["status"], path.stat().st_mtime_ns)
    return found


def started(words, folder, output):
    """A sweep as a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "sbvi.cli.train", *words]
    return subprocess.Popen(words, cwd=folder, env=environment, stdout=output, stderr=output, text=True)


def kill_when(process, condition, limit=180):
    deadline = time.monotonic() + limit
    while not condition():
        assert process.poll() is None, "the sweep ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.promise(
    "A sweep killed twice ends complete by the same command; no completed job is started again", "kills"
)
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_sweep_killed_twice_ends_complete(tmp_path, launcher, tally):
    words = [*TINY, "trainer.steps=3000", "trainer.log_every=50", "evaluation.test=false", f"seed=range({SEEDS})"]
    words = ["--multirun", *words, "hydra.sweep.dir=sweep", *LAUNCHERS[launcher]]
    folder = tmp_path / "sweep"
    before = {}
    moments = [
        lambda: len(list(folder.glob("*/metrics.jsonl"))) >= 1,
        lambda: sum(status == "completed" for status, _ in results(folder).values()) > max(2, len(before)),
    ]
    for moment in moments:
        process = started(words, tmp_path, subprocess.DEVNULL)
        kill_when(process, moment)
        before = {name: found for name, found in results(folder).items() if found[0] == "completed"}
    done = run("train", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    after = results(folder)
    assert len(after) == SEEDS
    assert {status for status, _ in after.values()} == {"completed"}
    assert before
    assert {name: after[name] for name in before} == before  # none was started again or written over
    seeds = {json.loads((p / "run.json").read_text())["config"]["seed"] for p in folder.glob("*/") if p.is_dir()}
    assert seeds == set(range(SEEDS))
    tally(2)


@pytest.mark.promise("A job that turns NaN fails alone", "jobs")
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_job_that_turns_nan_fails_alone(tmp_path, launcher, tally):
    rates = "1e-3,1e30,3e-3"
    words = [*TINY, "trainer.steps=200", "trainer.log_every=50", f"optimizer.learning_rate={rates}", "seed=0"]
    words += ["evaluation.test=false", "optimizer=sgd", "hydra.sweep.dir=sweep", *LAUNCHERS[launcher]]
    done = run("train", "--multirun", *words, cwd=tmp_path)
    assert done.returncode == 1
    assert "is not finite" in done.stderr
    found = {}
    for path in (tmp_path / "sweep").glob("*/result.json"):
        rate = json.loads((path.parent / "run.json").read_text())["config"]["optimizer"]["learning_rate"]
        found[rate] = json.loads(path.read_text())
    assert {rate: result["status"] for rate, result in found.items()} == {
        1e-3: "completed",
        1e30: "failed",
        3e-3: "completed",
    }
    assert "is not finite" in found[1e30]["reason"]
    compared = run("compare", "sweep", "--metric", "validation/elbo", cwd=tmp_path)
    assert compared.returncode == 0, compared.stderr
    assert "failed" in compared.stdout
    tally(1)


@pytest.mark.promise("A sweep's worker that dies is replaced", "workers")
def test_a_worker_that_dies_is_replaced(tmp_path, tally):
    """SIGKILL to one worker: its job is reported, the others are trained."""
    words = [*TINY, "trainer.steps=4000", "trainer.log_every=50", "evaluation.test=false", "seed=range(3)"]
    words = ["--multirun", *words, "hydra.sweep.dir=sweep", "hydra/launcher=sbvi", "hydra.launcher.workers=1"]
    process = started(words, tmp_path, subprocess.PIPE)
    folder = tmp_path / "sweep"
    deadline = time.monotonic() + 120
    while not list(folder.glob("*/metrics.jsonl")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    lock = next(folder.glob("*/.lock")).read_text()
    os.kill(int(lock.split()[1]), signal.SIGKILL)
    output, errors = process.communicate(timeout=200)
    assert process.returncode == 1
    assert "its worker died (exit code -9)" in errors + output
    assert sum(status == "completed" for status, _ in results(folder).values()) == 2
    tally(1)
