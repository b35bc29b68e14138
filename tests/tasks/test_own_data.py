"""One path of data: what a trained run says of its own data, and of the same data given back in any form."""

import copy
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.file_forms import FORMS
from support.panels import grid_within
from support.runs import trained_in_process
from test_tasks import trained, work

import sbvi
from sbvi.cli import evaluate
from sbvi.core import UserError
from sbvi.data.sources.digits import Digits
from sbvi.evaluation.quadrature import floor_of
from sbvi.inference.quadrature import TOLERANCE
from sbvi.tasks.data import run_dataset
from sbvi.tasks.files import read_array

TINY = ["model.latents=[2]", "model.hidden=[16]", "model.recognition_hidden=[16]", "trainer.steps=40"]
TINY += ["trainer.log_every=20", "trainer.validate_every=20"]


@pytest.fixture(scope="module")
def grey():
    return Digits().load().test.x[:50]


def run_of(name, tmp_path_factory, *words, **how):
    # Tasks are tested here; what the run's own final test says is read by none.
    words = [*TINY, *words, "evaluation.test=false"]
    return sbvi.load_run(trained_in_process(tmp_path_factory, f"own_{name}", *words, **how))


@pytest.fixture(scope="module")
def dynamic(tmp_path_factory):
    return run_of("dynamic", tmp_path_factory, "dataset.binarization=dynamic")


@pytest.fixture(scope="module")
def gaussian(tmp_path_factory):
    return run_of("gaussian", tmp_path_factory, "likelihood=gaussian", pictures=False)


def write_reals(folder):
    x = np.clip(np.random.default_rng(0).normal(0, 6, (300, 2)) @ np.array([[1, 0.5, 0], [0, 1, -1]]), -20, 20)
    np.save(folder / "reals.npy", x)


@pytest.fixture(scope="module")
def rescaled(tmp_path_factory):
    words = ["dataset=npz", "dataset.path=reals.npy", "dataset.minimum=-20", "dataset.maximum=20"]
    words += ["dataset.rescale=true", "likelihood=gaussian"]
    run = run_of("rescaled", tmp_path_factory, *words, before=write_reals, pictures=False)
    return run, run.directory.path.parent / "reals.npy"


FEW = {
    "uint8.npy": lambda path, x: np.save(path, x),
    "int64.npy": lambda path, x: np.save(path, x.astype(np.int64)),
    "float64.npz": lambda path, x: np.savez(path, x=x.astype(float)),
    "counts.csv": lambda path, x: np.savetxt(path, x.reshape(len(x), -1), delimiter=",", fmt="%d"),
    "floats.csv": lambda path, x: np.savetxt(path, x.reshape(len(x), -1), delimiter=","),
}


def forms(folder, x):
    for name, write in FEW.items():
        write(folder / name, x)
        yield str(folder / name)


def test_run_json_records_the_preprocessing(gaussian, dynamic):
    known = json.loads((gaussian.directory.path / "run.json").read_text())["data"]["preprocessing"]
    assert (known["levels"], known["dequantize"], known["maximum"], known["event_shape"]) == (16, True, 16, [8, 8])
    known = json.loads((dynamic.directory.path / "run.json").read_text())["data"]["preprocessing"]
    assert (known["binarization"], known["seed"], known["units"]) == ("dynamic", 0, "whole numbers 0..16")


def test_the_same_counts_score_the_same_in_every_file(gaussian, grey, tmp_path):
    paths, run = list(forms(tmp_path, grey)), copy.copy(gaussian)
    run.experiment = replace(run.experiment, evaluation=replace(run.experiment.evaluation, seed=7))
    found = work(run, "likelihood", num_samples=20, input=paths[-1]).arrays["nll"]
    assert np.abs(found).mean() < 100
    for path in paths:  # as the task reads them, with the evaluation's seed
        np.testing.assert_array_equal(-run.log_likelihood(read_array(path), 20), found)


