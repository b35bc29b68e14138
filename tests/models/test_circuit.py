"""Circuits over a few binary variables, everything by enumeration; and the same for other leaves by quadrature."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from sbvi.algorithms import ALGORITHMS
from sbvi.core import UserError
from sbvi.data import Batch
from sbvi.models import Circuit
from sbvi.models.circuit.discrete_leaves import Binomial
from sbvi.models.circuit.gaussian_leaves import Gaussian
from sbvi.models.circuit.plan import Edges, Plan, Product, Sum, check
from sbvi.models.circuit.sums import soft
from sbvi.models.values import DataFacts, DataSummary, impossible

D = 6
STATES = np.array(list(itertools.product([0.0, 1.0], repeat=D)))
FACTS = DataFacts((2, 3), True, 1, classes=3)
STRUCTURES = {
    "hidden_chow_liu": {"units": 3},
    "chow_liu": {},
    "random_cp": {"structure": "random", "units": 3, "leaf_units": 2, "replicas": 2, "depth": 2},
    "random_tucker": {
        "structure": "random",
        "units": 3,
        "leaf_units": 2,
        "replicas": 3,
        "depth": 2,
        "layer": "tucker",
        "structure_seed": 1,
    },
    "random_shallow": {"structure": "random", "units": 2, "replicas": 2, "depth": 1, "layer": "tucker"},
    "quad_tree": {"units": 3},
    "mixture": {"units": 4},
}


def summary(rows=60, seed=0, levels=1, classes=3):
    generator = np.random.default_rng(seed)
    x = np.round(levels * generator.random((rows, D)) ** np.array([0.5, 1, 2, 1, 3, 0.3])) / levels
    x[:, 1] = np.where(generator.random(rows) < 0.8, x[:, 0], x[:, 1])
    x[:, 4] = np.where(generator.random(rows) < 0.7, x[:, 0], x[:, 4])
    label = generator.integers(0, classes, rows)
    return DataSummary(x.astype(np.float32), label, x.mean(0), x.std(0), rows)


@functools.cache
def _made(name, labels, leaf, facts, levels, seed, options):
    settings = {"structure": name, **STRUCTURES[name], "labels": labels, "leaf": leaf} | dict(options)
    spec, data = Circuit(**settings), summary(levels=levels)
    spec.check(facts)
    model = spec.build(facts, spec.learn_structure(data))
    return model, jax.tree.map(lambda a: jnp.asarray(np.asarray(a, np.float64)), model.init(seed, data))


def made(name, *, labels=False, leaf="bernoulli", facts=FACTS, levels=1, seed=0, **options):
    """A model with random parameters, away from special values, in float64."""
    model, params = _made(name, labels, leaf, facts, levels, seed, tuple(options.items()))
    return model, {**params, "sums": list(params["sums"])}


@functools.cache
def compiled(model, what):
    """A method of a model, compiled once for all tests."""
    return jax.jit(getattr(model, what), static_argnums=2 if what == "sample" else ())


def log_prob(model, params, x, mask=None):
    """log p(x_o) of rows, NaN where not observed by the mask; always in batches of 64."""
    mask = np.ones(x.shape, bool) if mask is None else mask
    x = np.where(mask, x, np.nan)  # what stands there is not looked at
    found = []
    for start in range(0, len(x), 64):
        rows = np.minimum(np.arange(start, start + 64), len(x) - 1)
        parts = jnp.asarray(x[rows]), jnp.asarray(mask[rows])
        found.append(np.asarray(compiled(model, "marginal_log_prob")(params, *parts).value))
    return np.concatenate(found)[: len(x)]


def random_x(rows, seed=3):
    return (np.random.default_rng(seed).random((rows, D)) < 0.5).astype(float)


def random_mask(rows, seed=4):
    return np.random.default_rng(seed).random((rows, D)) < 0.5


every = pytest.mark.parametrize("name", STRUCTURES)
# Each kind of step in one of these; what every structure goes through is the mass above.
some = pytest.mark.parametrize("name", ["hidden_chow_liu", "chow_liu", "random_tucker", "quad_tree"])


@every
def test_mass_and_every_marginal(name, x64):
    """All 64 sets of observed variables, at random values of them; and the density without a mask."""
    model, params = made(name)
    p = np.exp(log_prob(model, params, STATES))
    assert p.sum() == pytest.approx(1, abs=1e-12)
    masks, x = STATES > 0, random_x(len(STATES))
    expected = [p[(STATES[:, m] == row[m]).all(1)].sum() for row, m in zip(x, masks, strict=True)]
    np.testing.assert_allclose(np.exp(log_prob(model, params, x, masks)), expected, rtol=1e-10)
    plain = compiled(model, "log_prob")(params, None, jnp.asarray(STATES))
    assert plain.kind == "exact"
    np.testing.assert_allclose(np.exp(plain.value), p, rtol=1e-12)


@pytest.mark.parametrize("name", ["hidden_chow_liu", "random_cp", "random_tucker", "quad_tree"])
def test_conditional_means_are_exact_and_draws_have_their_frequencies(name, x64):
    model, params = made(name)
    p = np.exp(log_prob(model, params, STATES))
    x, masks = random_x(8), random_mask(8)
    draws = 2000
    rows = jnp.asarray(np.repeat(x, draws, 0)), jnp.asarray(np.repeat(masks, draws, 0))
    found = compiled(model, "conditional")(params, jax.random.key(1), *rows)
    values = np.asarray(found.value).reshape(8, draws, D)
    for i, (row, mask) in enumerate(zip(x, masks, strict=True)):
        fits = (STATES[:, mask] == row[mask]).all(1)
        given = p[fits] / p[fits].sum()
        np.testing.assert_allclose(np.asarray(found.mean).reshape(8, draws, D)[i, 0], given @ STATES[fits], atol=1e-10)
        assert (values[i][:, mask] == row[mask]).all()
        index = (values[i] @ 2 ** np.arange(D)[::-1]).astype(int)
        counts = np.bincount(index, minlength=len(STATES))[np.flatnonzero(fits)]
        error = np.sqrt(draws * given * (1 - given)) + 1e-9
        assert (np.abs(counts - draws * given) < 4.5 * error + 1).all()


@pytest.mark.parametrize(("name", "labels"), [("hidden_chow_liu", False), ("random_cp", True), ("quad_tree", False)])
def test_samples_have_the_densitys_frequencies(name, labels, x64):
    model, params = made(name, labels=labels)
    p = np.exp(log_prob(model, params, STATES))
    count = 40_000
    drawn = compiled(model, "sample")(params, jax.random.key(5), count)
    index = (np.asarray(drawn.value) @ 2 ** np.arange(D)[::-1]).astype(int)
    found = np.bincount(index, minlength=len(STATES)) / count
    assert (np.abs(found - p) < 4.5 * np.sqrt(p * (1 - p) / count) + 1 / count).all()
    np.testing.assert_allclose(np.asarray(drawn.mean).mean(0), p @ STATES, atol=4.5 * 0.5 / np.sqrt(count))


def latent_tree_by_hand(model, params, parent, x):
    """p(x) of a hidden Chow-Liu tree as the sum over every state of every latent."""
    logits = np.asarray(params["leaves"]["logit"])[:, 0]
    order = [int(v) for v in model.order[:, 0]]
    theta = {v: 1 / (1 + np.exp(-logits[i])) for i, v in enumerate(order)}
    table, start = {}, 0
    for w in params["sums"]:
        for i, weights in enumerate(scipy.special.softmax(w, axis=1)):
            table[order[start + i]] = weights
        start += len(w)
    total = np.zeros(len(x))
    for z in itertools.product(range(3), repeat=D):
        p = np.ones(len(x))
        for v in range(D):
            p *= table[v][z[v], z[parent[v]] if parent[v] >= 0 else 0]
            p *= np.where(x[:, v] == 1, theta[v][z[v]], 1 - theta[v][z[v]])
        total += p
    return total


def test_a_hidden_tree_is_the_sum_over_its_latents(x64):
    spec = Circuit(structure="hidden_chow_liu", units=3, leaf="bernoulli")
    parent = spec.learn_structure(summary())["parent"]
    model, params = made("hidden_chow_liu")
    x = STATES[::5]
    expected = latent_tree_by_hand(model, params, parent, x)
    np.testing.assert_allclose(np.exp(log_prob(model, params, x)), expected, rtol=1e-10)


def test_counts_of_a_hidden_tree_add_no_padded_array_for_each_level(x64):
    """Slices of the leaves, one a level, would make back-propagation sum as many arrays of all leaves."""
    model, params = made("hidden_chow_liu")
    traced = jax.make_jaxpr(model.statistics)(params, jnp.asarray(random_x(5)), jnp.ones(5))
    assert "dot_general" in str(traced)
    assert " pad[" not in str(traced)


@pytest.mark.parametrize("layer", ["cp", "tucker"])
def test_a_random_circuit_is_its_recursion(layer, x64):
    model, params = made("random_cp", layer=layer)
    weights = [scipy.special.softmax(w, axis=1) for w in params["sums"]]
    theta = scipy.special.expit(params["leaves"]["logit"])
    join = (lambda a, b: a * b) if layer == "cp" else (lambda a, b: np.outer(a, b).ravel())
    for x in STATES[::7]:
        leaf = []
        for region, scope in enumerate(model.plan.leaves):
            value = np.ones(2)
            for s, v in enumerate(scope):
                if v >= 0:
                    value = value * (theta[region, s] if x[v] else 1 - theta[region, s])
            leaf.append(value)
        tops = []
        for replica in range(2):
            a, b, c, d = leaf[4 * replica : 4 * replica + 4]
            left, right = (join(*p) @ weights[0][2 * replica + i] for i, p in enumerate([(a, b), (c, d)]))
            tops.append(join(left, right))
        expected = np.concatenate(tops) @ weights[1][0, :, 0]
        assert float(np.exp(log_prob(model, params, x[None]))[0]) == pytest.approx(expected, rel=1e-10)


def test_the_plain_tree_starts_at_its_maximum(x64):
    """Its density is the product of the tables with one added to each cell of two variables."""
    model, params = made("chow_liu")
    data = summary()
    spec = Circuit(structure="chow_liu", leaf="bernoulli")
    parent = spec.learn_structure(data)["parent"]
    log_p = np.zeros(len(STATES))
    for v, above in enumerate(parent):
        for position, row in enumerate(STATES):
            if above < 0:
                log_p[position] += np.log(((data.x[:, v] == row[v]).sum() + 2) / (len(data.x) + 4))
            else:
                same = data.x[:, above] == row[above]
                log_p[position] += np.log(((data.x[same, v] == row[v]).sum() + 1) / (same.sum() + 2))
    np.testing.assert_allclose(log_prob(model, params, STATES), log_p, atol=1e-6)


@some
def test_statistics_are_posterior_counts(name, x64):
    """w d log S / d w: each sum's counts of a node are those of the parent; leaves count to the number of examples."""
    model, params = made(name)
    x, mask = random_x(9), np.array([1.0] * 6 + [0.0, 0.5, 2.0])
    found = compiled(model, "statistics")(params, jnp.asarray(x), jnp.asarray(mask))
    logs = jax.jit(lambda params, x: model._logs(params, *model._inputs(x, None)))(params, jnp.asarray(x))
    total = jax.jit(lambda weights: jnp.asarray(mask) @ model._total(logs._replace(weights=weights), soft))
    eps = 1e-5
    for position, counts in enumerate(found["sums"]):
        for entry in [(0, 0, 0), tuple(n - 1 for n in counts.shape)]:
            # The likelihood with one weight scaled by exp(+-eps), not normalised again.
            moved = [[*logs.weights] for _ in range(2)]
            for weights, shift in zip(moved, (eps, -eps), strict=True):
                weights[position] = np.array(weights[position])
                weights[position][entry] += shift
            numeric = float(total(moved[0]) - total(moved[1])) / (2 * eps)
            assert float(counts[entry]) == pytest.approx(numeric, abs=1e-7)
        assert (np.asarray(counts) >= 0).all()
    assert float(found["sums"][-1].sum()) == pytest.approx(mask.sum())
    if name != "chow_liu":
        assert float(found["leaves"]["count"].sum()) == pytest.approx(D * mask.sum())
        np.testing.assert_allclose(float(found["leaves"]["sum"].sum()), (mask @ x).sum(), rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("hidden_chow_liu", "soft"),
        ("hidden_chow_liu", "hard"),
        ("chow_liu", "soft"),
        ("random_cp", "hard"),
        ("random_tucker", "soft"),
        ("quad_tree", "soft"),
    ],
)
def test_em_never_lowers_what_it_climbs(name, rule, x64):
    """Soft: the likelihood. Hard: the probability of the most probable tree."""
    model, params = made(name)
    x = jnp.asarray(summary().x[:9].astype(float))
    statistics = compiled(model, "statistics" if rule == "soft" else "hard_statistics")
    climbed = jax.jit(lambda params: jnp.sum(model.joint_log_probs(params, x, rule=rule)))
    maximise = compiled(model, "maximise")
    values = [float(climbed(params))]
    for _ in range(8):
        params = maximise(params, statistics(params, x, jnp.ones(len(x))), 0.0)
        values.append(float(climbed(params)))
    assert (np.diff(values) > -1e-6).all()
    assert values[-1] > values[0] + 0.05 or name == "chow_liu"


