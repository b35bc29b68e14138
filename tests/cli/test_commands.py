"""The commands as a user meets them: real processes, signals, files, and a live TensorBoard."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request

import numpy as np
import pytest
from PIL import Image
from support.processes import command, environment, finish, start, wait_until
from support.runs import trained_once
from support.tiny_run import ANY, TINY, tree

import sbvi
from sbvi.cli import convert, train
from sbvi.core import UserError


@pytest.fixture
def refused(tmp_path, capsys):
    """What a command says on stderr as it ends with exit code 1, in this process, where that is not what is tested."""

    def says(main, *words):
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(tmp_path)
            patch.setattr("sys.argv", ["sbvi", *words])
            capsys.readouterr()
            with pytest.raises(SystemExit) as ended:
                main()
        assert ended.value.code == 1, words
        return capsys.readouterr().err

    return says


def test_any_data_set_becomes_shards_that_train(tmp_path, refused):
    done = command("convert", "dataset=digits", "output=shards", "rows=500", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "1297 training examples in 3 shards: shards\n"
    assert {p.name for p in tmp_path.iterdir()} == {"shards"}
    words = ["dataset=shards", "dataset.path=shards", "dataset.binarization=dynamic", "dataset.stream=true"]
    words += ["trainer.steps=30", "model.latents=[3]", "evaluation.num_samples=5", "hydra.run.dir=run"]
    done = command("train", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for words, sentence in (
        (["dataset=digits", "output=shards"], "output=shards is not empty; choose a new directory."),
        (["dataset=digits", "output=more", "rows=0"], "rows=0 must be a whole number of 1 or more."),
        (["dataset=digits", "output=more", "dataset.binarization=dynamic"], "train with dynamic"),
        (["dataset=digits"], "Give dataset=NAME and output=DIR to write shards, or input=DIR to describe your own."),
        (["input=nowhere"], "input=nowhere is not a directory."),
        (["dataset=digits", "output=shards/info.json"], "output=shards/info.json cannot be made or written in (File"),
        (["dataset=digits", "output=shards/info.json/x"], "info.json/x cannot be made or written in (Not a directory)"),
    ):
        said = refused(convert.main, *words)
        assert sentence in said
        assert said.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_conversion_is_begun_anew_by_the_same_command(number, tmp_path):
    words = ["dataset=digits", "output=shards"]
    process = start(*words, "rows=1", cwd=tmp_path, name="convert")
    wait_until((tmp_path / "shards" / "train-00050.npy").exists, process, pause=0.001)
    process.send_signal(number)
    code, said = finish(process)
    assert code in (-number, 128 + number), said
    assert said == ""
    assert not (tmp_path / "shards" / "info.json").exists()
    done = command("convert", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "shards").iterdir())) == 7  # one shard of each split with its labels, and info.json


def test_log_lines_of_a_conversion_are_those_of_the_other_commands(tmp_path):
    np.savez(tmp_path / "mine.npz", x_train=np.linspace(0, 1, 400).reshape(100, 4))
    done = command("convert", "dataset=npz", "dataset.path=mine.npz", "output=shards", cwd=tmp_path)
    assert done.stdout == "80 training examples in 1 shards: shards\n"
    assert re.fullmatch(r"\[\d\d:\d\d:\d\d\] Read \S+mine.npz: x_train \(100, 4\), float64.\n", done.stderr)
    assert {path.name for path in tmp_path.iterdir()} == {"mine.npz", "shards"}


def test_shards_of_ones_own_train(tmp_path):
    """Uncompressed .npz files, described in place."""
    (tmp_path / "mine").mkdir()
    generator = np.random.default_rng(0)
    for name, count in (("train-0", 150), ("train-1", 100), ("validation", 40), ("test", 40)):
        np.savez(tmp_path / "mine" / f"{name}.npz", x=generator.integers(0, 2, (count, 16)).astype(np.uint8))
    done = command("convert", "input=mine", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "250 training examples in 2 shards: mine\n"
    words = ["dataset=shards", "dataset.path=mine", "dataset.stream=true", "trainer.steps=30", "model.latents=[3]"]
    done = command("train", *words, "evaluation.num_samples=5", "hydra.run.dir=run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Training on mine" in done.stderr + done.stdout


@pytest.fixture(scope="module")
def trained(digits_run, tmp_path_factory):
    """A folder of one's own with the shared run as `first`, and what its command printed."""
    folder = tmp_path_factory.mktemp("trained")
    shutil.copytree(digits_run, folder / "first")
    return folder, digits_run.with_suffix(".txt").read_text()