def test_a_loaded_run_heeds_what_samples_show_as_the_evaluation_does(gaussian, grey):
    run, seen = copy.copy(gaussian), []
    sampled = gaussian._estimate(gaussian._own(grey), 20, 1)

    def quadrature(params, key, batches, floor):
        seen.append(floor)
        return {"log_likelihood": np.zeros(50)}

    run._compiled = gaussian._compiled | {"quadrature": quadrature}
    run.log_likelihood(grey, 20)
    np.testing.assert_array_equal(seen[0], floor_of(sampled.log_likelihood, sampled.effective))


def test_imputation_keeps_and_returns_source_units(gaussian, grey, tmp_path):
    x = grey.reshape(50, 64).astype(float)
    x[:, ::3] = np.nan
    np.savetxt(tmp_path / "x.csv", x, delimiter=",")
    settings = {"iterations": 12, "warmup": 4, "input": str(tmp_path / "x.csv"), "output": str(tmp_path / "out.npz")}
    work(gaussian, "imputation", **settings)
    with np.load(tmp_path / "out.npz") as found:
        filled = found["filled"].reshape(50, 64)
    np.testing.assert_array_equal(filled[~np.isnan(x)], x[~np.isnan(x)])
    fills = filled[np.isnan(x)]
    assert -8 < fills.min() < fills.max() < 24
    assert abs(fills.mean() - grey.reshape(50, 64)[:, ::3].mean()) < 1.5
    restored = gaussian.impute(x.reshape(50, 8, 8), 12, 4).reshape(50, 64)
    np.testing.assert_array_equal(restored[~np.isnan(x)], x[~np.isnan(x)])
    assert abs(restored[np.isnan(x)].mean() - fills.mean()) < 1


def test_what_a_model_gives_is_in_source_units(gaussian, grey):
    for values in (gaussian.sample(200), gaussian.sample(200, means=True), gaussian.reconstruct(grey)):
        assert abs(values.mean() - Digits().load().train.x.mean()) < 1.5


def test_rescaled_data_given_back(rescaled, tmp_path):
    run, path = rescaled
    train = work(run, "likelihood", num_samples=50, split="train")
    given = work(run, "likelihood", num_samples=50, input=str(path))
    split, own = train.scalars["train/nll"], given.scalars["input/nll"]
    assert abs(own - split) < 0.5
    apart = np.abs(given.arrays["nll"][:, None] - train.arrays["nll"]).min(0)  # the file has the other splits' rows too
    assert apart.max() < TOLERANCE
    x = np.load(path)[:20]
    gaps = x.copy()
    gaps[:, 1] = np.nan
    np.save(tmp_path / "gaps.npy", gaps)
    settings = {"iterations": 60, "warmup": 20, "input": str(tmp_path / "gaps.npy"), "output": str(tmp_path / "o.npz")}
    work(run, "imputation", **settings)
    with np.load(tmp_path / "o.npz") as found:
        np.testing.assert_allclose(found["filled"][:, [0, 2]], x[:, [0, 2]], rtol=1e-6)
        assert (np.abs(found["filled"][:, 1]) < 20).all()
        assert found["filled"][:, 1].min() < 0  # not of [0, 1]
        assert 0.2 < found["spread"][:, 1].mean() < 20
    with pytest.raises(UserError, match=r"holds 21 at row 0, column 0; allowed: real numbers of \[-20, 20\]"):
        run.encode(x * 0 + 21)


def test_dynamic_training_data_is_drawn_for_every_task(dynamic):
    few = {"num_samples": 20, "examples": 150}
    nll = {s: work(dynamic, "likelihood", split=s, **few).scalars[f"{s}/nll"] for s in ("train", "test")}
    assert abs(nll["train"] - nll["test"]) < 3
    one = {"split": "train", "examples": 4}
    annealed = work(dynamic, "annealed", chains=2, temperatures=10, leapfrog_steps=2, **one)
    assert annealed.scalars["train/nll"] > 0
    assert work(dynamic, "embedding", split="train").arrays["layer_1/mean"].shape == (1297, 2)
    posterior = work(dynamic, "posterior", points=60, **one)
    assert (posterior.arrays["log_evidence"] < 0).all()
    imputed = work(dynamic, "imputation", iterations=6, warmup=2, **one)
    assert set(np.unique(imputed.arrays["filled"][~imputed.arrays["missing"]])) <= {0, 1}


