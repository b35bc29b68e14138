"""What a run says while it works and at its end."""

import json
import logging
import re
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.processes import command, environment
from support.tiny_run import TINY

from sbvi.cli.progress import TrainingBar, WorkBar, clock
from sbvi.cli.summary import summary, twice
from sbvi.core.watch import counted, watching
from sbvi.data import Dataset, Preprocessing, Split
from sbvi.evaluation.batched import batched, map_batches
from sbvi.training import Plan, Progress, Trainer


@pytest.mark.quick
def test_a_line_for_each_tenth_with_the_validation_bound(caplog):
    caplog.set_level(logging.INFO)
    plan, bar = Plan(Trainer(steps=100, batch_size=10), 50), TrainingBar(1)
    values = {"train/elbo": -9.0, "train/examples_per_second": 1234.0}
    bar.show(plan, Progress(step=5), values, "elbo")
    bar.show(plan, Progress(step=50, best=-8.25), values | {"validation/elbo": -8.25}, "elbo")
    bar.show(plan, Progress(step=55, best=-8.25), values, "elbo")  # the same tenth
    bar.show(plan, Progress(step=100, best=-8.25), values, "elbo")
    bar.close()
    said = [record.getMessage() for record in caplog.records]
    assert said[0] == "step 5 of 100: elbo -9.00, 1,234 examples/s, epoch 1 of 20"
    assert said[1].startswith(
        "step 50 of 100: elbo -9.00, validation -8.25, best -8.25, 1,234 examples/s, epoch 10 of 20, 0:"
    )
    assert said[1].endswith(" left")
    assert said[2] == "step 100 of 100: elbo -9.00, validation -8.25, best -8.25, 1,234 examples/s, epoch 20 of 20"
    assert len(said) == 3


@pytest.mark.quick
def test_long_work_is_told_to_its_own_thread_alone():
    heard = []
    with watching(lambda *words: heard.append(words)):
        assert list(counted("test", range(0, 6, 2))) == [0, 2, 4]
        thread = threading.Thread(target=lambda: list(counted("other", [1])))
        thread.start()
        thread.join()
    list(counted("after", [1]))
    assert heard == [("test", done, 3) for done in range(4)]


