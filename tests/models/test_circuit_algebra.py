"""Circuits built by hand against brute force over their own nodes, and as runs."""

import itertools
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm
from support.enumerable import Enumerated, affine, machine, states
from support.models import summary

import sbvi
from sbvi.core import UserError
from sbvi.data import Dataset, Preprocessing, Split
from sbvi.inference.importance import importance_sampling
from sbvi.models import Circuit
from sbvi.models.circuit import algebra
from sbvi.models.circuit.algebra import Bernoulli, Categorical, Gaussian, Product, Sum, graph
from sbvi.models.values import DataFacts
from sbvi.runs.assembly import summarise

pytestmark = pytest.mark.usefixtures("without_pictures")


def circuit(leaf):
    """Nodes of several heights, a shared part, sums of two and three children, and a product at the root."""
    a, b, c = (lambda v, k=k: leaf(v, k) for k in range(3))
    pair = Sum([0.2, 0.5, 0.3], Product(a(0), a(1)), Product(b(0), b(1)), Product(c(0), Sum([0.6, 0.4], a(1), b(1))))
    first = Product(pair, Sum([0.7, 0.3], a(2), c(2)))
    second = Product(b(2), pair)
    return Product(Sum([0.35, 0.65], first, second), a(3))


def value(node, x):
    """The density, by the definition."""
    match node:
        case Bernoulli():
            return node.p if x[node.variable] else 1 - node.p
        case Categorical():
            return node.probabilities[round(x[node.variable])]
        case Gaussian():
            apart = x[node.variable] - node.mean
            return math.exp(-(apart**2) / node.variance / 2) / math.sqrt(2 * math.pi * node.variance)
        case Product():
            return math.prod(value(child, x) for child in node.children)
    return sum(w * value(child, x) for w, child in zip(node.weights, node.children, strict=True))


LEAVES = {
    "bernoulli": lambda v, k: Bernoulli(v, (0.1 + 0.2 * v + 0.27 * k) % 1),
    "categorical": lambda v, k: Categorical(v, np.roll([0.5, 0.3, 0.2], v + k).tolist()),
    "gaussian": lambda v, k: Gaussian(v, 0.3 * v - 0.4 * k, 0.1 + 0.2 * k),
}


@pytest.mark.parametrize("name", LEAVES)
def test_the_compiled_circuit_is_the_one_that_was_built(name, tmp_path, x64):
    root = circuit(LEAVES[name])
    algebra.save(root, tmp_path / "c.json")
    spec = Circuit(structure="file", file=str(tmp_path / "c.json")).completed("gaussian")
    assert spec.leaf == name
    levels = {"bernoulli": 1, "categorical": 2, "gaussian": None}[name]
    model = spec.build(
        DataFacts((4,), name == "bernoulli", levels), spec.learn_structure(summary(np.zeros(4), np.ones(4)))
    )
    params = jax.tree.map(jnp.asarray, model.start)
    if name == "gaussian":
        states = np.random.default_rng(0).normal(size=(50, 4))
    else:
        states = np.array(list(itertools.product(range(levels + 1), repeat=4)))
    exact = np.array([value(root, x) for x in states])
    scaled = jnp.asarray(states / (levels or 1), jnp.float64)
    found = jax.jit(lambda x: model.log_prob(params, None, x).value)(scaled)
    np.testing.assert_allclose(np.exp(found), exact, rtol=1e-10)
    if name != "gaussian":
        assert exact.sum() == pytest.approx(1)
        seen = jnp.asarray(np.broadcast_to([True, False, True, False], scaled.shape))
        marginal = jax.jit(lambda x: model.marginal_log_prob(params, x, seen).value)(scaled)
        table = exact.reshape((levels + 1,) * 4).sum((1, 3))
        np.testing.assert_allclose(np.exp(marginal), table[states[:, 0], states[:, 2]], rtol=1e-10)