def test_the_gradients_of_dynamic_training_data_are_of_draws(dynamic, monkeypatch):
    def study(model, params, x, *settings):
        raise UserError(f"{np.unique(x)}")

    monkeypatch.setattr("sbvi.tasks.gradients.study", study)
    with pytest.raises(UserError, match=r"^\[0\. 1\.\]$"):
        work(dynamic, "gradients", split="train", examples=4)


def test_tasks_see_dynamic_data_as_the_model_does(dynamic):
    """Fixed draws of the test split are 0 and 1 whatever levels the means have."""
    assert work(dynamic, "embedding", examples=20).arrays["layer_1/mean"].shape == (20, 2)
    imputed = work(dynamic, "imputation", iterations=10, warmup=2, examples=20)
    assert imputed.scalars["imputation/log_loss"] < np.log(2)
    picture = grid_within(dynamic.directory.path / "figures" / "reconstructions.png")
    assert (picture[:50] == 255).any()  # the first row shows the data, not the data over its levels


def test_dequantised_density_bounds_the_bits(gaussian, tmp_path, monkeypatch):
    """Uniform noise: a Gaussian of the dequantised digits costs at least what the levels' entropy allows."""
    bits = work(gaussian, "likelihood", num_samples=50).scalars["test/bits_per_dimension"]
    assert 0 < bits < np.log2(17)
    words = [
        *TINY[:3],
        "trainer.steps=2",
        "likelihood=gaussian",
        "likelihood.dequantize=false",
        "evaluation.test=false",
    ]
    without = trained(tmp_path, [*words, "likelihood.dequantize=false"], monkeypatch)
    assert "test/bits_per_dimension" not in work(without, "likelihood", num_samples=5).scalars


def test_a_model_of_drawn_data_takes_grey_values_by_its_own_rule(dynamic, tmp_path, caplog):
    caplog.set_level("INFO")
    data = run_dataset(dynamic)
    whole = Digits().load().test.x
    np.save(tmp_path / "x.npy", whole)
    own = work(dynamic, "likelihood", num_samples=20, input=str(tmp_path / "x.npy"))
    assert "holds grey values; they are binarized by the run's own rule (draws of seed 0)" in caplog.text
    np.testing.assert_array_equal(own.arrays["nll"], work(dynamic, "likelihood", num_samples=20).arrays["nll"])
    drawn, grey = dynamic.encode(data.test.x)["layer_1"], dynamic.encode(whole)["layer_1"]
    np.testing.assert_array_equal(grey.mean, drawn.mean)
    gaps = whole[:10].astype(float)
    gaps[:, 0] = np.nan
    filled = dynamic.impute(gaps, 6, 2)
    assert set(np.unique(filled[:, 1:])) == {0, 1}
    assert ((filled[:, 0] >= 0) & (filled[:, 0] <= 1)).all()


def test_ones_own_data_is_done_whole(dynamic, grey, tmp_path, caplog):
    caplog.set_level("INFO")
    x = np.concatenate([grey] * 3)[:120]
    np.save(tmp_path / "x.npy", x)
    few = {"chains": 1, "temperatures": 2, "leapfrog_steps": 1, "input": str(tmp_path / "x.npy")}
    assert work(dynamic, "annealed", **few).arrays["nll"].shape == (120,)
    assert work(dynamic, "annealed", examples=7, **few).arrays["nll"].shape == (7,)
    assert "The first 7 of the 120 rows" in caplog.text
    np.save(tmp_path / "six.npy", grey[:6])
    assert work(dynamic, "posterior", points=30, input=str(tmp_path / "six.npy")).arrays["kl"].shape == (6,)


