"""Chains with the layers' activations in them, of a ladder's messages or of what is drawn from the data up: the
posterior's formula, quadrature, gradients, and who refuses them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy import stats
from support.models import dlgm, summary, view
from support.two_latents import own_slopes

from sbvi.algorithms import ALGORITHMS
from sbvi.core import UserError
from sbvi.core.xla.bounded import bounded
from sbvi.distributions.priors import PRIORS
from sbvi.models import DLGM
from sbvi.models.rollout import Noise
from sbvi.objectives import FreeEnergy, ImportanceWeighted
from sbvi.objectives.pieces import LayeredKLWeight
from sbvi.posteriors import POSTERIORS

D, SAMPLES = 5, 25_000
AXIS = np.linspace(-8, 8, 81)
X = np.array([[1.0, 0, 1, 1, 0], [0, 0, 1, 0, 1]])
LADDER = POSTERIORS["top_down"](hidden=4, combine="ladder")
UPWARD = POSTERIORS["hierarchical"](hidden=4, variables="activations")
KINDS = {"ladder": LADDER, "upward": UPWARD}


def built(noise_matrix="identity", latents=(1, 1), hidden=(3,), prior="standard", scale=0.05, posterior=LADDER):
    """Parameters away from where they start, G_l among them, in float64."""
    small = {"recognition_hidden": (4,), "activation": "tanh", "initial_posterior_scale": 0.9}
    model = dlgm(
        (D,),
        posterior=posterior,
        prior=PRIORS[prior](**({"components": 2} if prior == "mixture" else {})),
        latents=latents,
        hidden=hidden,
        noise_matrix=noise_matrix,
        **small,
    )
    rng = np.random.default_rng(0)
    params = model.init(0, summary(np.linspace(0.2, 0.8, D), np.ones(D)))
    params = jax.tree.map(
        lambda a: jnp.asarray(0.7 * np.asarray(a, np.float64) + scale * rng.normal(size=a.shape)), params
    )
    return model, params


MATRICES = ("identity", "diagonal", "full", "predicted")
ALL = [(kind, matrix, "standard") for kind in KINDS for matrix in MATRICES]
ALL += [(kind, matrix, "mixture") for kind in KINDS for matrix in MATRICES if matrix != "predicted"]
QUICK = {("ladder", "predicted", "standard"), ("ladder", "full", "mixture"), ("upward", "predicted", "standard")}


@pytest.mark.parametrize(
    ("kind", "noise_matrix", "prior"),
    [pytest.param(*row, marks=() if row in QUICK else pytest.mark.slow) for row in ALL],
)
def test_importance_sampling_is_quadrature_s(kind, noise_matrix, prior, x64):
    model, params = built(noise_matrix, prior=prior, posterior=KINDS[kind])
    plane = np.stack(np.meshgrid(AXIS, AXIS), -1).reshape(-1, 1, 2)
    lower, upper = jnp.split(jnp.asarray(np.repeat(plane, len(X), 1)), 2, -1)
    points = {"layer_1": lower, "layer_2": upper}

    @jax.jit
    def everything(params):
        q = model.posterior(params, jnp.asarray(X))
        found = model.rollout(params, jax.random.key(1), jnp.asarray(X), SAMPLES)
        again = sum(q.log_prob(found.latents).values())
        return found, again, sum(q.log_prob(points).values()), model.log_joint(params, points, jnp.asarray(X))

    found, again, whole, joint = everything(params)
    np.testing.assert_allclose(again, sum(found.log_posterior.values()), atol=1e-9)
    area = (AXIS[1] - AXIS[0]) ** 2
    np.testing.assert_allclose(np.exp(whole).sum(0) * area, 1, atol=2e-4)
    weights = np.exp(np.asarray(found.log_weights()))
    assert (weights.sum(0) ** 2 / (weights**2).sum(0)).min() > 500  # effective samples: else nothing is compared
    evidence = np.exp(joint).sum(0) * area
    assert (np.abs(weights.mean(0) - evidence) < 5 * weights.std(0) / np.sqrt(SAMPLES)).all()


@pytest.mark.parametrize("noise_matrix", ["identity", "diagonal", "full"])
def test_its_activations_are_a_product_of_two_gaussians(noise_matrix, x64):
    """Of p(h_1 | h_2) and of the message, N(G mu_d, G G^T / tau_d) of h_1, which the layers above do not move."""
    model, params = built(noise_matrix, latents=(2, 3, 3), hidden=(), scale=0.4)
    own = params.recognition["chain"]["layer_1"]
    own["first"] = jnp.zeros_like(own["first"])  # the message is then x's alone

    @jax.jit
    def program(params):
        q = model.posterior(params, jnp.asarray(X))
        return q.messages["layer_1"][0], q.draw(jax.random.key(0), 40_000)

    own_message, drawn = program(params)
    generative = {name: np.asarray(leaf) for name, leaf in named(params.generative).items()}
    xi, *above = (np.asarray(drawn[f"layer_{level}"][:, 0]) for level in (1, 2, 3))

    def through(level, noise):
        matrix = generative.get(f"noise_maps.{level}.matrix", np.ones(noise.shape[-1]))
        return noise @ matrix if matrix.ndim == 2 else noise * matrix

    def below(level, h):
        return h @ generative[f"maps.{level}.layers.0.kernel"] + generative[f"maps.{level}.layers.0.bias"]

    mean = below(1, below(2, through(2, above[1])) + through(1, above[0]))
    raw = jax.nn.silu(own_message + own["first_bias"]) @ own["last"] + own["last_bias"]
    message, r = np.split(np.asarray(raw), 2)
    share = np.exp(r) / (np.exp(r) + 1)  # tau_d / (tau_d + 1)
    centre = {"full": np.linalg.solve, "diagonal": lambda m, v: v / np.diag(m), "identity": lambda _, v: v}
    matrix = generative.get("noise_maps.0.matrix", np.eye(2))
    matrix = np.diag(matrix) if matrix.ndim == 1 else matrix
    prior_mean = (
        centre[noise_matrix](matrix.T, mean.T).T if noise_matrix == "full" else centre[noise_matrix](matrix, mean)
    )
    errors = xi - share * (message - prior_mean)
    assert np.abs(errors.mean(0) / errors.std(0)).max() < 5 / np.sqrt(len(xi))
    np.testing.assert_allclose(errors.var(0), 1 - share, rtol=0.05)
    assert np.abs(np.corrcoef(np.concatenate([errors, *above], 1).T)[:2, 2:]).max() < 0.03  # nothing of h_2 is left
    assert np.std(share * prior_mean) > 0.1  # and there was something


@pytest.mark.parametrize("noise_matrix", [pytest.param("identity", marks=pytest.mark.slow), "full", "predicted"])
def test_from_the_data_up_activations_are_drawn_and_noise_follows(noise_matrix, x64):
    """G_1^-1 h_1, or h_1 where its scale is predicted, has the moments that x's message says, whatever the layers above
    say; three layers, biases in T_l."""
    model, params = built(noise_matrix, latents=(2, 3, 2), hidden=(), scale=0.4, posterior=UPWARD)

    @jax.jit
    def program(params):
        q = model.posterior(params, jnp.asarray(X))
        drawn = q.draw(jax.random.key(0), 40_000)
        return q.messages["layer_1"][0], drawn, sum(q.log_prob(drawn).values())[:3, 0], own_gaussians(q)

    def own_gaussians(q):
        return {node: q.weights[node] for node in ("layer_2", "layer_3")} | {"messages": q.messages}

    message, drawn, scored, own = jax.device_get(program(params))
    generative = {name: np.asarray(leaf) for name, leaf in named(params.generative).items()}
    xi = {level: np.asarray(drawn[f"layer_{level}"][:, 0]) for level in (1, 2, 3)}

    def matrix(level):
        whole = generative.get(f"noise_maps.{level - 1}.matrix", np.ones(xi[level].shape[-1]))
        return whole if whole.ndim == 2 else np.diag(whole)

    def below(level, h):
        """T_l(h) and the scales of the layer that it ends in."""
        outputs = h @ generative[f"maps.{level}.layers.0.kernel"] + generative[f"maps.{level}.layers.0.bias"]
        return gaussian(outputs) if noise_matrix == "predicted" else (outputs, np.zeros(1))

    def gaussian(raw):
        mean, log_scale = np.split(raw, 2, -1)
        return mean, np.asarray(bounded(jnp.asarray(log_scale)))

    h, means, volume = {3: xi[3] @ matrix(3)}, {}, 0.0
    for level in (2, 1):
        means[level], log_scale = below(level, h[level + 1])
        h[level] = means[level] + np.exp(log_scale) * xi[level] @ matrix(level)
        volume = volume + log_scale.sum(-1)
    a = {level: np.linalg.solve(matrix(level).T, h[level].T).T for level in h}
    mean, log_scale = gaussian(message)
    errors = (a[1] - mean) / np.exp(log_scale)
    assert np.abs(errors.mean(0)).max() < 5 / np.sqrt(len(errors))
    np.testing.assert_allclose(errors.var(0), 1, rtol=0.05)
    assert np.std(means[1], 0).max() > 0.1  # what is above moves, and a_1 does not with it beyond what a_2 follows
    by_hand = volume + stats.norm.logpdf(a[1], mean, np.exp(log_scale)).sum(-1)
    for level in (2, 3):
        weights = own[f"layer_{level}"]
        inner = own["messages"][f"layer_{level}"][0] + a[level - 1] @ weights["first"] + weights["first_bias"]
        raw = inner / (1 + np.exp(-inner)) @ weights["last"] + weights["last_bias"]
        centre, spread = gaussian(raw)
        by_hand = by_hand + stats.norm.logpdf(a[level], centre, np.exp(spread)).sum(-1)
    np.testing.assert_allclose(scored, by_hand[:3], rtol=1e-9)


def test_a_ladder_of_three_layers_meets_predicted_scales(x64):
    """q(h_l | h_{l+1}, x) is N(m_l, s_l^2) of p times the message N(mu_d, 1 / tau_d), of h_l itself, by hand."""
    model, params = built("predicted", latents=(2, 3, 2), hidden=(), scale=0.4)

    @jax.jit
    def program(params):
        q = model.posterior(params, jnp.asarray(X))
        drawn = q.draw(jax.random.key(0), 3)
        return q.messages, q.weights, drawn, q.log_prob(drawn)

    messages, weights, drawn, scored = jax.device_get(program(params))
    generative = {name: np.asarray(leaf) for name, leaf in named(params.generative).items()}
    mean, log_scale, above = np.zeros(2), np.zeros(2), []
    for level in (3, 2, 1):
        node = f"layer_{level}"
        raw = messages[node]
        if above:
            own = weights[node]
            inner = raw + np.concatenate(above, -1) @ own["first"] + own["first_bias"]
            raw = inner / (1 + np.exp(-inner)) @ own["last"] + own["last_bias"]
        message, r = np.split(raw, 2, -1)
        message_precision = np.exp(np.asarray(bounded(jnp.asarray(r))))
        precision = message_precision + np.exp(-2 * log_scale)
        centre = (message_precision * message + np.exp(-2 * log_scale) * mean) / precision
        h = mean + np.exp(log_scale) * drawn[node]
        by_hand = (stats.norm.logpdf(h, centre, precision**-0.5) + log_scale).sum(-1)
        np.testing.assert_allclose(scored[node], by_hand, rtol=1e-9)
        above.append(drawn[node])
        if level > 1:
            kernel, bias = (generative[f"maps.{level - 1}.layers.0.{name}"] for name in ("kernel", "bias"))
            outputs = h @ kernel + bias
            mean, raw_scale = np.split(outputs, 2, -1)
            log_scale = np.asarray(bounded(jnp.asarray(raw_scale)))
            assert np.std(log_scale) > 0.1  # there is something to meet


def named(tree):
    flat = jax.tree_util.tree_flatten_with_path(tree)[0]
    parts = {".".join(str(getattr(k, "key", getattr(k, "name", ""))) for k in path): leaf for path, leaf in flat}
    return {name.removesuffix(".value").rstrip("."): leaf for name, leaf in parts.items()}


def test_an_empty_message_leaves_the_prior(x64):
    model, params = built(latents=(2, 1))
    heads = params.recognition["network"]["heads"][0]
    heads["kernel"].set_value(jnp.zeros_like(heads["kernel"].get_value()))
    heads["bias"].set_value(heads["bias"].get_value().at[:2].set(jnp.asarray([7.0, -40.0])))
    own = params.recognition["chain"]["layer_1"]
    own["last"] = jnp.zeros_like(own["last"])
    own["last_bias"] = jnp.asarray([7.0] * 2 + [-40.0] * 2)
    found = jax.jit(model.rollout, static_argnums=3)(params, jax.random.key(0), jnp.asarray(X), 50)
    for node in ("layer_1", "layer_2"):
        np.testing.assert_allclose(found.log_posterior[node], found.log_prior[node], atol=1e-4)


OBJECTIVES = {
    "sticking_the_landing": lambda name: FreeEnergy(num_samples=1, estimator=name, kl="sampled"),
    "doubly_reparameterised": lambda name: ImportanceWeighted(num_samples=2, estimator=name),
}


@pytest.mark.parametrize(
    ("kind", "estimator"),
    [("ladder", name) for name in OBJECTIVES] + [("upward", "doubly_reparameterised")],
)
def test_estimators_agree_in_the_mean_for_both_halves(kind, estimator, x64):
    """q has the generative parameters in it, whose part of its score has to go as the recognition model's has."""
    model, params = built(noise_matrix="diagonal", posterior=KINDS[kind])
    x = jnp.asarray(np.repeat(X[:1], 8_000, 0))

    @jax.jit
    def gradients(params):
        def loss(params, name):
            return OBJECTIVES[estimator](name)(view(model, params, jax.random.key(0), x), {"kl_weight": 1.0})[0]

        return [jax.grad(loss)(params, name) for name in ("standard", estimator)]

    for half in ("generative", "recognition"):
        plain, other = (
            np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(getattr(found, half))])
            for found in gradients(params)
        )
        assert np.abs(plain).max() > 0.01
        assert np.linalg.norm(plain - other) < 0.15 * np.linalg.norm(plain), half


