"""task=recover and run.recover on a trained run, against averages over many draws from the model's prior."""

import json

import numpy as np
import pytest
from support.processes import command as started
from support.runs import trained_in_process

import sbvi
from sbvi.cli import evaluate as command
from sbvi.core import UserError, build
from sbvi.core.watch import watching
from sbvi.inference.ml_vamp.recovery import Recovery
from sbvi.inference.ml_vamp.sensing import network_of
from sbvi.tasks import TASKS
from sbvi.tasks.data import run_dataset
from sbvi.tasks.observed import Observed

WORDS = ["model.latents=[5]", "model.hidden=[20]", "model.recognition_hidden=[20]", "model.activation=relu"]
WORDS += ["dataset=digits", "trainer.steps=500", "evaluation.test=false"]
EXAMPLES = 10


def evaluate(*words):
    """`sbvi-evaluate` in this process: its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["sbvi-evaluate", *words])
        try:
            command.main()
        except SystemExit as ended:
            return ended.code
    return 0


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return sbvi.load_run(trained_in_process(tmp_path_factory, "recover", *WORDS, pictures=False))


@pytest.fixture(scope="module")
def posterior(run):
    """Bits, which are erased, and the posterior means of latents and of probabilities by importance sampling."""
    x = run_dataset(run).seen("test", EXAMPLES)
    erased = np.random.default_rng(1).permutation(64) < 32  # as task.seed=1 and task.fraction=0.5 have it
    network = network_of(run.model.layers(run.params))
    z = np.random.default_rng(0).standard_normal((100_000, 5)).astype(np.float32)
    logits = np.asarray(network.activations(z)[-1], np.float64)
    chances = 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(chances[:20], run.decode(z[:20]).reshape(20, 64), atol=1e-5)
    logs = np.log(np.where(x[:, None, ~erased] > 0, chances[:, ~erased], 1 - chances[:, ~erased])).sum(2)
    weights = np.exp(logs - logs.max(1, keepdims=True))
    weights /= weights.sum(1, keepdims=True)
    assert (1 / (weights**2).sum(1)).min() > 30
    return x, erased, weights @ z, weights @ chances


def log_loss(chances, x):
    p = np.clip(chances, 1e-6, 1 - 1e-6)
    return -np.mean(x * np.log(p) + (1 - x) * np.log1p(-p))


@pytest.mark.parametrize(("erased", "wanted"), [(True, 0.95), (False, 0.6827)])
def test_coverage_counts_noise_of_data_and_not_of_projections(erased, wanted):
    """Of values N(mean, v), erased ones with noise that makes their deviation 1.96 times as wide."""
    drawn = np.random.default_rng(0).normal(size=(400, 50))
    variance, noise = 0.25, 0.5 * np.sqrt(1.96**2 - 1)
    truth = drawn * (np.sqrt(variance + noise**2) if erased else 1.96 * np.sqrt(variance))
    none = np.zeros_like(drawn)
    recovery = Recovery(none, none, none, none + variance, 0.0, {})
    observed = Observed(None, truth, np.ones(truth.shape, bool) if erased else None, False, (50,))
    scores = build(TASKS, "task", {"name": "recover", "noise": noise})._scores(recovery, observed)
    assert scores["coverage"] == pytest.approx(wanted, abs=0.01)


@pytest.mark.parametrize("erased", [True, False])
def test_a_picture_tells_what_was_given_and_what_recovered(erased):
    values = np.full((2, 9), 0.5)
    missing = np.zeros((2, 9), bool)
    missing[1, 4] = True
    recovery = Recovery(values, values, values, values, 0.0, {})
    observed = Observed(None, values, missing if erased else None, False, (3, 3))
    (panel,) = build(TASKS, "task", {"name": "recover"})._pictures(recovery, observed).values()
    assert panel.columns == ("truth", *(("given",) if erased else ()), "recovered")
    assert (panel.picture == [255, 0, 255]).all(-1).sum() == erased * 18**2  # one pixel, enlarged


def test_the_command_recovers_erased_pixels(run, posterior, tmp_path):
    x, erased, _, exact = posterior
    words = ["task=recover", f"task.examples={EXAMPLES}", f"task.output={tmp_path / 'found.npz'}"]
    assert not evaluate(f"run={run.directory.path}", *words)
    (written,) = (run.directory.path / "evaluations").glob("recover-mask-test-ml_vamp*.json")
    scalars = json.loads(written.read_text())["metrics"]
    with np.load(tmp_path / "found.npz") as found:
        data, latents = found["data"], found["latents"]
        assert found["latent_variances"].shape == latents.shape == (EXAMPLES, 5)
        assert found["data_variances"].shape == data.shape == (EXAMPLES, 64)
    places = np.s_[:, erased]
    assert scalars["recover/rmse"] == pytest.approx(np.sqrt(np.mean((data - x)[places] ** 2)), rel=1e-5)
    assert log_loss(data[places], x[places]) < log_loss(exact[places], x[places]) + 0.01
    assert np.mean(np.abs(data - exact)) < 0.015


def test_the_hamiltonian_chain_has_the_posterior_s_means(run, posterior):
    x, erased, latents, exact = posterior
    holes = np.where(erased, np.nan, x.astype(float)).reshape(-1, *run.event_shape)
    found = run.recover(holes, method="hamiltonian")
    assert np.mean(np.abs(found.signal - exact)) < 0.02
    assert np.mean(np.abs(found.latents - latents)) < 0.15
    assert found.signal.shape == (EXAMPLES, 64)
    np.testing.assert_allclose(found.signal_variances, found.signal * (1 - found.signal))  # a bit's, as of every method


def test_projections_and_refusals(run, tmp_path):
    def work(**options):
        return build(TASKS, "task", {"name": "recover", "examples": 4, **options}).run(run)

    projected = work(measure="gaussian", measurements=60, method="gradient")
    assert projected.arrays["data"].shape == (4, 64)
    assert np.isnan(projected.arrays["latent_variances"]).all()
    assert 0 < projected.scalars["recover/log_loss"] < np.log(2)
    with pytest.raises(UserError, match=r"task\.rows=9"):
        work(measure="rows", rows=9)
    np.save(tmp_path / "a.npy", np.ones((3, 64)))
    with pytest.raises(UserError, match=r"task\.operator serves"):
        work(operator=str(tmp_path / "a.npy"))


def test_one_table_over_the_methods(run):
    task = build(TASKS, "task", {"name": "recover", "examples": 4, "compare": ["ml_vamp_map"]})
    heard = []
    with watching(lambda *told: heard.append(told)):
        result = task.run(run)
    named = [what for what, done, _ in heard if not done]
    assert named == ["recover by ml_vamp_map", "message passing", "recover by ml_vamp", "message passing"]
    assert [what for what, done, total in heard if done == total] == [named[place] for place in (1, 0, 3, 2)]
    head, first, second = result.table.splitlines()
    assert head.split() == ["method", "rmse", "log-loss", "calibration", "error", "seconds"]
    assert (first.split()[0], second.split()[0]) == ("ml_vamp", "ml_vamp_map")
    assert float(second.split()[2]) == pytest.approx(result.scalars["recover/ml_vamp_map/log_loss"], rel=1e-4)
    p, truth = result.arrays["data"], run_dataset(run).seen("test", 4)
    erased = np.random.default_rng(1).permutation(64) < 32
    p, truth = p[:, erased].ravel(), truth[:, erased].ravel()
    bins = [np.abs((p - truth)[(p >= low) & (p < low + 0.1)].sum()) for low in np.arange(10) / 10]
    assert result.scalars["recover/calibration_error"] == pytest.approx(sum(bins) / len(p), rel=1e-5)


def test_state_evolution_of_a_random_decoder_is_drawn_beside_the_algorithm(tmp_path):
    """A linear decoder of 60 values with 20 of them missing, whose exact mean squared error is known."""
    generator = np.random.default_rng(0)
    weight = generator.normal(size=(60, 30)) / 5
    np.savez(tmp_path / "net.npz", W0=weight, b0=generator.normal(size=60), activations="identity")
    y = generator.normal(size=(300, 60))
    y[:, :20] = np.nan
    np.save(tmp_path / "y.npy", y)

    def task(**options):
        words = {"name": "recover", "input": str(tmp_path / "y.npy"), "examples": 300, "state_evolution": True}
        return build(TASKS, "task", words | options)

    result = task(noise=0.3).on_decoder(tmp_path / "net.npz")
    found = {name.removeprefix("recover/state_evolution/"): v for name, v in result.scalars.items() if "_db" in name}
    exact = np.mean(np.linalg.inv(np.eye(30) + weight[20:].T @ weight[20:] / 0.09).diagonal())
    assert found.pop("greatest_difference_db") < 0.25
    assert found.pop("predicted_db") == pytest.approx(10 * np.log10(exact), abs=0.1)  # relative to what was drawn
    for name in ("actual_db", "damped_db", "recovered_db"):
        assert found.pop(name) == pytest.approx(10 * np.log10(exact), abs=0.25)
    assert not found
    assert result.arrays["state_evolution_predicted"].shape == (1, 20)
    assert "latents drawn from the prior since those of data are not known" in result.table
    (figure,) = result.pictures.values()
    (axes,) = figure.get_axes()
    drawn = {line.get_label(): line.get_ydata() for line in axes.get_lines()}
    assert set(drawn) == {"z0 predicted", "z0 actual", "z0 damped", "z0 recovered"}
    np.testing.assert_array_equal(drawn["z0 actual"], result.arrays["state_evolution_actual"][0])
    with pytest.raises(UserError, match=r"task\.state_evolution predicts task\.method=ml_vamp, not gradient"):
        task(method="gradient").on_decoder(tmp_path / "net.npz")
    y[0, 20] = np.nan
    np.save(tmp_path / "y.npy", y)
    with pytest.raises(UserError, match=r"examples miss values in 2 ways"):
        task().on_decoder(tmp_path / "net.npz")
    dead = {"W0": weight, "b0": np.full(60, -1e3), "W1": weight.T, "b1": np.ones(30), "activations": "relu,identity"}
    np.savez(tmp_path / "dead.npz", **dead)
    np.save(tmp_path / "y.npy", np.ones((1, 30)))
    with pytest.raises(UserError, match=r"z2 of this decoder is 0 for all of 300 latents"):
        task().on_decoder(tmp_path / "dead.npz")


def test_a_decoder_of_ones_own_from_the_command_line(tmp_path, monkeypatch, capsys):
    """A linear decoder with Gaussian outputs and an operator: the exact posterior mean; and bits where it ends in a
    sigmoid."""
    generator = np.random.default_rng(0)
    weight, bias, operator = generator.normal(size=(6, 2)), generator.normal(size=6), generator.normal(size=(4, 6))
    y = generator.normal(size=(3, 4))
    np.savez(tmp_path / "net.npz", W0=weight, b0=bias, activations="identity")
    np.savez(tmp_path / "bits.npz", W0=weight, b0=bias, activations="sigmoid")
    np.save(tmp_path / "a.npy", operator)
    np.save(tmp_path / "flat.npy", operator[:3, 0])
    np.save(tmp_path / "y.npy", y)
    holes = np.where(generator.random((3, 6)) < 0.3, np.nan, generator.integers(0, 2, (3, 6)).astype(float))
    np.save(tmp_path / "bits.npy", holes)
    words = ["evaluate", "decoder=net.npz", "task=recover", "task.input=y.npy", "task.operator=a.npy", "task.noise=0.3"]
    done = started(*words, "task.output=found.npz", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    design = operator @ weight
    exact = np.linalg.solve(np.eye(2) + design.T @ design / 0.09, design.T @ (y - operator @ bias).T / 0.09).T
    np.testing.assert_allclose(np.load(tmp_path / "found.npz")["latents"], exact, atol=1e-4)
    assert len(list((tmp_path / "evaluations").glob("recover-input-ml_vamp-*.json"))) == 1
    monkeypatch.chdir(tmp_path)
    assert not evaluate("decoder=bits.npz", "task=recover", "task.input=bits.npy", "task.output=bits_found.npz")
    data = np.load(tmp_path / "bits_found.npz")["data"]
    assert ((data > 0) & (data < 1)).all()
    for refused, said in (
        (["decoder=net.npz", "task=samples"], "task=samples needs run=DIR; with decoder=FILE: task=recover."),
        (["decoder=net.npz", "task=recover"], "needs what was observed, as task.input=FILE"),
        (["decoder=net.npz", "run=here", "task=recover"], "Give run=DIR or decoder=FILE, not both."),
        ([*words[1:4], "task.operator=flat.npy"], "task.operator=flat.npy has shape (3,)"),
        (["decoder=net.npz", "task=recover", "task.input=y.npy"], r"task.input has shape (3, 4); allowed: (N, 6)"),
    ):
        assert evaluate(*refused) == 1
        assert said in capsys.readouterr().err
