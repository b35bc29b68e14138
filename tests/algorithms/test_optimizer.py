import numpy as np
import optax
import pytest

from sbvi.algorithms import Optimizer
from sbvi.algorithms.optimizer import factories
from sbvi.algorithms.schedules import Schedule
from sbvi.core import UserError

STEPS = np.arange(100)


@pytest.mark.parametrize(
    ("schedule", "reference"),
    [
        (Schedule(), optax.constant_schedule(1.0)),
        (Schedule(kind="cosine", final=0.1), optax.cosine_decay_schedule(1.0, 100, 0.1)),
        (Schedule(kind="exponential", final=0.01), optax.exponential_decay(1.0, 100, 0.01)),
        (
            Schedule(kind="staged", boundaries=(2.0, 5.0), factors=(0.5, 0.1)),
            # Optax multiplies its factors; ours are absolute.
            optax.piecewise_constant_schedule(1.0, {20: 0.5, 50: 0.2}),
        ),
    ],
)
def test_schedules_against_optax(schedule, reference):
    expected = [float(reference(int(step))) for step in STEPS]
    np.testing.assert_allclose(schedule.at(STEPS, 10.0, 100), expected, rtol=1e-5)


def test_beyond_its_end_a_schedule_stays_there():
    for kind in ("cosine", "exponential"):
        np.testing.assert_allclose(Schedule(kind=kind, final=0.1).at(np.array([100, 150]), 10.0, 100), 0.1)


def test_warmup_rises_from_zero():
    found = Schedule(warmup_epochs=2.0).at(STEPS, 10.0, 100)
    np.testing.assert_allclose(found[:20], np.arange(1, 21) / 20)
    assert (found[20:] == 1).all()


@pytest.mark.filterwarnings("ignore::DeprecationWarning:optax", "ignore:Specifying a key", "ignore:`optimistic_adam`")
@pytest.mark.parametrize("name", sorted(factories()))
def test_every_optax_factory_builds_and_takes_a_step(name):
    import jax
    import jax.numpy as jnp

    from sbvi.algorithms.optimizer import set_learning_rate

    transform = Optimizer(name=name, learning_rate=0.01).build()
    params = {"w": jnp.ones((3, 2)), "b": jnp.zeros(2)}
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        state = set_learning_rate(transform.init(params), jnp.float32(0.02))
        updates, state = transform.update(jax.tree.map(jnp.ones_like, params), state, params)
    assert jax.tree.structure(updates) == jax.tree.structure(params)
    assert float(state.hyperparams["learning_rate"]) == pytest.approx(0.02)


def test_mistakes_are_sentences():
    with pytest.raises(UserError, match=r"optimizer.name=admm is not known \(did you mean adam\?\)"):
        Optimizer(name="admm")
    with pytest.raises(
        UserError, match=r"optimizer.arguments.bb1=0.5 is not a key \(did you mean optimizer.arguments.b1"
    ):
        Optimizer(name="adam", arguments={"bb1": 0.5})
    with pytest.raises(ValueError, match="cannot be reached by kind=exponential"):
        Schedule(kind="exponential")
