"""The study of estimators on an enumerable model: no bias beyond noise, and the order of their variances."""

import jax.numpy as jnp
from support.enumerable import Enumerated, machine

from sbvi.evaluation.estimator_study import study_estimators


def test_estimators_differ_in_variance_alone(x64):
    model, params = machine(seed=1)
    x = jnp.asarray(Enumerated(params).x[[3, 9]])
    found = {(r.bound, r.estimator): r for r in study_estimators(model, params, x, 5, 1000, 2000, 1)}
    assert len(found) == 9
    for row in found.values():
        assert row.bias < 3 * row.noise
    for bound in ("free_energy", "importance_weighted", "renyi"):
        plain, level, others = (found[bound, e].variance_recognition for e in ("score_function", "nvil", "vimco"))
        assert max(others, level) < 0.2 * plain
        if bound != "free_energy":  # of single samples, the mean of four others is a noisier baseline than a constant
            assert others < level