@some
def test_hard_counts_are_one_tree(name, x64):
    """Whole numbers: one edge at each sum that is reached, one leaf for each variable, worth the best tree."""
    model, params = made(name)
    hardest = jax.jit(lambda params, x: model.joint_log_probs(params, x, rule="hard"))
    for row in random_x(5):
        x = jnp.asarray(np.repeat(row[None], 9, 0))
        counts = compiled(model, "hard_statistics")(params, x, jnp.asarray([0.0] * 8 + [1.0]))
        for part in jax.tree.leaves(counts["sums"]):
            assert set(np.unique(np.asarray(part))) <= {0.0, 1.0}
        assert float(counts["sums"][-1].sum()) == 1
        best = hardest(params, x)[0, 0]
        logs = [scipy.special.log_softmax(w, axis=1) for w in params["sums"]]
        worth = sum((np.asarray(c) * w).sum() for c, w in zip(counts["sums"], logs, strict=True))
        if name != "chow_liu":
            assert float(counts["leaves"]["count"].sum()) == D
            p = scipy.special.expit(params["leaves"]["logit"])
            used = jax.tree.map(np.asarray, counts["leaves"])
            worth += float((used["sum"] * np.log(p) + (used["count"] - used["sum"]) * np.log1p(-p)).sum())
        assert worth == pytest.approx(float(best), abs=1e-9)


