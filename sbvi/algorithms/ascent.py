"""What algorithms that follow a gradient share: parameters, an Optax optimiser, averaging, the weight prior."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from sbvi.algorithms import averaging
from sbvi.algorithms.algorithm import Array, Hyper
from sbvi.algorithms.optimizer import Optimizer, clip, set_learning_rate
from sbvi.core.xla.once import jit_once
from sbvi.models.rollout import Noise
from sbvi.models.values import DataSummary, weighed, with_weighed


class State(NamedTuple):
    """params; the optimiser's state; the average of the parameters, or None; updates averaged."""

    params: Any
    optimizer: Any
    average: Any
    updates: Array


class Ascent:
    """Updates all parameters jointly. examples: N, the size of the training set."""

    def __init__(self, model: Any, optimizer: Optimizer, examples: int):
        self.model, self.optimizer, self.examples = model, optimizer, examples
        self.transform = optimizer.build()

        @jit_once  # one program in place of one for each shape
        def rest(params: Any) -> tuple[Any, ...]:
            average = averaging.init(params) if optimizer.average is not None else None
            return self.transform.init(params), average, jnp.zeros((), jnp.int32)

        self._rest = rest

    def init(self, seed: int, summary: DataSummary) -> State:
        return self.fresh(self.model.init(seed, summary))

    def fresh(self, params: Any) -> State:
        return State(params, *self._rest(params))

    def with_params(self, state: State, params: Any) -> State:
        return self.fresh(params)

    def keeps(self, score: float, best: float) -> bool:
        return score > best

    def hypers(self, steps: np.ndarray, steps_per_epoch: float, total_steps: int) -> dict[str, np.ndarray]:
        factor = self.optimizer.schedule.at(steps, steps_per_epoch, total_steps)
        constants = self.model.numbers(self.examples) | {
            "average_rate": averaging.rate_of(self.optimizer.average),
            "clip_norm": self.optimizer.clip_norm or 0.0,
        }
        hypers = {name: np.full(steps.shape, value) for name, value in constants.items() if value}
        hypers["learning_rate"] = self.optimizer.learning_rate * factor
        return {name: value.astype(np.float32) for name, value in hypers.items()}

    def pulled(self, grads: Any, params: Any, hyper: Hyper) -> Any:
        """The gradients with the weight prior's."""
        if "prior_precision" in hyper:
            grads = with_weighed(grads, _pulled(weighed(grads), weighed(params), hyper["prior_precision"]))
        if "upper_precision" in hyper:
            grads = grads._replace(prior=_pulled(grads.prior, params.prior, hyper["upper_precision"]))
        return grads

    def update(self, state: State, grads: Any, hyper: Hyper) -> State:
        """One step of the optimiser along -grads, the weight prior's pull added."""
        grads = self.pulled(grads, state.params, hyper)
        if "clip_norm" in hyper:
            grads = clip(grads, hyper["clip_norm"])
        optimizer = set_learning_rate(state.optimizer, hyper["learning_rate"])
        with jax.numpy_dtype_promotion("standard"):  # Optax mixes its counters with floats
            updates, optimizer = self.transform.update(grads, optimizer, state.params)
            params = optax.apply_updates(state.params, updates)
        average = state.average
        if average is not None:
            average = averaging.update(average, params, hyper["average_rate"])
        return State(params, optimizer, average, state.updates + 1)

    def eval_params(self, state: State) -> Any:
        """The parameters, or their average without the bias of its start at zero."""
        if state.average is None or self.optimizer.average is None or int(state.updates) == 0:
            return state.params
        return averaging.debiased(state.average, averaging.rate_of(self.optimizer.average), int(state.updates))


def _pulled(grads: Any, params: Any, precision: Array) -> Any:
    return jax.tree.map(lambda g, p: g + precision * p, grads, params)


def typed(hyper: Hyper, dtype: Any) -> tuple[Hyper, Noise]:
    """The numbers of a step in the data's precision, and the noise among them."""
    hyper = {name: value.astype(dtype) for name, value in hyper.items()}
    return hyper, Noise(**{name: hyper.get(name) for name in Noise._fields})
