"""Runs that draw parameters: what they keep, whatever the interruptions, and the averages over it."""

import errno
import json
import os
import pickle
import shutil
import threading
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pandas as pd
import pytest
from support.small_run import SMALL, Stop, interrupted, leaves, same, train

from sbvi.algorithms.posterior_samples import Draw, Stopped
from sbvi.core import UserError
from sbvi.data import Preprocessing
from sbvi.data.checks import not_there
from sbvi.reporting.traces import write_arviz
from sbvi.runs import Experiment, load_run
from sbvi.runs.averaged import Averaged
from sbvi.runs.context import RunContext
from sbvi.runs.kept import warn_of_starts
from sbvi.runs.start import parameters_of
from sbvi.tasks import TASKS
from sbvi.tasks.parameters import with_parameters
from sbvi.training import Plan, Store, Trainer, checkpoint
from sbvi.training.draws import DrawStack, Sampling, file_name
from sbvi.training.lacking import lacking
from sbvi.training.tensor_names import named_leaves

SETTINGS = {"chains": 2, "repetitions": 2, "num_samples": 3, "burn_in": 24, "thinning": 12, "tuning_epochs": 1.0}
STEPS = [36, 48, 60]


def experiment(trainer=None, **algorithm):
    parts = {name: SMALL[name] for name in ("dataset", "trainer", "evaluation", "runtime")}
    parts["evaluation"] = parts["evaluation"] | {"partition_samples": 50}
    parts["trainer"] = parts["trainer"] | (trainer or {})
    model = {"name": "helmholtz", "layers": [4]}
    config = parts | {"model": model, "algorithm": {"name": "sgmcmc"} | SETTINGS | algorithm}
    return Experiment.from_config(config | {"optimizer": {"name": "adam", "learning_rate": 3e-3}})


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sgmcmc") / "whole"
    assert train(experiment(), folder)["status"] == "completed"
    return folder


def files(folder):
    """Every draw's arrays and notes by the name of its file."""
    return {path.name: checkpoint.read(path) for path in (folder / "checkpoints" / "draws").glob("*.safetensors")}


def nested(arrays):
    """Arrays by dotted names as a tree of those names."""
    tree = {}
    for name, value in arrays.items():
        *path, last = name.split(".")
        place = tree
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    return tree


@pytest.mark.promise(
    "A run that draws parameters, cut in burn-in and in sampling: the same draws, none lost, none twice", "cuts"
)
def test_cut_in_burn_in_and_in_sampling(whole, tmp_path, tally):
    names = [f"step_{step:010d}-chain_{chain}.safetensors" for step in STEPS for chain in (0, 1)]
    assert sorted(files(whole)) == names
    for step in (20, 48):
        interrupted(experiment(), tmp_path / "cut", step)
    stack = tmp_path / "cut" / "checkpoints" / "draws"
    assert sorted(files(tmp_path / "cut")) == names[:2]
    # Written before its step was saved: taken away, and drawn again.
    (stack / names[-1]).write_bytes((stack / names[0]).read_bytes())
    train(experiment(), tmp_path / "cut")
    found, expected = files(tmp_path / "cut"), files(whole)
    assert found.keys() == expected.keys()
    for name, (arrays, notes) in expected.items():
        same(arrays, found[name][0])
        assert notes == found[name][1]
    for name in ("last", "best"):
        same(leaves(whole, name), leaves(tmp_path / "cut", name))
    tally(2)


def test_a_chain_that_is_not_finite_stops_and_the_other_goes_on_to_the_same_bits(whole, tmp_path, caplog):
    folder = tmp_path / "run"
    interrupted(experiment(), folder, 20)
    path = folder / "checkpoints" / "last.safetensors"
    arrays, notes = checkpoint.read(path)
    for name in [n for n in arrays if n.startswith("kernel.momentum")]:
        arrays[name] = arrays[name].copy()
        arrays[name][1] = 1e30  # finite, but its square is not
    checkpoint.save(path, nested(arrays), notes)
    assert train(experiment(), folder)["status"] == "completed"
    stopped = Stopped(1, notes["step"] + 1, "its bound or its parameters were not finite")
    assert DrawStack(folder / "checkpoints").stopped() == [stopped]
    assert sum(f"Chain 1 stopped at step {stopped.step}" in record.message for record in caplog.records) == 1
    found, expected = files(folder), files(whole)
    assert sorted(found) == [f"step_{step:010d}-chain_0.safetensors" for step in STEPS]
    for name, (drawn, said) in found.items():
        same(drawn, expected[name][0])
        assert said == expected[name][1]
    metrics = json.loads((folder / "result.json").read_text())["metrics"]
    assert metrics["train/chains"] == 1
    best, draws = leaves(folder, "best"), [drawn for drawn, _ in found.values()]
    for name in [n for n in best if not n.startswith("recognition")]:
        np.testing.assert_allclose(best[name], np.mean([d[name] for d in draws], 0), rtol=1e-5, atol=1e-6)
    assert TASKS["chain"](examples=5, num_samples=5).run(load_run(folder)).about["stopped"] == [stopped._asdict()]


