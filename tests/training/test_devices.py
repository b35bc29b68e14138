"""Many devices: the numbers of one, up to the order of sums; and a run that moves between them."""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.processes import command, environment
from support.small_run import experiment, leaves, train
from support.tiny_run import TINY, TINY_HELMHOLTZ

import sbvi
from sbvi.core import UserError
from sbvi.core.placement import Placement
from sbvi.data.sources.digits import Digits
from sbvi.runs.assembly import Assembly
from sbvi.runs.directory import RunDirectory
from sbvi.training import ResidentBatches
from sbvi.training.chunk import compile_chunk


def start(algorithm="gradient_ascent", posterior="rank_one", dataset=None, **groups):
    """An assembly and its first state. posterior: its name, or its settings."""
    chosen = {"name": posterior} if isinstance(posterior, str) else posterior
    made = experiment(posterior=chosen, algorithm={"name": algorithm}, **groups)
    assembly = Assembly.build(replace(made, dataset=dataset or made.dataset))
    return assembly, jax.device_get(assembly.initial_state())


def parameters(devices, assembly, state):
    """After 100 steps in float64."""
    placement = Placement.over(devices)
    state = jax.tree.map(lambda v: v.astype(np.float64) if v.dtype == np.float32 else v, state)
    hypers = assembly.algorithm.hypers(np.arange(100), 11.5, 100)
    with jax.enable_x64(True):
        batches = ResidentBatches(assembly.dataset, 20, 0, jnp.float64, placement)
        start, count = jnp.int32(0), jnp.int32(100)
        words = (batches.operands(), batches.indices(0, 100, 100), hypers, jax.random.key(0), start, count)
        state, result = compile_chunk(assembly.algorithm, batches)(placement.replicated(state), *words)
        return jax.device_get((state.params, result.sums)), state


NORMALISED = {"network": "residual_normalised", "recognition_network": "residual_normalised"}
CASES = {
    "rank_one": {},
    "full, dropout": {"posterior": "full"},
    "several samples": {"objective": {"name": "importance_weighted", "num_samples": 5, "kl_weight": {}}},
    "reweighted_wake_sleep": {
        "algorithm": "reweighted_wake_sleep",
        "objective": None,
    },
    "convolutions": {"model": {"convolutions": [3, 2]}, "dataset": Digits(binarization="dynamic")},
    "wake_sleep": {"algorithm": "wake_sleep", "objective": None},
    "normalised": {"model": {"hidden": [8, 8], "recognition_hidden": [8, 8], **NORMALISED}},
    # Of two channels a normalised value is hardly more than a sign, which magnifies rounding.
    "normalised convolutions": {
        "model": {"convolutions": [8, 8], "residual_blocks": 1, **NORMALISED},
        "dataset": Digits(binarization="dynamic"),
    },
    "flow prior, coupling, free bits": {
        "posterior": {"name": "coupling", "couplings": 2, "hidden": 4, "context": 3},
        "prior": {"name": "flow", "couplings": 2, "hidden": 4},
        "objective": {"name": "free_energy", "free_bits": 0.3, "kl_weight": {}},
    },
    "mixture prior, planar": {
        "posterior": {"name": "planar", "flows": 2},
        "prior": {"name": "mixture", "components": 4},
    },
    "vamp prior": {"posterior": "diagonal", "prior": {"name": "vamp", "components": 5}},
    "inverse_autoregressive": {"posterior": {"name": "inverse_autoregressive", "steps": 2, "hidden": 6, "context": 3}},
    "hierarchical": {"posterior": {"name": "hierarchical", "hidden": 4}, "model": {"latents": [3, 2]}},
    "top_down, free bits": {
        "posterior": {"name": "top_down", "hidden": 4},
        "model": {"latents": [3, 2]},
        "objective": {"name": "free_energy", "free_bits": 0.3, "kl_weight": {}},
    },
    "free bits in closed form": {"objective": {"name": "free_energy", "free_bits": 0.3, "kl_weight": {}}},
    "pixel_cnn": {
        "likelihood": {"name": "pixel_cnn", "features": 3, "layers": 2},
        "dataset": Digits(binarization="dynamic"),
    },
}


#: Of parts that another case has too, or that work row by row, so that the gradient's sum is all that devices share.
SLOW = {"rank_one", "wake_sleep", "normalised", "normalised convolutions", "mixture prior, planar", "vamp prior"}
SLOW |= {
    "several samples",
    "inverse_autoregressive",
    "hierarchical",
    "top_down, free bits",
    "free bits in closed form",
    "pixel_cnn",
}


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=pytest.mark.slow) if case in SLOW else case for case in CASES]
)
def test_two_devices_give_the_numbers_of_one(case):
    begun = start(**CASES[case])
    (one, _), (two, state) = parameters(1, *begun), parameters(2, *begun)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)
    assert all(len(leaf.sharding.device_set) == 2 for leaf in jax.tree.leaves(state.params))