@pytest.mark.parametrize("way", ["none", "deviation", "range", "rescaled", "levels", "noisy"])
def test_gaussian_leaves_are_in_the_units_of_the_source(way, tmp_path):
    """A mixture of the source's columns beside scipy's: the run's log-density differs by the Jacobian, and is that of
    the user's own law, whatever the data is held as."""
    draws, scale = np.random.default_rng(0), np.array([4.0, 0.5, 500.0])
    second = draws.integers(0, 2, (400, 1))
    x = np.array([30.0, -0.3, 1000.0]) + scale * (second + 0.5 * draws.normal(size=(400, 3)))
    whole = way in ("levels", "noisy")
    if whole:
        scale = np.array([4.0, 20.0, 40.0])
        x = np.clip(np.rint(50.0 + scale * (second + 0.5 * draws.normal(size=(400, 3)))), 0, 199)
    middles = x.mean(0) + scale * np.array([[-0.5], [0.5]])
    variance = (0.6 * scale) ** 2
    parts = [Product(*(Gaussian(v, m[v], variance[v]) for v in range(3))) for m in middles]
    algebra.save(Sum([0.4, 0.6], *parts), tmp_path / "c.json")
    known = {
        "none": Preprocessing.real((3,)),
        "deviation": Preprocessing.real((3,)).but(location=tuple(x.mean(0)), scale=tuple(x.std(0))),
        "range": Preprocessing.real((3,)).but(location=tuple(x.min(0)), scale=tuple(np.ptp(x, axis=0))),
        "rescaled": Preprocessing.real((3,), -5000, 5000).but(rescale=True),
        "levels": Preprocessing.whole((3,), 199),
        "noisy": Preprocessing.whole((3,), 199).but(dequantize=True),
    }[way]
    held = known.store(x)
    dataset = Dataset("x", *[Split(part) for part in (held[:300], held[300:350], held[350:])], known)
    bounds = {"least_variance": 1e-12, "most_variance": 1e6}
    spec = Circuit(structure="file", file=str(tmp_path / "c.json"), **bounds).completed("gaussian")
    model = spec.build(DataFacts((3,), False, known.levels), spec.learn_structure(summarise(dataset, 300)))
    seen = known.read(held)
    params = jax.tree.map(jnp.asarray, model.start)
    found = jax.jit(lambda x: model.log_prob(params, None, x).value)(jnp.asarray(seen))
    laws = [norm(m, 0.6 * scale).logpdf(x).sum(1) for m in middles]
    slope = known.to_source(np.ones((1, 3))) - known.to_source(np.zeros((1, 3)))
    exact = np.logaddexp(np.log(0.4) + laws[0], np.log(0.6) + laws[1]) + np.log(slope).sum()
    np.testing.assert_allclose(found, exact, atol=2e-2 if way == "rescaled" else 1e-3)


def test_plain_data_comes_back(tmp_path):
    root = circuit(LEAVES["gaussian"])
    algebra.save(root, tmp_path / "c.json")
    again = algebra.load(tmp_path / "c.json")
    assert algebra.to_data(again) == algebra.to_data(root) == json.loads((tmp_path / "c.json").read_text())
    assert len(graph(root).nodes) == len(graph(again).nodes) == 21


def test_numbers_of_numpy_are_numbers():
    """A loop over np.arange, and probabilities out of an array."""
    p, weights = np.array([0.25, 0.5], np.float32), np.array([0.5, 0.5], np.float32)
    parts = [Product(*(Bernoulli(v, p[k]) for v in np.arange(2))) for k in range(2)]
    plain = Sum([0.5, 0.5], *(Product(*(Bernoulli(v, float(p[k])) for v in range(2))) for k in range(2)))
    assert json.dumps(algebra.to_data(Sum(weights, *parts))) == json.dumps(algebra.to_data(plain))
    assert algebra.to_data(Gaussian(0, jnp.float32(0.25), np.array(0.5)))[0] == {
        "kind": "gaussian", "variable": 0, "mean": 0.25, "variance": 0.5
    }  # fmt: skip
    with pytest.raises(UserError, match=r"root is of variable 0\.5; allowed: whole numbers from 0"):
        graph(Bernoulli(np.float64(0.5), 0.5))


@pytest.mark.parametrize(
    ("root", "said"),
    [
        (
            Product(Bernoulli(0, 0.5), Sum([1.0], Bernoulli(0, 0.2))),
            "root is a product whose children share variable 0",
        ),
        (
            Product(Bernoulli(0, 0.5), Sum([0.5, 0.5], Bernoulli(1, 0.2), Bernoulli(2, 0.2))),
            "root/1 is a sum of which not every child has variable 1: not complete",
        ),
        (Sum([0.5, 0.4], Bernoulli(0, 0.5), Bernoulli(0, 0.1)), r"root has weights \[0.5, 0.4\]; allowed: 2 numbers"),
        (Sum([1.5, -0.5], Bernoulli(0, 0.5), Bernoulli(0, 0.1)), "numbers that are positive"),
        (Product(Bernoulli(0, 0.5), Bernoulli(2, 1.5)), "root/1 has p=1.5; allowed: 0 to 1"),
        (Product(Bernoulli(0, 0.5), Bernoulli(2, 0.5)), "The root has no leaf of variable 1"),
        (Bernoulli(0, "a"), "root has p=a; allowed: 0 to 1"),
        (Bernoulli(0, [0.5]), r"root has p=\[0.5\]; allowed: 0 to 1"),
        (Categorical(0, "ab"), r"root has probabilities \['a', 'b'\]; allowed: 2 numbers"),
        (Categorical(0, 0.5), "root has probabilities 0.5; allowed: a list of numbers"),
        (Gaussian(0, 0, "b"), r"root is N\(0, b\); allowed: a finite mean"),
        (Product(Bernoulli(0, 0.5), Gaussian(1, 0, 0)), r"root/1 is N\(0, 0\)"),
        (Product(Bernoulli(0, 0.5), 3), "root/1 is a int; allowed: bernoulli"),
        (Product(), "root has no children"),
    ],
)
def test_what_is_no_circuit_is_refused_by_the_node(root, said):
    with pytest.raises(UserError, match=said):
        graph(root)


