"""Sweeps as a user meets them: killed, run again, with a job that fails, under each launcher at hand."""

import contextlib
import fcntl
import json
import os
import re
import signal
import sqlite3
import subprocess
from pathlib import Path

import numpy as np
import pytest
from support.processes import command, finish, kill_when, start, wait_until
from support.tiny_run import TINY, TINY_HELMHOLTZ

import sbvi
from sbvi.training import checkpoint

SEEDS = 3
LAUNCHERS = {
    "basic": [],
    "sbvi": ["hydra/launcher=sbvi", "hydra.launcher.workers=2"],
    "side by side": ["hydra/launcher=sbvi", "hydra.launcher.mode=vmap"],
    "joblib": ["search=joblib"],
}


def results(folder):
    """Run directory -> (status, time of result.json)."""
    found = {}
    for path in folder.glob("*/result.json"):
        found[path.parent.name] = (json.loads(path.read_text())["status"], path.stat().st_mtime_ns)
    return found


@pytest.mark.promise("A killed sweep ends complete by the same command; no completed job is started again", "kills")
@pytest.mark.parametrize(
    "launcher", [pytest.param("basic", marks=pytest.mark.slow), "sbvi", pytest.param("joblib", marks=pytest.mark.slow)]
)
def test_a_killed_sweep_ends_complete(tmp_path, launcher, tally):
    words = [*TINY, "trainer.steps=3000", "trainer.log_every=50", "evaluation.test=false", f"seed=range({SEEDS})"]
    words = ["--multirun", *words, "hydra.sweep.dir=sweep", *LAUNCHERS[launcher]]
    folder = tmp_path / "sweep"
    before = {}
    moments = [
        lambda: len(list(folder.glob("*/metrics.jsonl"))) >= 1,
        lambda: sum(status == "completed" for status, _ in results(folder).values()) > max(1, len(before)),
    ]
    if launcher == "joblib":  # its workers are interpreters of their own, which start slowly: killed once
        moments = moments[1:]
    for moment in moments:
        process = start(*words, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        assert kill_when(process, moment, pause=0.02), "the sweep ended before it could be killed"
        before = {name: found for name, found in results(folder).items() if found[0] == "completed"}
    done = command("train", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    after = results(folder)
    assert len(after) == SEEDS
    assert {status for status, _ in after.values()} == {"completed"}
    assert before
    assert {name: after[name] for name in before} == before  # none was started again or written over
    seeds = {json.loads((p / "run.json").read_text())["config"]["seed"] for p in folder.glob("*/") if p.is_dir()}
    assert seeds == set(range(SEEDS))
    tally(len(moments))


@pytest.mark.promise("A job that turns NaN fails alone", "jobs")
@pytest.mark.parametrize(
    "launcher",
    [pytest.param("basic", marks=pytest.mark.slow), "sbvi", pytest.param("side by side", marks=pytest.mark.slow)],
)
def test_a_job_that_turns_nan_fails_alone(tmp_path, launcher, tally):
    rates = "1e-3,1e30,3e-3"
    summary = "1 of the sweep's jobs did not complete" if launcher == "basic" else "1 of 3 jobs did not complete"
    words = [*TINY, "trainer.steps=200", "trainer.log_every=50", f"optimizer.learning_rate={rates}", "seed=0"]
    words += ["evaluation.test=false", "optimizer=sgd", "hydra.sweep.dir=sweep", *LAUNCHERS[launcher]]
    done = command("train", "--multirun", *words, cwd=tmp_path)
    assert done.returncode == 1
    assert "is not finite" in done.stderr
    assert summary in done.stderr + done.stdout
    assert re.findall(r"^job: +#(\d)$", done.stdout, re.MULTILINE) in (["0", "2"], ["2", "0"])
    if launcher == "sbvi":
        written = (done.stderr + done.stdout).splitlines()
        assert all(any(re.match(rf"\[[\d:]+\] #{number} .*step", line) for line in written) for number in (0, 2))
    found = {}
    for path in (tmp_path / "sweep").glob("*/result.json"):
        assert path.parent.name.startswith("learning_rate_")  # what differs, and nothing else
        assert path.parent.name.count("_") == 2
        rate = json.loads((path.parent / "run.json").read_text())["config"]["algorithm"]["optimizer"]["learning_rate"]
        found[rate] = json.loads(path.read_text())
    assert {rate: result["status"] for rate, result in found.items()} == {
        1e-3: "completed",
        1e30: "failed",
        3e-3: "completed",
    }
    assert "is not finite" in found[1e30]["reason"]
    if launcher == "basic":
        compared = command("compare", "sweep", "--metric", "validation/elbo", cwd=tmp_path)
        assert compared.returncode == 0, compared.stderr
        assert "failed" in compared.stdout
    tally(1)


@pytest.mark.parametrize("launcher", [["hydra/launcher=sbvi", "hydra.launcher.workers=1"], ["seed=0,1"]])
def test_a_wrong_value_of_one_job_is_told_before_another_trains(tmp_path, launcher):
    words = [*TINY, "trainer.steps=10,-1", "hydra.sweep.dir=sweep", "hydra.sweeper.max_batch_size=1", *launcher]
    done = command("train", "--multirun", *words, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "trainer.steps=-1 should be greater than 0.\n")
    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_dies_is_replaced(tmp_path):
    """SIGKILL to one worker: its job is reported, the others are trained.

    From a fresh interpreter, whose workers are forked before JAX is imported.
    """
    words = [*TINY, "trainer.steps=20000,20,40", "trainer.log_every=50", "evaluation.test=false"]  # the first is killed
    words = ["--multirun", *words, "hydra.sweep.dir=sweep", "hydra/launcher=sbvi", "hydra.launcher.workers=1"]
    process = start(*words, cwd=tmp_path, fresh=True)
    folder = tmp_path / "sweep"
    wait_until(lambda: list(folder.glob("*/metrics.jsonl")), process)
    lock = next(folder.glob("*/.lock")).read_text()
    os.kill(int(lock.split()[1]), signal.SIGKILL)
    code, output = finish(process)
    assert code == 1
    assert "its worker died (exit code -9)" in output
    assert sum(status == "completed" for status, _ in results(folder).values()) == 2


@pytest.mark.parametrize(
    ("launcher", "number", "worker_too"),
    [
        ("sbvi", signal.SIGINT, True),  # as a terminal's
        ("sbvi", signal.SIGINT, False),
        pytest.param("sbvi", signal.SIGTERM, False, marks=pytest.mark.slow),
        ("side by side", signal.SIGTERM, False),
        pytest.param("side by side", signal.SIGINT, False, marks=pytest.mark.slow),
        pytest.param("basic", signal.SIGTERM, False, marks=pytest.mark.slow),
    ],
)
def test_a_signal_ends_a_sweep_in_batches(tmp_path, launcher, number, worker_too):
    """As it does of a search, whose next trials are another batch; the exit code is the signal's."""
    words = [*TINY, "trainer.steps=20000", "trainer.log_every=50", "evaluation.test=false", "seed=range(3)"]
    words = ["--multirun", *words, "hydra.sweeper.max_batch_size=1", "hydra.sweep.dir=sweep", *LAUNCHERS[launcher]]
    process = start(*words, cwd=tmp_path)
    folder = tmp_path / "sweep"
    wait_until(lambda: list(folder.glob("*/checkpoints/last.safetensors")), process)  # training hears signals by now
    worker = int(next(folder.glob("*/.lock")).read_text().split()[1])
    os.kill(process.pid, number)
    if worker_too:
        assert worker != process.pid
        os.kill(worker, number)
    code, output = finish(process)
    assert code == 128 + number, output
    assert [status for status, _ in results(folder).values()] == ["stopped"]


@pytest.mark.slow  # that an ignored signal is left alone is in test_signals.py
@pytest.mark.parametrize("launcher", ["sbvi", "basic", "side by side", "joblib"])
def test_a_sweep_in_the_background_ignores_an_interrupt(tmp_path, launcher):
    """A shell without job control starts one so, and who is at the terminal stops what runs in front."""
    if launcher == "joblib":
        pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    words = [*TINY, "trainer.steps=6000", "trainer.log_every=50", "evaluation.test=false", "seed=0,1"]
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        words = ["--multirun", *words, "hydra.sweep.dir=sweep", *LAUNCHERS[launcher]]
        process = start(*words, cwd=tmp_path, fresh=True)
    finally:
        signal.signal(signal.SIGINT, before)
    folder = tmp_path / "sweep"
    wait_until(lambda: list(folder.glob("*/checkpoints/last.safetensors")), process)  # training hears signals by now
    for number in {process.pid, int(next(folder.glob("*/.lock")).read_text().split()[1])}:
        os.kill(number, signal.SIGINT)
    code, output = finish(process)
    assert code == 0, output
    assert [status for status, _ in results(folder).values()] == ["completed"] * 2


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM])
def test_a_signal_in_a_final_test_side_by_side_ends_a_sweep_in_batches(tmp_path, number):
    """Training hears no signal any more; the run is completed, and no other begins."""
    words = [*TINY, "trainer.steps=20", "evaluation.num_samples=20000", "seed=range(2)"]
    words = ["--multirun", *words, "hydra.sweeper.max_batch_size=1", "hydra.sweep.dir=sweep"]
    process = start(*words, *LAUNCHERS["side by side"], cwd=tmp_path)
    folder = tmp_path / "sweep"
    wait_until(lambda: any("Testing the" in path.read_text() for path in folder.glob("*/*.log")), process)
    os.kill(process.pid, number)
    code, output = finish(process)
    assert code == 128 + number, output
    assert [status for status, _ in results(folder).values()] == ["completed"]


