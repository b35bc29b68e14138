"""Factors and solutions of linear systems against NumPy's, their derivatives against JAX's, and threads at once."""

import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.paths import ROOT
from support.processes import environment

from sbvi.core.xla import matrices
from sbvi.core.xla.matrices import FEW, cholesky, solve, solve_lower

pytestmark = [pytest.mark.quick, pytest.mark.usefixtures("x64")]
#: Of which both forms are tried, see `either_form`: arithmetic on batches, and JAX's own.
MODULE = matrices

SIZES = [1, 2, FEW, FEW + 3]
#: Two threads run a program of four systems that do not depend on each other, which held all of XLA's threads.
THREADS = """
import threading, jax, jax.numpy as jnp
from sbvi.core.xla.matrices import cholesky, solve_lower

def program(covariance, right):
    def body(_, x):
        parts = [solve_lower(cholesky(covariance * (k + 1)), x * (k + 1)) for k in range(4)]
        return jnp.sin(sum(parts))
    return jax.lax.fori_loop(0, 30, body, right)

covariance = jnp.broadcast_to(2 * jnp.eye(2) + 0.1, (100, 2, 2))
compiled = jax.jit(program).lower(covariance, jnp.ones((100, 2, 1000))).compile()
run = lambda: jax.block_until_ready(compiled(covariance, jnp.ones((100, 2, 1000))))
threads = [threading.Thread(target=run) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("ended")
"""


def systems(size, batch=3):
    """Lower factors (B, K, K) and right sides (B, K, 4)."""
    random = np.random.default_rng(size)
    return np.tril(random.normal(size=(batch, size, size))) + 3 * np.eye(size), random.normal(size=(batch, size, 4))


@pytest.mark.usefixtures("either_form")
@pytest.mark.parametrize("size", SIZES)
def test_lower_triangular_systems(size):
    factor, right = systems(size)
    np.testing.assert_allclose(solve_lower(factor, right), np.linalg.solve(factor, right), rtol=1e-12)
    above = factor + np.triu(np.ones((size, size)), 1)  # of which nothing is read
    np.testing.assert_array_equal(solve_lower(above, right), solve_lower(factor, right))


@pytest.mark.usefixtures("either_form")
@pytest.mark.parametrize("size", SIZES)
def test_factors(size):
    factor = systems(size)[0]
    np.testing.assert_allclose(cholesky(jnp.asarray(factor @ factor.swapaxes(1, 2))), factor, rtol=1e-11, atol=1e-12)


@pytest.mark.usefixtures("either_form")
@pytest.mark.parametrize("matrix", [[[1.0, 2.0], [2.0, 1.0]], [[0.0, 0.0], [0.0, 1.0]], [[-1.0, 0.0], [0.0, 1.0]]])
def test_what_has_no_factor_leaves_its_neighbour(matrix):
    first, second = cholesky(jnp.asarray([matrix, np.eye(2)]))
    assert np.isnan(np.diag(first)).all() or np.isnan(np.asarray(first)[1, 1])
    np.testing.assert_array_equal(second, np.eye(2))


@pytest.mark.parametrize("size", [3, FEW + 1])
def test_derivatives_are_those_of_jax(size):
    factor, right = systems(size)

    def told(solved):
        loss = lambda a, b: jnp.sum(jnp.sin(solved(a, b)))  # noqa: E731
        forward = jax.jvp(loss, (factor, right), (np.tril(np.ones_like(factor)), right))[1]
        twice = jax.grad(lambda b: jnp.sum(jax.grad(loss, 0)(factor, b) ** 2))(right)
        return *jax.grad(loss, (0, 1))(factor, right), forward, twice

    plain = told(lambda a, b: jax.scipy.linalg.solve_triangular(a, b, lower=True))
    for own, expected in zip(told(solve_lower), plain, strict=True):
        np.testing.assert_allclose(own, expected, rtol=1e-9, atol=1e-12)


def test_systems_of_runs_side_by_side_are_solved_one_after_another():
    factor, right = systems(5)
    matrix = factor + factor.swapaxes(1, 2)
    losses = [
        jax.vmap(jax.grad(lambda a, b, s=s: jnp.sum(jnp.sin(s(a, b))), (0, 1))) for s in (solve, jnp.linalg.solve)
    ]
    np.testing.assert_allclose(jax.vmap(solve)(matrix, right), np.linalg.solve(matrix, right), rtol=1e-10)
    for own, expected in zip(losses[0](matrix, right), losses[1](matrix, right), strict=True):
        np.testing.assert_allclose(own, expected, rtol=1e-9, atol=1e-12)


def test_no_other_module_calls_lapack_from_a_program():
    """Which would share a batch out among XLA's threads, and may wait for ever."""
    called = re.compile(
        r"(jnp|jax\.numpy|jax\.scipy|lax)\.linalg|from jax\.(scipy|numpy|lax)\S* import .*linalg|from jax\.\S*linalg"
    )
    sources = {path.name: path.read_text() for path in (ROOT / "sbvi").rglob("*.py")}
    assert [name for name, text in sources.items() if called.search(text)] == ["matrices.py"]


def test_programs_of_several_threads_end(tmp_path):
    command = [sys.executable, "-c", THREADS]
    ended = subprocess.run(command, cwd=tmp_path, env=environment(), timeout=120, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, "ended\n"), ended.stderr
