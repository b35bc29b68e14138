"""What every model and algorithm owes the loop: bit for bit the same run after an interruption, and on two devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.small_run import SMALL, interrupted, leaves, same, train

from sbvi.core.placement import Placement
from sbvi.runs import Experiment
from sbvi.runs.assembly import Assembly
from sbvi.training import ResidentBatches
from sbvi.training.chunk import compile_chunk

HELMHOLTZ = {"name": "helmholtz", "layers": [4, 3]}
CIRCUIT = {"name": "circuit", "structure": "random", "units": 3, "replicas": 2, "depth": 2}
VIMCO = {"name": "importance_weighted", "num_samples": 3, "estimator": "vimco", "kl_weight": {}}
CASES = {
    "bihm": {"model": HELMHOLTZ, "algorithm": {"name": "bihm", "num_samples": 3}},
    "reweighted wake-sleep of layers": {"model": HELMHOLTZ, "algorithm": {"name": "reweighted_wake_sleep"}},
    "wake_sleep of layers": {"model": HELMHOLTZ, "algorithm": {"name": "wake_sleep"}},
    "vimco": {"model": HELMHOLTZ, "algorithm": {"name": "gradient_ascent"}, "objective": VIMCO},
    "nvil": {"model": HELMHOLTZ, "algorithm": {"name": "gradient_ascent"}, "objective": VIMCO | {"estimator": "nvil"}},
    "relaxed": {
        "model": HELMHOLTZ,
        "algorithm": {"name": "gradient_ascent"},
        "objective": VIMCO | {"estimator": "relaxed"},
    },
    "circuit, online EM": {"model": CIRCUIT, "algorithm": {"name": "expectation_maximisation", "mode": "online"}},
    "circuit, gradients": {"model": CIRCUIT},
    "parts": {"model": {"name": "parts", "parts": 2, "templates": 2}, "dataset": {"name": "digits"}},
}


def made(case):
    groups = CASES[case]
    shared = {name: SMALL[name] for name in ("dataset", "trainer", "evaluation", "runtime")}
    if groups.get("algorithm", {}).get("name") != "expectation_maximisation":
        shared["optimizer"] = SMALL["optimizer"]
    return Experiment.from_config(shared | groups)


#: Whose algorithm is the same loop as that of a case that always runs.
SLOW = ("reweighted wake-sleep of layers", "wake_sleep of layers", "vimco", "nvil", "relaxed")


@pytest.mark.parametrize("case", [pytest.param(c, marks=pytest.mark.slow) if c in SLOW else c for c in CASES])
def test_an_interrupted_run_ends_bit_for_bit_like_an_undisturbed_one(case, tmp_path):
    experiment = made(case)
    whole = train(experiment, tmp_path / "whole", pictures=True)
    interrupted(experiment, tmp_path / "cut", 30)
    cut = train(experiment, tmp_path / "cut")
    assert whole["metrics"].keys() == cut["metrics"].keys()
    (tested,) = {"test/nll", "test/log_loss"} & whole["metrics"].keys()
    assert whole["metrics"][tested] == cut["metrics"][tested]
    for name in ("last", "best"):
        same(leaves(tmp_path / "whole", name), leaves(tmp_path / "cut", name))


#: Whose model is that of a case that always runs, and whose algorithm is in tests/training/test_devices.py or "vimco".
REPEATED = ("reweighted wake-sleep of layers", "wake_sleep of layers", "nvil", "relaxed", "circuit, gradients")


@pytest.mark.parametrize("case", [pytest.param(c, marks=pytest.mark.slow) if c in REPEATED else c for c in CASES])
def test_two_devices_give_the_numbers_of_one(case):
    """After 40 steps in float64; draws of 0 and 1 are compared with a probability, which rounding rarely moves."""
    found = [jax.tree.leaves(_parameters(made(case), count)) for count in (1, 2)]
    for one, two in zip(*found, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-9)


def _parameters(experiment, devices):
    assembly = Assembly.build(experiment)
    placement = Placement.over(devices)
    state = jax.device_get(assembly.initial_state())
    state = jax.tree.map(lambda v: v.astype(np.float64) if v.dtype == np.float32 else v, state)
    hypers = assembly.algorithm.hypers(np.arange(40), 11.5, 40)
    with jax.enable_x64(True):
        batches = ResidentBatches(assembly.dataset, 20, 0, jnp.float64, placement)
        words = (batches.operands(), batches.indices(0, 40, 40), hypers, jax.random.key(0), jnp.int32(0), jnp.int32(40))
        state, _ = compile_chunk(assembly.algorithm, batches)(placement.replicated(state), *words)
        assert all(len(leaf.sharding.device_set) == devices for leaf in jax.tree.leaves(state))
        return jax.device_get(state.params)