def test_a_run_ends_with_its_numbers_and_files(trained):
    folder, printed = trained
    assert re.search(r"^status: +completed$", printed, re.MULTILINE)
    assert re.search(r"^test/nll: +\d+\.\d+ \+- \d+\.\d+ nats$", printed, re.MULTILINE)
    names = {p.relative_to(folder / "first").as_posix() for p in (folder / "first").rglob("*") if p.is_file()}
    pictures = {f"figures/{n}.png" for n in ("samples", "reconstructions", "manifold", "curves")}
    assert names >= {"run.json", "result.json", "metrics.jsonl", "checkpoints/last.safetensors", *pictures}
    record = json.loads((folder / "first" / "run.json").read_text())
    assert record["config"]["dataset"]["binarization"] == "static"
    assert record["versions"]["jax"]
    assert record["device"]["platform"] == "cpu"
    assert len(record["data"]["digest"]) == 64
    result = json.loads((folder / "first" / "result.json").read_text())
    assert result["metrics"]["test/nll"] < 28  # independent pixels: about 27


def test_load_run(trained):
    folder, _ = trained
    loaded = sbvi.load_run(folder / "first")
    x = (np.random.default_rng(0).random((7, 8, 8)) < 0.3).astype(np.float32)
    encoded = loaded.encode(x)["layer_1"]
    assert encoded.mean.shape == encoded.variance.shape == (7, 2)
    np.testing.assert_allclose(
        np.diagonal(loaded.covariances(x)["layer_1"], axis1=1, axis2=2), encoded.variance, rtol=1e-5
    )
    assert loaded.decode(encoded.mean).shape == loaded.reconstruct(x).shape == (7, 8, 8)
    draws = loaded.sample(5)
    assert set(np.unique(draws)) <= {0, 1}
    assert loaded.sample(5, means=True).shape == (5, 8, 8)
    bound, estimate = loaded.elbo(x, 50), loaded.log_likelihood(x.reshape(7, 64), 200)
    assert bound.shape == estimate.shape == (7,)
    assert (bound < estimate + 1).all()
    for wrong, sentence in (
        (np.zeros((7, 9)), "it must be (N, 8, 8)"),
        (np.full((7, 64), 0.5), "x holds 0.5 at row 0, place (0, 0); allowed: whole numbers 0..16"),
        (np.full((7, 64), np.nan), "NaN"),
        (np.array([["a"] * 64]), "must be numeric"),
    ):
        with pytest.raises(UserError, match=re.escape(sentence)):
            loaded.elbo(wrong)
    with pytest.raises(UserError, match=r"must be numbers \(N, 2\)"):
        loaded.decode(np.zeros((3, 5)))