def test_a_burn_in_that_validation_ends(tmp_path, caplog):
    """Two validations in a row without a better one, before the middle of the run; also where the run was cut on the
    way there, and after."""
    caplog.set_level("INFO", "sbvi")
    made = experiment({"steps": 160, "validate_every": 5}, burn_in=None, burn_in_validations=2)
    folder = tmp_path / "run"
    interrupted(made, folder, 10)
    interrupted(made, folder, 120)
    assert train(made, folder)["status"] == "completed"
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    best, since, ends = -np.inf, 0, None
    for line in (line for line in lines if "validation/bound" in line):
        best, since = (line["validation/bound"], 0) if line["validation/bound"] > best else (best, since + 1)
        if since == 2:
            ends = line["step"]
            break
    assert 10 < ends < 80  # not in the middle of the run, which would end it whatever was validated
    said = [record.message for record in caplog.records if "burn-in is over" in record.message]
    assert set(said) == {f"The burn-in is over at step {ends}; a draw is kept every 12 steps."}
    due = range(ends + 12, 161, 12)
    names = [f"step_{step:010d}-chain_{chain}.safetensors" for step in due for chain in (0, 1)]
    assert sorted(files(folder)) == names
    run = load_run(folder)
    assert [(entry.step, entry.chain) for entry in run.draws.entries()] == [(s, c) for s in due for c in (0, 1)]
    drawn = [arrays for arrays, _ in files(folder).values()]
    for name, value in leaves(folder, "best").items():
        if not name.startswith("recognition"):
            np.testing.assert_allclose(value, np.mean([d[name] for d in drawn], 0), rtol=1e-5, atol=1e-6)


def test_the_best_parameters_are_the_mean_with_a_proposal_fitted_to_it(whole):
    run = load_run(whole)
    draws = [leaves(whole, f"draws/step_{step:010d}-chain_{chain}") for step in STEPS for chain in (0, 1)]
    best = leaves(whole, "best")
    for name, value in best.items():
        mean = np.mean([draw[name] for draw in draws], 0, dtype=np.float64)
        if name.startswith("recognition"):
            assert np.abs(mean - value).max() > 1e-4
        else:
            np.testing.assert_allclose(value, mean, rtol=1e-6, atol=1e-7)
    assert any(np.abs(draws[0][name] - draws[1][name]).max() > 1e-4 for name in best)
    metrics = json.loads((whole / "result.json").read_text())["metrics"]
    assert metrics["train/chains"] == 2
    assert np.isfinite(metrics["mean_of_draws/bound"])
    assert len(run.draws.entries()) == 6


def test_averages_over_draws(whole):
    run = load_run(whole)
    x = run.experiment.dataset.load().test.x[:20]
    each = np.array([one.log_likelihood(x, 10) for one in run.each_draw()], np.float64)
    expected = jax.nn.logsumexp(each, axis=0) - np.log(6)
    np.testing.assert_allclose(run.averaged().log_likelihood(x, 10), expected, rtol=1e-6)
    assert np.ptp(each, 0).max() > 1e-3
    assert run.averaged(2).sample(5).shape == (5, *run.event_shape)
    with pytest.raises(UserError, match=r"draws=7 must be of 1\.\.6"):
        run.averaged(7)
    # The task says the same, of all test examples, and draws the curve.
    task = TASKS["likelihood"](parameters="average", draws=(1, 2), num_samples=10)
    found = task.run(run)
    assert found.scalars["test/draws"] == 6
    np.testing.assert_allclose(-found.arrays["nll"][:20], expected, rtol=1e-5)
    assert found.scalars["test/draws_6/nll"] == found.scalars["test/nll"]
    assert found.scalars["test/draws_2/nll"] != found.scalars["test/nll"]  # which is of all, whichever are asked for
    np.testing.assert_allclose(-found.scalars["test/draws_1/nll"], each[0].mean(), atol=1.0)
    assert set(found.pictures) == {"likelihood-test-draws"}
    means = TASKS["likelihood"](parameters="mean", draws=(1, 6), num_samples=10).run(run).scalars
    assert means["test/draws_6/nll"] == means["test/nll"]  # the run's own best, fitted alike
    assert means["test/draws_1/nll"] != means["test/nll"]
    newest = list(run.each_draw())[-1]
    last = TASKS["likelihood"](parameters="last", num_samples=10).run(run)
    np.testing.assert_allclose(-last.arrays["nll"][:20], newest.log_likelihood(x, 10), rtol=1e-5)
    for wrong, said in (
        ({"draws": (1,)}, "parameters named"),
        ({"parameters": "average", "draws": (7,)}, "more than the 6 draws"),
        ({"parameters": "average", "counts": (2,)}, "task.counts has no use"),
        ({"parameters": "average", "partition_samples": 9}, "partition_samples=9 has no use with task.parameters=av"),
    ):
        with pytest.raises(UserError, match=said):
            TASKS["likelihood"](**wrong).run(run)