@pytest.mark.parametrize("name", ["wake_sleep", "reweighted_wake_sleep", "bihm", "sgmcmc"])
@pytest.mark.parametrize(
    ("kind", "setting"), [("ladder", "posterior.combine=ladder"), ("upward", "posterior.variables=activations")]
)
def test_who_holds_one_half_refuses_it(name, kind, setting):
    spec = DLGM(latents=(2, 2), posterior=KINDS[kind])
    with pytest.raises(UserError, match=rf"algorithm={name} holds one half .* {setting} has both"):
        ALGORITHMS[name]().check(spec)


@pytest.mark.parametrize(
    "settings", [{"free_bits": 0.5}, {"kl_weight": LayeredKLWeight(warmup_epochs=2, layer_epochs=1)}]
)
def test_what_is_of_each_layer_s_kl_is_refused_where_only_the_sum_is_one(settings):
    """A layer's own term may be as far below 0 as its scales let it, for which an unequal weight would pay."""
    objective = FreeEnergy(**settings)
    objective.check(DLGM(latents=(2, 2), posterior=LADDER))
    objective.check(DLGM(latents=(2, 2), posterior=POSTERIORS["hierarchical"]()))
    with pytest.raises(UserError, match=r"posterior.variables=activations only the layers' sum is one; leave it at 0"):
        objective.check(DLGM(latents=(2, 2), posterior=UPWARD))


