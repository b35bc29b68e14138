"""Reported numbers are traced with products in all digits, wherever they run; and chains that have not met are told."""

import jax
import numpy as np
from support.paths import ROOT

from sbvi.core.precision import full_precision, jit_reported
from sbvi.data.sources.synthetic import Synthetic
from sbvi.evaluation.batched import batched, map_batches
from sbvi.evaluation.trust import chains_met, passing_converged


def traced(monkeypatch, backend):
    """JAX's precision of products at the time a score is traced."""
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    dataset = Synthetic(dimensions=3, train_size=10, validation_size=10, test_size=6).load()
    seen = []

    def score(params, key, batch):
        seen.append(jax.config.jax_default_matmul_precision)
        return batch.x

    found = map_batches(score, dataset)((), jax.random.key(0), batched(dataset, "test", 3))
    np.testing.assert_array_equal(found, dataset.seen("test"))
    return seen


def test_scores_on_an_accelerator_take_all_digits(monkeypatch):
    assert set(traced(monkeypatch, "gpu")) == {"highest"}
    assert jax.config.jax_default_matmul_precision is None
    assert set(traced(monkeypatch, "cpu")) == {None}


def test_so_do_functions_that_report(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    seen = []

    def doubled(x):
        seen.append(jax.config.jax_default_matmul_precision)
        return 2 * x

    assert jit_reported(doubled)(np.ones((), np.float32)) == 2
    assert seen == ["highest"]


def test_what_reports_compiles_in_no_other_way():
    """Tasks, loaded runs, the estimators of tables, and evaluation but for studies of the gradients of training."""
    studies = {"estimator_study.py", "gradient_study.py"}
    own = {"batched.py", "quadrature.py", "annealed.py"}  # within the context
    for room in ("tasks", "runs", "sklearn", "evaluation"):
        for path in (ROOT / "sbvi" / room).rglob("*.py"):
            assert path.name in studies | own or "jax.jit" not in path.read_text(), path


def test_the_program_says_so(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    with full_precision():
        program = jax.make_jaxpr(lambda x: x @ x)(np.ones((2, 2), np.float32))
    assert "Precision.HIGHEST" in str(program)


def test_chains_that_have_not_met_are_told_in_one_sentence(caplog):
    assert chains_met("imputation", np.array([1.0, 1.05, 1.1, 1.02] * 5)) == 0
    assert not caplog.records
    assert chains_met("imputation", np.array([1.0, 1.2, np.inf, np.nan])) == 0.75
    (record,) = caplog.records
    assert record.getMessage().startswith(
        "imputation: of 75 % of the examples the chains have not met (R-hat above 1.1)"
    )
    assert record.getMessage().endswith("take more iterations, and more of them as warm-up.")
    caplog.clear()
    assert chains_met("imputation", np.array([1.2]), particles=True) == 1
    (record,) = caplog.records
    assert "the populations of particles have not met (R-hat above 1.1)" in record.getMessage()
    assert record.getMessage().endswith("take more iterations, thousands of them.")


def test_message_passing_that_has_not_converged_is_told(caplog):
    passing_converged("ml_vamp", np.array([True] * 9 + [False]))
    assert not caplog.records
    passing_converged("ml_vamp", np.array([True, False, False, False]))
    (record,) = caplog.records
    assert record.getMessage().startswith("ml_vamp: message passing of 75 % of the examples has not converged")