def test_ties_are_not_split(x64):
    model, params = made("mixture")
    same = jax.tree.map(jnp.zeros_like, params)
    counts = compiled(model, "hard_statistics")(same, jnp.asarray(STATES[:1]), jnp.ones(1))
    assert sorted(np.asarray(counts["sums"][0]).ravel()) == [0, 0, 0, 1]


@pytest.mark.parametrize("seed", range(4))
def test_most_probable_states_of_a_deterministic_circuit(seed, x64):
    """The plain tree's latents are its values, so that the best tree is the most probable explanation."""
    model, params = made("chow_liu")
    noise = np.random.default_rng(seed)
    params["sums"] = [w + jnp.asarray(noise.normal(size=w.shape)) for w in params["sums"]]
    log_p = log_prob(model, params, STATES)
    x, masks = random_x(20, seed), random_mask(20, seed + 10)
    found = np.asarray(compiled(model, "most_probable")(params, jnp.asarray(x), jnp.asarray(masks)))
    for row, mask, best in zip(x, masks, found, strict=True):
        fits = (STATES[:, mask] == row[mask]).all(1)
        np.testing.assert_array_equal(best, STATES[fits][np.argmax(log_p[fits])])


@pytest.mark.parametrize("name", ["hidden_chow_liu", "random_tucker"])
def test_classes_are_normalised_and_permute(name, x64):
    model, params = made(name, labels=True)
    counts = np.bincount(summary().label) + 1  # the start: the rows' classes, with one row more of each
    np.testing.assert_allclose(np.exp(params["classes"]), counts / counts.sum(), rtol=1e-6)
    params["classes"] = jnp.asarray([0.3, -1.0, 0.8])
    x = jnp.asarray(STATES)
    found = np.asarray(compiled(model, "class_log_probs")(params, x))
    np.testing.assert_allclose(np.exp(found).sum(1), 1, rtol=1e-12)
    joint = np.asarray(compiled(model, "joint_log_probs")(params, x))
    np.testing.assert_allclose(np.logaddexp.reduce(joint, 1), log_prob(model, params, x), rtol=1e-12)
    order = np.array([2, 0, 1])
    other = {**params, "classes": params["classes"][order]}
    other["sums"] = [*params["sums"][:-1], params["sums"][-1][..., order]]
    np.testing.assert_allclose(np.asarray(compiled(model, "class_log_probs")(other, x)), found[:, order], rtol=1e-10)
    masks = random_mask(len(x))
    some = np.asarray(compiled(model, "class_log_probs_given")(params, x, jnp.asarray(masks)))
    every_joint = np.exp(joint)
    for row, mask, log_p in zip(np.asarray(x), masks, some, strict=True):
        given = every_joint[(STATES[:, mask] == row[mask]).all(1)].sum(0)
        np.testing.assert_allclose(np.exp(log_p), given / given.sum(), rtol=1e-9)


