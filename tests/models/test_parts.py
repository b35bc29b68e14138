"""The image circuit of parts against its definition, written out as sums and products."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sbvi.core import UserError
from sbvi.models import MODELS
from sbvi.models.values import DataFacts, DataSummary
from sbvi.objectives import OBJECTIVES

C, P, T, W, H, V, K, B = 3, 2, 2, 2, 3, 4, 5, 4
FACTS = DataFacts((H, V, K), False, 255, classes=C)


@pytest.fixture(scope="module")
def case():
    generator = np.random.default_rng(0)
    x = generator.random((B, H * V * K)).astype(np.float32)
    spec = MODELS["parts"](parts=P, templates=T, window=W, dropout=0.3)
    spec.check(FACTS)
    summary = DataSummary(x, np.arange(B) % C, x.mean(0), x.std(0), B)
    model = spec.build(FACTS, spec.learn_structure(summary))
    shapes = jax.tree.map(jnp.shape, model.init(0, summary), is_leaf=lambda a: isinstance(a, jax.Array))
    params = {name: jnp.asarray(generator.normal(size=shape).astype(np.float32)) for name, shape in shapes.items()}
    return model, params, x, jax.jit(model.joint_log_probs, static_argnames="rule")


def by_hand(params, x, over):
    """log S_c(x), with `over` in place of log-sum-exp."""
    mean, spread = x.mean(0), np.maximum(x.std(0), 1e-3)
    values = ((x - mean) / spread).reshape(B, H, V, K)
    templates = np.asarray(params["templates"]).reshape(C, P, T, W, W, K)
    shares = np.asarray(params["shares"]).reshape(C, P, T)
    shares = shares - np.log(np.exp(shares).sum(2, keepdims=True))
    places = [(i, j) for i in range(H - W + 1) for j in range(V - W + 1)]
    found = np.tile(np.asarray(params["classes"]), (B, 1))
    for b, c, p in np.ndindex(B, C, P):
        sums = []
        for t in range(T):
            fits = [np.sum(values[b, i : i + W, j : j + W] * templates[c, p, t]) for i, j in places]
            sums.append(shares[c, p, t] + over(np.array(fits) - np.log(len(places))))
        found[b, c] += over(np.array(sums))
    return found


@pytest.mark.parametrize(("rule", "over"), [("soft", np.logaddexp.reduce), ("hard", np.max)])
def test_it_is_a_product_of_sums_over_places(case, rule, over):
    _, params, x, joint = case
    np.testing.assert_allclose(joint(params, x, rule=rule), by_hand(params, x, over), rtol=2e-4, atol=2e-4)


def test_labels_have_probabilities_and_dropout_is_for_training(case):
    model, params, x, joint = case
    logs = np.asarray(jax.jit(model.class_log_probs)(params, x))
    np.testing.assert_allclose(np.exp(logs).sum(1), 1, rtol=1e-5)
    plain = np.asarray(joint(params, x))
    assert np.abs(np.asarray(joint(params, x, key=jax.random.key(0))) - plain).max() > 0.1
    np.testing.assert_allclose(logs, plain - np.logaddexp.reduce(plain, 1)[:, None], atol=1e-5)


def test_refusals():
    spec = MODELS["parts"]()
    with pytest.raises(UserError, match=r"model.window=3 needs images or features on a grid"):
        spec.check(FACTS._replace(event_shape=(2, 4, 5)))
    with pytest.raises(UserError, match=r"the data has shape \(12,\)"):
        spec.check(FACTS._replace(event_shape=(12,)))
    with pytest.raises(UserError, match="needs labels of at least two classes; the data has 0"):
        spec.check(FACTS._replace(event_shape=(4, 4, 5), classes=0))
    with pytest.raises(UserError, match=r"objective=hybrid needs log p\(x\)"):
        OBJECTIVES["hybrid"]().check(spec)