def test_labels_of_words_and_below_zero(tmp_path, monkeypatch):
    generator = np.random.default_rng(0)
    x = generator.integers(0, 2, (40, 6))
    for name, label in (("words", np.array(["ox", "ass"])[x[:, 0]]), ("minus", x[:, 0] * 2 - 1)):
        folder = tmp_path / name
        folder.mkdir()
        np.savez(folder / "own.npz", x_train=x, y_train=label, x_test=x[:9], y_test=label[:9])
        words = [*TINY[:3], "trainer.steps=2", "evaluation.test=false", "dataset=npz", "dataset.path=own.npz"]
        run = trained(folder, words, monkeypatch)
        found = work(run, "embedding")
        assert found.pictures["embedding-test"].get_axes()
        np.testing.assert_array_equal(found.projection.label, label[:9])


def command(monkeypatch, capsys, *words):
    monkeypatch.setattr("sys.argv", ["sbvi-evaluate", *words])
    try:
        evaluate.main()
    except SystemExit as ended:
        assert ended.code == 1
    return capsys.readouterr()


def test_evaluations_are_named_by_their_settings_and_moved_data_is_checked(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    x = np.random.default_rng(0).integers(0, 2, (40, 6))
    np.save(tmp_path / "here" / "x.npy", x)
    # A mixture, whose exact likelihood is soonest compiled, for every evaluation anew.
    words = ["model=mixture", "model.count=2", "trainer.steps=2", "trainer.batch_size=20", "evaluation.test=false"]
    words += ["dataset=npz", "dataset.path=here/x.npy"]
    run = trained(tmp_path, words, monkeypatch)
    assert run.experiment.dataset.path == str(tmp_path / "here" / "x.npy")
    capsys.readouterr()
    base = ["run=run", "task=likelihood", "task.num_samples=5"]
    monkeypatch.chdir(tmp_path / "here")
    base[0] = "run=../run"
    for words in ([], [], ["task.split=train"], ["task.input=x.npy"]):
        command(monkeypatch, capsys, *base, *words)
    np.save(tmp_path / "here" / "x.npy", 1 - x)
    command(monkeypatch, capsys, *base, "task.input=x.npy")
    np.save(tmp_path / "here" / "x.npy", x)
    names = sorted(p.stem for p in (tmp_path / "run" / "evaluations").glob("*.json"))
    assert [name.rsplit("-")[1] for name in names] == ["input", "input", "test", "test", "train"]
    assert len(set(names)) == 5
    shutil.move(tmp_path / "here" / "x.npy", tmp_path / "moved.npy")
    assert "is not there; dataset.path=FILE says where it is now" in command(monkeypatch, capsys, *base).err
    assert "test/nll" in command(monkeypatch, capsys, *base, "dataset.path=../moved.npy").out
    np.save(tmp_path / "moved.npy", 1 - x)
    said = command(monkeypatch, capsys, *base, "dataset.path=../moved.npy").err
    assert "was trained on other data than is found now in" in said
    (tmp_path / "file").write_text("")
    said = command(monkeypatch, capsys, *base, "task.input=../moved.npy", "folder=../file").err
    assert "cannot be written" in said
    assert "folder=DIR" in said
    assert "test" not in command(monkeypatch, capsys, *base, "task.input=../moved.npy", "folder=../else").err
    assert len(list((tmp_path / "else").glob("likelihood-input-*.json"))) == 1


def test_runs_recorded_before_still_load(gaussian, grey, tmp_path):
    shutil.copytree(gaussian.directory.path, tmp_path / "old")
    record = json.loads((tmp_path / "old" / "run.json").read_text())
    del record["data"]["preprocessing"]
    (tmp_path / "old" / "run.json").write_text(json.dumps(record))
    old = sbvi.load_run(tmp_path / "old")
    assert old.preprocessing == gaussian.preprocessing
    np.testing.assert_array_equal(old.elbo(grey[:5], 4), gaussian.elbo(grey[:5], 4))
    assert work(old, "likelihood", num_samples=5, examples=10).arrays["nll"].shape == (10,)


#: Where the source's whole numbers begin, and the dtypes that hold minimum .. minimum + 16.
SIGNED = ("int16", "int64", "float32", "float64")
STARTS = {0: ("uint8", "uint32", *SIGNED), 5: ("uint8", "uint32", *SIGNED), -20: SIGNED, 1000: SIGNED}


@pytest.mark.promise(
    "A run's NLL, embedding and imputation of a data set are the same from every file form, dtype, order, range and "
    "scale",
    "data sets",
)
def test_a_runs_numbers_are_the_same_for_every_form(gaussian, rescaled, grey, tmp_path, tally, monkeypatch):
    """Of whole numbers that begin elsewhere, and of real numbers in other units, written to a file and read again."""
    # The likelihood by samples alone: the input is the same one for quadrature, which would take most of the time.
    monkeypatch.setattr("sbvi.runs.parts.scores.serves", lambda model: False)
    reals, path = rescaled
    source = {gaussian: grey[:6].reshape(6, 64).astype(float), reals: np.load(path)[:6]}
    gaps = {run: np.where(np.arange(x.size).reshape(x.shape) % 3 == 1, np.nan, x) for run, x in source.items()}
    tried = [0]

    def numbers(run, x, holes):
        return run.log_likelihood(x, 4), run.encode(x)["layer_1"].mean, run.impute(holes, 4, 1, chains=1)

    expected = {run: numbers(run, x, gaps[run]) for run, x in source.items()}

    @given(st.data())
    def each(data):
        tried[0] += 1
        name = data.draw(st.sampled_from(sorted(FORMS)))
        write, _, named = FORMS[name]
        run = data.draw(st.sampled_from([gaussian, reals]))
        if run is gaussian:
            start, unit = data.draw(st.sampled_from(sorted(STARTS))), 1
            dtype = data.draw(st.sampled_from(STARTS[start]))
            known = run.preprocessing.but(minimum=float(start), maximum=start + 16.0)
        else:  # powers of two, so that float32 holds the values of the other units as it holds the first
            start, unit = 0, 2.0 ** data.draw(st.integers(-30, 30))
            dtype = data.draw(st.sampled_from(["float32", "float64"]))
            known = run.preprocessing.but(minimum=-20 * unit, maximum=20 * unit)
        other = copy.copy(run)
        other.preprocessing = known
        read = []
        for values in ((start + unit * source[run]).astype(dtype), start + unit * gaps[run]):
            write(tmp_path / name, values, [f"p{i}" for i in range(values.shape[1])] if named else None)
            read.append(read_array(str(tmp_path / name), allow_nan=True))
        nll, mean, filled = numbers(other, *read)
        np.testing.assert_allclose(nll, expected[run][0], rtol=2e-6, atol=2e-5)
        np.testing.assert_allclose(mean, expected[run][1], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose((filled - start) / unit, expected[run][2], rtol=1e-5, atol=1e-4)

    each()
    tally(tried[0])


def test_the_picture_of_an_imputation_shows_examples_of_the_whole_split(dynamic, monkeypatch):
    """Eight of twenty, in batches of three: their courses end where what is filled in stands."""
    shown = {}
    monkeypatch.setattr("sbvi.tasks.chain_imputation.at_once", lambda *_: 3)

    def picture(truth, x, missing, courses, event_shape, steps, chained):
        shown.update(x=x, missing=missing, courses=courses, steps=steps, chained=chained)

    monkeypatch.setattr("sbvi.tasks.chain_imputation.picture", picture)
    filled = work(dynamic, "imputation", iterations=9, warmup=8, chains=1, imputations=1, examples=20).arrays
    places = [0, 2, 5, 8, 10, 13, 16, 19]
    np.testing.assert_array_equal(shown["missing"], filled["missing"][places])
    np.testing.assert_array_equal(shown["x"][~shown["missing"]], filled["filled"][places][~shown["missing"]])
    assert shown["chained"]
    assert len(shown["steps"]) == len(shown["courses"])
    assert shown["steps"][-1] == 8
    last = shown["courses"][-1]
    np.testing.assert_allclose(last[shown["missing"]], filled["filled"][places][shown["missing"]], rtol=1e-6)