def test_inputs_of_a_sum_are_left_out_by_their_rate_unless_all_would_be(x64):
    """Of a mixture of four components, by all sets of them."""
    rate, rows = 0.2, 5000
    x = jnp.asarray(np.repeat(random_x(1), rows, 0))
    model, params = made("mixture", labels=True, sum_dropout=rate)
    (weights,) = params["sums"]

    @jax.jit
    def program(params):
        alone = [params | {"sums": [jnp.full_like(weights, -1e3).at[:, i].set(0.0)]} for i in range(4)]
        each = jnp.stack([model.joint_log_probs(one, x[:1])[0, 0] for one in alone])
        drawn = model.joint_log_probs(params, x, key=jax.random.key(0))[:, 0]
        return each + jax.nn.log_softmax(weights, 1)[0, :, 0], drawn

    each, drawn = map(np.asarray, program(params))
    kept = np.array(list(itertools.product([False, True], repeat=4)))[1:]
    chance = np.prod(np.where(kept, 1 - rate, rate), 1)
    chance[-1] += rate**4  # where all would go none does
    away = np.abs(drawn[:, None] - np.array([np.logaddexp.reduce(each[k]) for k in kept])[None])
    assert away.min(1).max() < 1e-9
    found = np.bincount(away.argmin(1), minlength=15) / rows
    assert (np.abs(found - chance) < 4.5 * np.sqrt(chance / rows) + 1 / rows).all()