def test_an_ensemble_is_averaged_over_its_runs(whole, tiny_run, tmp_path):
    """The second member's best parameters are a draw of the first."""
    other = tmp_path / "other"
    shutil.copytree(whole, other)
    checkpoints = other / "checkpoints"
    shutil.copyfile(
        checkpoints / "draws" / f"step_{STEPS[0]:010d}-chain_1.safetensors", checkpoints / "best.safetensors"
    )
    runs = load_run(whole), load_run(other)
    x = runs[0].experiment.dataset.load().test.x
    each = np.array([one.log_likelihood(x, 10) for one in runs], np.float64)
    task = TASKS["likelihood"](ensemble=(str(other),), draws=(1,), num_samples=10)
    found = task.run(runs[0])
    np.testing.assert_allclose(-found.arrays["nll"], jax.nn.logsumexp(each, axis=0) - np.log(2), rtol=1e-5)
    assert np.ptp(each, 0).max() > 1e-3
    assert found.scalars["test/draws"] == 2
    assert found.scalars["test/draws_1/nll"] == pytest.approx(-each[0].mean(), rel=1e-5)
    for wrong, said in (
        ({"ensemble": (str(tiny_run),)}, "was trained on other data than"),
        ({"ensemble": (str(other), str(other / "." / ""))}, "the same parameters as .*other; allowed: each run once"),
        ({"ensemble": (str(whole),)}, "the same parameters as"),
        ({"ensemble": (str(other), str(tmp_path / "none"))}, "is not a run"),
        ({"ensemble": (str(other),), "draws": (3,)}, "more than the 2 runs"),
        ({"ensemble": (str(other),), "parameters": "mean"}, "leave task.parameters=mean"),
        ({"ensemble": (str(other),), "counts": (2,)}, "task.counts has no use with task.ensemble"),
    ):
        with pytest.raises(UserError, match=said):
            TASKS["likelihood"](**wrong).run(runs[0])


def test_averaged_samples_are_drawn_anew_unless_seeded(whole):
    averaged = load_run(whole).averaged(2)
    assert (averaged.sample(50) != averaged.sample(50)).any()
    np.testing.assert_array_equal(averaged.sample(50, 3), averaged.sample(50, 3))
    assert averaged.sample(2, 2**31 - 1).shape == (2, *averaged.run.event_shape)
    for num in (0, -1, 2.5, True):
        with pytest.raises(UserError, match=f"num={num} must be a whole number of at least 1"):
            averaged.sample(num)


def test_the_first_draws_sample_by_seeds_of_their_own_and_fill_in_by_their_mean():
    seeds = []

    def each_draw(count):
        for value in (1.0, 3.0, 8.0)[:count]:

            def sample(num, seed, means, value=value):
                seeds.append(seed)
                return np.full((num, 2), value)

            yield SimpleNamespace(sample=sample, impute=lambda x, *_, value=value: np.full_like(x, value))

    held = SimpleNamespace(entries=lambda: range(3))
    known = Preprocessing.real((2,))
    averaged = Averaged(SimpleNamespace(draws=held, each_draw=each_draw, event_shape=(2,), preprocessing=known), 2)
    np.testing.assert_array_equal(averaged.sample(3, 5), [[1, 1], [3, 3], [1, 1]])
    assert len(set(seeds)) == 2
    np.testing.assert_array_equal(averaged.impute(np.array([[np.nan, 7.0]])), [[2, 7]])


def test_samples_and_imputations_are_averaged(whole):
    run = load_run(whole)
    drawn = TASKS["samples"](parameters="average", num=7).run(run)
    assert drawn.arrays["x"].shape == (7, *run.event_shape)
    with pytest.raises(UserError, match=r"needs task\.method=ancestral"):
        TASKS["samples"](parameters="average", method="gibbs").run(run)
    task = TASKS["imputation"](parameters="average", iterations=12, warmup=2, examples=10)
    found = task.run(run)
    assert np.isfinite(found.scalars["imputation/rmse"])
    assert found.arrays["filled"].shape == (10, run.data["event_shape"][0])
    assert 0.3 < found.scalars["imputation/coverage"] <= 1