@pytest.mark.parametrize("weights", [["a", 0.5], 0.5, [None]])
def test_weights_that_are_no_numbers_are_refused(weights):
    with pytest.raises(UserError, match=r"A sum has weights .*; allowed: numbers that are positive and sum to 1\."):
        Sum(weights, Bernoulli(0, 0.5), Bernoulli(0, 0.1))


def test_files_and_data_that_do_not_fit_are_refused(tmp_path):
    mixed = Product(Bernoulli(0, 0.5), Gaussian(1, 0.0, 1.0))
    algebra.save(mixed, tmp_path / "mixed.json")
    with pytest.raises(UserError, match="root/1 is a Gaussian leaf beside Bernoulli ones"):
        Circuit(structure="file", file=str(tmp_path / "mixed.json")).completed("bernoulli")
    (tmp_path / "bad.json").write_text('[{"kind": "product", "children": [0]}]')
    with pytest.raises(UserError, match=r"Node 0 of model\.file=.*positions of nodes before it"):
        algebra.load(tmp_path / "bad.json")
    with pytest.raises(UserError, match="cannot be read"):
        algebra.load(tmp_path / "none.json")
    algebra.save(circuit(LEAVES["bernoulli"]), tmp_path / "four.json")
    spec = Circuit(structure="file", file=str(tmp_path / "four.json"), leaf="bernoulli")
    with pytest.raises(UserError, match="has variables 4, and the data set calls for 5"):
        spec.build(DataFacts((5,), True, 1), spec.learn_structure(summary(np.zeros(5), np.ones(5))))


def test_a_circuit_built_by_hand_trains_and_loads_as_a_run(tmp_path):
    """Expectation maximisation climbs from the file's parameters; the run needs the file no more."""
    root = circuit(LEAVES["bernoulli"])
    algebra.save(root, tmp_path / "c.json")
    states = np.array(list(itertools.product([0, 1], repeat=4)))
    chances = np.array([value(root, x) for x in states])
    other = np.random.default_rng(0).dirichlet(np.ones(16))
    x = states[np.random.default_rng(1).choice(16, 400, p=0.5 * chances + 0.5 * other / other.sum())]
    np.savez(tmp_path / "x.npz", x_train=x.astype(np.uint8))
    words = ["model=circuit", "model.structure=file", f"model.file={tmp_path}/c.json", "dataset=npz"]
    words += [f"dataset.path={tmp_path}/x.npz", "algorithm=expectation_maximisation", "trainer.steps=6"]
    words += ["trainer.log_every=3", "trainer.validate_every=3", "runtime.compilation_cache=false"]
    sbvi.train(words, tmp_path / "run")
    (tmp_path / "c.json").unlink()
    run = sbvi.load_run(tmp_path / "run")
    found = run.log_likelihood(states.astype(np.uint8))
    assert np.exp(found).sum() == pytest.approx(1, rel=1e-5)
    before = np.log(chances)[(x @ [8, 4, 2, 1])].mean()
    after = found[(x @ [8, 4, 2, 1])].mean()
    assert after > before + 0.05


