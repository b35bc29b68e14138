"""Gaps filled from a model's draws."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
from support.gaps import FactorAnalysis

from sbvi.data.tabular import columns as tables
from sbvi.evaluation.filling import drawing, fill


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
