"""Every task on a short run of a Helmholtz machine on digits: what serves gives numbers, what does not says so."""

import io
import json

import numpy as np
import pytest
from PIL import Image
from support.panels import grid_within
from support.runs import trained_in_process
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import sbvi
from sbvi.core import UserError, build
from sbvi.core.quantities import quantity
from sbvi.evaluation.trust import law_reached
from sbvi.reporting.images import save_gif
from sbvi.tasks import TASKS
from sbvi.tasks.gradients import descended_by


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    words = ["model=helmholtz", "model.layers=[8,4]", "algorithm.num_samples=3", "trainer.steps=60"]
    words += ["evaluation.num_samples=6", "evaluation.chunk=3", "evaluation.partition_samples=500"]
    return sbvi.load_run(trained_in_process(tmp_path_factory, "helmholtz", *words))


def work(run, name, **options):
    return build(TASKS, "task", {"name": name, **options}).run(run)


def test_training_tells_the_geometric_mean(machine):
    found = machine.directory.read_result()["metrics"]
    assert found["test/nll_geometric"] == pytest.approx(found["test/nll_geometric_bound"] + found["test/log_z2"])
    assert found["test/nll_geometric_bound"] >= found["test/nll"]  # of the same samples, sqrt(w) is the lower mean
    assert found["test/log_z2_stderr"] > 0
    assert "validation/bound" in found


def test_training_leaves_pictures_and_tensorboard_has_its_numbers(machine):
    """Pictures of what the model can do, on disk and in TensorBoard; every logged value under its name and step."""
    folder = machine.directory.path
    names = {"samples", "reconstructions"}
    assert {path.stem for path in (folder / "figures").glob("*.png")} == names | {"curves"}
    board = EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0}).Reload()
    tags = board.Tags()
    assert set(tags["images"]) == names
    for name in names:
        shown, image = board.Images(name)[-1], grid_within(folder / "figures" / f"{name}.png")
        with Image.open(io.BytesIO(shown.encoded_image_string)) as file:
            bare = np.asarray(file)
        assert (shown.step, shown.width, shown.height) == (60, *bare.shape[::-1])
        assert len(np.unique(bare)) > 10
        times = len(image) // len(bare)
        np.testing.assert_array_equal(image[..., 0], bare.repeat(times, 0).repeat(times, 1))
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    logged = {name for line in lines for name in line if "/" in name}
    assert {"train/bound", "validation/bound", "test/nll", "test/nll_geometric", "test/log_z2"} <= logged
    assert logged == set(tags["scalars"])
    for name in logged:
        kept = [(line["step"], line[name]) for line in lines if name in line]
        served = [(event.step, event.value) for event in board.Scalars(name)]
        assert [step for step, _ in served] == [step for step, _ in kept]
        np.testing.assert_allclose([v for _, v in served], [v for _, v in kept], rtol=1e-6, err_msg=name)


def test_its_numbers_can_be_ranked_by(machine):
    """`sbvi-compare --metric` takes every number of the final test."""
    for name in machine.directory.read_result()["metrics"]:
        if name.startswith("test/"):
            assert quantity(name) is not None, name


def test_likelihood_at_several_numbers_of_samples(machine):
    found = work(machine, "likelihood", num_samples=4, counts=[1, 8], examples=40, partition_samples=200).scalars
    assert found["test/samples_1/nll"] == pytest.approx(found["test/samples_1/nll_geometric_bound"], rel=1e-5)
    assert found["test/samples_8/nll_stderr"] > 0
    assert found["test/log_z2_stderr"] > 0
    for end, both in (("", np.add), ("_stderr", np.hypot)):
        bound = found[f"test/samples_8/nll_geometric_bound{end}"]
        assert found[f"test/samples_8/nll_geometric{end}"] == pytest.approx(both(bound, found[f"test/log_z2{end}"]))


@pytest.mark.parametrize("method", ["resampling", "gibbs", "gibbs_drop_qx"])
def test_samples_of_p_star(machine, method):
    few = {} if method == "resampling" else {"iterations": 3}
    found = work(machine, "samples", num=5, method=method, **few)
    assert found.arrays["x"].shape == (5, 8, 8)
    assert ((found.arrays["x"] > 0) & (found.arrays["x"] < 1)).all()  # means
    if method != "gibbs_drop_qx":  # whose chain is that of gibbs
        values = work(machine, "samples", num=5, method=method, means=False, **few).arrays["x"]
        assert set(np.unique(values)) <= {0, 1}


def test_chains_are_shown_on_their_way(machine, tmp_path):
    found = work(machine, "samples", num=5, columns=5, method="gibbs", iterations=7, frames=3)
    frames = found.animations["samples"]
    assert len(frames) == 3
    np.testing.assert_array_equal(frames[-1], found.pictures["samples"])
    assert (frames[0] != frames[1]).any()
    save_gif(tmp_path / "chain.gif", frames)
    with Image.open(tmp_path / "chain.gif") as image:
        assert (image.n_frames, image.size) == (3, frames.shape[2:0:-1])
    whole = work(machine, "samples", num=5, columns=5, method="gibbs", iterations=7)
    np.testing.assert_array_equal(whole.arrays["x"], found.arrays["x"])
    assert not whole.animations
    for refused in ({"method": "ancestral", "frames": 3}, {"method": "gibbs", "frames": 8, "iterations": 7}):
        with pytest.raises(UserError, match=r"task\.frames=. with task\.method="):
            work(machine, "samples", **refused)