REAL = DataFacts((2, 3), False, None, classes=0)
LEVELS = DataFacts((2, 3), False, 4, classes=0)


@pytest.mark.parametrize(("name", "leaf"), [("hidden_chow_liu", "categorical"), ("random_cp", "binomial")])
def test_leaves_of_levels(name, leaf, x64):
    """Mass 1 over three variables' 125 states with the rest summed out, conditional means, draws, EM."""
    model, params = made(name, leaf=leaf, facts=LEVELS, levels=4)
    grid = np.array(list(itertools.product(np.arange(5) / 4, repeat=3)))
    x = np.full((len(grid), D), np.nan)
    x[:, [0, 2, 4]] = grid
    p = np.exp(log_prob(model, params, x, ~np.isnan(x)))
    assert p.sum() == pytest.approx(1, abs=1e-10)
    mask = np.zeros((1, D), bool)
    mask[0, [0, 2]] = True
    rows = [np.repeat(v, 20_000, 0) for v in (x[60:61], mask)]
    found = compiled(model, "conditional")(params, jax.random.key(0), *map(jnp.asarray, rows))
    fits = (grid[:, :2] == grid[60, :2]).all(1)
    given = p[fits] / p[fits].sum()
    np.testing.assert_allclose(np.asarray(found.mean)[0, 4], given @ grid[fits, 2], rtol=1e-9)
    share = (np.asarray(found.value)[:, 4, None] == grid[fits, 2]).mean(0)
    assert (np.abs(share - given) < 4.5 * np.sqrt(given * (1 - given) / 20_000) + 1e-4).all()
    climbs_by_em(model, params, summary(levels=4).x)


