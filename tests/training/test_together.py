"""Runs in one program: the numbers of each alone, whatever becomes of the others."""

import json
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.small_run import SHARED, experiment, leaves, train

from sbvi.algorithms import Info
from sbvi.core import UserError
from sbvi.core.placement import SINGLE
from sbvi.runs.assembly import Assembly
from sbvi.sweeps.side_by_side import Point, groups, train_together
from sbvi.training import ResidentBatches
from sbvi.training.chunk import compile_chunk
from sbvi.training.together import Together

POINTS = [
    {"seed": 0, "optimizer": {"learning_rate": 1e-3}},
    {"seed": 1, "optimizer": {"learning_rate": 1e-2}, "model": {"input_dropout": 0.3}},
    {"seed": 2, "model": {"weight_prior_variance": 10.0}, "objective": {"kl_weight": {"warmup_epochs": 2}}},
]


def in_threads(functions, meeting):
    found = [None] * len(functions)

    def one(number):
        try:
            found[number] = functions[number]()
        finally:
            meeting.leave()

    threads = [threading.Thread(target=one, args=(number,)) for number in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def parameters(groups, compile, steps=200):
    """After 200 steps in float64, in four chunks."""
    assembly = Assembly.build(experiment(**groups), SHARED)
    seed = groups["seed"]
    state = jax.device_get(assembly.initial_state())
    state = jax.tree.map(lambda v: v.astype(np.float64) if v.dtype == np.float32 else v, state)
    with jax.enable_x64(True):
        batches = ResidentBatches(assembly.dataset, 20, seed, jnp.float64)
        chunk = compile(assembly.algorithm, batches)
        for start in range(0, steps, 50):
            hypers = assembly.algorithm.hypers(np.arange(start, start + 50), 11.5, steps)
            words = (batches.operands(), batches.indices(start, 50, 50), hypers, jax.random.key(seed))
            state, result = chunk(state, *words, jnp.int32(start), jnp.int32(50))
        return jax.device_get((state.params, result.sums))


def test_points_in_one_program_equal_their_solo_runs():
    """Seeds, learning rates, noise, prior and warm-up differ; float64, 1e-9 after 200 steps."""
    meeting = Together(len(POINTS))
    jobs = [lambda point=point: parameters(point, meeting.compile_chunk) for point in POINTS]
    together = in_threads(jobs, meeting)
    assert meeting.batched_calls == 4
    alone = [parameters(point, compile_chunk) for point in POINTS]
    for ours, theirs in zip(together, alone, strict=True):
        assert {leaf.dtype for leaf in jax.tree.leaves(ours[0])} == {np.dtype(np.float64)}
        for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "other",
    [
        {"objective": {"free_bits": 0.1}},  # a number that the program holds as a constant
        {"dataset": {"split_seed": 5}},  # other data under the same program
    ],
)
def test_what_is_not_the_same_program_on_the_same_data_goes_alone(other):
    meeting = Together(2)
    points = [{"seed": 0}, {"seed": 0} | other]
    together = in_threads([lambda p=p: parameters(p, meeting.compile_chunk, 50) for p in points], meeting)
    assert meeting.batched_calls == 0
    for ours, point in zip(together, points, strict=True):
        theirs = parameters(point, compile_chunk, 50)
        for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_group_of_runs_leaves_what_each_leaves_alone(tmp_path):
    """One turns NaN, one was completed before; the directories of the others tell no difference."""
    made = {
        "first": experiment(seed=1),
        "second": experiment(seed=2, optimizer={"learning_rate": 1e-3}),
        "nan": experiment(seed=3, optimizer={"learning_rate": 1e30}),
        "done": experiment(seed=5),
    }
    train(made["done"], tmp_path / "done")
    before = (tmp_path / "done" / "result.json").stat().st_mtime_ns
    points = [Point(value, tmp_path / name) for name, value in made.items()]
    ended = dict(zip(made, train_together(points, shared=SHARED)[0], strict=True))
    assert {name for name, value in ended.items() if isinstance(value, dict)} == set(made) - {"nan"}
    assert isinstance(ended["nan"], UserError)
    assert json.loads((tmp_path / "nan" / "result.json").read_text())["status"] == "failed"
    assert (tmp_path / "done" / "result.json").stat().st_mtime_ns == before
    train(made["second"], tmp_path / "alone", pictures=True)
    files = [
        {p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.name.startswith("events")}
        for folder in (tmp_path / "second", tmp_path / "alone")
    ]
    assert files[0] == files[1]
    for kind in ("last", "best"):
        ours, theirs = leaves(tmp_path / "second", kind), leaves(tmp_path / "alone", kind)
        for key in theirs:
            np.testing.assert_allclose(ours[key], theirs[key], rtol=1e-3, atol=1e-4, err_msg=key)


