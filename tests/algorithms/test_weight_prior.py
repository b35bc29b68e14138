"""The weight prior N(0, kappa I): p / (kappa N) more in the gradient of every parameter that it is on, 0 elsewhere."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.enumerable import machine
from support.models import batch, dlgm, summary

from sbvi.algorithms import ALGORITHMS, Optimizer
from sbvi.distributions.priors import PRIORS
from sbvi.objectives import OBJECTIVES

KAPPA, EXAMPLES = 0.3, 70
X = np.array([[1.0, 0, 1, 1], [0, 0, 1, 0]])
ASCENT = OBJECTIVES["free_energy"]
WAYS = {
    "bihm": {"num_samples": 2},
    "reweighted_wake_sleep": {"num_samples": 2},
    "wake_sleep": {},
    "vimco": {"objective": ASCENT(num_samples=2, estimator="vimco")},
    "nvil": {"objective": ASCENT(num_samples=2, estimator="nvil")},
}
PATHWISE = {"pathwise": {"objective": ASCENT()}}


def moved(model, params, way):
    """What plain descent at rate 1 takes off the model's parameters in a step."""
    spec = ALGORITHMS.get(way, ALGORITHMS["gradient_ascent"])
    algorithm = spec(optimizer=Optimizer(name="sgd", learning_rate=1.0), **(WAYS | PATHWISE)[way]).build(
        model, EXAMPLES
    )
    hyper = {n: jnp.asarray(v[0], X.dtype) for n, v in algorithm.hypers(np.zeros(1), 10, 10).items()}
    state = jax.jit(algorithm.step)(algorithm.fresh(params), batch(jnp.asarray(X)), jax.random.key(0), hyper)[0]
    return jax.tree.map(lambda a, b: np.asarray(a - b), params, algorithm.eval_params(state))


def differs_by(found, plain, wanted):
    for a, b, c in zip(*map(jax.tree.leaves, (found, plain, wanted)), strict=True):
        np.testing.assert_allclose(a - b, c, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("way", WAYS)
def test_every_layer_of_p_is_pulled_and_none_of_q(way, x64):
    plain, params = machine(seed=2)
    pulled, _ = machine(seed=2, weight_prior_variance=KAPPA)
    wanted = jax.tree.map(lambda p: p / (KAPPA * EXAMPLES), params)
    wanted = wanted._replace(recognition=jax.tree.map(jnp.zeros_like, params.recognition))
    differs_by(moved(pulled, params, way), moved(plain, params, way), wanted)


def test_of_a_dlgm_the_networks_are_pulled_and_a_learned_prior_is_not(x64):
    """A density of the latents has no weights that a prior of the networks' is on."""
    models = {}
    for kappa in (KAPPA, None):
        models[kappa] = dlgm((4,), latents=(3, 2), weight_prior_variance=kappa, prior=PRIORS["mixture"](components=2))
    params = models[None].init(0, summary(np.full(4, 0.3), np.ones(4)))
    params = jax.tree.map(lambda p: jnp.asarray(p, jnp.float64), params)
    assert jax.tree.leaves(params.prior)
    wanted = jax.tree.map(jnp.zeros_like, params)
    wanted = wanted._replace(generative=jax.tree.map(lambda p: p / (KAPPA * EXAMPLES), params.generative))
    differs_by(moved(models[KAPPA], params, "pathwise"), moved(models[None], params, "pathwise"), wanted)