def test_chains_tell_whether_they_reached_their_law(machine, caplog):
    """Long ones do, and say so without a warning; those too short for R-hat warn and tell none."""
    found = work(machine, "samples", num=20, method="gibbs", iterations=400)
    assert 1 <= found.scalars["samples/rhat"] < 1.1
    assert "R-hat" not in caplog.text
    found = work(machine, "samples", num=5, method="gibbs", iterations=3)
    assert "samples/rhat" not in found.scalars
    assert "R-hat of the chains is not known" in caplog.text


@pytest.mark.parametrize("rhats", [[1.02, 1.31], [1.31], [1.31, float("nan")]])
def test_chains_that_have_not_reached_their_law_warn(rhats, caplog):
    assert law_reached("samples", rhats) == {"samples/rhat": 1.31}
    assert "R-hat of the chains is 1.310, where at most 1.1 is asked for" in caplog.text


def test_a_quantity_that_stands_still_is_not_held_against_chains(caplog):
    assert law_reached("samples", [1.02, float("nan")]) == {"samples/rhat": 1.02}
    assert not caplog.text


@pytest.mark.parametrize("method", ["gibbs", "gibbs_drop_qx", "metropolis"])
def test_imputation(machine, method):
    found = work(machine, "imputation", method=method, iterations=4, warmup=1, examples=6)
    assert found.scalars["imputation/log_loss"] > 0
    assert found.arrays["filled"].shape == (6, 64)


def test_estimators(machine):
    found = work(machine, "gradients", examples=3, draws=50, reference_draws=100, num_samples=2)
    assert len([name for name in found.scalars if name.endswith("/variance_recognition")]) == 15
    for algorithm in ("bihm", "reweighted_wake_sleep", "wake_sleep"):
        assert found.scalars[f"gradients/{algorithm}/own/variance_recognition"] > 0
    assert "vimco" in found.table
    assert "relaxed" in found.table
    assert "left out" not in found.table


def test_an_algorithm_that_needs_more_samples_is_named(machine):
    found, left = descended_by(machine, 1)
    assert set(found) == {"reweighted_wake_sleep", "wake_sleep"}  # the former by its dreams
    (sentence,) = left
    assert sentence.startswith("bihm was left out: task.num_samples=1 has one weight for each example")
    assert set(descended_by(machine, 2)[0]) == {"bihm", "reweighted_wake_sleep", "wake_sleep"}


def test_what_does_not_serve_says_so(machine):
    with pytest.raises(UserError, match="discrete"):
        work(machine, "annealed")
    with pytest.raises(UserError, match="needs what model=helmholtz has not"):
        work(machine, "posterior")


def test_embedding(machine, tmp_path):
    """Means and variances of every layer, those of `encode`; the chosen layer's are drawn and laid out."""
    found = work(machine, "embedding", node="layer_2", projector=100, output=str(tmp_path / "means.npz"))
    data = machine.experiment.dataset.load()
    moments = machine.encode(data.test.x.reshape(-1, 8, 8))
    assert [found.arrays[f"layer_{level}/mean"].shape for level in (1, 2)] == [(250, 8), (250, 4)]
    for node, own in moments.items():
        np.testing.assert_allclose(found.arrays[f"{node}/mean"], own.mean, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found.arrays[f"{node}/variance"], own.variance, rtol=1e-5, atol=1e-6)
        assert ((found.arrays[f"{node}/mean"] > 0) & (found.arrays[f"{node}/mean"] < 1)).all()
        spread = found.scalars[f"embedding/{node}/variance_of_means"]
        wanted = np.var(own.mean, axis=0, ddof=1) - own.error.mean(0)
        assert spread == pytest.approx(wanted.sum(), rel=1e-3, abs=1e-8)
    np.testing.assert_array_equal(found.arrays["label"], data.test.label)
    with np.load(tmp_path / "means.npz") as written:
        assert set(written) == set(found.arrays)
        np.testing.assert_array_equal(written["layer_2/mean"], found.arrays["layer_2/mean"])
    scales = np.linalg.svd(moments["layer_2"].mean - moments["layer_2"].mean.mean(0), compute_uv=False) ** 2
    assert found.scalars["embedding/share_drawn"] == pytest.approx(scales[:2].sum() / scales.sum(), rel=1e-3)
    (axes,) = found.pictures["embedding-test"].get_axes()
    assert "two principal components" in axes.get_title()
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("first component of layer_2", "second component")
    assert sum(len(points.get_offsets()) for points in axes.collections) == 250
    points = found.projection
    assert (points.points.shape, points.images.shape) == ((100, 4), (100, 8, 8))
    np.testing.assert_array_equal(points.points, found.arrays["layer_2/mean"][:100])
    with pytest.raises(UserError, match=r"task\.node=layer_3 is not known; allowed: layer_1, layer_2"):
        work(machine, "embedding", node="layer_3")


def test_encoding_and_decoding(machine):
    x = np.zeros((3, 8, 8))
    encoded = machine.encode(x)
    assert [v.mean.shape for v in encoded.values()] == [(3, 8), (3, 4)]
    assert machine.reconstruct(x).shape == (3, 8, 8)
    assert machine.sample(4).shape == (4, 8, 8)