def climbs_by_em(model, params, x):
    x = jnp.asarray(np.asarray(x, float))
    step = jax.jit(lambda p: model.maximise(p, model.statistics(p, x, jnp.ones(len(x))), 0.0))
    values = [log_prob(model, params, np.asarray(x)).sum()]
    for _ in range(6):
        params = step(params)
        values.append(log_prob(model, params, np.asarray(x)).sum())
    assert (np.diff(values) > -1e-6).all()
    assert values[-1] > values[0] + 0.05


@pytest.mark.parametrize("name", ["random_cp"])
def test_gaussian_leaves(name, x64):
    """A marginal density of one variable integrates to one, with the mean and variance of the draws; EM climbs."""
    model, params = made(name, leaf="gaussian", facts=REAL, least_variance=0.02, most_variance=0.7, levels=9)
    variance = np.asarray(model.family.variance(params["leaves"]))
    assert ((variance > 0.02) & (variance < 0.7)).all()
    grid = np.linspace(-6, 7, 4001)
    x = np.zeros((len(grid), D))
    x[:, 3], x[:, 0] = grid, 0.4
    masks = np.zeros_like(x, bool)
    masks[:, [0, 3]] = True
    both = np.exp(log_prob(model, params, x, masks))
    masks[:, 3] = False
    alone = np.exp(log_prob(model, params, x[:1], masks[:1]))[0]
    step = grid[1] - grid[0]
    assert float(both.sum() * step) == pytest.approx(float(alone), rel=1e-6)
    mean = float((both * grid).sum() * step / alone)
    rows = [jnp.asarray(np.repeat(v[:1], 40_000, 0)) for v in (x, masks)]
    found = compiled(model, "conditional")(params, jax.random.key(2), *rows)
    assert float(found.mean[0, 3]) == pytest.approx(mean, abs=1e-6)
    second = float((both * grid**2).sum() * step / alone)
    drawn = np.asarray(found.value)[:, 3]
    error = np.sqrt((second - mean**2) / len(drawn))
    assert abs(drawn.mean() - mean) < 4.5 * error
    assert np.mean(drawn**2) == pytest.approx(second, rel=0.05)
    climbs_by_em(model, params, summary(levels=9).x)