def test_of_one_layer_it_has_no_parameters_of_p():
    """There is no layer above whose mean it could meet."""
    for name in ("wake_sleep", "reweighted_wake_sleep"):
        ALGORITHMS[name]().check(DLGM(latents=(2,), posterior=LADDER))


def test_messages_meet_the_thinned_layers(x64):
    """In training with dropout a layer's mean is that of the units which the rollout's likelihood leaves as well."""
    model, params = built("diagonal", latents=(2, 3), hidden=(6,))
    key, rate = jax.random.key(4), jnp.float64(0.5)
    upper = jnp.asarray(np.random.default_rng(5).normal(size=(7, len(X), 3)))

    @jax.jit
    def program(params):
        q = model.noisy_posterior(params, key, jnp.asarray(X), Noise(units=rate))
        network = nnx.merge(model._graph, params.generative)
        expected = network.layer_given(0, upper, (jax.random.fold_in(key, 4), rate))[0]
        plain = model.posterior(params, jnp.asarray(X))
        means = [each.layer_given(params.generative, 0, upper)[0] for each in (q, plain)]
        return *means, expected, own_slopes(model, params, jnp.asarray(X))

    found, whole, expected, slopes = program(params)
    assert all((np.asarray(leaf) == 0).all() for leaf in jax.tree.leaves(slopes))  # by p's parameters too
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert np.abs(np.asarray(found) - np.asarray(whole)).max() > 0.01