class Filled:
    """Stands for a run with two draws, which fill every gap with 0.25 and with 0.75."""

    def __init__(self, preprocessing):
        self.preprocessing, self.draws = preprocessing, SimpleNamespace(entries=lambda: [None, None])

    def each_draw(self, count):
        yield from [SimpleNamespace(impute=partial(self.impute, fill)) for fill in (0.25, 0.75)[:count]]

    def impute(self, fill, x, *_):
        x = self.preprocessing.arranged(x)
        missing = not_there(x)
        made = np.where(missing, fill, self.preprocessing.to_model(x, "x", missing))
        return self.preprocessing.filled(made, missing, x)


def test_averaged_imputations_are_in_the_runs_order_of_columns_and_its_units():
    """Of a frame columns are found by name, and beside probabilities stand no grey values."""
    x = np.array([[1.0, np.nan, 0.0], [np.nan, 0.0, 1.0]])
    expected = [[1, 0.5, 0], [0.5, 0, 1]]
    frame = pd.DataFrame(x, columns=list("abc"))[["c", "a", "b"]]
    named = Averaged(Filled(Preprocessing.whole((3,), 1).but(columns=("a", "b", "c"))))
    np.testing.assert_array_equal(named.impute(x), expected)
    np.testing.assert_array_equal(named.impute(frame), expected)
    grey = Averaged(Filled(Preprocessing.whole((3,), 16).but(binarization="threshold")))
    np.testing.assert_array_equal(grey.impute(6 * x + 5), expected)  # of 5 and 11 the second is beyond the middle
    np.testing.assert_array_equal(grey.impute([[5, 11, 11]]), [[0, 1, 1]])
    third = np.array([[1 / 3, np.nan]])  # which float32 has not
    assert Averaged(Filled(Preprocessing.real((2,)))).impute(third).tolist() == [[1 / 3, 0.5]]


def test_chains_tell_of_themselves(whole, tmp_path):
    arviz = pytest.importorskip("arviz")
    run = load_run(whole)
    path = tmp_path / "chains.nc"
    place = "generative.0.kernel[2,7]"
    found = TASKS["chain"](examples=10, num_samples=5, elements=3, named=(place,), arviz=str(path)).run(run)
    assert found.arrays["temperature"].shape == (2, 3)
    assert found.beside == [path]
    np.testing.assert_array_equal(found.arrays["step"], STEPS)
    elements = [name for name in found.arrays if name.startswith("element_")]
    assert len(elements) == 3
    names = {name.split("/")[1] for name in found.scalars}
    assert names == {"log_likelihood", "bound", "log_prior", "temperature", "thermostat", *elements, place}
    drawn = files(whole)
    for step, values in zip(STEPS, found.arrays[place].T, strict=True):
        for chain, value in enumerate(values):
            assert value == drawn[f"step_{step:010d}-chain_{chain}.safetensors"][0]["generative.0.kernel"][2, 7]
    data = arviz.from_netcdf(path)
    for name in (elements[0], place):
        np.testing.assert_allclose(data.posterior[name], found.arrays[name])
    np.testing.assert_allclose(data.sample_stats["temperature"], found.arrays["temperature"])
    with pytest.raises(UserError, match="must be a new file"):
        TASKS["chain"](arviz=str(path)).run(run)
    (mine := tmp_path / "mine.nc").write_bytes(b"made meanwhile")
    with pytest.raises(UserError, match=r"mine\.nc cannot be written \(File exists\)"):
        write_arviz(str(mine), {"theta": np.zeros((2, 3))}, {})
    assert mine.read_bytes() == b"made meanwhile"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["chains.nc", "mine.nc"]
    few = {"examples": 2, "num_samples": 2}
    with pytest.raises(UserError, match=r"task.named=kernel\[0\] .*generative.0.kernel"):
        TASKS["chain"](named=("kernel[0]",), **few).run(run)
    for wrong in (
        "generative.0.kernel[2]",
        "generative.0.kernel[2,-1]",
        "generative.0.kernel[4,0]",
        "prior.layer_1.0.bias",
    ):
        with pytest.raises(UserError, match="must end in a place from"):
            TASKS["chain"](named=(wrong,), **few).run(run)
    generative = {n: v for n, v in next(iter(drawn.values()))[0].items() if not n.startswith("recognition.")}
    assert any(name.startswith("prior.layer_1.") for name in generative)  # upper layers are among them
    every = sum(np.size(value) for value in generative.values())
    with pytest.raises(UserError, match=f"task.elements={every + 1} must be at most {every}, "):
        TASKS["chain"](elements=every + 1, **few).run(run)