def test_a_leaf_s_pseudocount_is_so_many_further_examples(x64):
    """Spread evenly over a leaf's values; Gaussian ones have the mean and variance that the leaf has."""
    c, count, x = 1.5, np.array([2.0, 3.0]), np.array([[0.25, 0.75], [1.0, 0.5], [0.0, 1.0]])
    weigh = np.array([[1.0, 0.0], [0.5, 2.0], [0.5, 1.0]])  # of three rows for two leaves of one variable
    first, second = (weigh * x).sum(0), (weigh * x**2).sum(0)
    binomial, mean = Binomial(total=4), np.array([0.2, 0.6])
    gaussian = Gaussian(least=0.01, most=2.0)
    width = jnp.asarray([[[-1.0, 0.5]]])

    @jax.jit
    def program():
        counted = {"count": jnp.asarray(count)[None, None], "sum": jnp.asarray(first)[None, None]}
        levels = binomial.maximise({"logit": jnp.zeros((1, 1, 2))}, counted, c)
        free, centre = {"mean": jnp.asarray(mean)[None, None], "width": width}, mean.mean()
        about = {"sum": first - count * centre, "squares": second - 2 * centre * first + count * centre**2}
        counted = counted | jax.tree.map(lambda a: jnp.asarray(a)[None, None], about)
        made = gaussian.maximise(free, counted, c)
        return binomial.mean(levels), made["mean"], gaussian.variance(made), gaussian.variance(free)

    p, found, variance, before = (np.asarray(a)[0, 0] for a in program())
    np.testing.assert_allclose(p, (first + c * np.arange(5).mean() / 4) / (count + c), rtol=1e-9)
    expected = (first + c * mean) / (count + c)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    square = (second + c * (mean**2 + before)) / (count + c)
    np.testing.assert_allclose(variance, square - expected**2, rtol=1e-8)


@pytest.mark.parametrize("variables", [1, 3])
def test_a_value_whose_square_float32_has_not_has_probability_0_and_no_nan(variables):
    """-inf less -inf, in a sum's scale, would be NaN."""
    free = {
        "mean": jnp.zeros((1, variables, 2)) + jnp.arange(2.0)[None, None],
        "width": jnp.full((1, variables, 2), -9.0),
    }
    x = jnp.asarray([0.5, 1e20, 1e30, 3e38])[None, None] + jnp.zeros((1, variables, 1))

    def log_p(seen):
        leaves = Gaussian().log_density(free, x, seen)
        return np.asarray(soft(0, leaves, jnp.log(jnp.full((1, 2, 1), 0.5))))[0, :, 0]

    np.testing.assert_array_equal(impossible(log_p(jnp.ones_like(x))), [False, True, True, True])
    assert np.isfinite(log_p(jnp.ones_like(x))).all()
    np.testing.assert_array_equal(log_p(jnp.zeros_like(x)), 0)  # what is not looked at says nothing


def test_gaussian_leaves_far_from_zero_are_those_around_it():
    """In float32, whose squares of 1,000 have no digits left for a variance of a tenth: densities and online EM."""
    model, params = made("random_cp", leaf="gaussian", facts=REAL, levels=9, seed=11, least_variance=0.02)
    params = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), params)
    x = (np.round(256 * summary(levels=9).x) / 256).astype(np.float32)  # the same numbers, exactly, in both places
    algorithm = ALGORITHMS["expectation_maximisation"](mode="online", step_size=0.5).build(model, len(x))
    hyper = {name: jnp.asarray(values[0]) for name, values in algorithm.hypers(np.arange(1), 1, 1).items()}

    @jax.jit
    def learned(params, x):
        batch = Batch(x, jnp.arange(len(x)), jnp.ones(len(x)), None)
        state = algorithm.fresh(params)
        state = jax.lax.fori_loop(0, 4, lambda _, s: algorithm.step(s, batch, jax.random.key(0), hyper)[0], state)
        return [algorithm.scores(p, jax.random.key(0), batch)["log_likelihood"] for p in (params, state.params)]

    far = params | {"leaves": params["leaves"] | {"mean": params["leaves"]["mean"] + 1024}}
    near, other = np.asarray(learned(params, x)), np.asarray(learned(far, x + 1024))
    np.testing.assert_allclose(other, near, atol=0.02)
    assert near[1].mean() > near[0].mean() + 0.5


