"""Objectives over the rollout record: identities, exact bounds, and what their gradients estimate."""

import functools
import itertools
import re
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special
from support.linear_gaussian import LinearGaussian
from support.models import batch, dlgm, summary, view
from support.quadrature import estimated_gradients, expected_gradient

from sbvi.algorithms.gradient_ascent import objective_scores
from sbvi.core import UserError, build
from sbvi.gradients import Paths
from sbvi.models.capabilities import LatentVariable
from sbvi.models.rollout import Rollout
from sbvi.objectives import OBJECTIVES, FreeEnergy, ImportanceWeighted, KLWeight, Renyi, evaluated
from sbvi.objectives.compatibility import check_latent_noise
from sbvi.objectives.discrete import renyi_value
from sbvi.objectives.pieces import LayeredKLWeight
from sbvi.runs import Experiment

ONE = 1.0


@pytest.fixture
def oracle(x64):
    return linear_gaussian()


@functools.cache
def linear_gaussian():
    """To be read alone."""
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
    """Loss is minus the mean of the monitored part; the ELBO is the sum of its parts; validation tells of
    the whole KL term."""
    x = oracle.data(8)
    objective = OBJECTIVES[name]()

    @jax.jit
    def both(params, x):
        key = jax.random.key(0)
        scored = objective_scores(objective, oracle.model, params, key, batch(x))
        return *objective(view(oracle.model, params, key, x), {"kl_weight": ONE}), scored

    loss, report, scored = jax.device_get(both(oracle.params, x))
    for part, values in report.items():
        np.testing.assert_allclose(scored[part], values, rtol=1e-10, err_msg=part)
    assert loss.shape == ()
    np.testing.assert_allclose(loss, -np.mean(report[objective.monitor]), rtol=1e-10)
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
        return jax.lax.map(lambda key: jax.grad(loss)(oracle.params, key), keys, batch_size=100)

    found = all_of_them(jax.random.split(jax.random.key(5), count))

    def flat(tree):
        return np.concatenate([np.asarray(leaf).reshape(count, -1) for leaf in jax.tree.leaves(tree)], 1)

    return flat(found.recognition), flat(found.generative)


WEIGHTS = [0.0, 0.3, 1.0, 2.0]  # of the KL term


def right(objective, alpha):
    """Whether the gradient is the bound's in expectation: for each weight, by parameter."""
    found = estimated_gradients(objective, WEIGHTS)
    wanted = [expected_gradient(objective.num_samples, alpha, weight) for weight in WEIGHTS]
    assert all(abs(value) > 1e-3 for each in wanted for value in each.values())
    return [{name: abs(f[name] - w[name]) < 3e-5 for name in w} for f, w in zip(found, wanted, strict=True)]


def everywhere(found):
    return all(all(each.values()) for each in found)


@pytest.mark.parametrize("num_samples", [1, 2, 3])
@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0, 2.0])
@pytest.mark.parametrize("estimator", ["standard", "doubly_reparameterised"])
def test_estimators_equal_the_bounds_gradient_in_expectation(estimator, alpha, num_samples, x64):
    """At every weight of the KL term, against the derivative of a quadrature."""
    assert everywhere(right(Renyi(num_samples=num_samples, alpha=alpha, estimator=estimator), alpha))


@pytest.mark.parametrize("num_samples", [1, 2, 3])
def test_what_sticking_the_landing_drops_has_mean_zero_at_any_weight(num_samples, x64):
    """In the free energy, and in bounds over several samples where these are one, or alpha is 1."""
    landing = {"num_samples": num_samples, "estimator": "sticking_the_landing"}
    assert everywhere(right(FreeEnergy(kl="sampled", **landing), 1.0))
    assert everywhere(right(Renyi(alpha=1.0, **landing), 1.0))
    assert everywhere(right(Renyi(alpha=0.4, **landing), 0.4)) == (num_samples == 1)