class Fake:
    """What a loop asks of an algorithm that draws, without one."""

    def burn_in(self, total_steps):
        return None

    def burned_in(self, step, total_steps, validations_since_best):
        return validations_since_best >= 2 or 2 * step >= total_steps

    def thinning(self, steps_per_epoch):
        return 5

    def draws(self, state):
        return [Draw(0, {"w": np.full(2, state, np.float32)}, {"bound": float(state)})]

    def stopped(self, state):
        return [Stopped(1, 30, "its bound was not finite")] if state >= 30 else []


@pytest.mark.parametrize(("chains", "init_from", "said"), [((0, 1), None, 1), ((0,), None, 0), ((0, 1), "run", 0)])
def test_a_mean_over_chains_from_different_starts_is_warned_of(chains, init_from, said, tmp_path, caplog):
    stack = DrawStack(tmp_path)
    stack.folder.mkdir()
    for step in (10, 20):
        for chain in chains:
            (stack.folder / f"step_{step:010d}-chain_{chain}{checkpoint.SUFFIX}").touch()
    warn_of_starts(stack, init_from)
    assert sum("are of 2 chains from different starts" in record.message for record in caplog.records) == said


def test_a_run_of_two_chains_says_so(tmp_path, caplog):
    train(experiment(), tmp_path / "run")
    assert any("are of 2 chains from different starts" in record.message for record in caplog.records)


def test_when_draws_are_taken_and_what_is_said_of_a_stopped_chain(tmp_path, caplog):
    plan = Plan(Trainer(steps=100, validate_every=10, batch_size=10), 100)
    stack = DrawStack(tmp_path)
    sampling = Sampling(Fake(), plan, stack)
    assert sampling.stop_after(10, -1) == 100
    assert sampling.validated(10, -1, 1) == -1
    assert sampling.validated(20, -1, 2) == 20
    assert sampling.validated(30, 20, 5) == 20
    assert sampling.stop_after(20, 20) == 25
    assert sampling.stop_after(25, 20) == 30
    assert sampling.stop_after(98, 20) == 100
    for step in (10, 20, 25, 28, 30, 35):
        sampling.visit(step, -1 if step < 20 else 20, step)
    assert [entry.step for entry in stack.entries()] == [25, 30, 35]
    assert sum("Chain 1 stopped at step 30" in record.message for record in caplog.records) == 1
    assert stack.stopped() == [Stopped(1, 30, "its bound was not finite")]
    np.testing.assert_array_equal(stack.mean({"w": np.zeros(2, np.float32)})["w"], 30)
    np.testing.assert_array_equal(stack.mean({"w": np.zeros(2, np.float32)}, 2)["w"], 27.5)
    assert stack.load(stack.entries()[0], {"w": np.zeros(2, np.float32)})[1] == {"bound": 25.0}
    stack.drop_after(28)
    assert [entry.step for entry in stack.entries()] == [25]
    assert stack.stopped() == []
    with pytest.raises(UserError, match="keeps no draw"):
        Sampling(Fake(), Plan(Trainer(steps=100, validate_every=100, batch_size=10), 100), stack).check()


def test_a_run_too_short_for_a_draw_is_refused_before_anything_of_it_is_written(whole, tmp_path):
    with pytest.raises(UserError, match="A run of 30 steps keeps no draw where its burn-in ends as late as step 24"):
        train(experiment({"steps": 30}), tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} == {".lock"}
    # One that would go on keeps its result: here a last state of half the way, as of a run that was stopped there.
    shutil.copytree(whole, tmp_path / "stopped")
    result = json.loads((whole / "result.json").read_text()) | {"status": "stopped"}
    (tmp_path / "stopped" / "result.json").write_text(json.dumps(result))
    path = tmp_path / "stopped" / "checkpoints" / "last.safetensors"
    arrays, notes = checkpoint.read(path)
    checkpoint.save(path, nested(arrays), notes | {"ended": False, "progress": notes["progress"] | {"step": 20}})
    with pytest.raises(UserError, match="keeps no draw"):
        train(experiment({"steps": 30}), tmp_path / "stopped", session=RunContext(longer=True))
    assert json.loads((tmp_path / "stopped" / "result.json").read_text()) == result


def test_a_state_is_saved_when_its_draws_are_on_the_disk(tmp_path, monkeypatch):
    """Whatever a machine that loses power keeps: every draw up to the step of the newest state."""
    told, slow = [], threading.Event()
    real_sync, real_replace = os.fsync, os.replace

    def sync(number):
        name = Path(os.readlink(f"/proc/self/fd/{number}")).name
        if name.startswith("step_"):
            slow.wait(0.05)
        real_sync(number)
        told.append(("on the disk", name))

    def replace(source, target):
        told.append(("named", Path(target).name))
        real_replace(source, target)

    monkeypatch.setattr("os.fsync", sync)
    monkeypatch.setattr("os.replace", replace)
    assert train(experiment(), tmp_path / "run")["status"] == "completed"
    saved = [place for place, what in enumerate(told) if what == ("named", "last.safetensors")]
    assert len(saved) > 1
    for place in saved:
        named = {name for what, name in told[:place] if what == "named" and name.startswith("step_")}
        assert named <= {name for what, name in told[:place] if what == "on the disk"}
    assert sorted(name for what, name in told if what == "on the disk" and name.startswith("step_")) == sorted(
        files(tmp_path / "run")
    )