@pytest.mark.quick
def test_a_work_bar_says_now_and_then_how_far_it_is(caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    now = iter([0.0, 0.0, 10.0, 20.0, 40.0])
    monkeypatch.setattr("sbvi.cli.progress.time.monotonic", lambda: next(now))
    begun = []
    bar = WorkBar(lambda: begun.append(1))
    for done in range(4):
        bar("likelihood", done, 4)
    assert begun == [1]
    assert [record.getMessage() for record in caplog.records] == [
        "likelihood: 50 %, 0:20 left",
        "likelihood: 75 %, 0:13 left",
    ]
    assert clock(3725) == "1:02:05"


def test_an_evaluation_in_pieces_gives_the_same_numbers():
    x = np.random.default_rng(0).normal(size=(37, 3)).astype(np.float32)
    whole = Dataset("x", Split(x), Split(x), Split(x), Preprocessing.real((3,)))

    def function(params, key, batch):
        return {"sum": params * batch.x.sum(-1) + jax.random.normal(key, batch.index.shape)}

    batches, key, heard = batched(whole, "test", 5), jax.random.key(0), []
    with watching(lambda *words: heard.append(words)):
        pieces = map_batches(function, whole, what="long")(jnp.float32(2), key, batches)["sum"]
    np.testing.assert_array_equal(pieces, map_batches(function, whole)(jnp.float32(2), key, batches)["sum"])
    assert pieces.shape == (37,)
    assert heard == [("long: compiling", 0, 4), *(("long", done, 4) for done in range(5))]


@pytest.mark.quick
def test_the_end_of_a_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    metrics = {"test/nll": 20.5, "test/nll_stderr": 0.25, "test/elbo": -21.0, "test/elbo_stderr": 0.2}
    metrics |= {"test/active_units/layer_1": 7.0, "test/active_units/layer_2": 0.0, "test/nll_independent": 126.94}
    metrics |= {"test/khat_above_0.7": 0.5, "test/bits_per_dimension": 1.5}
    result = {"status": "completed", "metrics": metrics, "examples_per_second": 1e4, "train_seconds": 61.0}
    result |= {"wall_seconds": 75.0, "directory": "/somewhere/my runs/a", "twice": "trainer.epochs=60"}
    result |= {"logged": "tensorboard --logdir '/somewhere/my runs'", "anneals": True}
    assert summary(result).splitlines() == [
        "status:                  completed",
        "test/nll:                 20.50 +- 0.25 nats",
        "test/elbo:               -21.00 +- 0.20 nats",
        "test/nll_independent:    126.94         nats, of independent dimensions",
        "test/bits_per_dimension:   1.50         bits",
        "test/khat_above_0.7:       0.50         of the examples",
        "active units:            7 in layer_1, 0 in layer_2",
        "time:                    1:15, of which training 1:01 (10,000 examples/s once compiled)",
        "directory:               /somewhere/my runs/a",
        "next:",
        "  sbvi-evaluate 'run=/somewhere/my runs/a' task=samples",
        "  sbvi-evaluate 'run=/somewhere/my runs/a' task=annealed",
        "  sbvi-train 'resume=/somewhere/my runs/a' trainer.epochs=60",
        "  sbvi-compare '/somewhere/my runs'",
        "  tensorboard --logdir '/somewhere/my runs'",
    ]
    assert "resume=" in summary(result | {"steps": 40, "best_step": 30})
    assert "resume=" not in summary(result | {"steps": 40, "best_step": 29})
    resumed = summary(result | {"train_seconds": 91.0, "earlier_train_seconds": 30.0})
    assert "1:15, of which training 1:01 of 1:31 in all (10,000" in resumed
    assert summary(result | {"logged": None}).endswith("  sbvi-compare '/somewhere/my runs'")
    assert "next:" not in summary(result, several=True)
    assert "\njob:" not in summary(result, several=True)
    assert re.search(r"^job: +#3$", summary(result, several=True, job=3), re.MULTILINE)
    fills = "task=imputation 'task.input=/my tables/a.csv' task.output=filled.csv"
    following = summary(result | {"gaps": "/my tables/a.csv"}).splitlines()
    assert following[10] == f"  sbvi-evaluate 'run=/somewhere/my runs/a' {fills}"
    assert following[11].endswith("task=samples")
    assert "task.output=filled.parquet" in summary(result | {"gaps": "/a.parquet"})
    for made, free in (("filled.lower.csv", "filled_2.csv"), ("filled_2.csv", "filled_3.csv")):  # what is there stays
        (tmp_path / made).touch()
        assert f"task.output={free}" in summary(result | {"gaps": "/my tables/a.csv"})
    discrete = summary(result | {"anneals": False})
    assert "task=annealed" not in discrete
    assert "task=likelihood" in discrete
    untested = result | {"metrics": {"validation/elbo": -3.0, "test/nll": None}, "status": "stopped"}
    assert re.search(r"^test/nll: +not finite$", summary(untested), re.MULTILINE)
    assert re.search(r"^validation/elbo: +-3\.00 nats$", summary(result | {"metrics": {"validation/elbo": -3.0}}), re.M)
    classifier = summary(result | {"metrics": {"test/accuracy": 0.7512}})
    assert re.search(r"^test/accuracy: +75\.12 %$", classifier, re.MULTILINE)
    assert "task=classification" in classifier
    assert "task=samples" not in classifier
    exact = summary(result | {"metrics": metrics | {"test/quadrature_error": 1e-6}})
    assert "khat" not in exact
    assert "task=annealed" not in exact
    ended = {"steps": 40, "epochs": 2.6}
    for length, word in (
        ({"steps": 40}, "trainer.steps=80"),
        ({"epochs": 2.5}, "trainer.epochs=5"),
        ({"examples": 4000}, "trainer.examples=8000"),
    ):
        assert twice(Trainer(**length, batch_size=100), ended) == word
    short = {"steps": 200_000, "max_minutes": 0.5, "patience": 3}
    for seconds, word in ((30.0, "trainer.max_minutes=1"), (10.0, "trainer.patience=6")):
        assert twice(Trainer(**short, batch_size=100), ended | {"train_seconds": seconds}) == word


def test_a_run_tells_how_far_it_is_and_records_what_was_typed(tmp_path):
    words = [*TINY, "trainer.steps=40", "trainer.log_every=10", "trainer.validate_every=20", "hydra.run.dir=run"]
    words.append("optimizer.learning_rate=1e-6")
    done = command("train", *words, cwd=tmp_path, env=environment(SBVI_COMMAND="scripts/train"))
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    assert "step 20 of 40: elbo" in said
    assert ", validation -" in said
    assert "of independent columns, each with a distribution of its own" in said  # it has learned nothing
    assert re.search(r"^directory: +run\nnext:\n  sbvi-evaluate run=run task=samples", done.stdout, re.MULTILINE)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["command"] == ["scripts/train", *words]
    metrics = json.loads((tmp_path / "run" / "result.json").read_text())["metrics"]
    assert np.isfinite(metrics["test/nll_independent"])
