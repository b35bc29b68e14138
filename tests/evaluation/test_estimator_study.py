"""The study of estimators on an enumerable model: no bias beyond noise, and the order of their variances."""

import importlib
import itertools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.enumerable import Enumerated, machine
from support.paths import ROOT

from sbvi.algorithms.bihm import BiHMSpec
from sbvi.algorithms.reweighted_wake_sleep import ReweightedWakeSleepSpec
from sbvi.algorithms.wake_sleep import WakeSleepSpec
from sbvi.evaluation.estimator_study import Descended, _moments, study_algorithms, study_estimators


@pytest.mark.parametrize("level", [0.0, 1e3])
def test_moments_have_their_digits_in_float32(level):
    """Whatever the mean is beside the deviation, 0.1; against float64 sums over the same draws."""

    def gradient(params, key):
        return {"w": params["w"] + 0.1 * jax.random.normal(key, (3,))}

    params, draws = {"w": jnp.full(3, level, jnp.float32)}, 20_000
    found = _moments(gradient, params, draws, 5)
    keys = jax.random.split(jax.random.key(5), draws)
    each = np.asarray(jax.vmap(lambda key: gradient(params, key)["w"])(keys), np.float64)
    np.testing.assert_allclose(found.variance["w"], each.var(0), rtol=1e-4)
    np.testing.assert_allclose(found.mean["w"] - level, each.mean(0) - level, atol=1e-5)  # a standard error is 7e-4


@pytest.mark.slow  # that none is biased is enumerated in test_discrete.py
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


def test_algorithms_are_as_biased_as_enumeration_says(x64, monkeypatch):
    """Of two samples every pair is summed over, by the script's gradients, which are apart from the package."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    script = importlib.import_module("study_estimators")
    model, params = machine(seed=1)
    own = script.Machine(np.random.default_rng(0))
    prior, q = params.prior, params.recognition
    parts = {"p0": params.generative[0], "p1": prior["layer_1"][0], "q1": q["layer_1"][0], "q2": q["layer_2"][0]}
    own.layers = {name: (np.asarray(part["kernel"]), np.asarray(part["bias"])) for name, part in parts.items()}
    own.layers["p2"] = np.zeros((1, 2)), np.asarray(prior["layer_2"][0]["bias"])
    x = Enumerated(params).x[[3, 9]]
    pairs = np.array(list(itertools.product(range(32), repeat=2)))
    exact = {}
    for row in x:
        log_p, slope_p, log_q, slope_q = own.at(row)
        chance = np.exp(log_q[pairs].sum(1))
        for (name, _), of_q, of_p, alpha in script.factors((log_p - log_q)[pairs]):
            if alpha is not None:
                parts = [np.einsum("n,ns,nsk->k", chance, f, s[pairs]) for f, s in ((of_q, slope_q), (of_p, slope_p))]
                away = script.limit(log_p, slope_p, log_q, slope_q, alpha)
                exact.setdefault(name, []).append((np.concatenate(parts), away))

    kinds = {"bihm": BiHMSpec(), "reweighted, wake": ReweightedWakeSleepSpec(dreams=0.0), "sleep": WakeSleepSpec()}
    algorithms = {}
    for name, kind in kinds.items():
        few, many = (replace(kind, num_samples=count).build(model, 1) for count in (2, 100))
        algorithms[name] = Descended(few.loss, (many if few.normalised else few).loss, few.normalised)
    found = {r.bound: r for r in study_algorithms(algorithms, params, jnp.asarray(x), 10_000, 50_000, 1)}
    for name, rows in exact.items():
        mean, away = (np.mean([row[i] for row in rows], 0) for i in range(2))
        bias = np.linalg.norm(mean - away) / np.linalg.norm(away)
        assert bias > 5 * found[name].noise
        assert abs(found[name].bias - bias) < 3 * found[name].noise + 0.03 * bias  # the reference has 100 samples
    assert found["sleep"].bias < 3 * found["sleep"].noise


def test_relaxed_gradients_of_the_script_are_slopes_of_its_bound(monkeypatch):
    """Against differences of F in the logits, at latents that are moved along the relaxation's slope."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    study = importlib.import_module("study_estimators")
    machine, generator = study.Machine(np.random.default_rng(3)), np.random.default_rng(4)
    x, chosen = np.array([1.0, 0.0, 1.0, 1.0]), generator.choice(32, size=(1, 1))
    found = study.relaxed(machine, x, chosen, np.ones((1, 1)), np.random.default_rng(5))[0]
    one, two = machine.one[chosen[0, 0]], machine.two[chosen[0, 0]]
    layers, noise = machine.layers, np.random.default_rng(5)
    draws = {name: noise.random((1, 1, size))[0, 0] for name, size in (("q2", 2), ("q1", 3))}  # in the study's order

    def soft(logits, first, value, name):
        on = study.logistic(first)
        u = np.where(value == 1, draws[name] * on, on + draws[name] * (1 - on))
        return study.logistic((logits - np.log(u) + np.log1p(-u)) / study.TEMPERATURE)

    def bernoulli(logits, value):
        return np.sum(value * logits - np.logaddexp(0, logits))

    def bound(params):
        """log w, the draws replaced by themselves with the relaxation's change added."""
        (w1, b1), (w2, b2) = params
        start = x @ layers["q1"][0] + layers["q1"][1]
        a1 = x @ w1 + b1
        h1 = one + soft(a1, start, one, "q1") - soft(start, start, one, "q1")
        a2, start = h1 @ w2 + b2, one @ layers["q2"][0] + layers["q2"][1]
        h2 = two + soft(a2, start, two, "q2") - soft(start, start, two, "q2")
        p = bernoulli(h1 @ layers["p0"][0] + layers["p0"][1], x)
        p += bernoulli(h2 @ layers["p1"][0] + layers["p1"][1], h1) + bernoulli(layers["p2"][1], h2)
        return p - bernoulli(a1, h1) - bernoulli(a2, h2)

    base = [layers["q1"], layers["q2"]]
    flat = np.concatenate([part.ravel() for layer in base for part in layer])

    def at(values):
        parts, place = [], 0
        for weights, bias in base:
            w = values[place : place + weights.size].reshape(weights.shape)
            b = values[place + weights.size : place + weights.size + bias.size]
            parts.append((w, b))
            place += weights.size + bias.size
        return bound(parts)

    steps = 1e-5 * np.eye(len(flat))
    expected = np.array([(at(flat + step) - at(flat - step)) / 2e-5 for step in steps])
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)
