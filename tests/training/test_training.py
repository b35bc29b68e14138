"""The loop: the same numbers whatever the interruptions, and every stop says why."""

import json
import logging
import shutil
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.small_run import SMALL, experiment, interrupted, leaves, same, train

from sbvi.algorithms import Info, Optimizer
from sbvi.core import UserError
from sbvi.core.placement import SINGLE
from sbvi.runs import load_run
from sbvi.runs.assembly import Assembly
from sbvi.runs.directory import RunDirectory
from sbvi.training import Plan, Progress, ResidentBatches, Store, Trainer, Training, checkpoint
from sbvi.training.batches import Piece
from sbvi.training.chunk import ChunkResult, chunk_function, compile_chunk, joined


@pytest.mark.promise("An exception in mid-run costs no more than one interval", "interruptions")
def test_interrupted_runs_end_bit_for_bit_like_undisturbed_ones(small_run, tmp_path, tally):
    made = experiment()
    for step in (30, 50):
        interrupted(made, tmp_path / "cut", step)
        assert RunDirectory(tmp_path / "cut").read_result()["status"] == "failed"
    cut = train(made, tmp_path / "cut")
    assert RunDirectory(small_run).read_result()["status"] == cut["status"] == "completed"
    for name in ("last", "best"):
        same(leaves(small_run, name), leaves(tmp_path / "cut", name))
    timing = {"train/examples_per_second"}

    def lines(folder):
        text = (folder / "metrics.jsonl").read_text()
        return [{k: v for k, v in json.loads(line).items() if k not in timing} for line in text.splitlines()]

    assert lines(small_run) == lines(tmp_path / "cut")
    # A completed run is left alone.
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "cut").rglob("*") if p.is_file() and p.name != ".lock"}
    assert train(made, tmp_path / "cut") == cut
    assert before == {p: p.stat().st_mtime_ns for p in before}
    tally(2)


@pytest.mark.quick
def test_one_metric_everywhere(small_run):
    result = RunDirectory(small_run).read_result()
    last = {}
    for line in (small_run / "metrics.jsonl").read_text().splitlines():
        last |= json.loads(line)
    for name, value in result["metrics"].items():
        assert last[name] == value
    parts = result["metrics"]
    assert parts["test/elbo"] == pytest.approx(parts["test/log_likelihood"] - parts["test/kl"], abs=1e-4)
    assert parts["test/kl"] == pytest.approx(parts["test/kl/layer_1"])
    assert parts["test/nll"] <= -parts["test/elbo"]
    # Of training steps the mean is told, as of validation's examples.
    assert last["train/log_likelihood"] == pytest.approx(last["validation/log_likelihood"], rel=0.2)


def test_what_validates_and_is_kept_is_the_average_of_the_weights(small_run):
    assert RunDirectory(small_run).read_result()["best_step"] == 60  # that of the last state
    last, best = leaves(small_run), leaves(small_run, "best")
    for name, value in best.items():
        np.testing.assert_allclose(value, last[f"average.{name}"] / (1 - 0.9**60), rtol=1e-5, atol=1e-8)
        assert (value != last[f"params.{name}"]).any()


@pytest.mark.quick
def test_lengths():
    sizes = {"epochs": 2.5, "examples": 575, "steps": 29}
    for name, value in sizes.items():
        assert Plan(Trainer(**{name: value}, batch_size=20), 230).total_steps == 29
    for wrong in ({}, {"steps": 1, "epochs": 1.0}):
        with pytest.raises(ValueError, match="exactly one of"):
            Trainer(**wrong)
    assert Plan(Trainer(epochs=2**31 - 1, batch_size=1), 10**9).total_steps < 2**63
    with pytest.raises(ValueError, match=r"trainer\.epochs=1e\+30 must be at most 2147483647"):
        Trainer(epochs=1e30)


def test_batches_cover_every_epoch(tmp_path):
    made = experiment()
    dataset = made.dataset.load()
    batches = ResidentBatches(dataset, 20, seed=3)
    stream = np.concatenate([batches.indices(s, 4, 7)[:4].ravel() for s in range(0, 24, 4)])
    for epoch in range(2):
        part = stream[epoch * 230 : (epoch + 1) * 230]
        np.testing.assert_array_equal(np.sort(part), np.arange(230))
    assert np.mean(stream[:230] == stream[230:460]) < 0.1  # each in an order of its own
    again = ResidentBatches(dataset, 20, seed=3).indices(5, 3, 3)
    np.testing.assert_array_equal(again.ravel(), stream[100:160])
    assert (ResidentBatches(dataset, 20, seed=4).indices(5, 3, 3) != again).any()


