"""Objectives over the rollout record: identities, exact bounds, and what their gradients estimate."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.linear_gaussian import LinearGaussian
from support.models import view

from sbvi.gradients import Paths
from sbvi.models.api import LatentVariable
from sbvi.objectives import OBJECTIVES, FreeEnergy, ImportanceWeighted, KLWeight, Renyi

ONE = 1.0


@pytest.fixture
def oracle(x64):
    found = LinearGaussian(np.random.default_rng(3).normal(size=(6, 3)))
    found.set_recognition(np.full(3, -0.4))
    return found


def evaluate(objective, oracle, x, key=0, weight=ONE):
    @jax.jit
    def both(params, x):
        seen = view(oracle.model, params, jax.random.key(key), x)
        return objective(seen, {"kl_weight": weight})

    return both(oracle.params, x)


@pytest.mark.parametrize("name", [n for n, entry in OBJECTIVES.items() if entry.needs is LatentVariable])
def test_contract(name, oracle):
    """Loss is minus the mean of the monitored part; the ELBO is the sum of its parts."""
    x = oracle.data(8)
    objective = OBJECTIVES[name]()
    loss, report = evaluate(objective, oracle, x)
    assert loss.shape == ()
    np.testing.assert_allclose(loss, -jnp.mean(report[objective.monitor]), rtol=1e-10)
    np.testing.assert_allclose(report["elbo"], report["log_likelihood"] - report["kl"], rtol=1e-10)
    assert all(part.shape == (8,) for part in report.values())
    assert (report["elbo"] < oracle.log_likelihood(x) + 5).all()


def test_renyi_ends_at_the_other_two(oracle):
    x = oracle.data(8)
    kl = {"kl": "sampled"}
    for alpha, other in ((1.0, FreeEnergy(num_samples=7, **kl)), (0.0, ImportanceWeighted(num_samples=7))):
        found = evaluate(Renyi(num_samples=7, alpha=alpha), oracle, x)[1]["bound"]
        np.testing.assert_allclose(found, evaluate(other, oracle, x)[1][other.monitor], rtol=1e-9)
    nearly = evaluate(Renyi(num_samples=7, alpha=1 - 1e-6), oracle, x)[1]["bound"]
    np.testing.assert_allclose(nearly, evaluate(Renyi(num_samples=7, alpha=1.0), oracle, x)[1]["bound"], rtol=1e-4)


def test_bound_rises_with_samples_and_stays_below_the_exact_likelihood(oracle):
    x = oracle.data(200)
    exact = oracle.log_likelihood(x).mean()

    @jax.jit
    def weights(key):
        return oracle.model.rollout(oracle.params, key, x, 64).log_weights()

    log_weights = np.stack([weights(jax.random.key(i)) for i in range(40)])  # (R, S, B)
    bounds = []
    for count in (1, 4, 16, 64):  # paired: every bound uses the same 64 draws, in groups
        groups = log_weights.reshape(40, 64 // count, count, -1)
        top = groups.max(2, keepdims=True)
        bounds.append((np.log(np.exp(groups - top).mean(2)) + top[:, :, 0]).mean((1, 2)))
    for low, high in itertools.pairwise(bounds):
        gain = high - low
        assert gain.mean() > 4 * gain.std() / np.sqrt(len(gain))
    assert bounds[-1].mean() < exact + 3 * bounds[-1].std() / np.sqrt(40)


def gradients(objective, oracle, x, count):
    """`count` draws of the gradient: (count, number of recognition and generative parameters)."""

    def loss(params, key):
        return objective(view(oracle.model, params, key, x), {"kl_weight": ONE})[0]

    @jax.jit
    def all_of_them(keys):
        return jax.lax.map(lambda key: jax.grad(loss)(oracle.params, key), keys)

    found = all_of_them(jax.random.split(jax.random.key(5), count))

    def flat(tree):
        return np.concatenate([np.asarray(leaf).reshape(count, -1) for leaf in jax.tree.leaves(tree)], 1)

    return flat(found.recognition), flat(found.generative)


def agree(a, b):
    stderr = np.sqrt(a.var(0) / len(a) + b.var(0) / len(b))
    return np.abs(a.mean(0) - b.mean(0)) <= 5 * stderr + 1e-9


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_doubly_reparameterised_equals_standard_in_expectation(alpha, oracle):
    x = oracle.data(3)
    standard, doubly = (
        gradients(Renyi(num_samples=5, alpha=alpha, estimator=e), oracle, x, 20_000)
        for e in ("standard", "doubly_reparameterised")
    )
    for a, b in zip(standard, doubly, strict=True):
        assert agree(a, b).all()
        assert np.abs(a.mean(0)).max() > 10 * (a.std(0) / np.sqrt(len(a))).max()  # a test that could fail


def test_doubly_reparameterised_weighs_the_samples_paths_in_one_rollout(oracle):
    """Equal to the rule written out: v grad log w for the generative parameters, v^2 on the paths of the samples;
    any multiple of the loss has that multiple of the gradient; the decoder is applied once."""
    x, key = oracle.data(3), jax.random.key(5)

    def loss(params, estimator, scale):
        seen = view(oracle.model, params, key, x)
        return scale * ImportanceWeighted(num_samples=4, estimator=estimator)(seen, {"kl_weight": ONE})[0]

    def written_out(params, power):
        rollout = oracle.model.rollout(params, key, x, 4, paths=Paths(detach_posterior=True))
        log_weights = rollout.log_weights()
        normalised = jax.lax.stop_gradient(jax.nn.softmax(log_weights, axis=0))
        return -jnp.mean(jnp.sum(normalised**power * log_weights, axis=0))

    for scale in (1.0, 3.0):
        found = jax.grad(loss)(oracle.params, "doubly_reparameterised", scale)
        for part, power in (("generative", 1), ("recognition", 2)):
            wanted = getattr(jax.grad(written_out)(oracle.params, power), part)
            for a, b in zip(jax.tree.leaves(getattr(found, part)), jax.tree.leaves(wanted), strict=True):
                np.testing.assert_allclose(a, scale * b, rtol=1e-9, atol=1e-12)
    products = {
        e: str(jax.make_jaxpr(lambda p, e=e: jax.grad(loss)(p, e, 1.0))(oracle.params)).count("dot_general")
        for e in ("sticking_the_landing", "doubly_reparameterised")
    }
    assert products["doubly_reparameterised"] == products["sticking_the_landing"] > 2


def test_doubly_reparameterised_has_the_higher_signal_to_noise(oracle):
    x = oracle.data(3)
    ratio = {}
    for estimator in ("standard", "doubly_reparameterised"):
        recognition, _ = gradients(ImportanceWeighted(num_samples=50, estimator=estimator), oracle, x, 3000)
        ratio[estimator] = np.median(np.abs(recognition.mean(0)) / recognition.std(0))
    assert ratio["doubly_reparameterised"] > 1.5 * ratio["standard"]


def test_sticking_the_landing_has_no_variance_at_the_exact_posterior(x64):
    oracle = LinearGaussian(np.random.default_rng(0).normal(size=(6, 4)), posterior="full")
    oracle.set_recognition(oracle.exact_constants())
    x = oracle.data(3)
    sticking, _ = gradients(FreeEnergy(kl="sampled", estimator="sticking_the_landing"), oracle, x, 20)
    standard, _ = gradients(FreeEnergy(kl="sampled"), oracle, x, 20)
    assert np.abs(sticking).max() < 1e-9
    assert standard.std(0).max() > 1e-2


def test_sampled_and_analytic_kl_agree(oracle):
    x = oracle.data(4)
    analytic = evaluate(FreeEnergy(num_samples=20_000), oracle, x)[1]
    sampled = evaluate(FreeEnergy(num_samples=20_000, kl="sampled"), oracle, x)[1]
    np.testing.assert_allclose(sampled["kl"], analytic["kl"], rtol=0.05)


def test_kl_weight(oracle):
    weight = KLWeight(start=0.2, beta=2.0, warmup_epochs=3.0)
    np.testing.assert_allclose(weight.at(np.array([0, 15, 30, 90]), 10.0), [0.2, 1.1, 2.0, 2.0])
    x = oracle.data(4)
    loss, report = evaluate(FreeEnergy(), oracle, x, weight=0.25)
    np.testing.assert_allclose(loss, jnp.mean(0.25 * report["kl"] - report["log_likelihood"]), rtol=1e-10)


def test_free_bits_cost_nothing_below_their_floor(oracle):
    x = oracle.data(4)
    _, report = evaluate(FreeEnergy(), oracle, x)
    floor = float(report["kl"].mean()) + 1.0
    loss, _ = evaluate(FreeEnergy(free_bits=floor), oracle, x)
    np.testing.assert_allclose(loss, floor - jnp.mean(report["log_likelihood"]), rtol=1e-10)
    for objective in (ImportanceWeighted, Renyi):
        with pytest.raises(ValueError, match="not defined for a bound over several samples"):
            objective(free_bits=0.5)


def test_impossible_pairs_are_refused():
    with pytest.raises(ValueError, match="needs kl=sampled"):
        FreeEnergy(estimator="sticking_the_landing")
