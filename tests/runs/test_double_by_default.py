"""A process whose default is float64 trains, loads and fits in float32, and keeps its default."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.tiny_run import TINY

import sbvi
from sbvi.core.precision import methods_in_float32

pytestmark = pytest.mark.usefixtures("without_pictures")

WORDS = (*TINY, "model.latents=[2]", "trainer.steps=4", "trainer.log_every=2", "trainer.validate_every=2")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The same run made under either default."""
    made = [tmp_path_factory.mktemp("runs") / name for name in ("single", "double")]
    for wide, folder in enumerate(made):
        jax.config.update("jax_enable_x64", bool(wide))
        try:
            sbvi.train(WORDS, folder)
            assert jax.config.jax_enable_x64 == bool(wide)
        finally:
            jax.config.update("jax_enable_x64", False)
    return made


def test_training_gives_the_same_numbers(folders):
    single, double = (sbvi.load_run(folder) for folder in folders)
    reached = [run.directory.read_result()["metrics"] for run in (single, double)]
    assert {name for name in reached[0] if reached[0][name] != reached[1][name]} <= {"train/examples_per_second"}
    for own, other in zip(jax.tree.leaves(single.params), jax.tree.leaves(double.params), strict=True):
        np.testing.assert_array_equal(own, other)


def told(folder):
    """What a loaded run says, by the method."""
    run = sbvi.load_run(folder)
    x = run.sample(6, seed=3)
    gaps = np.where(np.arange(x[0].size).reshape(x[0].shape) < 4, np.nan, x)
    moments = run.encode(x)
    latents = {node: moment.mean for node, moment in moments.items()}
    return {
        "sample": x,
        "log_likelihood": run.log_likelihood(x, 5),
        "elbo": run.elbo(x, 3),
        "latents": latents,
        "decode": run.decode(latents),
        "reconstruct": run.reconstruct(x),
        "impute": run.impute(gaps, 4, 1),
    }


@pytest.mark.slow  # that methods are in float32 is tested below
def test_a_loaded_run_says_the_same(folders, x64):
    wide = told(folders[0])
    with jax.enable_x64(False):
        plain = told(folders[0])
    for own, expected in zip(jax.tree.leaves(wide), jax.tree.leaves(plain), strict=True):
        assert own.dtype == expected.dtype
        np.testing.assert_array_equal(own, expected)
    assert jax.config.jax_enable_x64


def test_steps_of_what_yields_are_in_float32_and_the_caller_is_not(x64):
    class Part:
        def each(self):
            for _ in range(2):
                yield jnp.ones(1).dtype

    methods_in_float32(Part)
    between = [(dtype, jnp.ones(1).dtype) for dtype in Part().each()]
    assert between == [(jnp.float32, jnp.float64)] * 2


@pytest.mark.slow
def test_an_estimator_says_the_same(x64):
    pytest.importorskip("sklearn")
    from sbvi.sklearn import DensityEstimator

    table = np.random.default_rng(0).normal(size=(60, 3))
    table[::7, 1] = np.nan

    def said():
        density = DensityEstimator(steps=5, samples=5, random_state=0).fit(table)
        return density.score_samples(table), density.sample(4)

    wide = said()
    with jax.enable_x64(False):
        plain = said()
    for own, expected in zip(wide, plain, strict=True):
        np.testing.assert_array_equal(np.asarray(own), np.asarray(expected))