@pytest.mark.parametrize("alpha", [0.0, 0.4, 2.0])
def test_sticking_the_landing_is_biased_over_several_samples(alpha, x64):
    """By its docstring; without a KL term, and for the generative parameters, it is not."""
    objective = Renyi(num_samples=3, alpha=alpha, estimator="sticking_the_landing")
    assert right(objective, alpha) == [{"mean": w == 0, "log_scale": w == 0, "slope": True} for w in WEIGHTS]


def test_doubly_reparameterised_weighs_the_samples_paths_in_one_rollout(oracle):
    """Equal to the rule written out, at KL weights 1 and others: v grad log w for the generative parameters, and
    v (1 - c (1 - alpha) (1 - v)) on the paths of the samples, which is v^2 for c = 1 and alpha = 0; any multiple of
    the loss has that multiple of the gradient; the decoder is applied once."""
    x, key, alpha = oracle.data(3), jax.random.key(5), 0.3

    def loss(params, estimator, scale, weight):
        seen = view(oracle.model, params, key, x)
        return scale * Renyi(num_samples=4, alpha=alpha, estimator=estimator)(seen, {"kl_weight": weight})[0]

    def written_out(params, weight, on_paths):
        rollout = oracle.model.rollout(params, key, x, 4, paths=Paths(detach_posterior=True))
        ratio = rollout.log_prior["layer_1"] - rollout.log_posterior["layer_1"]
        log_weights = rollout.log_likelihood + weight * ratio
        v = jax.lax.stop_gradient(jax.nn.softmax((1 - alpha) * log_weights, axis=0))
        factor = 1 - weight * (1 - alpha) * (1 - v) if on_paths else 1.0
        return -jnp.mean(jnp.sum(v * factor * log_weights, axis=0))

    @jax.jit
    def program(params, scale, weight):
        found = jax.grad(loss)(params, "doubly_reparameterised", scale, weight)
        return found, [jax.grad(written_out)(params, weight, on_paths) for on_paths in (False, True)]

    for scale, weight in ((1.0, 1.0), (3.0, 0.3), (1.0, 4.0)):
        found, (decoder, encoder) = program(oracle.params, scale, weight)
        for part, wanted in (("generative", decoder.generative), ("recognition", encoder.recognition)):
            for a, b in zip(jax.tree.leaves(getattr(found, part)), jax.tree.leaves(wanted), strict=True):
                np.testing.assert_allclose(a, scale * b, rtol=1e-9, atol=1e-12)
    products = {
        e: str(jax.make_jaxpr(lambda p, e=e: jax.grad(loss)(p, e, 1.0, 1.0))(oracle.params)).count("dot_general")
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
    loss, report = jax.device_get(evaluate(FreeEnergy(), oracle, x, weight=0.25))
    np.testing.assert_allclose(loss, np.mean(0.25 * report["kl"] - report["log_likelihood"]), rtol=1e-10)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("estimator", ["standard", "sticking_the_landing"])
def test_a_bound_is_told_without_the_weight(alpha, estimator):
    """While the loss has it; of a weight that is always 1 nothing is summed twice."""
    likelihood, prior, posterior = np.random.default_rng(0).normal(size=(3, 4, 2)).astype(np.float32)
    scored = Rollout(None, jnp.asarray(likelihood), {"a": jnp.asarray(prior)}, {"a": jnp.asarray(posterior)}, None)
    seen = SimpleNamespace(rollout=lambda num_samples, paths: scored)
    told = {"kl_weight": jnp.float32(0.3)}
    values = [
        np.mean(w, 0) if alpha == 1 else np.log(np.mean(np.exp((1 - alpha) * w), 0)) / (1 - alpha)
        for w in (likelihood + weight * (prior - posterior) for weight in (1.0, 0.3))
    ]
    for weight in (KLWeight(beta=0.3), KLWeight(warmup_epochs=2.0)):
        loss, report = Renyi(alpha=alpha, estimator=estimator, kl_weight=weight)(seen, told)
        np.testing.assert_allclose(report["bound"], values[0], rtol=1e-5)
        np.testing.assert_allclose(loss, -np.mean(values[1]), rtol=1e-5)
    always = [KLWeight(), KLWeight(start=1.0, warmup_epochs=2.0), LayeredKLWeight()]
    assert not any(weight.changes for weight in always)
    sums = [str(jax.make_jaxpr(lambda w=w: Renyi(kl_weight=w)(seen, told))()).count(" exp ") for w in always]
    assert sums == [1, 1, 1]


def test_kl_weights_of_layers():
    weight = LayeredKLWeight(start=0.2, beta=2.0, warmup_epochs=3.0, layer_epochs=2.0)
    steps = np.array([0, 20, 35, 50, 110])
    numbers = weight.numbers(steps, 10.0)
    np.testing.assert_allclose(weight.of(numbers, 0), [0.2, 1.4, 2.0, 2.0, 2.0])
    np.testing.assert_allclose(weight.of(numbers, 1), [0.2, 0.2, 1.1, 2.0, 2.0])
    np.testing.assert_allclose(weight.of(numbers, 2), [0.2, 0.2, 0.2, 0.8, 2.0])
    assert list(LayeredKLWeight(warmup_epochs=3.0).numbers(steps, 10.0)) == ["kl_weight"]
    with pytest.raises(ValueError, match=r"layer_epochs=2\.0 delays a warm-up; set warmup_epochs"):
        LayeredKLWeight(layer_epochs=2.0)
    # A top-down posterior's nodes come in another order.
    model = dlgm((5,), posterior="top_down", latents=(3, 2), hidden=(4,), recognition_hidden=(4,))
    params = model.init(0, summary(np.full(5, 0.5), np.ones(5)))
    x = jnp.asarray(np.random.default_rng(0).integers(0, 2, (4, 5)), jnp.float32)
    told = {"kl_weight": jnp.float32(1.0), "kl_epochs": jnp.float32(3.5)}
    objective = FreeEnergy(kl_weight=LayeredKLWeight(warmup_epochs=3.0, layer_epochs=2.0))
    loss, report = jax.jit(lambda p, v: objective(view(model, p, jax.random.key(1), v), told))(params, x)
    kl = report["kl/layer_1"] + 0.5 * report["kl/layer_2"]
    np.testing.assert_allclose(loss, np.mean(kl - report["log_likelihood"]), rtol=1e-6)
    for words in (["model.latents=[3]"], ["model.latents=[3,2]", "posterior=joint_rank_one"]):
        late = ["objective.kl_weight.warmup_epochs=3", "objective.kl_weight.layer_epochs=2"]
        with pytest.raises(UserError, match=r"layer_epochs=2\.0 is for several stochastic layers"):
            Experiment.from_overrides([*words, *late])


def test_free_bits_cost_nothing_below_their_floor(oracle):
    x = oracle.data(4)
    _, report = jax.device_get(evaluate(FreeEnergy(), oracle, x))
    floor = float(report["kl"].mean()) + 1.0
    loss, _ = evaluate(FreeEnergy(free_bits=floor), oracle, x)
    np.testing.assert_allclose(loss, floor - np.mean(report["log_likelihood"]), rtol=1e-10)
    for name in ("importance_weighted", "renyi"):  # a bound over several samples has no KL of a layer
        with pytest.raises(UserError, match=r"objective\.free_bits=0\.5 is not a key"):
            build(OBJECTIVES, "objective", {"name": name, "free_bits": 0.5})


def test_impossible_pairs_are_refused():
    with pytest.raises(ValueError, match="needs kl=sampled"):
        FreeEnergy(estimator="sticking_the_landing")


def test_noise_on_samples_is_refused_where_the_score_is_dropped():
    for objective in (
        FreeEnergy(kl="sampled", estimator="sticking_the_landing"),
        ImportanceWeighted(estimator="doubly_reparameterised"),
        Renyi(estimator="sticking_the_landing"),
    ):
        with pytest.raises(UserError, match=r"model\.latent_noise=0\.2 moves samples off q.*allowed: "):
            check_latent_noise(objective.estimator, 0.2)
        check_latent_noise(objective.estimator, 0.0)
    check_latent_noise("standard", 0.2)
    named = {"dataset": "digits", "likelihood": "bernoulli", "posterior": "diagonal"}
    config = {group: {"name": name} for group, name in named.items()} | {
        "model": {"name": "dlgm", "latent_noise": 0.2},
        "objective": {"name": "renyi", "estimator": "doubly_reparameterised"},
        "trainer": {"steps": 1},
        **{group: {} for group in ("optimizer", "evaluation", "runtime")},
    }
    with pytest.raises(UserError, match=r"model\.latent_noise=0\.2"):
        Experiment.from_config(config)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.995, 1 - 1e-5, 1 - 1e-7, 1.0, 1 + 1e-6, 1.005, 3.0])