def test_a_refused_command_leaves_another_run_as_it_was(trained):
    """All of it: Hydra would write the settings that were refused into a folder of its own."""
    folder, _ = trained
    before = tree(folder / "first")
    done = command("train", "seed=7", "model.latents=[2]", "hydra.run.dir=first", cwd=folder)
    assert done.returncode == 1
    assert "first holds another run: " in done.stderr
    assert tree(folder / "first") == before


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_signal_before_the_run_begins_leaves_nothing(number, tmp_path):
    process = start(*TINY, "hydra.run.dir=run", cwd=tmp_path, fresh=True)
    wait_until((tmp_path / "run" / "sbvi-train.log").exists, process)
    process.send_signal(number)
    code, output = finish(process)
    assert (code, output) == (128 + number, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_signal_in_the_final_test_is_told_and_gone_on_with(number, tmp_path):
    """Not by a fault of memory, which XLA's threads met at the interpreter's end."""
    words = [*TINY, "trainer.steps=20", "trainer.log_every=10", "evaluation.num_samples=1000000"]
    process = start(*words, "hydra.run.dir=run", cwd=tmp_path)
    log = tmp_path / "run" / "sbvi-train.log"
    wait_until(lambda: log.exists() and "Testing the parameters" in log.read_text(), process)
    time.sleep(1)
    process.send_signal(number)
    code, output = finish(process)
    assert code == 128 + number, output
    assert "Interrupted at step 20; resume=" in output
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert (result["status"], result["reason"], result["steps"]) == ("stopped", number.name, 20)
    done = command("train", "resume=run", "evaluation.num_samples=10", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "run" / "result.json").read_text())["status"] == "completed"


def test_evaluate_writes_per_example_values(trained):
    folder, _ = trained
    done = command("evaluate", "run=first", "task=likelihood", "task.num_samples=40", cwd=folder)
    assert done.returncode == 0, done.stderr
    (path,) = (folder / "first" / "evaluations").glob("likelihood-test-*.json")
    found = json.loads(path.read_text())
    with np.load(path.with_suffix(".npz")) as arrays:
        assert arrays["nll"].shape == (250,)
        assert arrays["nll"].mean(dtype=np.float64) == pytest.approx(found["metrics"]["test/nll"])
    assert 1 <= found["metrics"]["test/effective_samples"] <= 40
    first = json.loads((folder / "first" / "result.json").read_text())["metrics"]
    assert found["metrics"]["test/nll"] == pytest.approx(first["test/nll"], abs=0.5)
    assert not (folder / ".hydra").exists()
    assert not list(folder.glob("*.log"))


