"""A small run from Python, and what it leaves."""

import contextlib
import json
from dataclasses import replace

import numpy as np
import pytest

from sbvi.runs import Experiment
from sbvi.runs.assembly import Shared
from sbvi.runs.context import RunContext
from sbvi.runs.pictures import Pictures
from sbvi.runs.train import train as trained
from sbvi.training import checkpoint
from sbvi.training.chunk import compile_chunk

SMALL = {
    "dataset": {"name": "synthetic", "train_size": 230, "validation_size": 50, "test_size": 50, "dimensions": 12},
    "model": {"name": "dlgm", "latents": [3], "hidden": [8], "recognition_hidden": [8], "input_dropout": 0.1},
    "likelihood": {"name": "bernoulli"},
    "posterior": {"name": "rank_one"},
    "objective": {"name": "free_energy", "kl_weight": {"warmup_epochs": 5}},
    "optimizer": {"name": "adam", "learning_rate": 3e-3, "average": 0.9, "schedule": {"kind": "cosine"}},
    "trainer": {"steps": 60, "batch_size": 20, "log_every": 10, "validate_every": 20, "checkpoint_minutes": 0},
    "evaluation": {"num_samples": 10, "chunk": 5},
    "runtime": {"compilation_cache": False},
}


#: As the points of a sweep have it: data and compiled evaluations of runs that differ in neither. Other processes,
#: which have nothing in common, are killed and gone on with in tests/reliability.
SHARED = Shared()


#: The programs that train, each once for all that its steps know of; a seed, a length and a rhythm are no part of it.
_chunks = {}


@contextlib.contextmanager
def no_pictures():
    """Within it, runs end without pictures, which nobody looks at: to make and draw them takes as long as a short run
    itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pictures, "of", lambda *_: {})
        patch.setattr("sbvi.reporting.recorder.save_curves", lambda *_: None)
        yield


def train(made, folder, show=None, session=None, *, pictures=False):
    session = replace(session or RunContext(), shared=SHARED)
    if session.compile is compile_chunk and not made.runtime.debug_nans:
        session = replace(session, compile=_kept(made))
    with contextlib.nullcontext() if pictures else no_pictures():
        return trained(made, folder, show, session)


def _kept(made):
    """Stands for `compile_chunk`."""
    config = made.to_config()
    known = [config[name] for name in ("dataset", "model", "algorithm", "runtime")]

    def compiled(algorithm, batches, *, skip_bad=False):
        key = json.dumps([*known, batches.batch_size, skip_bad], sort_keys=True)
        if key not in _chunks:
            _chunks[key] = compile_chunk(algorithm, batches, skip_bad=skip_bad)
        return _chunks[key]

    return compiled


def experiment(**groups):
    config = {g: v | groups[g] if groups.get(g) else v for g, v in SMALL.items() if groups.get(g, v) is not None}
    return Experiment.from_config(config | {k: v for k, v in groups.items() if k not in SMALL})


def leaves(folder, name="last"):
    return checkpoint.read(folder / "checkpoints" / f"{name}.safetensors")[0]


def same(a, b):
    assert a.keys() == b.keys()
    for key in a:
        np.testing.assert_array_equal(a[key], b[key], err_msg=key)


class Stop(Exception):
    pass


def interrupted(made, folder, step):
    """Train until a log point at `step`, then die without any goodbye."""

    def show(plan, progress, values, monitor):
        if progress.step == step:
            raise Stop

    with pytest.raises(Stop):
        train(made, folder, show)