def test_a_disk_that_does_not_take_a_draw_is_told(tmp_path, monkeypatch):
    stack = DrawStack(tmp_path)

    def full(number):
        raise OSError(errno.ENOSPC, "No space left on device")

    stack.write(1, Draw(0, {"w": np.zeros(2, np.float32)}, {}))
    stack.settle()
    monkeypatch.setattr("os.fsync", full)
    stack.write(2, Draw(0, {"w": np.zeros(2, np.float32)}, {}))
    with pytest.raises(UserError, match=r"step_0000000002-chain_0\.safetensors cannot be written \(No space left"):
        stack.settle()


def test_draws_of_another_run_are_refused_and_stay(whole, tmp_path):
    """Copied there they would be averaged over without a word, or be taken away as draws to come; those of an earlier
    version name no run, and are read."""
    other = tmp_path / "other"
    settings = experiment().to_config()
    train(Experiment.from_config(settings | {"seed": settings["seed"] + 1}), other)
    run = shutil.copytree(whole, tmp_path / "run")
    name = f"step_{STEPS[-1]:010d}-chain_0{checkpoint.SUFFIX}"
    place = run / "checkpoints" / "draws" / name
    own = place.read_bytes()
    place.write_bytes((other / "checkpoints" / "draws" / name).read_bytes())
    foreign, sentence = place.read_bytes(), rf"{name} is of another run, with other settings, seed or data"
    with pytest.raises(UserError, match=sentence):
        list(load_run(run).each_draw())
    with pytest.raises(UserError, match=sentence):
        load_run(run).draws.mean(load_run(run).params)
    (run / "result.json").unlink()
    for checkpoint_name in ("best", "last", "previous"):  # it goes on from its begin, before the draw
        (run / "checkpoints" / f"{checkpoint_name}{checkpoint.SUFFIX}").unlink(missing_ok=True)
    with pytest.raises(UserError, match=sentence):
        train(experiment(), run)
    assert place.read_bytes() == foreign
    place.write_bytes(own)
    assert train(experiment(), run)["status"] == "completed"
    same(leaves(run), leaves(whole))
    nameless = DrawStack(tmp_path)
    nameless.write(1, Draw(0, {"w": np.ones(2, np.float32)}, {}))
    reading = DrawStack(tmp_path, run="a run")
    reading.drop_after(1)
    np.testing.assert_array_equal(reading.mean({"w": np.zeros(2, np.float32)})["w"], 1)


def test_a_draw_under_the_name_of_another_is_refused(tmp_path):
    """It would be averaged over twice."""
    stack, like = DrawStack(tmp_path), {"w": np.zeros(2, np.float32)}
    for step in (1, 2):
        stack.write(step, Draw(0, {"w": np.full(2, step, np.float32)}, {}))
    stack.settle()
    first, second = (entry.path for entry in stack.entries())
    second.write_bytes(first.read_bytes())
    with pytest.raises(UserError, match=rf"{second.name} holds the draw of step 1 and chain 0, and not that of its"):
        stack.mean(like)
    np.testing.assert_array_equal(stack.mean(like, 1)["w"], 1)


def test_a_damaged_draw_is_told_before_training_goes_on(tmp_path, caplog):
    """The averages come after it; a draw that is taken away is no matter."""
    stack = DrawStack(tmp_path)
    for step in (1, 2):
        stack.write(step, Draw(0, {"w": np.ones(2, np.float32)}, {}))
    for entry in stack.entries():
        entry.path.write_bytes(entry.path.read_bytes()[:50])
    stack.drop_after(1)
    (told,) = (record.message for record in caplog.records)
    assert f"{stack.entries()[0].path} is damaged" in told
    assert told.endswith("The averages of the run need it.")


@pytest.mark.parametrize(
    "content", ['[{"chain": 1', "{}[", '[{"chain": 1}]', '[{"chain": 1, "step": "3", "reason": ""}]', "3"]
)
def test_a_damaged_list_of_stopped_chains_is_told(content, tmp_path):
    stack = DrawStack(tmp_path)
    stack.note([Stopped(1, 30, "its bound was not finite")])
    (stack.folder / "stopped.json").write_text(content)
    with pytest.raises(UserError, match=r"stopped\.json is damaged"):
        stack.stopped()


