"""Optimisers: any Optax factory that takes a learning rate, by name with its arguments."""

import dataclasses
import functools
import inspect
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import optax

from sbvi.algorithms.schedules import Schedule
from sbvi.core import NamesOf, Positive, Probability, UserError, choices, spec, unknown_key

Array = jax.Array


@functools.cache
def factories() -> dict[str, Any]:
    """Optax's optimisers by name: the factories whose first argument is a learning rate."""
    by_name = {}
    for name in dir(optax):
        # lbfgs needs the loss as a function; the others are parts of optimisers.
        if name.startswith(("_", "scale_by_")) or name == "lbfgs":
            continue
        factory = getattr(optax, name)
        if inspect.isfunction(factory) and next(iter(inspect.signature(factory).parameters), "") == "learning_rate":
            by_name[name] = factory
    return by_name


@spec
class Optimizer:
    """An Optax optimiser, its schedule, clipping, and an average of the weights on request."""

    name: Annotated[str, NamesOf("optax", factories)] = "adam"
    """Name of the Optax factory."""
    learning_rate: Positive = 1e-3
    """Learning rate, which the schedule multiplies."""
    arguments: dict[str, float | bool | None] = dataclasses.field(default_factory=dict)
    """Further arguments of the factory."""
    schedule: Schedule = Schedule()
    """Factor on the learning rate over training."""
    clip_norm: Positive | None = None
    """Greatest global norm of a gradient; null for no clipping."""
    average: Probability | None = None
    """Decay of an exponential moving average of the weights, used for evaluation; null for none."""

    def __post_init__(self) -> None:
        if self.name not in factories():
            raise choices("optimizer.name", self.name, factories())
        allowed = [name for name in inspect.signature(factories()[self.name]).parameters if name != "learning_rate"]
        for key, value in self.arguments.items():
            if key not in allowed:
                raise unknown_key(f"optimizer.arguments.{key}", value, [f"optimizer.arguments.{a}" for a in allowed])

    def build(self) -> optax.GradientTransformation:
        """The optimiser; its numbers live in its state, so that one program serves many values."""
        factory = optax.inject_hyperparams(factories()[self.name])
        try:
            inner = factory(learning_rate=self.learning_rate, **self.arguments)
            jax.eval_shape(inner.init, {"probe": jax.ShapeDtypeStruct((2,), jnp.float32)})
        except Exception as error:  # whatever the factory makes of its arguments
            raise UserError(
                f"optimizer.name={self.name} does not accept optimizer.arguments={self.arguments} "
                f"({str(error).splitlines()[0] if str(error) else type(error).__name__})."
            ) from None
        return inner


def set_learning_rate(state: Any, value: Array) -> Any:
    """The optimiser's state with another learning rate."""
    rate = state.hyperparams["learning_rate"]
    return state._replace(hyperparams=state.hyperparams | {"learning_rate": value.astype(rate.dtype)})


def clip(grads: Any, limit: Array) -> Any:
    """Gradients scaled so that their global norm is at most `limit`."""
    norm = optax.tree.norm(grads)
    factor = jnp.minimum(1.0, limit / (norm + 1e-12)).astype(norm.dtype)
    return jax.tree.map(lambda g: g * factor, grads)
