"""Means that a run on a table gives, beside closed forms of its columns' laws and the means of draws."""

import jax
import numpy as np
import pandas as pd
import pytest

import sbvi
from sbvi.data.tabular.columns import centres

pytestmark = pytest.mark.usefixtures("without_pictures")

N = 300
Z = np.array([[0.0, 0.0], [1.0, -0.5]])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    generator = np.random.default_rng(0)
    z = generator.normal(size=N)
    frame = pd.DataFrame(
        {
            "crp": 5 * np.exp(0.7 * generator.normal(size=N) + 0.3 * z),
            "year": 2000 + 5 * z + generator.normal(size=N),
            "visits": generator.poisson(np.exp(1.5 + 0.3 * z)),
            "site": np.where(z > 0.5, "lyon", np.where(z > -0.5, "oslo", "rome")),
        }
    )
    words = ["likelihood=mixed", "likelihood.continuous=gaussian"]
    words += ["dataset.columns={crp: positive, year: continuous, visits: count}"]
    words += ["model.latents=[2]", "model.hidden=[8]", "model.recognition_hidden=[8]", "optimizer.learning_rate=0.01"]
    words += ["trainer.epochs=null", "trainer.steps=120", "trainer.batch_size=40", "trainer.validate_every=120"]
    words += ["evaluation.test=false", "runtime.compilation_cache=false"]
    return sbvi.train(words, tmp_path_factory.mktemp("table") / "run", x=frame)


def test_a_positive_column_is_decoded_to_its_mean(run):
    """exp(mu + sigma^2 / 2) of a log-normal law, beyond its median exp(mu), and no greater than all training values."""
    crp = run.preprocessing.table[0]
    law, (outputs, free) = run.model.likelihood, run.model.outputs(run.params, {"layer_1": Z.astype(np.float32)})
    piece, own = next((piece, own) for group, piece, own in law._parts(outputs, free) if 0 in group.places)
    group = next(group for group in law.groups if 0 in group.places)
    mean, deviation = (np.asarray(v, np.float64)[:, 0] for v in group.likelihood.moments(piece, own))
    mu, sigma = crp.location + crp.scale * mean, crp.scale * deviation
    expected = np.exp(mu + sigma**2 / 2)
    assert (expected < crp.maximum).all()
    assert (expected > 1.1 * np.exp(mu)).all()
    np.testing.assert_allclose(run.decode(Z)[:, 0], expected, rtol=1e-5)


def test_means_given_latents_are_those_of_many_draws(run):
    found, count = run.decode(Z), 40_000
    for row, z in zip(found, Z, strict=True):
        draws = run.decode(np.broadcast_to(z, (count, 2)), draw=1)
        assert (np.abs(draws.mean(0) - row) < 5 * draws.std(0) / np.sqrt(count)).all()
    assert (found[:, 1] > 1900).all()  # location and all


def test_codes_and_counts_are_decoded_as_the_model_has_them(run):
    places = [d for d, column in enumerate(run.preprocessing.table) if column.kind in ("count", "categorical")]
    assert len(places) == 2
    np.testing.assert_allclose(
        run.decode(Z)[:, places], run.model.decode(run.params, {"layer_1": Z.astype(np.float32)})[:, places], rtol=1e-5
    )
    assert (centres(run.preprocessing.table)[places] == 0).all()


def test_means_of_samples_are_given_their_own_latents(run):
    latents, _ = run.model.sample_joint(run.params, jax.random.key(3), 50)
    np.testing.assert_allclose(run.sample(50, seed=3, means=True), run.decode(latents), rtol=1e-5)
    means, draws = run.sample(4000, seed=4, means=True), run.sample(4000, seed=4)
    assert (np.abs(means.mean(0) - draws.mean(0)) < 5 * draws.std(0) / np.sqrt(len(draws))).all()


def test_reconstructions_are_means_too(run):
    x = run.sample(20, seed=5)
    np.testing.assert_allclose(run.reconstruct(x), run.decode(run.encode(x)["layer_1"].mean), rtol=1e-5)
