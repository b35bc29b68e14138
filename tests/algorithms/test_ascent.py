"""One update of algorithms that follow a gradient, against NumPy: the prior's pull, clipping, the rate, the average."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sbvi.algorithms import Optimizer
from sbvi.algorithms.ascent import Ascent
from sbvi.algorithms.schedules import Schedule

PARAMS = {"a": np.array([3.0, -4.0]), "b": np.array([[2.0, 0.5]])}
GRADS = {"a": np.array([1.0, 2.0]), "b": np.array([[-2.0, 4.0]])}


class Pulled:
    """A model of whose weights a prior is told."""

    def numbers(self, examples):
        return {"prior_precision": 5 / examples}


def updated(grads, times=1):
    """Plain descent with the rates 0.2, 0.1, .. by a schedule, gradients of a global norm of at most 3, an average."""
    schedule = Schedule(kind="staged", boundaries=(1.0,), factors=(0.5,))
    choices = {"schedule": schedule, "clip_norm": 3.0, "average": 0.25}
    ascent = Ascent(Pulled(), Optimizer(name="sgd", learning_rate=0.2, **choices), 10)
    hypers = ascent.hypers(np.arange(times), 1.0, times)

    @jax.jit
    def all_of_them(state, grads, hypers):
        for step in range(times):
            state = ascent.update(state, grads, {name: values[step] for name, values in hypers.items()})
        return state

    words = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), (PARAMS, grads))
    state = all_of_them(ascent.fresh(words[0]), words[1], hypers)
    return state.params, ascent.eval_params(state)


def by_hand(grads, times=1):
    """The parameters after each update."""
    found = [PARAMS]
    for rate in (0.2, 0.1)[:times]:
        whole = jax.tree.map(lambda g, p: g + 0.5 * p, grads, found[-1])
        norm = np.sqrt(sum((leaf**2).sum() for leaf in whole.values()))
        found.append(jax.tree.map(lambda p, g, s=min(1, 3 / norm), r=rate: p - r * s * g, found[-1], whole))
    return found[1:]


@pytest.mark.parametrize("scale", [-0.2, 0.1, 10.0])
def test_the_prior_pulls_before_the_norm_of_all_is_limited(scale):
    """Within the limit are two of these gradients, and with the pull one, of scale 0.1."""
    grads = jax.tree.map(lambda g: scale * g, GRADS)
    (expected,) = by_hand(grads)
    for name, value in updated(grads)[0].items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-5)


def test_the_average_is_of_what_updates_made():
    """The second counts 0.75 and the first 0.25 of that, over their sum."""
    first, second = by_hand(GRADS, 2)
    params, average = updated(GRADS, 2)
    for name in PARAMS:
        np.testing.assert_allclose(params[name], second[name], rtol=1e-5)
        np.testing.assert_allclose(average[name], (first[name] * 0.25 + second[name]) / 1.25, rtol=1e-5)