def test_runs_that_stop_early_let_the_others_go_on(tmp_path):
    """A rate that moves nothing gives no better validation; the other run is in the same group."""
    length = {"steps": 200, "patience": 1, "validate_every": 10}
    made = [experiment(seed=1, trainer=length, optimizer={"average": None, "learning_rate": r}) for r in (1e-12, 1e-3)]
    points = [Point(value, tmp_path / str(number)) for number, value in enumerate(made)]
    assert len(groups(points)) == 1
    (first, second), _ = train_together(points, shared=SHARED)
    assert first["status"] == second["status"] == "completed"
    assert first["steps"] == 20
    assert second["steps"] > 20


@pytest.mark.timeout(120)
def test_a_run_that_is_named_twice_is_trained_once(tmp_path):
    """As of seed=0,0, or a search that draws the same settings again: each of the two would wait for the other."""
    points = [Point(experiment(seed=seed), tmp_path / str(seed)) for seed in (0, 0, 1, 0)]
    assert groups(points) == [[0, 2], [1], [3]]
    first, second, other, third = train_together(points, shared=SHARED)[0]
    assert first == second == third != other
    assert other["status"] == "completed"


@pytest.mark.slow
def test_an_interrupted_group_goes_on_bit_for_bit(tmp_path):
    """Both runs die at step 30 of 60, and the group continues from their checkpoints."""
    made = [experiment(seed=seed) for seed in (1, 2)]

    class Stop(Exception):
        pass

    def show(plan, progress, values, monitor):
        if progress.step == 30:
            raise Stop

    whole = [Point(m, tmp_path / f"whole{n}") for n, m in enumerate(made)]
    cut = [Point(m, tmp_path / f"cut{n}") for n, m in enumerate(made)]
    assert all(isinstance(value, dict) for value in train_together(whole)[0])
    assert all(isinstance(value, Stop) for value in train_together(cut, show)[0])
    assert all(value["status"] == "completed" for value in train_together(cut)[0])
    for a, b in zip(whole, cut, strict=True):
        for kind in ("last", "best"):
            ours, theirs = leaves(a.folder, kind), leaves(b.folder, kind)
            for key in theirs:
                np.testing.assert_array_equal(ours[key], theirs[key], err_msg=key)


def test_groups_hold_what_may_share_a_program(tmp_path):
    made = [
        experiment(seed=0),
        experiment(seed=1, optimizer={"learning_rate": 0.1}),
        experiment(seed=0, model={"hidden": [9]}),
        experiment(seed=2),
        experiment(seed=3),
    ]
    points = [Point(m, tmp_path / str(n)) for n, m in enumerate(made)]
    assert groups(points) == [[0, 1, 3, 4], [2]]
    assert groups(points, 3) == [[0, 1, 3], [4], [2]]


@jax.custom_batching.custom_vmap
def row(value):
    """Alone the value; in a batch, the number of the row."""
    return value


@row.def_vmap
def _rows(size, batched, value):
    return jnp.arange(size, dtype=value.dtype), True


def test_places_in_a_batch_are_the_runs_whoever_comes_first():
    """The last bits of a number can depend on its row."""

    class Numbers:
        placement, identity = SINGLE, "none"

        def gather(self, operands, index, position, key):
            return index

    class Placed:
        monitor = "loss"

        def step(self, state, batch, key, hyper):
            return {"row": row(state["row"])}, Info({"loss": jnp.zeros(())})

    meeting = Together(3)
    indices = np.zeros((1, 1), np.int32)

    def run(place, wait):
        chunk = meeting.compile_chunk(Placed(), Numbers(), position=place)
        words = ({}, indices, {}, jax.random.key(0), jnp.int32(0), jnp.int32(1))
        time.sleep(wait)
        return int(chunk({"row": jnp.int32(-1)}, *words)[0]["row"])

    late = {0: 0.2, 1: 0.4, 2: 0.0}
    assert in_threads([lambda p=place: run(p, late[p]) for place in range(3)], meeting) == [0, 1, 2]
