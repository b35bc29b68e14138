"""Crash and preemption: killed at many moments, a run ends like one that was left alone."""

import json
import random
import re
import signal
import subprocess
import time

import pytest
from support.paths import ROOT
from support.processes import finish, kill_when, run, start, wait_until
from support.tiny_run import HELMHOLTZ_WORDS, TINY, WORDS, assert_same, tree


def lines(folder):
    path = folder / "metrics.jsonl"
    return path.read_text().count("\n") if path.exists() else 0


def lock_taken(folder):
    return (folder / ".lock").exists() and (folder / ".lock").read_text().startswith("process")


def writing(name):
    """The temporary file of `name` is there."""
    return lambda folder: any(folder.glob(f"**/.{name}.*.tmp"))


def after(number):
    return lambda folder: lines(folder) >= number


def final_test(folder):
    text = (folder / "metrics.jsonl").read_text() if (folder / "metrics.jsonl").exists() else ""
    return "test/" in text or (folder / "figures").exists()


def at_random(seed):
    limit = random.Random(seed).uniform(0.0, 0.5)
    began = []

    def seen(folder):
        if lines(folder):
            began.append(time.monotonic())
        return bool(began) and time.monotonic() - began[0] > limit

    return seen


# Five moments for each run: what is seen on disk, and random times after the first log line.
RUNS = {
    "each": [lock_taken, writing("last.safetensors"), writing("best.safetensors"), after(24), final_test],
    "starts": [lambda f: f.exists(), lock_taken, writing("run.json"), after(1), at_random(1)],
    "checkpoints": [
        writing("last.safetensors"),
        after(3),
        writing("best.safetensors"),
        writing("last.safetensors"),
        at_random(2),
    ],
    "random": [at_random(seed) for seed in range(3, 8)],
    "ends": [after(8), after(24), writing("last.safetensors"), final_test, writing("result.json")],
}


@pytest.mark.promise("SIGKILL at any moment: the same command goes on, to the same bits as an undisturbed run", "kills")
@pytest.mark.parametrize(
    "moments", [name if name == "each" else pytest.param(name, marks=pytest.mark.slow) for name in RUNS]
)
@pytest.mark.parametrize("model", ["dlgm", pytest.param("helmholtz", marks=pytest.mark.slow)])
def test_killed_at_many_moments(model, moments, request, tmp_path, tally):
    words, fixture = {"dlgm": (WORDS, "tiny_run"), "helmholtz": (HELMHOLTZ_WORDS, "tiny_helmholtz_run")}[model]
    undisturbed = request.getfixturevalue(fixture)
    folder = tmp_path / "run"
    kills = 0
    for seen in RUNS[moments]:
        process = start(*words, "hydra.run.dir=run", cwd=tmp_path)
        if kill_when(process, lambda s=seen: s(folder)):
            kills += 1
        process.stdout.close()
    code, output = run(*words, "hydra.run.dir=run", cwd=tmp_path)
    assert code == 0, output
    assert json.loads((folder / "result.json").read_text())["status"] == "completed"
    assert_same(undisturbed, folder)
    assert not list(folder.glob("**/.*.tmp"))
    assert kills >= 3  # a moment can pass unseen, and the run then ends before it
    tally(kills)


@pytest.mark.promise(
    "The first SIGINT saves at the next chunk; a second one leaves at once, and costs nothing saved", "signals"
)
def test_a_second_sigint_leaves_at_once(tmp_path, tally):
    # Chunks of some seconds, so that the second signal falls into one.
    words = (*TINY, "trainer.steps=4000000", "trainer.log_every=60000", "trainer.validate_every=60000")
    words = (*words, "hydra.run.dir=run")
    process = start(*words, cwd=tmp_path)
    # Saved after the first chunk, and within the second: between the two the first signal would end the run.
    wait_until((tmp_path / "run" / "checkpoints" / "last.safetensors").exists, process)
    time.sleep(0.5)
    before = tree(tmp_path / "run" / "checkpoints")
    process.send_signal(signal.SIGINT)
    said = tmp_path / "run" / "sbvi-train.log"
    wait_until(lambda: "SIGINT: stopping at the next log point" in said.read_text(), process)  # within the chunk
    sent = time.monotonic()
    process.send_signal(signal.SIGINT)
    code, _ = finish(process, timeout=30)
    assert time.monotonic() - sent < 1.5
    assert code == -signal.SIGINT
    assert before == tree(tmp_path / "run" / "checkpoints")
    tally(2)


@pytest.mark.promise(
    "A directory serves one process: a second is refused and told who holds it; a dead one's lock is free", "processes"
)
def test_two_processes_in_one_directory(tmp_path, tally):
    words = (*TINY, "trainer.steps=20000000", "trainer.log_every=1000", "hydra.run.dir=run")
    holder = start(*words, cwd=tmp_path)
    try:
        wait_until(lambda: lines(tmp_path / "run"), holder)
        code, output = run(*words, cwd=tmp_path)
        assert code == 1
        assert f"is in use by process {holder.pid} on" in output
    finally:
        holder.kill()
        holder.communicate()
    takes_over = start("resume=run", cwd=tmp_path)
    try:
        seen = ""
        for line in takes_over.stdout:
            seen += line
            if "Going on from step" in seen and re.search(r"step \d+ of \d+: elbo", line):
                break
        assert "Going on from step" in seen
    finally:
        takes_over.send_signal(signal.SIGTERM)
        assert finish(takes_over)[0] == 128 + signal.SIGTERM
    tally(3)


@pytest.mark.promise("The same command gives the same bits, in another process and another directory", "runs")
def test_the_same_command_gives_the_same_bits(tiny_run, tmp_path, tally):
    code, output = run(*WORDS, "runtime.deterministic=true", "hydra.run.dir=again", cwd=tmp_path, fresh=True)
    assert code == 0, output
    assert_same(tiny_run, tmp_path / "again")
    records = [json.loads((f / "run.json").read_text()) for f in (tiny_run, tmp_path / "again")]
    for key in ("versions", "device", "commit", "data"):
        assert records[0][key] == records[1][key]
    head = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
    assert not head or records[0]["commit"].startswith(head)
    tally(2)