def mean_of(folder):
    """The mean of every array over the draws of a run."""
    drawn = [arrays for arrays, _ in files(folder).values()]
    return {name: np.mean([each[name] for each in drawn], 0, dtype=np.float64) for name in drawn[0]}


def assert_mean(params, folder):
    found = named_leaves(params)
    assert found.keys() == mean_of(folder).keys()
    for name, value in mean_of(folder).items():
        np.testing.assert_allclose(found[name], value, rtol=1e-6, atol=1e-7, err_msg=name)


def test_a_run_that_is_not_finished_stands_for_the_mean_of_its_draws(tmp_path, caplog):
    """By default that of the draws as they are; where the mean is named, with the recognition model that the run would
    have if it ended there."""
    folder, other = tmp_path / "run", tmp_path / "other"
    interrupted(experiment(), folder, 30)
    burning = load_run(folder)
    assert "keeps no draws yet: the state that validated best stands for it" in caplog.text
    same(named_leaves(burning.params), leaves(folder, "best"))
    with pytest.raises(UserError, match="keeps no draws"):
        TASKS["likelihood"](parameters="mean").run(burning)
    caplog.clear()
    interrupted(experiment(), folder, 48)
    assert len(files(folder)) == 2
    run = load_run(folder)
    assert not caplog.records
    assert run.params is run.params
    said = f"{folder} is not finished: unless told otherwise its parameters are the mean of the 2 draws"
    assert caplog.text.count(said) == 1
    assert "lacks" not in caplog.text
    assert_mean(run.params, folder)
    start = parameters_of(str(folder), run.params, run.experiment.to_config(), run.event_shape)
    same(named_leaves(start), named_leaves(run.params))
    train(experiment({"steps": 40}), other)
    assert files(other).keys() == files(folder).keys()
    caplog.clear()
    ended = load_run(other)
    assert not caplog.records
    fitted = with_parameters(run, "mean")
    same(named_leaves(fitted.params), named_leaves(ended.params))
    found, expected = (TASKS["likelihood"](parameters="mean", num_samples=10).run(one) for one in (run, ended))
    assert found.scalars == expected.scalars
    assert with_parameters(ended, "mean") is ended


def test_a_run_that_went_on_and_was_stopped_stands_for_the_mean_of_all_its_draws(whole, tmp_path, caplog):
    folder = shutil.copytree(whole, tmp_path / "run")

    def show(plan, progress, values, monitor):
        if progress.step == 90:
            raise Stop

    longer = experiment({"steps": 120})
    with pytest.raises(Stop):
        train(longer, folder, show, RunContext(longer=True))
    assert len(files(folder)) == 10
    caplog.clear()
    run = load_run(folder)
    assert_mean(run.params, folder)
    assert f"{folder} is not finished: unless told otherwise its parameters are the mean of the 10 draws" in caplog.text
    assert any(np.abs(value - mean_of(whole)[name]).max() > 1e-5 for name, value in mean_of(folder).items())


def test_a_damaged_draw_of_a_run_that_is_not_finished_costs_no_more_than_itself(tmp_path, caplog):
    """One after the newest state, which a crash may tear, is none yet: the run draws it again."""
    folder = tmp_path / "run"
    interrupted(experiment(), folder, 60)
    stack = folder / "checkpoints" / "draws"
    whole, torn = files(folder), stack / file_name(60, 0)
    assert sorted(whole) == [file_name(step, chain) for step in STEPS[:2] for chain in (0, 1)]
    torn.write_bytes(b"\0" * 100)
    caplog.clear()
    run = load_run(folder)
    newest = with_parameters(run, "last")
    same(named_leaves(newest.params), whole[file_name(48, 1)][0])
    assert len(list(run.each_draw())) == 4
    pickled = pickle.loads(pickle.dumps(newest))
    assert not caplog.records  # nobody asked for the mean
    same(named_leaves(pickled.params), named_leaves(newest.params))
    torn.unlink()
    assert_mean(run.params, folder)
    damaged = stack / file_name(36, 1)
    damaged.write_bytes(damaged.read_bytes()[:-1])
    caplog.clear()
    run = load_run(folder)
    start = parameters_of(str(folder), run.params, run.experiment.to_config(), run.event_shape)
    assert caplog.text.count(f"{damaged} is damaged") == 2
    assert "The mean leaves it out." in caplog.text
    same(named_leaves(start), named_leaves(run.params))
    same(named_leaves(with_parameters(load_run(folder), "last").params), whole[file_name(48, 1)][0])
    damaged.unlink()
    assert_mean(run.params, folder)
    for path in stack.glob("step_*"):
        path.write_bytes(path.read_bytes()[:-1])
    same(named_leaves(load_run(folder).params), leaves(folder, "best"))
    assert "None of them can be read" in caplog.text
    for name, (arrays, notes) in whole.items():
        checkpoint.save(stack / name, nested(arrays), notes)
    torn.write_bytes(b"\0" * 100)
    assert train(experiment(), folder)["status"] == "completed"


