"""What is compiled while the first state is made is what the loop runs."""

import jax
import numpy as np
import pytest
from support.small_run import experiment

from sbvi.runs.assembly import Assembly
from sbvi.training.ahead import CompiledAhead


def test_a_chunk_compiled_ahead_is_not_compiled_again():
    assembly = Assembly.build(experiment())
    batches, plan = assembly.batches(), assembly.plan
    ahead = CompiledAhead(assembly.algorithm, batches, plan, assembly.shapes)
    state = assembly.placement.replicated(assembly.initial_state())
    chunk = ahead(assembly.algorithm, batches, skip_bad=False)
    (piece,) = batches.pieces(0, 4, plan.chunk, 4)
    hypers = assembly.algorithm.hypers(np.arange(plan.chunk), plan.steps_per_epoch, plan.total_steps)
    key = assembly.placement.replicated(jax.random.key(0))
    compiled = []

    def note(event, seconds, **about):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(about)

    jax.monitoring.register_event_duration_secs_listener(note)
    after, result = chunk(state, piece.operands, piece.indices, hypers, key, np.int32(0), np.int32(4))
    jax.monitoring.unregister_event_duration_listener(note)
    assert not compiled
    assert np.isfinite(float(result.sums["loss"]))
    assert int(after.updates) == 4


def test_a_chunk_that_cannot_be_compiled_fails_where_it_runs(monkeypatch):
    assembly = Assembly.build(experiment())
    monkeypatch.setattr(assembly.algorithm, "step", lambda *_: 1 / 0)
    ahead = CompiledAhead(assembly.algorithm, assembly.batches(), assembly.plan, assembly.shapes)
    with pytest.raises(ZeroDivisionError):
        jax.eval_shape(ahead(), *ahead.words)