def test_orders_near_one_keep_their_digits(alpha):
    """Log weights of -90 in float32: without a sum of its own an order of 1 - 1e-7 is some nats off. One row's are
    hundreds of nats apart."""
    rows = np.random.default_rng(0).normal(size=(5, 8)) * np.r_[np.full(7, 3.0), 300.0] - 90
    log_weights = rows.astype(np.float32)
    wide = log_weights.astype(np.float64)
    raised = (1 - alpha) * wide
    exact = wide.mean(0) if alpha == 1 else (special.logsumexp(raised, 0) - np.log(5)) / (1 - alpha)

    def total(values):
        return jnp.sum(renyi_value(values, alpha)), renyi_value(values, alpha)

    (_, found), slope = jax.jit(jax.value_and_grad(total, has_aux=True))(jnp.asarray(log_weights))
    np.testing.assert_allclose(found, exact, rtol=5e-7, atol=3e-5)
    np.testing.assert_allclose(slope, special.softmax(raised, 0), atol=1e-4)


class Misshapen:
    """An objective as a package might write it. made: (examples,) -> loss and parts."""

    monitor = "elbo"

    def __init__(self, made):
        self.made = made

    def __call__(self, view, numbers):
        elbo = view.rollout(1).log_likelihood[0]
        return self.made(elbo)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda elbo: (-elbo, {"elbo": elbo}), "a loss of the shape (8,); it must be one number"),
        (lambda elbo: (-jnp.mean(elbo)[None], {"elbo": elbo}), "a loss of the shape (1,)"),
        (lambda elbo: (-jnp.mean(elbo), {"elbo": jnp.mean(elbo)}), "elbo of the shape () for 8 examples"),
        (lambda elbo: (-jnp.mean(elbo), {"elbo": elbo[:, None]}), "elbo of the shape (8, 1) for 8 examples"),
        (lambda elbo: (None, {"elbo": elbo}), "a loss that is a NoneType"),
        (lambda elbo: (-jnp.mean(elbo), {"elbo": {"of": elbo}}), "elbo that is a dict"),
        (lambda elbo: -jnp.mean(elbo), "it must give a loss, and a dict of the parts to report"),
        (lambda elbo: (-jnp.mean(elbo), elbo), "it must give a loss, and a dict of the parts to report"),
    ],
)
def test_a_loss_or_a_part_of_another_shape_is_refused(oracle, made, said):
    """Parts spread over a batch would be averaged to a number of nothing; in training and in validation alike."""
    objective, x = Misshapen(made), oracle.data(8)
    seen = view(oracle.model, oracle.params, jax.random.key(0), x)
    for run in (
        lambda: evaluated(objective, seen, {}),
        lambda: objective_scores(objective, oracle.model, oracle.params, jax.random.key(0), batch(x)),
    ):
        with pytest.raises(UserError, match=re.escape(said)) as raised:
            jax.eval_shape(run)
        assert "Misshapen" in str(raised.value)
