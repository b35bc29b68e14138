"""Every task on a short run of the digits with two latents, on its own data and on the user's."""

import json
from dataclasses import fields
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.runs import trained_in_process
from support.small_run import no_pictures

import sbvi
from sbvi.cli import train
from sbvi.core import UserError, build
from sbvi.inference.annealed import Annealed
from sbvi.inference.imputation import Imputation
from sbvi.reporting.projector import write_projector
from sbvi.tasks import TASKS, chain_imputation
from sbvi.tasks.chain_imputation import at_once
from sbvi.tasks.holes import picture


def trained(folder, words, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.argv", ["sbvi-train", *words, "hydra.run.dir=run", "evaluation.num_samples=20"])
    with no_pictures():
        train.main()
    return sbvi.load_run(folder / "run")


@pytest.fixture(scope="module")
def digits(digits_run):
    return sbvi.load_run(digits_run)


@pytest.fixture(scope="module")
def grey(tmp_path_factory):
    """Digits with their 17 levels, by a discretised logistic likelihood; 3 latents."""
    words = ["likelihood=discretized_logistic", "likelihood.levels=16", "model.latents=[3]", "trainer.steps=600"]
    words += ["evaluation.num_samples=20"]
    return sbvi.load_run(trained_in_process(tmp_path_factory, "grey", *words, pictures=False))


def work(run, name, **options):
    return build(TASKS, "task", {"name": name, **options}).run(run)


def test_likelihood_of_ones_own_file_is_that_of_the_split(digits, tmp_path):
    from sbvi.tasks.data import run_dataset

    x = run_dataset(digits).evaluated("test", 30).x
    np.save(tmp_path / "x.npy", x)
    own = work(digits, "likelihood", num_samples=30, input=str(tmp_path / "x.npy"), output=str(tmp_path / "out.npz"))
    split = work(digits, "likelihood", num_samples=30, examples=30, counts=[30])
    assert split.scalars["test/samples_30/nll"] == split.scalars["test/nll_by_samples"] != split.scalars["test/nll"]
    assert own.scalars["input/nll"] == pytest.approx(split.scalars["test/nll"], rel=1e-6)
    with np.load(tmp_path / "out.npz") as found:
        np.testing.assert_array_equal(found["nll"], own.arrays["nll"])
    assert own.about == {"likelihood": "quadrature"}
    np.testing.assert_allclose(-digits.log_likelihood(x), own.arrays["nll"], rtol=1e-6)
    bounds = [digits.elbo(x, 500, seed) for seed in (None, digits.experiment.evaluation.seed, 7)]
    np.testing.assert_array_equal(*bounds[:2])
    assert (bounds[0] != bounds[2]).all()
    np.savetxt(tmp_path / "x.csv", x.reshape(30, -1) * 0.5, delimiter=",")
    with pytest.raises(UserError, match=r"holds 0\.5 at line 1, place \(0, 2\); allowed: whole numbers 0\.\.16"):
        work(digits, "likelihood", input=str(tmp_path / "x.csv"))


def test_more_chains_than_are_held_at_once_leave_one_example_at_a_time():
    assert at_once(iterations=100, values=64, chains=300) == 1
    assert at_once(iterations=10_000, values=3072, chains=4) == 1
    assert at_once(iterations=100, values=64, chains=4) == 62


def test_each_example_is_filled_in_by_its_own_chains_and_spread_as_their_draws(monkeypatch):
    """By chains whose means are what they were given, and whose draws are one above and below it in turn. What fills up
    a batch is not counted."""

    def echo(model, params, key, x, missing, iterations, *_):
        means = jnp.broadcast_to(x, (iterations, *x.shape))
        turns = jnp.where(jnp.arange(iterations) % 2 == 0, 1.0, -1.0)
        taken = jnp.broadcast_to(jnp.where(jnp.arange(15) % 5 < 4, 0.5, 0.0), (iterations, 15))
        return Imputation(x, means, means + turns[:, None, None], taken, 1 - taken)

    monkeypatch.setattr(chain_imputation, "impute", echo)
    monkeypatch.setattr(chain_imputation, "exact", lambda model: True)
    task = TASKS["imputation"](chains=3, iterations=6, warmup=2)
    kind = chain_imputation.ChainImputation
    work = kind(**{field.name: getattr(task, field.name) for field in fields(kind)})
    x, missing = np.arange(10.0, dtype=np.float32).reshape(5, 2), np.tile([True, False], (5, 1))
    followed = jax.device_get(
        work._chain(SimpleNamespace(model=None), 3, None, None, jnp.asarray(x), jnp.asarray(missing))
    )
    found = work._reduced(followed, 3, x, missing, None)
    np.testing.assert_array_equal(found["filled"], x)
    np.testing.assert_array_equal(found["spread"], missing)
    assert (found["accepted"], found["accepted_local"]) == (pytest.approx(0.4), pytest.approx(0.6))
    fewer = work._reduced(followed, 3, x[:4], missing[:4], None)
    assert (fewer["accepted"], fewer["accepted_local"]) == (0.5, 0.5)


def test_an_imputations_picture_shows_each_example_its_own_chain(digits, monkeypatch, caplog):
    """Where so few examples are held at once that the picture is of several batches."""
    monkeypatch.setattr("sbvi.tasks.chain_imputation.HELD", 3 * 3 * 64)
    found = work(digits, "imputation", chains=1, iterations=3, warmup=2, examples=10, fraction=0.7)
    assert "imputation: whether the chains have met is not known (iterations after the warm-up: 1; " in caplog.text
    digits.impute(np.full((1, 8, 8), np.nan), 5, 2)
    assert "impute(): whether the chains have met is not known (iterations after the warm-up: 3; " in caplog.text
    panel = found.pictures["imputation-test"]
    picture = panel.picture[::7, ::7]  # pixels of 8 x 8 images, with borders of one
    assert picture.shape == (8 * 9 + 1, 5 * 9 + 1, 3)
    assert panel.columns == ("truth", "given", "1", "2", "3")
    shown = found.arrays["filled"][[0, 1, 2, 3, 5, 6, 7, 9]]  # spread over the ten
    for row, filled in enumerate(shown):  # the only step that is kept is the last one shown
        tile = picture[9 * row + 1 : 9 * row + 9, 4 * 9 + 1 : 4 * 9 + 9]
        np.testing.assert_allclose(tile.reshape(64, 3), 255 * filled[:, None].repeat(3, 1), atol=0.51)
    gaps = (picture == [255, 0, 255]).all(-1)  # which no grey is, nor the frame
    assert gaps[:, 10:18].sum() == gaps.sum() == found.arrays["missing"][[0, 1, 2, 3, 5, 6, 7, 9]].sum()


def test_the_gaps_of_colour_images_are_seen_and_a_users_own_have_no_truth():
    values, missing = np.full((2, 12), 0.5), np.zeros((2, 12), bool)
    missing[0, :3] = True
    panel = picture(None, values, missing, np.full((1, 2, 12), 0.25), (2, 2, 3), [0], chain=False)
    assert panel.columns == ("given", "1")
    assert panel.title.endswith("then their means at draws")
    assert (panel.picture == [255, 0, 255]).all(-1).sum() == 28 * 28  # one pixel, enlarged
    assert (panel.picture == 64).all(-1).sum() == 28 * 28


def test_annealed_chains_that_do_not_agree_are_told(digits, monkeypatch, caplog):
    made = Annealed(np.full(3, -9.0), np.ones(3), np.array([1.2, 7.0, 5.0]))
    monkeypatch.setattr(TASKS["annealed"], "_all", lambda *_: made)
    assert work(digits, "annealed", chains=8, examples=3).scalars["test/nll"] == 9
    assert "test: for 33 % of the examples fewer than 2 of the 8 annealed chains count" in caplog.text


@pytest.mark.slow  # in models with a known answer they do in test_annealed.py
def test_annealed_and_importance_sampling_agree(digits, caplog):
    many = {"chains": 8, "temperatures": 120, "leapfrog_steps": 5, "examples": 12}
    annealed = work(digits, "annealed", **many)
    importance = work(digits, "likelihood", num_samples=3000, examples=12)
    np.testing.assert_allclose(annealed.arrays["nll"], importance.arrays["nll"], atol=0.5)
    assert abs(np.mean(annealed.arrays["nll"] - importance.arrays["nll"])) < 0.15
    assert annealed.scalars["test/accepted"] > 0.4
    assert "annealed chains" not in caplog.text
    dreams = work(digits, "annealed", split="dreams", **many)
    gap, stderr = dreams.scalars["dreams/gap"], dreams.scalars["dreams/gap_stderr"]
    assert -4 * stderr - 0.01 < gap < 1
    assert dreams.scalars["dreams/nll"] - dreams.scalars["dreams/nll_lower"] == pytest.approx(gap, abs=1e-4)


def test_the_gap_is_what_an_example_s_own_posterior_gains(digits):
    found = work(digits, "gap", examples=7, steps=60, samples=4, num_samples=500)
    assert {len(values) for values in found.arrays.values()} == {7}
    assert found.scalars["gap/amortisation"] > 0.05
    assert found.scalars["gap/approximation"] > 0
    whole = found.scalars["gap/log_likelihood"] - found.scalars["gap/amortised"]
    parts = found.scalars["gap/amortisation"] + found.scalars["gap/approximation"]
    assert whole == pytest.approx(parts, abs=1e-4)
    assert "approximation" in found.table
    assert "khat" in found.arrays
    few = work(digits, "gap", examples=7, steps=2, samples=2, num_samples=100)  # too few for a tail
    assert "khat" not in few.arrays
    assert {len(values) for values in few.arrays.values()} == {7}
    with pytest.raises(UserError, match=r"num_samples=1 gives log p\(x\) and the best bound one value; allowed: 2 or"):
        work(digits, "gap", num_samples=1)


def test_samples_and_decoding(digits, tmp_path):
    found = work(digits, "samples", num=20, means=False)
    assert found.arrays["x"].shape == (20, 8, 8)
    assert set(np.unique(found.arrays["x"])) == {0, 1}
    assert found.pictures["samples"].ndim == 2
    latents = np.array([[0.0, 1.0], [2.0, -1.0]])
    np.savetxt(tmp_path / "z.csv", latents, delimiter=",")
    decoded = work(digits, "samples", input=str(tmp_path / "z.csv"), output=str(tmp_path / "x.npz"))
    np.testing.assert_array_equal(decoded.arrays["x"], digits.decode(latents))
    with np.load(tmp_path / "x.npz") as written:
        np.testing.assert_array_equal(written["x"], decoded.arrays["x"])
    with pytest.raises(UserError, match=r"task\.means=false has no meaning"):
        work(digits, "samples", input=str(tmp_path / "z.csv"), means=False)
    np.savetxt(tmp_path / "three.csv", np.zeros((2, 3)), delimiter=",")
    with pytest.raises(UserError, match=r"must be numbers \(N, 2\)"):
        work(digits, "samples", input=str(tmp_path / "three.csv"))


def test_samples_of_pixels_that_depend_on_one_another_are_draws(tmp_path, monkeypatch):
    words = ["likelihood=pixel_cnn", "likelihood.channels=2", "likelihood.layers=2", "model.latents=[2]"]
    run = trained(tmp_path, [*words, "trainer.steps=20", "evaluation.test=false"], monkeypatch)
    found = work(run, "samples", num=20)
    np.testing.assert_array_equal(found.arrays["x"], run.sample(20, 0))
    assert set(np.unique(found.arrays["x"])) == {0, 1} != set(np.unique(run.sample(20, 0, means=True)))
    latents = np.tile([[0.5, -1.0]], (40, 1))
    np.save(tmp_path / "z.npy", latents)
    decoded = work(run, "samples", input=str(tmp_path / "z.npy"), seed=4).arrays["x"]
    np.testing.assert_array_equal(decoded, run.decode(latents, draw=4))
    assert set(np.unique(decoded)) == {0, 1}
    assert len(np.unique(decoded, axis=0)) > 20  # of one z
    means = run.decode(np.tile(latents, (10, 1))).mean(0)
    assert np.abs(run.decode(np.tile(latents, (10, 1)), draw=1).mean(0) - means).max() < 5 * 0.5 * np.sqrt(2 / 400)
    asked = work(run, "samples", input=str(tmp_path / "z.npy"), seed=4, means=False)
    np.testing.assert_array_equal(asked.arrays["x"], decoded)


def test_embedding(digits, grey, tmp_path):
    found = work(digits, "embedding", projector=100)
    assert found.arrays["layer_1/mean"].shape == (250, 2)
    assert found.scalars["embedding/share_drawn"] == 1
    assert found.pictures["embedding-test"].get_axes()
    points = found.projection
    assert (len(points.points), len(points.label), points.images.shape) == (100, 100, (100, 8, 8))
    write_projector(tmp_path, points.name, points.points, points.label, points.images)
    config = (tmp_path / "projector_config.pbtxt").read_text()
    assert "single_image_dim: 8" in config
    np.testing.assert_allclose(np.loadtxt(tmp_path / "points.tsv"), points.points, rtol=1e-5)
    assert [int(v) for v in (tmp_path / "labels.tsv").read_text().split()] == points.label.tolist()
    plane = work(grey, "embedding", examples=50)
    assert 2 / 3 - 0.01 <= plane.scalars["embedding/share_drawn"] < 1
    with pytest.raises(UserError, match=r"task\.node=layer_2 is not known; allowed: layer_1"):
        work(digits, "embedding", node="layer_2")


def test_posterior(digits, grey):
    found = work(digits, "posterior", examples=2, points=80)
    scored = work(digits, "likelihood", num_samples=5000, examples=2)
    np.testing.assert_allclose(-found.arrays["log_evidence"], scored.arrays["nll"], atol=0.1)
    mean = found.scalars["posterior/log_evidence"]
    assert mean == pytest.approx(-scored.scalars["test/nll"], abs=0.1)
    assert found.scalars["posterior/log_evidence_stderr"] == pytest.approx(
        np.abs(found.arrays["log_evidence"] - mean).mean(), rel=1e-5
    )
    assert "log_likelihood" not in found.arrays  # which the bound's first term is called among metrics
    assert "log_likelihood" not in scored.arrays
    first = scored.arrays["expected_log_likelihood"]
    np.testing.assert_allclose(first, scored.arrays["elbo"] + scored.arrays["kl"], atol=1e-3)
    assert scored.scalars["test/log_likelihood"] == pytest.approx(first.mean(), rel=1e-5)
    assert (found.arrays["kl"] > 0).all()
    assert found.scalars["posterior/kl_median"] == pytest.approx(np.median(found.arrays["kl"]))
    assert found.scalars["posterior/reverse_kl_upper_quartile"] >= found.scalars["posterior/reverse_kl_median"]
    many = work(digits, "posterior", drawn=1, points=40, examples=30)
    assert many.arrays["kl"].shape == (30,)
    assert many.arrays["true"].shape == (1, 40, 40)
    panels = np.reshape(found.pictures["posterior-test"].get_axes(), (2, 3))  # an image, the plane, and a closer look
    assert [[axes.get_xlabel() for axes in row] for row in panels] == [[""] * 3, ["", "latent 0", "latent 0"]]
    assert [axes.get_ylabel() for axes in panels[:, 1]] == ["latent 1"] * 2
    with pytest.raises(UserError, match="two latents at one node"):
        work(grey, "posterior")


def test_bits_per_dimension(grey):
    found = work(grey, "likelihood", num_samples=50)
    bits = found.scalars["test/bits_per_dimension"]
    assert bits == pytest.approx(found.scalars["test/nll"] / 64 / np.log(2))
    assert 0.5 < bits < np.log2(17)  # better than a uniform guess of 17 levels
    values = found.arrays["nll"]
    assert found.scalars["test/nll_stderr"] == pytest.approx(values.std(ddof=1) / np.sqrt(len(values)), rel=1e-5)
    result = json.loads((grey.directory.path / "result.json").read_text())["metrics"]
    assert result["test/bits_per_dimension"] == pytest.approx(bits, abs=0.05)


def test_levels_must_be_the_datas(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["sbvi-train", "likelihood=discretized_logistic"])
    with pytest.raises(SystemExit):
        train.main()
    assert "likelihood.levels=255 is not what the data set holds: levels 0..16" in capsys.readouterr().err


def test_what_a_model_lacks_is_told_by_the_name_of_the_task(digits, tmp_path):
    np.save(tmp_path / "rows.npy", np.zeros((2, 64)))
    for name, words in (("query", {"given": (0,)}), ("classification", {})):
        with pytest.raises(
            UserError, match=rf"^task={name} needs what model=dlgm has not \(.*; models that serve: circ"
        ):
            work(digits, name, input=str(tmp_path / "rows.npy"), **words)


@pytest.mark.parametrize(("missing", "fraction"), [("square", 0.001), ("random", 0)])
def test_where_nothing_is_removed_there_is_no_error_to_tell(digits, missing, fraction):
    """A square of 8 x 8 x 0.001 pixels has no side."""
    with pytest.raises(
        UserError, match=rf"task.fraction={fraction}.* with task.missing={missing} removes no value of 5"
    ):
        work(digits, "imputation", missing=missing, fraction=fraction, examples=5)