def test_early_stopping_and_time_budget(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    shown = {}

    def show(plan, progress, values, monitor):
        assert progress.step not in shown  # once each
        shown[progress.step] = values.get(f"validation/{monitor}")

    made = experiment(trainer={"steps": 5000, "patience": 2}, optimizer={"learning_rate": 0.2})
    stopped = train(made, tmp_path / "a", show)
    assert stopped["status"] == "completed"
    assert stopped["steps"] < 5000
    assert stopped["best_step"] == stopped["steps"] - 2 * 20
    why = "no validation was better for trainer.patience=2"
    assert f"Training ends at step {stopped['steps']} of 5000: {why}." in caplog.text
    assert shown[stopped["best_step"]] == stopped["best_validation"]  # a step's own validation, with the step
    assert [step for step, value in shown.items() if value is not None] == list(range(20, stopped["steps"] + 1, 20))
    # Patience counts over interruptions: the best and what came after it are of the sessions before.
    interrupted(made, tmp_path / "cut", stopped["steps"] - 10)
    again = train(made, tmp_path / "cut")
    assert {n: again[n] for n in ("steps", "best_step", "best_validation")} == {
        n: stopped[n] for n in ("steps", "best_step", "best_validation")
    }
    # Out of time long before the first validation that the period asks for.
    endless = {"steps": 10**8, "max_minutes": 0.005, "validate_every": 10**8}
    timed = train(experiment(trainer=endless), tmp_path / "b")
    assert timed["status"] == "completed"
    assert timed["steps"] < 10**8
    assert timed["best_step"] == timed["steps"]
    assert f"Training ends at step {timed['steps']} of {10**8}: trainer.max_minutes=0.005 is over." in caplog.text


@pytest.mark.promise("A loss that is not finite stops the run, names the step, and keeps the last good state", "runs")
def test_a_nan_stops_the_run_and_keeps_the_last_good_state(tmp_path, tally):
    # The rate is a good one for two epochs, 23 steps.
    schedule = {"kind": "staged", "boundaries": [2], "factors": [1e33]}
    made = experiment(optimizer={"learning_rate": 1e-3, "schedule": schedule})
    last = tmp_path / "checkpoints" / "last.safetensors"
    with pytest.raises(UserError, match=rf"not finite at step 2\d; the last good checkpoint is {last}"):
        train(made, tmp_path)
    result = RunDirectory(tmp_path).read_result()
    assert result["status"] == "failed"
    assert "not finite" in result["reason"]
    arrays, metadata = checkpoint.read(last)
    assert metadata["progress"]["step"] == 20
    assert all(np.isfinite(v).all() for v in arrays.values() if v.dtype.kind == "f")
    tally(1)


@pytest.mark.promise("debug=nan finds the first operation that gives a NaN", "runs")
def test_debug_nan_names_the_operation(tmp_path, tally):
    made = experiment(optimizer={"learning_rate": 1e30}, runtime={"debug_nans": True})
    with pytest.raises(UserError, match=r"A NaN appeared: invalid value \(nan\) encountered in \w+"):
        train(made, tmp_path)
    assert (
        "A NaN" in RunDirectory(tmp_path).read_result()["reason"]
        or "nan" in RunDirectory(tmp_path).read_result()["reason"]
    )
    tally(1)


class Doubtful:
    """Adds one at every step; the loss is NaN at steps 3 and 4, and step 6 makes the state infinite."""

    monitor = "loss"

    def step(self, state, batch, key, hyper):
        number = state["seen"]
        loss = jnp.where((number == 3) | (number == 4), jnp.nan, 1.0)
        added = jnp.where(number == 6, jnp.inf, 1.0)
        return {"value": state["value"] + added, "seen": number}, Info({"loss": loss})


@pytest.mark.promise("trainer.on_nan=skip drops bad updates and counts them", "bad updates")
def test_skipping_drops_bad_updates_and_counts_them(tally):
    """`seen` comes from the batch's index, so that it goes on although updates are dropped."""

    class Numbers:
        placement = SINGLE

        def gather(self, operands, index, position, key):
            return index

    class Counted(Doubtful):
        def step(self, state, batch, key, hyper):
            return super().step(state | {"seen": batch[0]}, batch, key, hyper)

    indices = np.arange(10, dtype=np.int32)[:, None]
    state = {"value": jnp.zeros(()), "seen": jnp.int32(-1)}
    words = ({}, indices, {}, jax.random.key(0), jnp.int32(0), jnp.int32(10))
    after, result = compile_chunk(Counted(), Numbers(), skip_bad=True)(state, *words)
    assert (float(after["value"]), int(result.skipped), int(result.bad_step)) == (7.0, 3, -1)
    assert [int(result.first_good), int(result.last_good), int(result.long_row)] == [0, 9, -1]
    assert float(result.sums["loss"]) == 7.0
    state = {"value": jnp.zeros(()), "seen": jnp.int32(-1)}
    after, result = compile_chunk(Counted(), Numbers())(state, *words)
    assert (int(result.bad_step), int(result.skipped)) == (3, 0)
    tally(3)


def test_every_step_and_its_data_have_keys_of_their_own():
    """The same ones however steps are divided into chunks."""

    class Drawn:
        placement = SINGLE

        def gather(self, operands, index, position, key):
            return index[0], jax.random.uniform(key)

    class Keeps:
        monitor = "loss"

        def step(self, state, batch, key, hyper):
            number, drawn = batch
            return state.at[number].set(jnp.stack([drawn, jax.random.uniform(key)])), Info({"loss": jnp.ones(())})

    chunk, indices = compile_chunk(Keeps(), Drawn()), np.arange(10, dtype=np.int32)[:, None]

    def run(*pieces):
        state = jnp.zeros((10, 2))
        for start, count in pieces:
            rows = np.roll(indices, -start, 0)
            state = chunk(state, {}, rows, {}, jax.random.key(0), jnp.int32(start), jnp.int32(count))[0]
        return np.asarray(state)

    whole = run((0, 10))
    assert len(np.unique(whole)) == 20
    np.testing.assert_array_equal(run((0, 4), (4, 6)), whole)


def test_skipping_ends_where_no_update_is_good(tmp_path):
    made = experiment(optimizer={"learning_rate": 1e30}, trainer={"on_nan": "skip"})
    with pytest.raises(UserError, match=r"not finite at step \d+"):
        train(made, tmp_path)


class Skipped:
    """A loop's algorithm, batches and chunks, whose updates at these steps are dropped."""

    monitor, placement = "loss", SINGLE

    def __init__(self, bad):
        self.bad = set(bad)

    def pieces(self, start, end, longest, ahead):
        yield Piece(start, end - start, (None, None), np.zeros((longest, 1), np.int32))

    def hypers(self, steps, *_):
        return {}

    def eval_params(self, state):
        return state

    def keeps(self, score, best):
        return score > best

    def compile(self, *_, skip_bad):
        def chunk(state, operands, indices, hypers, key, start, count):
            steps = range(int(start), int(start + count))
            good = [step for step in steps if step not in self.bad]
            dropped = len(steps) - len(good)
            row = next((a + 1 for a, b in pairwise(good) if b - a > 100), -1)
            first, last = (good[0], good[-1]) if good else (-1, -1)
            return state, ChunkResult({"loss": float(len(good))}, -1, np.int32(dropped), first, last, row)

        return chunk


@pytest.mark.parametrize(
    ("results", "joint"),
    [
        ([(0, 9, -1), (-1, -1, -1)], (0, 9, -1)),
        ([(-1, -1, -1), (10, 19, -1)], (10, 19, -1)),
        ([(0, 9, -1), (109, 120, -1)], (0, 120, -1)),
        ([(0, 9, -1), (110, 120, -1)], (0, 120, 10)),
        ([(0, 9, -1), (-1, -1, -1), (120, 120, -1)], (0, 120, 10)),
        ([(0, 300, 5), (301, 600, 320)], (0, 600, 5)),
        ([(-1, -1, -1), (100, 600, 320)], (100, 600, 320)),
    ],
)
def test_rows_of_bad_updates_go_on_from_chunk_to_chunk(results, joint):
    """First and last good step, and where a hundred bad ones between them begin."""
    parts = [ChunkResult({}, -1, 0, *map(np.int32, each)) for each in results]
    assert tuple(map(int, joined(parts)[3:])) == joint


def test_a_compiled_chunk_tells_its_rows_of_bad_updates():
    """By plain Python, of random rows in 600 steps, up to 220 long."""
    batches = SimpleNamespace(gather=lambda *_: None, placement=SimpleNamespace(hold_replicated=lambda value: value))

    def step(state, batch, key, hyper):
        return state + hyper["v"], SimpleNamespace(scalars={"loss": hyper["v"]})

    chunk = jax.jit(chunk_function(SimpleNamespace(monitor="loss", step=step), batches, skip_bad=True))
    generator, count, begun, long_rows = np.random.default_rng(0), 600, 40, 0
    for _ in range(30):
        bad = generator.random(count) < 0.05
        for start in generator.integers(0, count, generator.integers(0, 4)):
            bad[start : start + generator.integers(1, 220)] = True
        values = {"v": jnp.asarray(np.where(bad, np.nan, 1), jnp.float32)}
        given = (jnp.float32(0), (), jnp.zeros((count, 1), jnp.int32), values, jax.random.key(0))
        taken, found = chunk(*given, jnp.int32(begun), jnp.int32(count))
        good = [begun + int(i) for i in np.flatnonzero(~bad)]
        row = next((a + 1 for a, b in pairwise(good) if b - a > 100), -1)
        long_rows += row >= 0
        assert [int(part) for part in found[2:]] == [bad.sum(), good[0], good[-1], row]
        assert float(taken) == len(good)
    assert 5 < long_rows < 25


@pytest.mark.parametrize("log_every", [1, 7, 50, 250])
@pytest.mark.parametrize(
    ("bad", "steps", "ends"),
    [
        ([3, 9, *range(20, 119)], 300, None),
        (range(150, 290), 300, 150),
        ([4, *range(20, 160)], 300, 20),
        (range(100), 300, 0),
        (range(300), 300, 0),
        (range(5), 5, 0),
        (range(4), 5, None),
    ],
    ids=["apart", "in_a_row", "early", "first", "all", "all_of_few", "not_all_of_few"],
)
def test_skipping_is_judged_by_updates_in_a_row(bad, steps, ends, log_every, tmp_path):
    """Whatever the log points are, and validations between them, so that a row is of many chunks or within one."""
    told, parts = [], Skipped(bad)
    validate_every = 11 if log_every < 50 else 300
    rhythm = {"steps": steps, "log_every": log_every, "validate_every": validate_every}
    plan = Plan(Trainer(**rhythm, batch_size=1, on_nan="skip"), 10)
    recorder = SimpleNamespace(scalars=lambda step, epoch, values: told.append(values))
    loop = Training(
        parts, parts, plan, Store(tmp_path), recorder, lambda _: {"validation/loss": 0.0}, 0, compile=parts.compile
    )
    if ends is None:
        outcome = loop.run({"value": np.zeros(1)}, Progress())
        assert (outcome.status, outcome.progress.skipped) == ("completed", len(bad))
        assert {values["train/loss"] for values in told if "train/loss" in values} == {1.0}
    else:
        with pytest.raises(UserError, match=f"^train/loss is not finite at step {ends}; "):
            loop.run({"value": np.zeros(1)}, Progress())


def test_skipping_changes_nothing_for_a_run_without_nans(small_run, tmp_path):
    train(experiment(trainer={"on_nan": "skip"}), tmp_path / "skip")
    same(leaves(small_run), leaves(tmp_path / "skip"))
    lines = [json.loads(line) for line in (tmp_path / "skip" / "metrics.jsonl").read_text().splitlines()]
    assert {line["train/skipped_updates"] for line in lines if "train/loss" in line} == {0.0}


def test_a_config_from_before_a_key_existed_goes_on(small_run, tmp_path):
    """A run.json of an earlier version lacks later keys; their defaults are what it meant."""
    folder = shutil.copytree(small_run, tmp_path / "run")
    record = json.loads((folder / "run.json").read_text())
    config = {key: value for key, value in SMALL.items() if key != "algorithm"}
    record = {"config": config | {"seed": 0, "init_from": None}, "data": record["data"]}
    assert "on_nan" not in config["trainer"]
    (folder / "run.json").write_text(json.dumps(record))
    assert train(experiment(trainer={"steps": 60}), folder)["status"] == "completed"


@pytest.mark.promise("A directory that holds another run is refused and left as it was", "runs")
def test_another_run_in_the_directory_is_refused(small_run, tmp_path, tally):
    folder = shutil.copytree(small_run, tmp_path / "run")
    before = (folder / "run.json").read_bytes()
    with pytest.raises(UserError, match=r"holds another run: seed is 0 there and 1 here"):
        train(experiment(seed=1), folder)
    assert (folder / "run.json").read_bytes() == before
    tally(1)


def test_checkpoints_of_another_run_are_refused(small_run, tmp_path, caplog):
    """They have the same names, shapes and good digests, and would be tested and gone on with as this run's."""
    folder, other = shutil.copytree(small_run, tmp_path / "run"), tmp_path / "other"
    before = json.loads((folder / "result.json").read_text())["metrics"]["test/nll"]
    train(experiment(seed=1, trainer={"steps": 20}), other)
    theirs, own = other / "checkpoints", folder / "checkpoints"
    best = (own / "best.safetensors").read_bytes()
    shutil.copy(theirs / "best.safetensors", own)
    with pytest.raises(UserError, match=r"best\.safetensors is of another run"):
        load_run(folder)
    with pytest.raises(UserError, match=r"best\.safetensors is of another run"):
        train(experiment(init_from=str(folder)), tmp_path / "third")
    (own / "best.safetensors").write_bytes(best)
    (folder / "result.json").unlink()
    shutil.copy(theirs / "last.safetensors", own)
    assert train(experiment(), folder)["metrics"]["test/nll"] == before  # from the one before it
    assert "last.safetensors is of another run" in caplog.text
    assert (own / "last-of-another-run.safetensors").read_bytes() == (theirs / "last.safetensors").read_bytes()
    (folder / "run.json").unlink()  # what is left of one run is no beginning of another
    with pytest.raises(UserError, match=r"No checkpoint in .* is of another run"):
        train(experiment(seed=2), folder)
    assert not (folder / "run.json").exists()


def test_a_record_that_cannot_be_read_is_told_by_why(tmp_path):
    (tmp_path / "result.json").mkdir()
    with pytest.raises(UserError, match=r"result\.json cannot be read \(Is a directory\)[.;]"):
        RunDirectory(tmp_path).read_result()
    (tmp_path / "result.json").rmdir()
    (tmp_path / "result.json").write_text("{")
    with pytest.raises(UserError, match=r"result\.json cannot be read as JSON \(Expecting .*\)[.;]"):
        RunDirectory(tmp_path).read_result()


def test_a_directory_in_use_is_refused(tmp_path):
    with RunDirectory(tmp_path).locked(), pytest.raises(UserError, match=r"in use by process \d+ on"):
        train(experiment(), tmp_path)


def test_a_run_whose_folder_was_renamed_leaves_alone_what_stands_there(tmp_path):
    folder, moved, saved = tmp_path / "run", tmp_path / "moved", []

    def rename(_plan, progress, *_):
        if progress.step == 30:
            folder.rename(moved)
            folder.mkdir()
            (folder / "notes.txt").write_text("mine")
            saved.append((moved / "checkpoints" / "last.safetensors").read_bytes())

    with pytest.raises(UserError, match=r"run is no longer the folder of this run: .*; nothing more is written there"):
        train(experiment(), folder, rename)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    assert (moved / "checkpoints" / "last.safetensors").read_bytes() == saved[0]
    assert train(experiment(), moved)["status"] == "completed"


def test_init_from_starts_with_another_runs_parameters(small_run, tmp_path):
    source = shutil.copytree(small_run, tmp_path / "source")
    made = experiment(init_from=str(source), trainer={"steps": 1, "validate_every": 1})
    made = replace(made, algorithm=replace(made.algorithm, optimizer=Optimizer(learning_rate=1e-12)))
    train(made, tmp_path / "second")
    first, second = leaves(small_run, "best"), leaves(tmp_path / "second", "best")
    for key in first:
        np.testing.assert_allclose(first[key], second[key], rtol=1e-5, atol=1e-9)
    with pytest.raises(UserError, match="is not a run"):
        train(experiment(init_from=str(tmp_path / "nowhere")), tmp_path / "third")
    shutil.rmtree(source)  # a run that has begun needs it no more
    (tmp_path / "second" / "result.json").unlink()
    assert train(made, tmp_path / "second")["status"] == "completed"


def test_init_from_a_run_whose_parameters_meant_something_else_says_so(small_run, caplog):
    """The shapes are those of this run, and nothing else would tell."""
    Assembly.build(experiment(init_from=str(small_run), model={"activation": "tanh"})).initial_state()
    assert f"init_from={small_run} is a run with model.activation=relu, here tanh: its parameters fit " in caplog.text
    caplog.clear()
    Assembly.build(experiment(init_from=str(small_run), objective={"name": "free_energy"})).initial_state()
    assert "init_from" not in caplog.text


@pytest.mark.parametrize(
    ("groups", "sentence"),
    [
        ({"posterior": {"name": "diagonal"}}, "posterior=rank_one there and diagonal here"),
        ({"model": {"latents": [4]}}, "model.latents=[3] there and [4] here"),
        ({"dataset": {"dimensions": 11}}, "its examples have the shape (12,) there and (11,) here"),
        (
            {"dataset": {"observation": "gaussian"}, "likelihood": {"name": "gaussian"}},
            "likelihood=bernoulli there and gaussian here",
        ),
    ],
)
def test_init_from_a_run_of_another_model_says_what_differs(small_run, groups, sentence, tmp_path):
    made = experiment(init_from=str(small_run), **groups)
    with pytest.raises(UserError) as refused:
        Assembly.build(made).initial_state()
    assert f"init_from={small_run} is a run whose parameters are of another model: {sentence}; " in str(refused.value)


@pytest.mark.promise("A damaged newest checkpoint costs one interval: the one before it is used", "files altered")
def test_a_damaged_last_checkpoint_costs_one_interval(small_run, tmp_path, tally):
    made = experiment()
    interrupted(made, tmp_path / "cut", 50)
    last = tmp_path / "cut" / "checkpoints" / "last.safetensors"
    last.write_bytes(last.read_bytes()[:-30])
    train(made, tmp_path / "cut")
    same(leaves(small_run), leaves(tmp_path / "cut"))
    tally(1)


def test_an_interrupt_that_training_does_not_hear_leaves_a_result(tmp_path, monkeypatch):
    """Before the loop hears signals; one that comes when all is done leaves what was reached."""
    made, folder = experiment(trainer={"steps": 10, "validate_every": 10}, evaluation={"test": False}), tmp_path / "run"

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("sbvi.runs.stages.tell_large_batches", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(made, folder)
    result = json.loads((folder / "result.json").read_text())
    assert (result["status"], result["reason"], result["steps"]) == ("stopped", "SIGINT", 0)
    write = RunDirectory.write_result
    with monkeypatch.context() as patch:
        patch.setattr(RunDirectory, "write_result", lambda *words: (write(*words), interrupt()))
        with pytest.raises(KeyboardInterrupt):
            train(made, folder)
    assert json.loads((folder / "result.json").read_text())["status"] == "completed"
    assert train(made, folder)["steps"] == 10


def test_optimisation_reaches_the_exact_likelihood(tmp_path):
    """A linear-Gaussian DLGM trained on its own data comes within sampling error of the truth.

    The first gradients are huge, and unclipped they leave Adam with moments that some random streams do not recover
    from in time: clipped, every one of six ended within 0.03 nats, and its bound within 0.05.
    """
    made = experiment(
        dataset={"observation": "gaussian", "latents": 2, "dimensions": 5, "train_size": 2000, "test_size": 500},
        likelihood={"name": "gaussian", "scale": "fixed", "fixed_scale": 0.5},
        model={"latents": [2], "hidden": [], "recognition_hidden": [], "input_dropout": 0.0},
        posterior={"name": "full"},
        optimizer={"learning_rate": 0.03, "clip_norm": 10.0},
        objective={"kl_weight": {"warmup_epochs": 0}},
        trainer={"steps": 10000, "batch_size": 100, "log_every": 1000, "validate_every": 1000},
        evaluation={"num_samples": 100},
    )
    metrics = train(made, tmp_path)["metrics"]
    assert metrics["test/nll"] == pytest.approx(metrics["test/exact_nll"], abs=0.05)
    assert -metrics["test/elbo"] == pytest.approx(metrics["test/exact_nll"], abs=0.1)


def test_no_transfers_inside_a_chunk():
    """The compiled chunk reads device arrays and what it is given; nothing moves behind our back, and a second call
    traces nothing."""
    from sbvi.runs.assembly import Assembly
    from sbvi.training.chunk import compile_chunk

    assembly = Assembly.build(experiment())
    batches = assembly.batches()
    state = assembly.initial_state()
    chunk = compile_chunk(assembly.algorithm, batches)
    hypers = {k: jax.device_put(v) for k, v in assembly.algorithm.hypers(np.arange(4), 10.0, 60).items()}
    arguments = (batches.operands(), jax.device_put(batches.indices(0, 4, 4)), hypers, jax.random.key(0))
    numbers = jax.device_put(np.int32(0)), jax.device_put(np.int32(4))
    with jax.transfer_guard("disallow"):
        state, result = chunk(state, *arguments, *numbers)
        with jax.no_tracing():
            state, result = chunk(state, *arguments, *numbers)
    assert float(result.sums["loss"]) > 0