@pytest.mark.parametrize(
    "model",
    [
        pytest.param((*TINY, "model.input_dropout=0.1"), id="dlgm, dropout"),
        pytest.param(TINY_HELMHOLTZ, id="helmholtz", marks=pytest.mark.slow),
    ],
)
def test_a_point_of_a_sweep_equals_its_solo_run(model, tmp_path):
    """Same data order and noise, on another number of threads: tight at the start, close at the end."""
    words = [*model, "trainer.log_every=5", "trainer.validate_every=5", "seed=3", "evaluation.test=false"]
    swept = ["--multirun", *words, "trainer.steps=5,200", *LAUNCHERS["sbvi"], "hydra.sweep.dir=sweep"]
    done = command("train", *swept, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    records = (tmp_path / "sweep").glob("*/run.json")
    points = {json.loads(path.read_text())["config"]["trainer"]["steps"]: path.parent for path in records}
    for steps, tolerance in ((5, 1e-6), (200, 1e-3)):
        point, solo = points[steps], tmp_path / f"solo{steps}"
        done = command("train", *words, f"trainer.steps={steps}", f"hydra.run.dir={solo}", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        for file in ("last", "best"):
            found = [checkpoint.read(d / "checkpoints" / f"{file}.safetensors")[0] for d in (point, solo)]
            for key, value in found[0].items():
                np.testing.assert_allclose(value, found[1][key], rtol=tolerance, atol=tolerance)
        names = [{p.name for p in d.rglob("*") if not p.name.startswith("events")} for d in (point, solo)]
        assert names[0] == names[1]
    x = np.random.default_rng(0).integers(0, 2, (50, 32))
    losses = [sbvi.load_run(folder).log_likelihood(x, 20) for folder in (points[200], tmp_path / "solo200")]
    np.testing.assert_allclose(*losses, atol=20 * tolerance)


def test_a_preempted_job_goes_on_by_itself(tmp_path):
    """submitit's local executor, which treats a job as SLURM's does: SIGTERM, SIGUSR2, and queued again."""
    pytest.importorskip("submitit")
    words = ["--multirun", *TINY, "trainer.steps=6000", "trainer.log_every=50", "evaluation.test=false", "seed=0"]
    words += ["hydra/launcher=submitit_local", "hydra.sweep.dir=sweep"]
    process = start(*words, cwd=tmp_path)
    folder = tmp_path / "sweep"
    wait_until(lambda: list(folder.glob("*/checkpoints/last.safetensors")), process)
    run_folder = next(folder.glob("*/checkpoints/last.safetensors")).parents[1]
    worker = int((run_folder / ".lock").read_text().split()[1])
    for number in (signal.SIGTERM, signal.SIGUSR2):
        os.kill(worker, number)
    code, output = finish(process)
    assert code == 0, output
    assert {status for status, _ in results(folder).values()} == {"completed"}
    assert len(results(folder)) == 1
    written = "".join(path.read_text() for path in run_folder.glob("*.log"))
    assert "Going on from step" in written


def test_optuna_goes_on_and_counts_failures(tmp_path):
    """Trials that turn NaN are failed ones; the same command adds trials and rewrites no job's directory."""
    pytest.importorskip("optuna")
    words = ["--multirun", "search=optuna", *TINY, "trainer.steps=100", "trainer.log_every=50", "optimizer=sgd"]
    words += ["hydra.sweeper.n_trials=3", "hydra.sweep.dir=sweep", "+hydra.sweeper.sampler.seed=1"]
    words += ["optimizer.learning_rate=choice(1e-3,1e30,3e-3)", "evaluation.test=false"]
    first = command("train", *words, cwd=tmp_path)
    before = results(tmp_path / "sweep")
    assert before, first.stderr
    assert "Study name" in (said := first.stdout + first.stderr)
    assert "alembic" not in said
    assert first.stdout.endswith("next:\n  sbvi-compare sweep\n")
    second = command("train", *words, cwd=tmp_path)
    after = results(tmp_path / "sweep")
    done = {name for name, (status, _) in before.items() if status == "completed"}
    assert done
    assert {name: after[name] for name in done} == {name: before[name] for name in done}
    with contextlib.closing(sqlite3.connect(tmp_path / "sweep" / "optuna-study.db")) as study:
        states = [row[0] for row in study.execute("select state from trials")]
    assert not list(tmp_path.glob("*.db"))  # another search here would join a study in the working directory
    assert len(states) == 6
    statuses = [status for status, _ in after.values()]
    assert set(states) <= {"COMPLETE", "FAIL"}
    assert states.count("FAIL") >= statuses.count("failed") > 0, (first.stderr, second.stderr)


@pytest.mark.slow
def test_trials_that_validate_below_the_median_are_pruned(tmp_path):
    """Which trials stop, and where, is what the median rule says of the validations that all reported; the same search
    again tells of the runs that are there, and a pruned one goes on to its length by itself."""
    optuna = pytest.importorskip("optuna")
    words = ["--multirun", "search=optuna", *TINY, "trainer.steps=100", "trainer.log_every=25"]
    words += ["trainer.validate_every=25", "pruning.startup_trials=2", "pruning.first_step=26", "evaluation.test=false"]
    words += ["hydra.sweeper.n_trials=5", "hydra.sweep.dir=sweep", "hydra.sweeper.sampler.n_startup_trials=50"]
    words += ["optimizer.learning_rate=tag(log,interval(1e-6,1e-2))", "+hydra.sweeper.sampler.seed=1"]
    for session in (1, 2):
        done = command("train", *words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        runs = {}
        for path in (tmp_path / "sweep").glob("*/result.json"):
            run = json.loads((path.parent / "run.json").read_text())
            runs[run["config"]["algorithm"]["optimizer"]["learning_rate"]] = json.loads(path.read_text()), path.parent
        kept = optuna.storages.RDBStorage(f"sqlite:///{tmp_path / 'sweep' / 'optuna-study.db'}")
        trials = optuna.load_study(study_name="sbvi", storage=kept).trials
        kept.engine.dispose()  # whose connection Python would else tell as left open, whenever it finds it
        assert len(trials) == 5 * session
        assert len(runs) == 5  # the sampler's seed draws the same settings again
        before, stopped = [], []
        for trial in trials:
            values, (run, folder) = trial.intermediate_values, runs[trial.params["optimizer.learning_rate"]]
            ends = None
            for step in sorted(values):
                others = [other[step] for other in before if step in other]
                best = max(value for at, value in values.items() if at <= step)
                if len(before) >= 2 and 26 <= step < 100 and others and best < np.median(others):
                    ends = step
                    break
            if trial.number < 5:
                assert run.get("pruned", False) == (ends is not None)
                assert run["steps"] == (100 if ends is None else ends) == max(values)
                stopped += [folder] if ends else []
            assert trial.user_attrs.get("pruned", False) == run.get("pruned", False)
            assert run["status"] == "completed"
            assert trial.value == max(values.values()) == run["best_validation"]
            before.append(values)
        assert 0 < len(stopped) < 4
        assert ("Pruned at step" in done.stdout) == (session == 1)
        assert len(re.findall(r"^status: +completed \(pruned\)$", done.stdout, re.MULTILINE)) == len(stopped)
    compared = command("compare", "sweep", "--metric", "validation/elbo", cwd=tmp_path).stdout
    assert compared.count("by its search") == len(stopped)
    alone = command("train", f"resume={stopped[0]}", cwd=tmp_path)
    assert alone.returncode == 0, alone.stderr
    result = json.loads((stopped[0] / "result.json").read_text())
    assert result["steps"] == 100
    assert "pruned" not in result


def test_pruning_needs_a_study(tmp_path):
    words = ["--multirun", *TINY, "trainer.steps=20", "seed=0,1", "pruning.rule=median"]
    done = command("train", *words, cwd=tmp_path)
    assert done.returncode != 0
    assert "pruning is for searches whose study is kept" in done.stderr
    alone = command("train", *TINY, "trainer.steps=20", "pruning.rule=median", cwd=tmp_path)
    assert alone.returncode != 0
    assert "pruning is for searches whose study is kept" in alone.stderr


def test_a_search_of_which_no_trial_completes_ends_with_a_sentence(tmp_path):
    pytest.importorskip("optuna")
    words = ["--multirun", "search=optuna", "hydra.sweeper.n_trials=2", "dataset=npz", "dataset.path=nowhere.npz"]
    wrong = command("train", *words, cwd=tmp_path)
    assert wrong.stderr.count("nowhere.npz") > 2
    assert "No trial of the search completed, so that none is the best; why stands above." in wrong.stderr
    assert "Traceback" not in wrong.stderr


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("pruning.rule=halfing", "pruning.rule=halfing is not known (did you mean halving?); allowed: halving, "),
        ("pruning=halving", "pruning=halving must be a group of settings: give pruning.rule=halving."),
        ("trainer.steps=abc", 'trainer.steps="abc" should be a valid integer.'),
        ("model.activation=relo", "model.activation=relo is not known (did you mean relu?); allowed: "),
    ],
)
def test_what_is_wrong_for_every_trial_is_said_once_before_the_search(word, said, tmp_path):
    """And no study is made, in which the failures would stand."""
    pytest.importorskip("optuna")
    done = command("train", "--multirun", "search=optuna", word, "hydra.sweep.dir=search", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_side_by_side_a_first_signal_ends_the_wait_for_a_directory(number, tmp_path):
    """Its runs wait in threads, which hear no signal themselves."""
    held = tmp_path / "sweep" / "job_0"
    held.mkdir(parents=True)
    words = ["--multirun", *TINY, "trainer.steps=2000000", "seed=0,1", *LAUNCHERS["side by side"]]
    words += ["hydra.sweep.dir=sweep", "hydra.sweep.subdir=job_${hydra.job.num}"]
    log = held / "sbvi-train.log"
    with open(held / ".lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = start(*words, cwd=tmp_path)
        wait_until(lambda: log.exists() and "Waiting for" in log.read_text(), process)
        process.send_signal(number)
        code, said = finish(process, timeout=60)
    assert code == 128 + number, said
    assert "Traceback" not in said
    assert not (held / "run.json").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_workers_of_joblib_train_no_further_than_their_sweep(number, tmp_path):
    """What they had begun is saved and can go on; what they had not is left."""
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    words = ["--multirun", *TINY, "trainer.steps=2000000", "trainer.log_every=200", "seed=range(4)"]
    process = start(*words, *LAUNCHERS["joblib"], "hydra.sweep.dir=sweep", cwd=tmp_path)
    sweep = tmp_path / "sweep"
    wait_until(lambda: len([*sweep.glob("*/checkpoints/last.safetensors")]) == 2, process)
    workers = [int(word) for word in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    try:
        process.send_signal(number)
        process.wait()
        wait_until(lambda: len(results(sweep)) == 2, timeout=60)
        assert {status for status, _ in results(sweep).values()} == {"stopped"}
        assert len([*sweep.glob("*/run.json")]) == 2
    finally:
        for worker in workers:  # which joblib lets wait for five minutes
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