def test_draws_that_are_gone_are_told(whole, tmp_path, caplog):
    """They would be left out of averages without a word, and of chains draws of different steps stand side by side."""
    folder = shutil.copytree(whole, tmp_path / "run")
    stack = folder / "checkpoints" / "draws"
    name = "step_{:010d}-chain_{}.safetensors".format
    (stack / name(48, 0)).unlink()
    run = load_run(folder)
    assert not caplog.records  # which is the mean of all
    same(named_leaves(run.params), leaves(whole, "best"))
    assert len(list(run.each_draw())) == 5
    run.averaged()
    said = f"{stack} lacks a draw that the run kept: {name(48, 0)}; averages are over the 5 that are there."
    assert [record.message for record in caplog.records] == [said]
    few = TASKS["chain"](examples=2, num_samples=2)
    found = few.run(run)
    assert "chains that lack some are left out: 0." in caplog.text
    assert (found.about["chains"], found.arrays["step"].tolist()) == ([1], STEPS)
    assert found.arrays["bound"].shape == (1, 3)
    (stack / name(60, 1)).unlink()
    found = few.run(run)
    assert "lacks 2 draws" in caplog.text
    assert "; the draws that all chains have are compared." in caplog.text
    assert (found.about["chains"], found.arrays["step"].tolist()) == ([0, 1], [36])
    (stack / name(36, 0)).unlink()
    with pytest.raises(UserError, match=r"lacks 3 draws .*; task=chain needs draws that all chains have"):
        few.run(run)
    for path in stack.iterdir():
        path.unlink()
    every = "lacks 6 draws that the run kept"
    with pytest.raises(UserError, match=f"{every}.*; none is there"):
        load_run(folder).averaged()
    assert with_parameters(run, "mean") is run
    # The mean that the run has is tested, as it was.
    config = experiment().to_config()
    config["evaluation"]["num_samples"] = 7
    before = json.loads((whole / "result.json").read_text())["metrics"]
    caplog.clear()
    result = train(Experiment.from_config(config), folder, session=RunContext(longer=True))
    assert every in caplog.text
    assert "the mean that the run has of all 6 stands" in caplog.text
    assert result["metrics"]["mean_of_draws/bound"] == before["mean_of_draws/bound"]
    same(leaves(folder, "best"), leaves(whole, "best"))
    # One that goes on says so before it trains, and of what its mean is.
    caplog.clear()
    train(experiment({"steps": 84}), folder, session=RunContext(longer=True))
    assert "the mean and averages will be of the others" in caplog.text
    assert "lacks 6 draws that the run kept" in caplog.text
    assert "the mean is of the 4 that are there" in caplog.text


def test_what_is_gone_is_known_by_other_draws_by_chains_and_by_the_number_in_the_mean(tmp_path):
    """Of states of before, which do not say when draws were kept; a chain that stopped lacks none after that, and
    what a kill left beyond the newest state is no gap."""
    store, stack = Store(tmp_path), DrawStack(tmp_path)
    for step in (10, 15, 20, 25, 30):
        for chain in (0, 1):
            if chain == 0 or step < 25:
                stack.write(step, Draw(chain, {"w": np.ones(2, np.float32)}, {}))
    stack.note([Stopped(1, 22, "its bound was not finite")])
    assert not lacking(store, stack).any
    (stack.folder / file_name(15, 1)).unlink()
    (stack.folder / file_name(30, 0)).unlink()
    assert lacking(store, stack)[:2] == ([(15, 1)], 0)
    store.save_best({"w": np.ones(2, np.float32)}, {"step": 31, "score": 0.0, "draws": 8})
    assert lacking(store, stack)[:2] == ([(15, 1)], 1)
    assert str(lacking(store, stack)).endswith(f"lacks 2 draws that the run kept: {file_name(15, 1)}")
    assert lacking(store, stack, 22)[:2] == ([(15, 1)], 0)
    notes = {"step": 33, "draws": {"after": 5, "every": 5}}
    store.save_last({"w": np.ones(2, np.float32)}, notes)
    assert lacking(store, stack)[:2] == ([(15, 1), (30, 0)], 0)
    store.save_last({"w": np.ones(2, np.float32)}, notes | {"step": 29})
    assert lacking(store, stack)[:2] == ([(15, 1)], 0)


def test_a_run_without_draws_says_so(tiny_run):
    run = load_run(tiny_run)
    with pytest.raises(UserError, match="keeps no draws"):
        run.averaged()
    with pytest.raises(UserError, match="keeps no draws"):
        TASKS["likelihood"](parameters="mean").run(run)