def test_the_batch_is_divided():
    """Every device holds its half of the batch and makes its own random numbers; the program sums over them."""
    assembly = Assembly.build(replace(experiment(), dataset=Digits(binarization="dynamic")))
    placement = Placement.over(2)
    batches = ResidentBatches(assembly.dataset, 20, 0, placement=placement)

    def work(operands, index):
        return batches.gather(operands, index, jnp.int32(0), jax.random.key(0)).x

    x = jax.jit(work)(batches.operands(), jnp.arange(20, dtype=jnp.int32))
    assert [shard.data.shape for shard in x.addressable_shards] == [(10, 64)] * 2
    state = placement.replicated(assembly.initial_state())
    words = (batches.operands(), batches.indices(0, 2, 2), assembly.algorithm.hypers(np.arange(2), 11.5, 100))
    program = compile_chunk(assembly.algorithm, batches).lower(
        state, *words, jax.random.key(0), jnp.int32(0), jnp.int32(2)
    )
    text = program.compile().as_text()
    assert "all-reduce" in text
    assert not [name for name in ("all-gather", "all-to-all", "collective-permute") if name in text]


def test_a_batch_that_does_not_divide_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"trainer.batch_size=25 does not divide over 2 devices; 24 or 26 would"):
        train(experiment(trainer={"batch_size": 25}, runtime={"devices": 2}), tmp_path)
    with pytest.raises(UserError, match=r"runtime.devices=3 is more than there are: 2 of kind cpu"):
        train(experiment(runtime={"devices": 3}), tmp_path)


def test_a_run_moves_between_one_device_and_two(small_run, tmp_path):
    """Evaluation included: 50 test images in batches of 100 over two devices."""
    one = RunDirectory(small_run).read_result()
    two = train(experiment(runtime={"devices": "all"}), tmp_path / "two", pictures=True)
    for name in ("test/nll", "test/elbo", "validation/elbo"):
        assert two["metrics"][name] == pytest.approx(one["metrics"][name], rel=1e-6)

    class Stop(Exception):
        pass

    def show(plan, progress, values, monitor):
        if progress.step == 30:
            raise Stop

    with pytest.raises(Stop):
        train(experiment(runtime={"devices": 2}), tmp_path / "moved", show)
    moved = train(experiment(runtime={"devices": 1}), tmp_path / "moved")
    assert moved["status"] == "completed"
    a, b = leaves(small_run), leaves(tmp_path / "moved")
    for key in a:
        np.testing.assert_allclose(a[key], b[key], rtol=2e-3, atol=2e-5)


@pytest.mark.slow  # that runs move between numbers of devices is tested above, in one process
@pytest.mark.parametrize("model", [pytest.param(TINY, id="dlgm"), pytest.param(TINY_HELMHOLTZ, id="helmholtz")])
def test_eight_devices_from_the_command_line(model, tmp_path):
    """Trained on eight; evaluated, compared and resumed on one, read where there are two."""
    words = [*model, "trainer.steps=20", "trainer.batch_size=40", "hydra.run.dir=run"]

    def run(count, *words, name="train"):
        flags = f"--xla_force_host_platform_device_count={count}"
        return command(name, *words, cwd=tmp_path, env=environment(XLA_FLAGS=flags))

    done = run(8, *words, "runtime.devices=all")
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["device"]["count"] == 8
    first = json.loads((tmp_path / "run" / "result.json").read_text())["metrics"]
    loaded = sbvi.load_run(tmp_path / "run")
    assert np.isfinite(loaded.log_likelihood(np.zeros((3, 32)), 10)).all()
    evaluated = run(1, "run=run", "task=likelihood", "task.num_samples=10", name="evaluate")
    assert evaluated.returncode == 0, evaluated.stderr
    compared = run(1, "run", "--format", "json", name="compare")
    assert compared.returncode == 0, compared.stderr
    assert json.loads(compared.stdout)["groups"][0]["mean"] == pytest.approx(first["test/nll"])
    (tmp_path / "run" / "result.json").unlink()  # as if it had been killed before its end
    refused = run(1, "resume=run", "runtime.devices=4")
    assert "runtime.devices=4 is more than there are: 1" in refused.stderr
    again = run(1, "resume=run", "runtime.devices=1")
    assert again.returncode == 0, again.stderr
    second = json.loads((tmp_path / "run" / "result.json").read_text())["metrics"]
    assert second["test/nll"] == pytest.approx(first["test/nll"], rel=1e-6)
