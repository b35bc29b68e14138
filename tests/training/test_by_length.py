"""On an accelerator a chunk has a program for each number of steps: its numbers are those of the one for all."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.small_run import SHARED, experiment

from sbvi.runs.context import RunContext
from sbvi.runs.train import train
from sbvi.sweeps.side_by_side import Point, train_together
from sbvi.training import chunk
from sbvi.training.chunk import ByLength, ChunkResult

#: The data and the evaluations are those of other runs; a chunk is compiled anew, in one way or the other.
SESSION = RunContext(shared=SHARED)


@pytest.fixture
def accelerator(monkeypatch):
    """Chunks are compiled as for an accelerator."""
    monkeypatch.setattr(chunk, "for_cpu", lambda: False)


def function(state, operands, indices, hypers, key, start, count):
    def body(i, carry):
        state, total = carry
        state = 0.9 * state + indices[i].sum() * hypers["rate"][i] + start
        return state, total + state

    state, total = jax.lax.fori_loop(0, count, body, (state, jnp.float32(0)))
    none = jnp.int32(-1)
    return state, ChunkResult({"loss": total}, none, jnp.int32(0), none, none, none)


def test_every_number_of_steps_gives_what_one_program_gives():
    rng = np.random.default_rng(0)
    indices = rng.normal(size=(5, 3)).astype(np.float32)
    words = ((), indices, {"rate": np.linspace(1, 2, 5, dtype=np.float32)}, jax.random.key(0), np.float32(3))
    ours, theirs = ByLength(function), jax.jit(function)
    for count in (5, 2, 1, 5):
        a, b = (f(jnp.float32(2), *words, np.int32(count)) for f in (ours, theirs))
        jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-6), a, b)


def test_no_steps_change_nothing():
    state = jnp.float32(2)
    words = ((), np.ones((4, 3), np.float32), {"rate": np.ones(4, np.float32)}, jax.random.key(0), np.float32(3))
    after, result = ByLength(function)(state, *words, np.int32(0))
    assert after is state
    assert (float(result.sums["loss"]), int(result.bad_step), int(result.skipped)) == (0.0, -1, 0)


def test_a_run_is_the_same_but_for_rounding(accelerator, monkeypatch, tmp_path):
    """Chunks of ten steps and a last one of five."""
    made = experiment(trainer={"steps": 25, "log_every": 10, "validate_every": 20})
    ours = train(made, tmp_path / "ours", session=SESSION)
    monkeypatch.undo()
    theirs = train(made, tmp_path / "theirs", session=SESSION)
    assert ours["metrics"]["test/nll"] == pytest.approx(theirs["metrics"]["test/nll"], rel=1e-4)
    assert ours["steps"] == theirs["steps"] == 25


@pytest.mark.slow  # one run is tested above, and others side by side in test_together.py
def test_runs_side_by_side(accelerator, tmp_path):
    made = [experiment(seed=seed, trainer={"steps": 25, "log_every": 10, "validate_every": 20}) for seed in (1, 2)]
    together, _ = train_together([Point(value, tmp_path / str(i)) for i, value in enumerate(made)], shared=SHARED)
    alone = train(made[1], tmp_path / "alone", session=SESSION)
    assert together[1]["metrics"]["test/nll"] == pytest.approx(alone["metrics"]["test/nll"], rel=1e-4)
    assert together[0]["metrics"]["test/nll"] != together[1]["metrics"]["test/nll"]
