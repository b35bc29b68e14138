"""Marginals of whole numbers that a density sees with uniform noise, beside a mixture written out in NumPy."""

import jax
import numpy as np
import pandas
import pytest
from support.small_run import train

from sbvi.core import UserError
from sbvi.runs import Experiment
from sbvi.runs.loaded import load_run
from sbvi.runs.parts.queries import possible
from sbvi.tasks import TASKS

BATCH, LEVELS, D = 4, 4, 5


@pytest.fixture(scope="module")
def mixture(tmp_path_factory):
    folder = tmp_path_factory.mktemp("levels")
    x = np.random.default_rng(0).binomial(LEVELS, [0.1, 0.3, 0.5, 0.7, 0.9], (60, D)).astype(np.uint8)
    np.savez(folder / "x.npz", x_train=x)
    made = {
        "dataset": {"name": "npz", "path": str(folder / "x.npz"), "maximum": LEVELS},
        "model": {"name": "mixture", "components": "gaussian", "count": 3},
        "algorithm": {"name": "expectation_maximisation"},
        "trainer": {"steps": 6, "batch_size": 20, "log_every": 3, "validate_every": 6, "checkpoint_minutes": 0},
        "evaluation": {"batch_size": BATCH},
        "runtime": {"compilation_cache": False},
    }
    train(Experiment.from_config(made), folder / "run")
    return load_run(folder / "run")


def rows():
    """Ten of them, in three batches of which the last is ragged; and the same with gaps in all but 0, 1 and 9."""
    x = np.random.default_rng(1).integers(0, LEVELS + 1, (10, D)).astype(float)
    gaps = np.random.default_rng(2).random(x.shape) < 0.4
    gaps[[0, 1, 9]], gaps[2:9, 0], gaps[5] = False, True, True
    return x, np.where(gaps, np.nan, x)


def by_hand(run, x, seed):
    """log sum_k pi_k prod_d N((x_d + u_d) / (L + 1); m_kd, v_kd) over what is not NaN, float64."""
    batches = -(-len(x) // BATCH)
    keys = [jax.random.fold_in(jax.random.key(seed), b) for b in range(batches)]
    u = np.concatenate([np.asarray(jax.random.uniform(key, (BATCH, D)), np.float64) for key in keys])[: len(x)]
    assert run.preprocessing.dequantize
    parts = {name: np.asarray(v, np.float64) for name, v in run.params["components"].items()}
    mean, variance = parts["mean"], 0.01**2 + np.exp(2 * parts["log_scale"])
    weights = np.asarray(run.params["weights"], np.float64)
    value = ((x + u) / (LEVELS + 1))[:, None]
    logs = -0.5 * ((value - mean) ** 2 / variance + np.log(2 * np.pi * variance))
    total = np.nansum(logs, -1) + weights - np.logaddexp.reduce(weights)
    return np.logaddexp.reduce(total, -1)


def test_rows_with_gaps_are_scored_with_the_noise_of_complete_ones(mixture):
    x, holes = rows()
    seed = mixture.experiment.evaluation.seed
    np.testing.assert_allclose(mixture.log_likelihood(x), by_hand(mixture, x, seed), atol=1e-4)
    np.testing.assert_allclose(mixture.log_likelihood(holes), by_hand(mixture, holes, seed), atol=1e-4)
    np.testing.assert_allclose(mixture.log_likelihood(holes, seed=7), by_hand(mixture, holes, 7), atol=1e-4)
    assert mixture.log_likelihood(holes)[5] == 0  # nothing is there


def test_gaps_of_a_frame_are_summed_out_whatever_dtypes_hold_them(mixture):
    _, holes = rows()
    frame = pandas.DataFrame(holes).convert_dtypes()
    assert frame.to_numpy().dtype == object
    np.testing.assert_array_equal(mixture.log_likelihood(frame), mixture.log_likelihood(holes))


def test_a_complete_row_has_the_same_number_whatever_other_rows_lack(mixture):
    x, holes = rows()
    clean, mixed = mixture.log_likelihood(x), mixture.log_likelihood(holes)
    np.testing.assert_array_equal(mixed[[0, 1, 9]], clean[[0, 1, 9]])
    np.testing.assert_array_equal(mixture.marginal_log_likelihood(x), clean)
    np.testing.assert_array_equal(mixture.marginal_log_likelihood(x.astype(np.uint8).astype(int)), clean)


def test_conditionals_are_of_one_draw_of_the_noise(mixture, tmp_path):
    x, _ = rows()
    given = np.where(np.arange(D) < 2, x, np.nan)
    seed = mixture.experiment.evaluation.seed
    expected = by_hand(mixture, x, seed) - by_hand(mixture, given, seed)
    np.testing.assert_allclose(mixture.conditional_log_likelihood(x, given), expected, atol=2e-4)
    np.testing.assert_array_equal(mixture.conditional_log_likelihood(x, x), 0)
    np.save(tmp_path / "rows.npy", x)
    found = TASKS["query"](input=str(tmp_path / "rows.npy"), given=(0, 1)).run(mixture)
    np.testing.assert_allclose(found.arrays["log_probability"], expected, atol=2e-4)
    assert found.table.splitlines()[0].endswith(" (density of values scaled to 0..1)")


def test_what_cannot_be_given_is_refused_as_what_it_is(mixture):
    x, _ = rows()
    with pytest.raises(UserError, match=r"^given has dtype <U\d+; it must be numeric\.$"):
        mixture.conditional_log_likelihood(x, x.astype(str))
    with pytest.raises(UserError, match=r"^x has shape \(10, 5\) and given \(3, 5\); they must be equal\.$"):
        mixture.conditional_log_likelihood(x, x[:3])


def test_a_model_without_marginals_refuses_the_question_by_its_name(tiny_run):
    run = load_run(tiny_run)
    with pytest.raises(UserError, match=r"^conditional_log_likelihood\(\) needs what model=dlgm has not \(Marginals"):
        run.conditional_log_likelihood(run.sample(2, seed=0), run.sample(2, seed=0))


def test_a_difference_that_float32_cannot_hold_is_told(mixture, caplog):
    """Components of which what is given lies tens of thousands of deviations away."""
    x, _ = rows()
    given = np.where(np.arange(D) < 2, x, np.nan)
    for far, told in ((1, False), (600, True)):
        moved = {**mixture.params["components"], "mean": mixture.params["components"]["mean"] + np.float32(far)}
        run = mixture.with_params({**mixture.params, "components": moved})
        caplog.clear()
        found = run.conditional_log_likelihood(x, given)
        seed = mixture.experiment.evaluation.seed
        error = np.abs(found - (by_hand(run, x, seed) - by_hand(run, given, seed))).max()
        assert (error > 0.02) == told
        said = [record.getMessage() for record in caplog.records]
        assert len(said) == told
        assert all(line.startswith("conditional_log_likelihood(): what is given in row ") for line in said)


def test_nothing_follows_from_what_has_no_log_p():
    """Of a value whose square float32 does not hold."""
    with pytest.raises(UserError, match=r"^Row 1 of given holds values that the model gives probability 0"):
        possible(np.array([-1.0, np.nan, -1e35]), "given")
    np.testing.assert_array_equal(possible(np.array([-1.0, -1e20]), "given"), [-1.0, -1e20])
