"""The Helmholtz machine against enumeration, and each kind of layer's draws against its density."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.enumerable import FACTS, SUMMARY, Enumerated, logsumexp, machine, states

from sbvi.core import UserError
from sbvi.core.spec import build
from sbvi.gradients import Paths
from sbvi.inference.imputation import impute
from sbvi.models import MODELS
from sbvi.models.capabilities import (
    Bidirectional,
    Encoder,
    GaussianRecognition,
    Generative,
    LatentVariable,
    PosteriorDensity,
    offers,
)
from sbvi.models.helmholtz.kinds import UNITS
from sbvi.models.helmholtz.settings import Between
from sbvi.models.values import DataFacts

KINDS = list(UNITS)


def points(exact):
    """All latents as samples, (32, 16, K), for all x."""
    return {n: jnp.asarray(np.broadcast_to(v[:, None], (32, 16, v.shape[1]))) for n, v in exact.latents.items()}


def test_parameters_have_types_of_their_own():
    """A weak one comes out of a step as another type, for which the step is compiled again."""
    model, _ = machine()
    assert not any(leaf.weak_type for leaf in jax.tree.leaves(model.init(0, SUMMARY)))


def test_capabilities():
    model = MODELS["helmholtz"]
    for capability in (LatentVariable, PosteriorDensity, Encoder, Generative, Bidirectional):
        assert offers(model.builds, capability)
    assert not offers(model.builds, GaussianRecognition)


def test_a_layer_of_two_has_no_plane():
    """Pictures ask every prior of a node of two latents for its grid."""
    prior = (
        build(MODELS, "model", {"name": "helmholtz", "layers": [3, 2]}).build(DataFacts((4,), True, None)).node_prior()
    )
    assert not prior.grids
    assert prior.plane((), prior.nodes[0], 3) is None


def test_densities_are_the_enumerated_ones(x64):
    model, params = machine()
    exact = Enumerated(params)
    at, x = points(exact), jnp.asarray(exact.x)
    joint, log_q = jax.jit(lambda p: (model.log_joint(p, at, x), sum(model.posterior(p, x).log_prob(at).values())))(
        params
    )
    np.testing.assert_allclose(joint, exact.log_p.reshape(16, 32).T, rtol=1e-12)
    np.testing.assert_allclose(log_q, exact.log_q.reshape(16, 32).T, rtol=1e-12)
    assert np.exp(exact.log_px).sum() == pytest.approx(1)


def test_the_geometric_mean_is_a_lower_bound_that_sums_to_its_constant(x64):
    """p~ = p BC^2 with the Bhattacharyya coefficient of p(h|x) and q(h|x), and Z^2 = E_p[BC^2] <= 1."""
    exact = Enumerated(machine()[1])
    posterior = exact.log_p.reshape(16, -1) - exact.log_px[:, None]
    coefficient = np.exp(0.5 * (posterior + exact.log_q.reshape(16, -1))).sum(1)
    np.testing.assert_allclose(exact.log_tilde, exact.log_px + 2 * np.log(coefficient), rtol=1e-12)
    assert exact.log_z2 < 0
    assert np.exp(exact.log_z2) == pytest.approx(np.sum(np.exp(exact.log_px) * coefficient**2))
    star = np.exp(exact.log_star)
    assert star.sum() == pytest.approx(1)
    np.testing.assert_allclose(star.sum((1, 2)), np.exp(exact.log_tilde - exact.log_z2), rtol=1e-12)


def test_rollout_scores_its_own_samples(x64):
    model, params = machine()
    exact = Enumerated(params)
    found = jax.jit(model.rollout, static_argnums=3)(params, jax.random.key(0), jnp.asarray(exact.x), 6)
    one = np.asarray(found.latents["layer_1"] @ np.array([4.0, 2.0, 1.0]), int)
    two = np.asarray(found.latents["layer_2"] @ np.array([2.0, 1.0]), int)
    wanted = (exact.log_p - exact.log_q)[np.arange(16), one, two]
    np.testing.assert_allclose(found.log_weights(), wanted, rtol=1e-10)
    assert found.kl is None
    np.testing.assert_array_equal(found.score, sum(found.log_posterior.values()))


def test_samples_of_both_chains_have_the_enumerated_frequencies(x64):
    model, params = machine()
    exact = Enumerated(params)
    count = 40_000
    latents, drawn = jax.jit(lambda p, k: model.sample_joint(p, k, count, jnp.float64))(params, jax.random.key(1))
    place = drawn.value @ jnp.asarray([8.0, 4.0, 2.0, 1.0]) * 8 + latents["layer_1"] @ jnp.asarray([4.0, 2.0, 1.0])
    found = (
        np.bincount(np.asarray(place * 4 + latents["layer_2"] @ jnp.asarray([2.0, 1.0]), int), minlength=512) / count
    )
    wanted = np.exp(exact.log_p).ravel()
    assert np.abs(found - wanted).max() < 5 * np.sqrt(wanted.max() / count)
    x = jnp.asarray(exact.x[5:6])
    q = jax.jit(lambda p, k: model.posterior(p, x).draw(k, count))(params, jax.random.key(2))
    place = q["layer_1"][:, 0] @ jnp.asarray([4.0, 2.0, 1.0]) * 4 + q["layer_2"][:, 0] @ jnp.asarray([2.0, 1.0])
    found = np.bincount(np.asarray(place, int), minlength=32) / count
    wanted = np.exp(exact.log_q[5]).ravel()
    assert np.abs(found - wanted).max() < 5 * np.sqrt(wanted.max() / count)


def test_layers_of_one_size_are_drawn_apart(x64):
    """With all weights zero every layer is three fair coins, whatever its neighbours are."""
    model, params = machine(scale=0.0, layers=(3, 3))

    @jax.jit
    def both(params, key):
        x = jnp.zeros((1, 4))
        return model.posterior(params, x).draw(key, 60), model.node_prior().sample(params.prior, key, 60, x.dtype)

    for drawn in both(params, jax.random.key(0)):
        same = np.mean(np.ravel(drawn["layer_1"]) == np.ravel(drawn["layer_2"]))
        assert abs(same - 0.5) < 5 * np.sqrt(0.25 / 180)


def test_encoding_is_the_mean_over_the_layers_below(x64):
    model, params = machine(scale=0.7)
    exact = Enumerated(params)
    moments = jax.jit(model.encode)(params, jnp.asarray(exact.x))
    q = np.exp(exact.log_q)
    np.testing.assert_allclose(moments["layer_1"].mean, np.einsum("xab,ak->xk", q, exact.one), rtol=1e-10)
    upper = np.einsum("xab,bk->xk", q, exact.two)
    assert np.abs(np.asarray(moments["layer_2"].mean) - upper).max() < 0.15  # 32 draws
    for node in moments.values():
        np.testing.assert_allclose(node.variance, node.mean * (1 - node.mean), rtol=1e-10)


@pytest.mark.parametrize(("top", "deterministic"), [(True, 0), (False, 0), (False, 2)], ids=["top", "given", "deep"])
@pytest.mark.parametrize("kind", KINDS)
def test_draws_of_a_layer_have_its_density(kind, top, deterministic, x64):
    """Of 0 and 1, frequencies against the density; of real values, standardised moments."""
    unit = UNITS[kind](3)
    sizes = [0 if top else 5, *[4] * deterministic, 3]
    shapes = jax.eval_shape(lambda: unit.init(jax.random.key(0), sizes, None))
    generator = np.random.default_rng(3)
    params = jax.tree.map(lambda s: jnp.asarray(generator.normal(size=s.shape)), shapes)
    given = None if top else jnp.asarray(generator.normal(size=5))
    count = 40_000
    drawn = jax.jit(lambda p, k: unit.draw(p, k, given, (count,)))(params, jax.random.key(4))
    log_prob = jax.jit(unit.log_prob)
    assert drawn.value.shape == drawn.mean.shape == (count, 3)
    if unit.discrete:
        table = np.eye(3) if kind == "categorical" else states(3)
        wanted = np.exp(log_prob(params, given, jnp.asarray(table)))
        assert wanted.sum() == pytest.approx(1)
        place = np.bincount(np.asarray(drawn.value @ jnp.asarray([4.0, 2.0, 1.0]), int), minlength=8) / count
        frequency = place[np.asarray(table @ [4.0, 2.0, 1.0], int)]
        assert frequency.sum() == pytest.approx(1)
        assert np.abs(frequency - wanted).max() < 5 * np.sqrt(wanted.max() / count)
        off = 0.0 if kind == "categorical" else np.log1p(-drawn.mean)
        own = np.sum(np.where(drawn.value == 1, np.log(drawn.mean), off), -1)
        np.testing.assert_allclose(log_prob(params, given, drawn.value), own, rtol=1e-8)
    else:
        noise = np.asarray((drawn.value - drawn.mean) / np.sqrt(drawn.variance))
        assert np.abs(noise.mean(0)).max() < 5 / np.sqrt(count)
        assert np.abs((noise**2).mean(0) - 1).max() < 5 * np.sqrt(2 / count)
        wanted = -0.5 * np.sum(noise**2 + np.log(2 * np.pi * np.asarray(drawn.variance)), -1)
        np.testing.assert_allclose(log_prob(params, given, drawn.value), wanted, rtol=1e-8)


def test_a_categorical_top_under_enumeration(x64):
    """Two variables of three states over four binary latents: the joint sums to 1, q too, and scores are their own."""
    model, params = machine(layers=(4, 6), units=("bernoulli", "categorical"), categories=3)
    assert model.spec.estimators == ("score_function", "nvil", "vimco", "relaxed")
    top = np.concatenate([np.repeat(np.eye(3), 3, 0), np.tile(np.eye(3), (3, 1))], 1)  # (9, 6)
    one, two = np.repeat(states(4), 9, 0), np.tile(top, (16, 1))
    at = {"layer_1": jnp.asarray(np.broadcast_to(one[:, None], (144, 16, 4)))}
    at["layer_2"] = jnp.asarray(np.broadcast_to(two[:, None], (144, 16, 6)))
    x = jnp.asarray(states(4))

    @jax.jit
    def scored(p):
        rolled = model.rollout(p, jax.random.key(0), x, 5)
        return model.log_joint(p, at, x), sum(model.posterior(p, x).log_prob(at).values()), rolled

    joint, log_q, rolled = scored(params)
    assert np.exp(joint).sum() == pytest.approx(1)
    np.testing.assert_allclose(np.exp(log_q).sum(0), 1)
    # The density written out: a softmax for each variable.
    logits = np.asarray(params.prior["layer_2"][0]["bias"]).reshape(2, 3)
    wanted = (two.reshape(144, 2, 3) * (logits - logsumexp(logits, 1)[:, None])).sum((1, 2))
    given = model.node_prior().log_prob(params.prior, at)["layer_2"]
    np.testing.assert_allclose(given, np.broadcast_to(wanted[:, None], (144, 16)), rtol=1e-12)
    drawn = np.asarray(rolled.latents["layer_2"]).reshape(5, 16, 2, 3)
    assert set(drawn.ravel()) == {0.0, 1.0}
    np.testing.assert_array_equal(drawn.sum(-1), 1)
    np.testing.assert_array_equal(rolled.score, sum(rolled.log_posterior.values()))


def test_the_slope_of_a_relaxed_categorical_draw(x64):
    """Of a linear function, where it tends to the gradient of the mean as the temperature falls."""
    unit, logits = UNITS["categorical"](3), jnp.asarray([0.3, -0.5, 0.9])
    a = jnp.asarray([1.0, -2.0, 0.5])

    def mean(bias):
        return jnp.mean(unit.relaxed([{"bias": bias}], jax.random.key(0), None, (100_000,), 0.1).value @ a)

    value, slope = jax.jit(jax.value_and_grad(mean))(logits)
    p = np.asarray(jax.nn.softmax(logits))
    assert float(value) == pytest.approx(float(p @ a), abs=0.02)
    np.testing.assert_allclose(np.asarray(slope), p * np.asarray(a - p @ a), atol=0.03)


@pytest.mark.parametrize("kind", ["darn", "nade"])
def test_a_value_depends_on_those_before_it(kind, x64):
    unit = UNITS[kind](1)
    generator = np.random.default_rng(5)
    shapes = jax.eval_shape(lambda: unit.init(jax.random.key(0), [2, 4], None))
    params = jax.tree.map(lambda s: jnp.asarray(generator.normal(size=s.shape)), shapes)
    log_prob = jax.jit(unit.log_prob)
    table = np.exp(log_prob(params, jnp.asarray([0.3, -1.0]), jnp.asarray(states(4)))).reshape(2, 2, 2, 2)
    last = table[..., 1] / table.sum(-1)
    assert np.ptp(last) > 0.05
    first = table.sum((1, 2, 3))
    moved = dict(params, before=params["before"].at[-1].set(0.0) if kind == "nade" else params["before"].at[0].set(9.0))
    again = np.exp(log_prob(moved, jnp.asarray([0.3, -1.0]), jnp.asarray(states(4)))).reshape(2, 2, 2, 2)
    np.testing.assert_allclose(again.sum((1, 2, 3)), first, rtol=1e-10)  # nothing is before the first, after the last


def test_gaussian_layers_let_gradients_through(x64):
    model, params = machine(units="gaussian", scale=0.3)
    assert (
        jax.eval_shape(lambda p: model.rollout(p, jax.random.key(0), jnp.asarray(states(4)), 3), params).score is None
    )

    def total(recognition):
        rolled = model.rollout(params._replace(recognition=recognition), jax.random.key(0), jnp.asarray(states(4)), 3)
        return jnp.sum(rolled.log_likelihood)

    def detached(recognition):
        q = params._replace(recognition=recognition)
        rolled = model.rollout(q, jax.random.key(0), jnp.asarray(states(4)), 3, paths=Paths(detach_posterior=True))
        return jnp.sum(rolled.log_posterior["layer_2"])

    @jax.jit
    def program(recognition):
        return jax.grad(total)(recognition), jax.grad(detached)(recognition), _slope(model, params)

    whole, alone, slope = program(params.recognition)
    assert all(np.abs(g).max() > 0 for g in jax.tree.leaves(whole["layer_1"]))
    top = alone["layer_2"]  # reached by its own sample's path alone: -z^2 / 2 is fixed
    np.testing.assert_allclose(top[0]["kernel"][:, :2], -np.asarray(slope), atol=1e-9)


def _slope(model, params):
    """d -log q(z | stopped mean and scale) / d kernel of the means, written out: (z - m) / s^2 times what is below."""
    drawn = model.posterior(params, jnp.asarray(states(4))).walk(jax.random.fold_in(jax.random.key(0), 0), 3)
    lower, upper = drawn["layer_1"].value, drawn["layer_2"]
    return jnp.einsum("sbi,sbo->io", lower, (upper.value - upper.mean) / upper.variance)


def test_start_is_the_authors():
    model = MODELS["helmholtz"](layers=(30, 20, 10), output_bias="minus_one").build(DataFacts((50,), True, 1))
    summary = SUMMARY._replace(mean=np.full(50, 0.3), x=np.zeros((2, 50)))
    params = model.init(0, summary)
    for sizes, layer in (
        ((30, 50), params.generative),
        ((20, 30), params.prior["layer_1"]),
        ((50, 30), params.recognition["layer_1"]),
    ):
        limit = np.sqrt(6 / sum(sizes)) / sizes[0]
        kernel = np.asarray(layer[0]["kernel"])
        assert kernel.shape == sizes
        assert 0.9 * limit < np.abs(kernel).max() <= limit
        np.testing.assert_array_equal(layer[0]["bias"], -1)
    np.testing.assert_array_equal(params.prior["layer_3"][0]["bias"], -1)
    model = MODELS["helmholtz"](layers=(30, 20, 10)).build(DataFacts((50,), True, 1))
    np.testing.assert_allclose(model.init(0, summary).generative[0]["bias"], np.log(0.3 / 0.7), rtol=1e-5)


def test_sizes_between_two_ends():
    assert Between(first=300, count=3, last=3).sizes() == (300, 30, 3)
    spec = build(MODELS, "model", {"name": "helmholtz", "layers": {"first": 64, "count": 4, "last": 8}})
    assert spec.sizes() == (64, 32, 16, 8)
    assert build(MODELS, "model", {"name": "helmholtz", "layers": [5, 4]}).sizes() == (5, 4)


def test_what_cannot_be_is_refused():
    with pytest.raises(UserError, match="units lists 1 kinds for 2"):
        build(MODELS, "model", {"name": "helmholtz", "layers": [5, 4], "units": ["nade"]})
    named = {"name": "helmholtz", "layers": [5, 4], "units": ["bernoulli", "categorical"]}
    with pytest.raises(UserError, match="categories=None must be 2 or more"):
        build(MODELS, "model", named)
    with pytest.raises(UserError, match="layer of 4, which categories=3"):
        build(MODELS, "model", named | {"categories": 3})
    with pytest.raises(UserError, match="categories=3 is for categorical layers"):
        build(MODELS, "model", {"name": "helmholtz", "layers": [5, 4], "categories": 3})
    with pytest.raises(UserError, match="at least one"):
        build(MODELS, "model", {"name": "helmholtz", "layers": []})
    with pytest.raises(UserError, match=r"^model\.layers\.frst=3 is not a key \(did you mean model\.layers\.first\?\)"):
        build(MODELS, "model", {"name": "helmholtz", "layers": {"frst": 3, "count": 2, "last": 1}})
    with pytest.raises(UserError, match="use gaussian"):
        MODELS["helmholtz"]().check(DataFacts((4,), False, 255))
    with pytest.raises(UserError, match="data_units=bernoulli, darn"):
        MODELS["helmholtz"](data_units="gaussian").check(DataFacts((4,), True, 1))


def test_values_that_depend_on_one_another_are_not_imputed_given_the_latents_alone():
    """A draw of the missing values from p(x | h) does not look at the observed ones that they depend on."""
    model = MODELS["helmholtz"](layers=(2,), data_units="darn").build(FACTS)
    params = model.init(0, SUMMARY)
    x, missing = jnp.zeros((2, 4)), jnp.zeros((2, 4), bool).at[:, 1].set(True)
    for method in ("metropolis", "pseudo_gibbs"):
        with pytest.raises(UserError, match=r"values depend on one another; allowed: .*model\.data_units=bernoulli"):
            impute(model, params, jax.random.key(0), x, missing, 2, 1, method)