def test_the_importance_sampling_estimator_agrees_with_an_exact_circuit(x64):
    """The generative half of a Helmholtz machine, its latents summed out, is a circuit: a mixture over the top layer of
    mixtures over the lower one. On data drawn from the circuit, the estimate is within its own standard error."""
    model, params = machine(seed=3)

    def chances(layers, given):
        return 1 / (1 + np.exp(-affine(layers, given)))

    one, two = states(3), states(2)
    parts = [Product(*(Bernoulli(v, float(p)) for v, p in enumerate(chances(params.generative, h)))) for h in one]

    def mixed(p, values, children):
        weights = np.prod(np.where(values > 0, p, 1 - p), 1)
        return Sum(weights / weights.sum(), *children)

    lower = [mixed(chances(params.prior["layer_1"], h), one, parts) for h in two]
    top = 1 / (1 + np.exp(-np.asarray(params.prior["layer_2"][0]["bias"])))
    spec = Circuit(structure="file", file="by hand", leaf="bernoulli")
    circuit = spec.build(DataFacts((4,), True, 1), {"nodes": algebra.to_data(mixed(top, two, lower))})
    start = jax.tree.map(jnp.asarray, circuit.start)
    assert len(circuit.plan.leaves) == 8 * 4  # the lower components are shared by all mixtures

    x = jax.jit(lambda key: circuit.sample(start, key, 40).value)(jax.random.key(0))
    exact = np.asarray(jax.jit(lambda x: circuit.log_prob(start, None, x).value)(x))
    np.testing.assert_allclose(exact, Enumerated(params).log_px[np.asarray(x, int) @ [8, 4, 2, 1]], rtol=1e-9)
    samples = 20_000
    found = jax.jit(importance_sampling(model.rollout, samples, 500))(params, jax.random.key(1), x)
    error = 1 / np.sqrt(np.asarray(found.effective)) + 1 / samples
    assert (np.abs(np.asarray(found.log_likelihood) - exact) < 4 * error).all()
    assert error.max() < 0.1


def test_impossible_values_stay_impossible(x64):
    """A component that excludes x_0 = 0 counts for nothing there, however well it fits the rest."""
    many = range(1, 60)
    sure = Product(Bernoulli(0, 1.0), *(Bernoulli(v, 0.9) for v in many))
    other = Product(Bernoulli(0, 0.0), *(Bernoulli(v, 0.01) for v in many))
    spec = Circuit(structure="file", file="by hand", leaf="bernoulli")
    model = spec.build(DataFacts((60,), True, 1), {"nodes": algebra.to_data(Sum([0.5, 0.5], sure, other))})
    params = jax.tree.map(lambda v: jnp.asarray(v, jnp.float32), model.start)
    x = jnp.asarray(np.r_[0, np.ones(59)][None], jnp.float32)
    found = float(jax.jit(lambda x: model.log_prob(params, None, x).value)(x)[0])
    assert found == pytest.approx(np.log(0.5) + 59 * np.log(0.01), rel=1e-5)


@pytest.mark.parametrize("weight", [1e-10, 1e-36])
def test_a_small_weight_counts_in_float32_where_its_child_alone_explains(weight):
    """However far apart the children are; one that float32 could not tell from another is refused."""
    variables, apart = 60, 6.0

    def around(mean):
        return Product(*(Gaussian(v, mean, 0.5) for v in range(variables)))

    def made(weight):
        root = Sum([1 - weight, weight], around(0.0), around(apart))
        spec = Circuit(structure="file", file="by hand", leaf="gaussian")
        return spec.build(DataFacts((variables,), False, None), {"nodes": algebra.to_data(root)})

    model = made(weight)
    params = jax.tree.map(lambda v: jnp.asarray(v, jnp.float32), model.start)
    x = jnp.full((1, variables), apart, jnp.float32)
    found = float(jax.jit(lambda x: model.log_prob(params, None, x).value)(x)[0])
    assert found == pytest.approx(np.log(weight) - 0.5 * variables * np.log(np.pi), rel=1e-6)
    with pytest.raises(UserError, match=r"root has the weight 1e-40; allowed: at least 1e-37\."):
        made(1e-40)


def test_a_pseudocount_goes_to_the_children_that_are_there(x64):
    """A sum of two beside one of four in the same layer, whose weights without any data become uniform."""
    two = Sum([0.2, 0.8], Bernoulli(0, 0.3), Bernoulli(0, 0.6))
    four = Sum([0.1, 0.2, 0.3, 0.4], *(Bernoulli(1, p) for p in (0.2, 0.4, 0.6, 0.8)))
    spec = Circuit(structure="file", file="by hand", leaf="bernoulli")
    model = spec.build(DataFacts((2,), True, 1), {"nodes": algebra.to_data(Product(two, four))})
    params = jax.tree.map(jnp.asarray, model.start)
    shapes = jax.eval_shape(model.statistics, params, jnp.ones((1, 2)), jnp.ones(1))
    counted = jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), shapes)
    counted["sums"][0][0, :2, 0] = [3.0, 1.0]
    weights = np.exp(np.asarray(jax.jit(model.maximise)(params, counted, 1.0)["sums"][0]))[..., 0]
    np.testing.assert_allclose(weights[0], [3.5 / 5, 1.5 / 5, 0, 0], atol=1e-9)
    np.testing.assert_allclose(weights[1], 0.25, atol=1e-9)
