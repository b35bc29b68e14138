"""A run of colour images by `likelihood=pixel_mixture`, from the user's array to its draws."""

import json
import math

import numpy as np
import pytest
from PIL import Image
from support.runs import trained_in_process

import sbvi
from sbvi.cli import train
from sbvi.core import UserError, build
from sbvi.tasks import TASKS

WORDS = [
    "dataset=npz", "dataset.path=colour.npz", "likelihood=pixel_mixture", "likelihood.channels=4",
    "likelihood.layers=2", "likelihood.components=2", "likelihood.features=1", "model.latents=[2]", "model.hidden=[8]",
    "model.recognition_hidden=[8]", "model.convolutions=[4]", "trainer.batch_size=20",
]  # fmt: skip
TEST = ["evaluation.num_samples=10", "evaluation.chunk=10"]


def write_images(folder):
    """60 images whose three channels are nearly one another's."""
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (60, 4, 4, 1))
    images = np.clip(grey + rng.integers(-3, 4, (60, 4, 4, 3)), 0, 255).astype(np.uint8)
    np.savez(folder / "colour.npz", x_train=images)


@pytest.fixture(scope="session")
def colour(tmp_path_factory):
    words = [*WORDS, "trainer.steps=150", "optimizer.learning_rate=0.01", *TEST]
    return trained_in_process(tmp_path_factory, "colour", *words, before=write_images)


def test_a_run_is_trained_tested_and_drawn(colour):
    found = json.loads((colour / "result.json").read_text())
    assert found["status"] == "completed"
    metrics = found["metrics"]
    bits = metrics["test/nll"] / (48 * math.log(2))
    assert metrics["test/bits_per_dimension"] == pytest.approx(bits, rel=1e-6)
    # A channel given another takes less than the 8 bits of a uniform law, and less than its own law does.
    assert bits < 7.5
    for name in ("samples", "reconstructions", "interpolations", "traversals", "manifold"):
        assert np.asarray(Image.open(colour / "figures" / f"{name}.png")).ndim == 3


def test_samples_are_draws_of_whole_levels_whose_channels_go_together(colour):
    run = sbvi.load_run(colour)
    found = build(TASKS, "task", {"name": "samples", "num": 40}).run(run).arrays["x"]
    assert found.shape == (40, 4, 4, 3)
    np.testing.assert_array_equal(found, run.sample(40, 0))
    np.testing.assert_allclose(found, np.rint(found), atol=1e-4)  # 1 / levels is rounded
    assert found.min() >= 0
    assert found.max() <= 255
    assert np.corrcoef(found[..., 0].ravel(), found[..., 1].ravel())[0, 1] > 0.5
    again = run.decode(np.zeros((5, 2)), draw=1)
    assert len(np.unique(again, axis=0)) == 5  # of one z


def test_what_a_run_cannot_serve_is_refused(tmp_path, colour, capsys, monkeypatch):
    with pytest.raises(UserError, match="Imputation draws missing values given the latents alone"):
        build(TASKS, "task", {"name": "imputation"}).run(sbvi.load_run(colour))
    words = ["trainer.steps=5", "objective.rule=price_gauss_newton", "model.activation=tanh"]
    write_images(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["sbvi-train", *WORDS, *words])
    with pytest.raises(SystemExit):
        train.main()
    assert "likelihood=pixel_mixture has no elementwise curvature" in capsys.readouterr().err
