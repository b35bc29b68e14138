"""Learning by labels, on a small circuit: gradients against definitions by enumeration and by counts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from sbvi.algorithms import ALGORITHMS
from sbvi.core import UserError
from sbvi.data import Batch
from sbvi.models import Circuit
from sbvi.models.circuit.sums import hard
from sbvi.models.rollout import Noise
from sbvi.models.values import DataFacts, DataSummary
from sbvi.objectives import OBJECTIVES, View

D, B = 5, 7
FACTS = DataFacts((D,), True, 1, classes=3)


@pytest.fixture
def case(x64):
    generator = np.random.default_rng(0)
    x = (generator.random((B, D)) < 0.4).astype(np.float32)
    label = generator.integers(0, 3, B).astype(np.int32)
    spec = Circuit(structure="random", units=2, replicas=2, depth=2, leaf="bernoulli", labels=True)
    model = spec.build(FACTS)
    params = model.init(0, DataSummary(x, label, x.mean(0), x.std(0), B))
    params = jax.tree.map(lambda a: jnp.asarray(np.asarray(a, np.float64)), params)
    batch = Batch(jnp.asarray(x, jnp.float64), jnp.arange(B, dtype=jnp.int32), jnp.ones(B), jnp.asarray(label))
    return model, params, batch


def graded(case, name, **options):
    """The loss, the report, and the gradient by the free parameters."""
    model, params, batch = case
    objective = OBJECTIVES[name](**options)
    loss = lambda p: objective(View(model, p, jax.random.key(0), batch, Noise()), {})  # noqa: E731
    (value, report), grads = jax.jit(jax.value_and_grad(loss, has_aux=True))(params)
    return float(value), report, grads


def test_soft_is_the_difference_of_two_posteriors(case):
    """Its gradient by weights is that of log S[y, x] less that of log S[x]."""
    model, params, batch = case
    value, report, grads = graded(case, "conditional_likelihood")
    joint = np.asarray(jax.jit(model.joint_log_probs)(params, batch.x))
    p = np.exp(joint) / np.exp(joint).sum(1, keepdims=True)
    own = np.log(p[np.arange(B), np.asarray(batch.label)])
    np.testing.assert_allclose(report["conditional_log_likelihood"], own, rtol=1e-10)
    np.testing.assert_allclose(report["accuracy"], p.argmax(1) == np.asarray(batch.label))
    assert value == pytest.approx(-own.mean())

    def parts(params):
        joint = model.joint_log_probs(params, batch.x)
        with_label = jnp.take_along_axis(joint, batch.label[:, None], 1)
        return jnp.mean(with_label), jnp.mean(model.log_prob(params, None, batch.x).value)

    first, second = jax.jit(lambda p: [jax.grad(lambda p, i=i: parts(p)[i])(p) for i in range(2)])(params)
    for found, a, b in zip(*map(jax.tree.leaves, (grads, first, second)), strict=True):
        np.testing.assert_allclose(found, -(np.asarray(a) - np.asarray(b)), atol=1e-10)


def test_hard_is_the_difference_of_two_counts(case):
    """By logarithms of weights: whole counts of the best tree with the label, less those of the best tree with any."""
    model, params, batch = case
    _, _, grads = graded(case, "conditional_likelihood", estimator="hard")

    @jax.jit
    def by_definition(params):
        logs = model._logs(params, *model._inputs(batch.x, None))
        best = jnp.argmax(model._by_class(logs, hard) + logs.classes[0, :, 0][None], 1)

        def worth(weights):
            joint = model._by_class(logs._replace(weights=weights), hard)
            return [joint[jnp.arange(B), chosen] for chosen in (batch.label, best)]

        return jax.jacobian(worth)(logs.weights)

    counts = by_definition(params)
    for position, (mine, any_label) in enumerate(zip(*counts, strict=True)):
        change = np.asarray(mine) - np.asarray(any_label)
        assert set(np.unique(change)) <= {-1.0, 0.0, 1.0}
        # Weights are normalised over their inputs: the rest of the chain rule.
        share = scipy.special.softmax(params["sums"][position], axis=1)
        mean = change.mean(0)
        expected = -(mean - share * mean.sum(1, keepdims=True))
        np.testing.assert_allclose(grads["sums"][position], expected, atol=1e-12)
    assert any((np.asarray(a) != np.asarray(b)).any() for a, b in zip(*counts, strict=True))


def test_hybrid_weighs_both(case):
    model, params, batch = case
    joint = np.asarray(jax.jit(model.joint_log_probs)(params, batch.x))[np.arange(B), np.asarray(batch.label)]
    report = graded(case, "conditional_likelihood")[1]
    both, given = joint.mean() / D, float(jnp.mean(report["conditional_log_likelihood"]))
    for weight in (0.0, 0.3, 1.0):
        value, report, _ = graded(case, "hybrid", weight=weight)
        assert value == pytest.approx(-(weight * given + (1 - weight) * both), rel=1e-10)
        assert float(jnp.mean(report["hybrid"])) == pytest.approx(-value)


def test_dropout_is_for_training_alone(case):
    _, params, batch = case
    spec = Circuit(
        structure="random",
        units=2,
        replicas=2,
        depth=2,
        leaf="bernoulli",
        labels=True,
        leaf_dropout=0.5,
        sum_dropout=0.3,
    )
    model = spec.build(FACTS)
    objective = OBJECTIVES["conditional_likelihood"]()
    key = jax.random.key(0)

    @jax.jit
    def program(params):
        views = (
            View(case[0], params, key, batch, Noise()),
            View(model, params, key, batch, Noise()),
            View(model, params, key, batch, values_only=True),
        )
        return [objective(seen, {})[0] for seen in views]

    plain, training, scored = program(params)
    assert float(scored) == pytest.approx(float(plain))
    assert float(training) != pytest.approx(float(plain), rel=1e-3)


def test_models_without_labels_are_refused():
    for name in ("conditional_likelihood", "hybrid"):
        with pytest.raises(UserError, match=f"objective={name} needs a class for every label; set model.labels=true"):
            OBJECTIVES[name]().check(Circuit(leaf="bernoulli"))


def test_classes_are_not_trained_without_their_labels():
    """They would be parts of the data in any order, and p(label | x) of no meaning."""
    model = Circuit(leaf="bernoulli", labels=True)
    with pytest.raises(UserError, match="objective=log_likelihood does not look at labels"):
        OBJECTIVES["log_likelihood"]().check(model)
    with pytest.raises(UserError, match="algorithm=expectation_maximisation does not look at labels"):
        ALGORITHMS["expectation_maximisation"]().check(model)
    with pytest.raises(ValueError, match="leaf_dropout and sum_dropout are of training by labels"):
        Circuit(leaf="bernoulli", leaf_dropout=0.2)