@pytest.mark.slow  # the study is tested in test_gradient_study.py, and its task in test_helmholtz_tasks.py
def test_gradient_rules_side_by_side(trained):
    folder, _ = trained
    words = ["task.draws=100", "task.reference_draws=200", "task.examples=4"]
    done = command("evaluate", "run=first", "task=gradients", *words, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^reparameterised +0\.\d+", done.stdout, re.M), done.stdout
    assert "price was left out: Price's rule needs twice differentiable activations" in done.stdout
    evaluations = folder / "first" / "evaluations"
    (path,) = evaluations.glob("gradients-test-*.json")
    found = json.loads(path.read_text())["metrics"]
    assert found["gradients/score_function/variance_mean"] > found["gradients/reparameterised/variance_mean"]
    (picture,) = evaluations.glob("gradients-*.png")
    assert picture.stat().st_size > 5000
    assert list(path.with_suffix("").glob("events.out.tfevents.*"))


def test_imputation_of_test_images_and_of_ones_own(trained):
    folder, _ = trained
    words = ["task.iterations=30", "task.warmup=10", "task.examples=40"]
    done = command("evaluate", "run=first", "task=imputation", *words, cwd=folder)
    assert done.returncode == 0, done.stderr
    (path,) = (folder / "first" / "evaluations").glob("imputation-test-*.json")
    found = json.loads(path.read_text())["metrics"]
    assert found["imputation/rmse"] < found["imputation/rmse_of_means"]
    assert found["imputation/log_loss"] < found["imputation/log_loss_of_means"]
    assert all(0 < found[f"imputation/{name}"] < 1 for name in ("accepted", "accepted_local"))
    assert 4 < found["imputation/effective_samples"] < 1000
    assert found["imputation/rhat"] > 0.9
    warned = "imputation: of " in done.stderr and "take more iterations" in done.stderr
    assert warned == (found["imputation/rhat_above_1.1"] > 0.1)
    assert path.with_suffix(".png").stat().st_size > 1000
    values = np.random.default_rng(0).integers(0, 2, (5, 64)).astype(float)
    values[:, :20] = np.nan
    np.savetxt(folder / "own.csv", values, delimiter=",")
    own = ["task.input=own.csv", "task.output=filled.npz", "task.imputations=3", *words[:2]]
    done = command("evaluate", "run=first", "task=imputation", *own, cwd=folder)
    assert done.returncode == 0, done.stderr
    with np.load(folder / "filled.npz") as filled:
        assert filled["imputations"].shape == (3, 5, 8, 8)
        flat = filled["filled"].reshape(5, 64)
        np.testing.assert_array_equal(flat[:, 20:], values[:, 20:])
        assert ((flat[:, :20] > 0) & (flat[:, :20] < 1)).all()
        assert (filled["spread"].reshape(5, 64)[:, 20:] == 0).all()
    again = command("evaluate", "run=first", "task=imputation", *own, cwd=folder)
    assert again.returncode == 1
    assert "task.output=filled.npz is there already" in again.stderr
    restored = sbvi.load_run(folder / "first").impute(values.reshape(5, 8, 8), 20, 5)
    np.testing.assert_array_equal(restored.reshape(5, 64)[:, 20:], values[:, 20:])
    assert np.isfinite(restored).all()


@pytest.mark.slow
def test_price_trains_to_the_same_bound(tmp_path):
    """The same model by either rule, as a sweep in one process: equal validation bounds within noise."""
    words = ["model.latents=[6]", "model.hidden=[30]", "model.recognition_hidden=[30]", "model.activation=tanh"]
    words += ["model.recognition_activation=tanh", "trainer.steps=1500", "evaluation.test=false"]
    words += ["optimizer.learning_rate=3e-3", "optimizer.schedule.kind=cosine", "hydra.sweep.dir=sweep"]
    done = command("train", "--multirun", "objective.rule=reparameterised,price", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    bounds = {}
    for path in (tmp_path / "sweep").glob("*/result.json"):
        rule = json.loads((path.parent / "run.json").read_text())["config"]["algorithm"]["objective"]["rule"]
        bounds[rule] = json.loads(path.read_text())["metrics"]["validation/elbo"]
    assert set(bounds) == {"reparameterised", "price"}
    assert abs(bounds["price"] - bounds["reparameterised"]) < 0.3, bounds
    assert bounds["price"] > -28


@pytest.mark.slow  # comparisons of stand-ins are in test_comparison.py
def test_trained_runs_of_two_models_are_compared(tiny_run, tmp_path_factory, tmp_path):
    """Each by its own result; a metric that one of them alone has ranks that one."""
    words = (*ANY, "model=mixture", "model.count=4", "trainer.steps=100", "trainer.validate_every=50")
    mixture = trained_once(tmp_path_factory, "tiny_mixture", *words)
    runs = {"dlgm": tiny_run, "mixture": mixture}
    metrics = {name: json.loads((run / "result.json").read_text())["metrics"] for name, run in runs.items()}

    def compared(*words):
        done = command("compare", *runs.values(), *words, "--format", "json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    found = compared("--plot", "runs.png", "--html", "runs.html")
    order = sorted(runs, key=lambda name: metrics[name]["test/nll"])
    assert [group["settings"]["model.name"] for group in found["groups"]] == order
    assert [group["mean"] for group in found["groups"]] == [metrics[name]["test/nll"] for name in order]
    assert found["others"] == []
    with Image.open(tmp_path / "runs.png") as picture:
        assert len(np.unique(np.asarray(picture))) > 10
    page = (tmp_path / "runs.html").read_text()
    assert all(run.name in page for run in runs.values())
    found = compared("--metric", "validation/elbo")
    (group,) = found["groups"]
    assert group["runs"] == {str(tiny_run): metrics["dlgm"]["validation/elbo"]}


def test_tensorboard_serves_two_runs(trained, tiny_run):
    """A real server, read over HTTP: scalars equal metrics.jsonl and result.json; images; HParams."""
    folder, _ = trained
    shutil.copytree(tiny_run, folder / "second")
    server = subprocess.Popen(
        [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder), "--port", "0", "--load_fast=false"],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for line in server.stderr:
            if found := re.search(r"http://[^ ]+:(\d+)/", line):
                break
        base = f"http://127.0.0.1:{found[1]}/data/plugin"

        def get(path, body=None):
            request = urllib.request.Request(f"{base}/{path}", data=body, headers={"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.loads(answer.read())

        deadline = time.monotonic() + 60
        while set(get("scalars/tags")) < {"first", "second"}:
            assert time.monotonic() < deadline
            time.sleep(0.5)
        tags = get("scalars/tags")
        lines = [json.loads(line) for line in (folder / "first" / "metrics.jsonl").read_text().splitlines()]
        for tag in ("train/elbo", "validation/elbo", "test/nll"):
            assert tag in tags["first"]
            served = [(step, value) for _, step, value in get(f"scalars/scalars?run=first&tag={tag}")]
            kept = [(line["step"], float(np.float32(line[tag]))) for line in lines if tag in line]
            assert [s for s, _ in served] == [s for s, _ in kept]
            np.testing.assert_allclose([v for _, v in served], [v for _, v in kept], rtol=1e-6)
        result = json.loads((folder / "first" / "result.json").read_text())
        assert served[-1][1] == pytest.approx(result["metrics"]["test/nll"], rel=1e-6)
        assert {"samples", "reconstructions", "manifold"} <= set(get("images/tags")["first"])
        query = {"experimentName": "", "allowedStatuses": ["STATUS_SUCCESS"], "startIndex": 0, "sliceSize": 10}
        query["colParams"] = [{"hparam": "posterior.name", "includeInResult": True}]
        body = json.dumps(query).encode()
        groups = get("hparams/session_groups", body)["sessionGroups"]
        posteriors = {group["hparams"]["posterior.name"] for group in groups}
        assert posteriors == {"diagonal", "rank_one"}
    finally:
        server.terminate()
        server.wait()
        server.stderr.close()


@pytest.mark.promise("SIGTERM saves at the next chunk; the exit code tells, and resume=DIR goes on", "signals")
def test_sigterm_saves_and_resume_goes_on(tmp_path, tally):
    words = [
        *TINY,
        "trainer.steps=24000",
        "trainer.log_every=500",
        "trainer.validate_every=12000",
        "hydra.run.dir=run",
    ]
    process = start(*words, cwd=tmp_path)
    metrics = tmp_path / "run" / "metrics.jsonl"
    wait_until(lambda: metrics.exists() and metrics.read_text().count("\n") > 3, process)
    process.send_signal(signal.SIGTERM)
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 128 + signal.SIGTERM
    assert "SIGTERM: stopping at the next log point; a second one ends this at once" in output
    assert re.search(r"^status: +stopped$", output, re.MULTILINE)
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["status"] == "stopped"
    assert result["reason"] == "SIGTERM"
    refused = command("train", "resume=run", "seed=3", cwd=tmp_path)
    assert refused.returncode == 1
    assert "resume=DIR goes on with the run's own settings" in refused.stderr
    again = command("train", "resume=run", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert (result["status"], result["steps"]) == ("completed", 24_000)
    steps = [json.loads(line)["step"] for line in metrics.read_text().splitlines()]
    assert steps == sorted(steps)
    assert sorted(set(steps)) == list(range(500, 24_001, 500))
    said = (tmp_path / "run" / "sbvi-train.log").read_text()
    assert "Going on from step" in said  # what both sessions said
    assert said.count("Training on") == 2
    tally(1)


MISTAKES = {
    "runtime.platform=tpu": "runtime.platform=tpu is not available",
    "trainer.epoch=3": "trainer.epoch=3 is not a key (did you mean trainer.epochs?)",
    "datset=mnist": "datset=mnist is not a key (did you mean dataset?)",
    "dataset=mnst": "dataset=mnst is not known (did you mean mnist?); allowed: caltech_silhouettes",
    "+foo=3": "foo=3 is not a key",
    "objective.kl_weight.betta=1": "(did you mean objective.kl_weight.beta?)",
    "model.latents=[-1]": "model.latents[0]=-1 should be greater than 0",
    "trainer.steps=abc": 'trainer.steps="abc" should be a valid integer',
    "optimizer.name=admm": "optimizer.name=admm is not known (did you mean adam?)",
    "dataset=npz": "dataset.path must be given",
    "likelihood=gaussian dataset.binarization=static": "dataset.binarization=static gives binary data",
    "trainer.steps=1 trainer.epochs=2": "exactly one of trainer.steps, trainer.epochs and trainer.examples",
    "objective.rule=price": "objective.rule=price needs a twice differentiable model.activation, and relu has kinks",
    "algorithm=reweighted_wake_sleep objective.num_samples=3": "objective.num_samples has no use with "
    "algorithm=reweighted_wake_sleep; objective is a choice of algorithm=gradient_ascent.",
    "model=mixture likelihood=gaussian": "likelihood=gaussian has no use with model=mixture; likelihood is a choice of "
    "model=dlgm; model=mixture is of real values by model.components=gaussian.",
    "objective=log_likelihood": "objective=log_likelihood needs what model=dlgm has not (Density: Knows log p(x) by "
    "itself); models that serve: ",  # a list that grows
    "optimizer.arguments.b1=0.8": "is added, as +optimizer.arguments.b1=0.8.",
    "posterior=null": "posterior=null: a group of settings is chosen by a name",
    "algorithm.optimizer.learning_rate=1": "is given as optimizer.learning_rate=1.",
    "dataset.path=mine.csv": "dataset.path=mine.csv is not a key of the dataset of this config, though of another: "
    "dataset=npz, shards, table.",
    "objective=renyi objective.kl_weight.layer_epochs=2": "objective.kl_weight.layer_epochs=2 is not a key of "
    "objective=renyi, though of another: objective=free_energy; --help objective=renyi lists its own.",
    "seed=-1": "seed=-1 must be a whole number",
    "resume=nowhere": "nowhere is not a run: it is not a directory",
    "init_from=nowhere": "nowhere is not a run",
}


#: Asked of processes: one by each way to its sentence, and the one that would change settings of JAX.
PROCESSES = ("runtime.platform=tpu", "datset=mnist", "trainer.steps=abc", "dataset=npz", "init_from=nowhere")


@pytest.mark.promise("A mistake on the command line is one sentence that names the key", "mistakes")
def test_mistakes_are_one_sentence(tmp_path, refused, tally):
    """Exit code 1, one line on stderr, no traceback."""
    for words, sentence in MISTAKES.items():
        if words in PROCESSES:
            done = command("train", *words.split(), cwd=tmp_path)
            assert done.returncode == 1, (words, done.stderr)
            said = done.stderr
        else:
            said = refused(train.main, *words.split())
        lines = [line for line in said.splitlines() if not line.startswith("[")]
        assert len(lines) == 1, (words, said)
        assert sentence in lines[0], (words, lines[0])
    tally(len(MISTAKES))


@pytest.mark.quick
def test_a_users_own_configs(tmp_path):
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    (tmp_path / "mine" / "experiment" / "own.yaml").write_text("# @package _global_\ntrainer: {steps: 30}\nseed: 9\n")
    done = command("train", "--config-dir", "mine", "experiment=own", *TINY, "hydra.run.dir=run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "run" / "run.json").read_text())["config"]["seed"] == 9


@pytest.mark.parametrize("how", ["runtime.platform=tpu", pytest.param("JAX_PLATFORMS=tpu", marks=pytest.mark.slow)])
def test_a_platform_that_is_not_there_is_a_sentence(tmp_path, how):
    words = ["debug=quick", "hydra.run.dir=run"] + ([how] if how.startswith("runtime") else [])
    platforms = {"JAX_PLATFORMS": "tpu"} if how.startswith("JAX") else {}
    done = command("train", *words, cwd=tmp_path, env=environment(**platforms), fresh=bool(platforms))
    assert done.returncode == 1
    assert done.stderr.startswith("runtime.platform=")
    assert "is not available" in done.stderr
    assert done.stderr.count("\n") == 1
