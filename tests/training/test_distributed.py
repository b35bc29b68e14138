"""Several processes of one run: real ones, on this machine, over loopback."""

import json
import shutil
import signal
import socket
import time

import numpy as np
import pytest
from support.processes import finish, run, start, wait_until
from support.tiny_run import TINY

import sbvi
from sbvi.training import checkpoint

WORDS = (*TINY, "trainer.validate_every=200", "model.input_dropout=0.1", "seed=3")


def pair(*words, cwd):
    """Two processes of one run."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = [*words, "runtime.distributed=true", f"runtime.coordinator=127.0.0.1:{port}", "runtime.processes=2"]
    return [start(*shared, f"runtime.process={number}", cwd=cwd) for number in range(2)]


def best(folder):
    return checkpoint.read(folder / "checkpoints" / "best.safetensors")[0]


def test_two_processes_give_the_numbers_of_one(tmp_path):
    words = [*WORDS, "model.latents=[2]", "trainer.steps=40", "trainer.log_every=20"]
    done = [finish(process) for process in pair(*words, "hydra.run.dir=pair", cwd=tmp_path)]
    assert [code for code, _ in done] == [0, 0], done
    assert "test/nll" in done[0][1]
    assert "test/nll" not in done[1][1]
    assert run(*words, "hydra.run.dir=one", cwd=tmp_path)[0] == 0
    ours, theirs = best(tmp_path / "pair"), best(tmp_path / "one")
    for key in theirs:
        np.testing.assert_allclose(ours[key], theirs[key], rtol=3e-4, atol=3e-5)
    results = [json.loads((tmp_path / name / "result.json").read_text()) for name in ("pair", "one")]
    # One process has the likelihood of two latents by quadrature, several by samples, which it tells beside it.
    assert results[0]["metrics"]["test/nll"] == pytest.approx(results[1]["metrics"]["test/nll_by_samples"], rel=1e-3)
    assert [result["likelihood"] for result in results] == ["importance sampling", "quadrature"]
    lines = [(tmp_path / name / "metrics.jsonl").read_text().count("\n") for name in ("pair", "one")]
    assert lines[0] == lines[1]
    assert len(list((tmp_path / "pair").glob("events*"))) == 1
    # It is evaluated and loaded like any other.
    x = np.random.default_rng(0).integers(0, 2, (20, 32))
    assert np.isfinite(sbvi.load_run(tmp_path / "pair").log_likelihood(x, 10)).all()


@pytest.mark.slow
def test_one_of_two_is_killed(tmp_path):
    """The run goes on from the last checkpoint with two processes, and with one."""
    words = [*WORDS, "trainer.steps=600", "trainer.log_every=200", "hydra.run.dir=pair"]
    first, second = pair(*words, cwd=tmp_path)
    folder = tmp_path / "pair"
    wait_until((folder / "checkpoints" / "last.safetensors").exists, first)
    second.kill()
    killed = time.monotonic()
    left = finish(first)
    assert time.monotonic() - killed < 60
    # Ours where a sum over processes fails; JAX's where one waits for the dead process to begin.
    assert left[0] in (1, -signal.SIGABRT), left
    assert "Another process of this run is gone" in left[1] or "another task died" in left[1], left
    shutil.copytree(folder, tmp_path / "copy")
    again = [finish(process) for process in pair(*words, cwd=tmp_path)]
    assert [code for code, _ in again] == [0, 0], again
    alone = run("resume=copy", "runtime.distributed=false", cwd=tmp_path)
    assert alone[0] == 0, alone
    # The same command finds it completed, with one process too.
    assert "completed already" in run("resume=pair", "runtime.distributed=false", cwd=tmp_path)[1]
    for _, output in (again[0], alone):
        assert "Going on from step" in output
    for name in ("pair", "copy"):
        assert json.loads((tmp_path / name / "result.json").read_text())["status"] == "completed"
    ours, theirs = best(tmp_path / "pair"), best(tmp_path / "copy")
    assert ours.keys() == theirs.keys()


@pytest.mark.parametrize(
    ("own", "said"),
    [
        (
            ["hydra.run.dir=run{}"],
            "must have the same directory; set hydra.run.dir",
        ),  # as Hydra's default would have it
        (
            ["hydra.run.dir=run", "optimizer.learning_rate=0.{}1"],
            "must have the same config; optimizer.learning_rate is 0.01 in one and 0.11 in another.",
        ),
    ],
)
def test_processes_that_disagree_are_told(tmp_path, own, said):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [*WORDS, "trainer.steps=50", "runtime.distributed=true", "runtime.processes=2"]
    words += [f"runtime.coordinator=127.0.0.1:{port}"]
    apart = [[word.format(n) for word in own] for n in range(2)]
    both = [start(*words, *apart[n], f"runtime.process={n}", cwd=tmp_path) for n in range(2)]
    for code, output in map(finish, both):
        assert code == 1
        assert said in output, output