def test_float32_agrees_where_products_are_tiny(x64):
    """1,000 variables: log-densities near -700 in single precision."""
    facts = DataFacts((1000,), True, 1)
    generator = np.random.default_rng(0)
    x = (generator.random((40, 1000)) < 0.3).astype(np.float32)
    data = DataSummary(x, None, x.mean(0), x.std(0), 40)
    spec = Circuit(structure="random", units=4, replicas=2, depth=5, leaf="bernoulli")
    model = spec.build(facts)
    params = model.init(0, data)
    exact = jax.tree.map(lambda a: a.astype(jnp.float64), params)
    single = compiled(model, "log_prob")(params, None, jnp.asarray(x[:8])).value
    double = compiled(model, "log_prob")(exact, None, jnp.asarray(x[:8].astype(float))).value
    assert single.dtype == jnp.float32
    np.testing.assert_allclose(single, double, rtol=3e-6)
    assert float(double.max()) < -500


def test_dropout_leaves_out_by_its_key(x64):
    model, params = made("random_cp", labels=True, leaf_dropout=0.3, sum_dropout=0.2)
    x = jnp.asarray(STATES[:5])
    joint = jax.jit(lambda key: model.joint_log_probs(params, x, key=key))
    whole, first, other = (joint(key) for key in (None, jax.random.key(0), jax.random.key(1)))
    assert np.isfinite(np.asarray(first)).all()
    assert not np.allclose(first, other)
    assert not np.allclose(first, whole)


def test_dropout_of_leaves_sums_variables_out(x64):
    model, params = made("random_cp", labels=True, leaf_dropout=0.4)
    x = jnp.asarray(STATES[:7])
    key = jax.random.key(3)
    kept = jax.random.bernoulli(jax.random.fold_in(key, 0), 0.6, x.shape)
    observed = jnp.asarray(np.arange(x.size).reshape(x.shape) % 3 > 0)
    joint = jax.jit(lambda key, observed: model.joint_log_probs(params, x, key=key, observed=observed))
    assert 0.3 < float(jnp.mean(kept)) < 0.9
    np.testing.assert_allclose(joint(key, None), joint(None, kept), rtol=1e-12)
    np.testing.assert_allclose(joint(key, observed), joint(None, kept & observed), rtol=1e-12)


def test_plans_that_are_not_valid_are_refused():
    leaves = np.array([[0], [1], [1]])
    twice = Product(1, (Edges(0, np.array([1, 2]), np.array([0, 0])),))
    with pytest.raises(UserError, match="Product 0 of layer 1 has children that share a variable"):
        check(Plan(leaves, 2, (twice, Sum(1, 1))), 2)
    with pytest.raises(UserError, match="Sum 0 of layer 1 has children of different scopes"):
        check(Plan(leaves[:2], 2, (Sum(0, 1, fan=2),)), 2)
    whole = Product(1, (Edges(0, np.array([0, 1]), np.array([0, 0])),))
    with pytest.raises(UserError, match="one node over all 3 variables"):
        check(Plan(leaves[:2], 2, (whole, Sum(1, 1))), 3)


def test_settings_that_do_not_fit_are_refused():
    with pytest.raises(UserError, match=r"model.structure=quad_tree needs images"):
        Circuit(structure="quad_tree", leaf="bernoulli").build(DataFacts((6,), True, 1))
    with pytest.raises(UserError, match=r"model.depth=3 makes 8 leaf regions of 6 variables; it must be at most 2\."):
        Circuit(structure="random", depth=3, leaf="bernoulli").build(FACTS)
    with pytest.raises(UserError, match=r"model.depth=1000000000000 makes 64 or more leaf regions of 6 variables"):
        Circuit(structure="random", depth=10**12, leaf="bernoulli").build(FACTS)
    with pytest.raises(UserError, match=r"model.leaf=categorical needs whole numbers"):
        Circuit(leaf="categorical").check(REAL)
    with pytest.raises(UserError, match=r"model.leaf=gaussian has no bound on binary data"):
        Circuit(leaf="gaussian").check(FACTS)
    with pytest.raises(UserError, match=r"model.labels=true needs labels"):
        Circuit(labels=True, leaf="bernoulli").check(DataFacts((6,), True, 1))
    with pytest.raises(UserError, match="too many"):
        Circuit(structure="chow_liu", leaf="categorical").check(DataFacts((28, 28), False, 255))
