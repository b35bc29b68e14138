"""Gaps filled from a model's draws."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.gaps import FactorAnalysis

from sbvi.data.tabular import columns as tables
from sbvi.evaluation.filling import drawing, fill
from sbvi.evaluation.grid_filling import GridDraw


def test_means_far_from_zero_are_told_to_a_part_of_their_deviation():
    """Seconds since 1970 within minutes: float32 holds such numbers to two minutes."""
    oracle = FactorAnalysis(D=3, K=2, dtype=jnp.float32, scale=10.0, location=1.6e9)
    head = oracle.params.recognition["heads"][0]
    head["kernel"].set_value(0 * head["kernel"][...])
    head["bias"].set_value(0 * head["bias"][...])
    columns = oracle.model.facts.table
    table = SimpleNamespace(table=columns, to_source=lambda held: tables.back(columns, held.astype(np.float64)))
    row = np.array([[0.7, np.nan, np.nan]], np.float32)
    found = fill(drawing(oracle.model, 4000, 100), oracle.params, table, row, 0)
    exact, variance, _ = oracle.conditional(row[0].astype(np.float64))
    error = 10 * np.sqrt(variance / found.effective[0])  # of the mean by weighted samples
    assert (np.abs(found.mean[0] - (1.6e9 + 10 * exact)) < 4 * error + 1e-5).all()
    assert error.max() < 0.5


def filled_by(oracle, rows, draw, seed=0):
    columns = oracle.model.facts.table
    table = SimpleNamespace(table=columns, to_source=lambda held: tables.back(columns, held.astype(np.float64)))
    return fill(draw, oracle.params, table, rows.astype(np.float32), seed, imputations=2000)


@pytest.mark.parametrize(("latents", "noise", "efforts"), [(1, 0.2, 1), (2, 0.05, 2)])
def test_one_or_two_latents_are_filled_by_their_exact_posterior(latents, noise, efforts, caplog):
    """The recognition network is at its start, a poor q, whose samples' means are far off. With little noise the first
    grid does not do."""
    oracle = FactorAnalysis(D=5, K=latents, dtype=jnp.float32, scale=3.0, location=-2.0, noise=noise)
    rows, _ = oracle.data(60)
    exact = [np.stack(part) for part in zip(*(oracle.conditional(row) for row in rows), strict=True)]
    gaps = np.isnan(rows)
    mean, deviation = 3 * exact[0] - 2, 3 * np.sqrt(exact[1])
    draw = drawing(oracle.model, 500, 2000)
    found = filled_by(oracle, rows, draw)
    assert len(draw._compiled) == efforts
    assert np.abs((found.mean - mean)[gaps] / deviation[gaps]).max() < 0.01
    rowwise = gaps.any(1)
    assert (found.effective == 500)[rowwise].all()
    assert (found.khat == 0)[rowwise].all()
    drawn = found.draws.std(0)[gaps] / deviation[gaps]
    assert abs(drawn.mean() - 1) < 0.01
    assert np.abs(drawn - 1).max() < 0.08
    assert np.abs((found.draws.mean(0) - mean)[gaps] / deviation[gaps]).max() < 0.1
    covered = (found.lower < mean)[gaps] & (mean < found.upper)[gaps]
    assert covered.all()
    assert "k-hat" not in caplog.text
    by_q = filled_by(oracle, rows, drawing(oracle.model, 500, 2000, "chain"))
    assert np.abs((by_q.mean - mean)[gaps] / deviation[gaps]).max() > 0.2
    assert "imputation: of" in caplog.text


def test_a_grid_below_what_samples_show_is_not_taken():
    oracle = FactorAnalysis(D=3, K=1, dtype=jnp.float32)
    rows, _ = oracle.data(8)
    draw = drawing(oracle.model, 500, 50)
    assert isinstance(draw, GridDraw)
    x = jnp.asarray(rows, jnp.float32)
    told = draw.by_samples(oracle.params, jax.random.key(0), x)
    high = GridDraw(oracle.model, lambda *_: told._replace(log_likelihood=told.log_likelihood + 100), 500, 50)
    high.efforts = high.efforts[:1]  # the others take long, and are refused as this one
    refused = high(oracle.params, jax.random.key(0), x)
    assert (refused.mean == np.asarray(told.mean)).all()
    assert (refused.draws == np.asarray(told.draws)).all()
    assert (refused.khat == np.asarray(told.khat)).all()


def test_many_latents_with_a_poor_q_are_told(caplog):
    oracle = FactorAnalysis(D=8, K=4, dtype=jnp.float32)
    rows, _ = oracle.data(40)
    found = filled_by(oracle, rows, drawing(oracle.model, 500, 100))
    assert "rows with gaps fewer than 10 samples count, or k-hat is above 0.7, so that means" in caplog.text
    assert found.khat.shape == (40,)
    caplog.clear()
    few = filled_by(oracle, rows, drawing(oracle.model, 100, 100))
    assert np.isnan(few.khat).all()  # no tail to look at; the effective numbers tell
    assert "imputation: of" in caplog.text


@pytest.mark.parametrize("latents", [1, 2])
def test_rows_are_drawn_apart(latents):
    """A completed table is a draw: a column's mean over 200 empty rows differs from table to table as it should."""
    oracle = FactorAnalysis(D=4, K=latents, dtype=jnp.float32)
    found = filled_by(oracle, np.full((200, 4), np.nan), drawing(oracle.model, 200, 2000))
    apart = found.draws.mean(1).std(0) / (found.draws.std((0, 1)) / np.sqrt(200))
    assert np.abs(apart - 1).max() < 0.1


def test_what_is_integrated_needs_no_samples(caplog):
    oracle = FactorAnalysis(D=5, K=1, dtype=jnp.float32)
    rows, truth = oracle.data(30)
    rows[0] = truth[0]
    found = filled_by(oracle, rows, drawing(oracle.model, 5, 100))
    assert "imputation" not in caplog.text
    assert (found.khat == 0)[np.isnan(rows).any(1)].all()
    assert np.isnan(found.khat[0])  # it has no gap
    exact = np.stack([oracle.conditional(row)[0] for row in rows])
    assert np.abs(found.mean - exact).max() < 0.01


@pytest.mark.parametrize(("error", "by_grid"), [(0.1, True), (0.9, True), (50.0, False)])
def test_a_grid_that_has_not_converged_is_taken_where_it_tells_more_than_q(error, by_grid, caplog):
    oracle = FactorAnalysis(D=5, K=1, dtype=jnp.float32)
    rows, _ = oracle.data(12)
    draw = drawing(oracle.model, 500, 50)
    x = jnp.asarray(rows, jnp.float32)
    told = jax.device_get(draw.by_samples(oracle.params, jax.random.key(0), x))
    assert told.effective.min() > 1
    poor = GridDraw(oracle.model, lambda *_: told._replace(effective=np.full(12, 1.1)), 500, 50)
    poor.efforts = poor.efforts[:1]
    inner = poor._rows
    poor._rows = lambda *given: inner(*given)._replace(error=np.full(len(given[2]), error))
    found = poor(oracle.params, jax.random.key(0), x)
    filled = np.isnan(rows).any(1)
    assert (found.mean[filled] == np.asarray(told.mean)[filled]).all() == (not by_grid)
    if by_grid:
        assert found.effective[filled] == pytest.approx(min(500, error**-2))
        assert np.isnan(found.khat[filled]).all()
