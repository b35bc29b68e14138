"""Stochastic gradient ascent on a bound: Algorithm 1 of the paper, with any Optax optimiser.

    theta <- theta - Gamma grad [ F(theta) + |theta^g|^2 / (2 kappa N) ]         (PAPER eq. 18)

The weight prior enters through its gradient; the reported `loss` is the objective's, without it.
"""

import logging
from dataclasses import replace
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.algorithms.algorithm import AlgorithmSpec, Array, Hyper, Info, needs
from sbvi.algorithms.ascent import Ascent, State, typed
from sbvi.algorithms.optimizer import Optimizer
from sbvi.core import Choice, Part, name_of, spec
from sbvi.data import Batch
from sbvi.models.spec import ModelSpec
from sbvi.objectives import OBJECTIVES, Objective, View, evaluated
from sbvi.objectives.whole import whole

log = logging.getLogger(__name__)


class Paired(NamedTuple):
    """A model's parameters and those of its objective's companion, such as a baseline."""

    model: Any
    companion: Any


class GradientAscent(Ascent):
    """One joint step of all parameters along the gradient of an objective, its companion's among them."""

    def __init__(self, model: Any, objective: Objective, optimizer: Optimizer, examples: int):
        super().__init__(model, optimizer, examples)
        self.objective = objective

    @property
    def monitor(self) -> str:
        return self.objective.monitor

    def fresh(self, params: Any) -> State:
        companion = self.objective.companion(jax.random.key(0), self.model.facts.event_size)
        return super().fresh(params if companion is None else Paired(params, companion))

    def eval_params(self, state: State) -> Any:
        params = super().eval_params(state)
        return params.model if isinstance(params, Paired) else params

    def pulled(self, grads: Any, params: Any, hyper: Hyper) -> Any:
        if isinstance(grads, Paired):
            return grads._replace(model=super().pulled(grads.model, params.model, hyper))
        return super().pulled(grads, params, hyper)

    def hypers(self, steps: np.ndarray, steps_per_epoch: float, total_steps: int) -> dict[str, np.ndarray]:
        own = self.objective.numbers(steps, steps_per_epoch)
        return super().hypers(steps, steps_per_epoch, total_steps) | {n: v.astype(np.float32) for n, v in own.items()}

    def step(self, state: State, batch: Batch, key: Array, hyper: Hyper) -> tuple[State, Info]:
        hyper, noise = typed(hyper, batch.x.dtype)

        def loss(params: Any) -> tuple[Array, dict[str, Array]]:
            own, companion = params if isinstance(params, Paired) else (params, None)
            return evaluated(self.objective, View(self.model, own, key, batch, noise, companion=companion), hyper)

        (value, report), grads = jax.value_and_grad(loss, has_aux=True)(state.params)
        scalars = {"loss": value} | {name: jnp.mean(part) for name, part in report.items()}
        return self.update(state, grads, hyper), Info(scalars)

    def scores(self, params: Any, key: Array, batch: Batch) -> dict[str, Array]:
        return objective_scores(self.objective, self.model, params, key, batch)


def objective_scores(objective: Objective, model: Any, params: Any, key: Array, batch: Batch) -> dict[str, Array]:
    """An objective's parts (B,) with the full weight of its KL term, without noise."""
    view = View(model, params, key, batch, values_only=True)
    return evaluated(objective, view, {"kl_weight": jnp.ones((), batch.x.dtype)})[1]


@spec
class GradientAscentSpec(AlgorithmSpec):
    """One joint step of all parameters along the gradient of the objective."""

    objective: Annotated[Any, Choice("objective", OBJECTIVES)] = None
    """What is climbed; null for what the model calls for."""
    optimizer: Annotated[Optimizer, Part("optimizer", Optimizer)] = Optimizer()
    """The optimiser."""

    def completed(self, model: ModelSpec) -> "GradientAscentSpec":
        objective = self.objective if self.objective is not None else OBJECTIVES[model.default_objective]()
        return replace(self, objective=_serving(objective, model))

    def check(self, model: ModelSpec) -> None:
        needs(model, self.objective.needs, f"objective={name_of(OBJECTIVES, self.objective)}")
        self.objective.check(model)

    def build(self, model: Any, examples: int) -> GradientAscent:
        return GradientAscent(model, whole(self.objective, model.facts.event_size), self.optimizer, examples)


def _serving(objective: Any, model: ModelSpec) -> Any:
    """The objective, with another estimator where the standard one cannot serve the model's latents."""
    if getattr(objective, "estimator", None) != "standard" or "standard" in model.estimators:
        return objective
    serving = "vimco" if objective.num_samples > 1 else "nvil"
    if serving not in model.estimators:
        return objective
    log.info("objective.estimator=%s: standard does not serve this model's latents.", serving)
    return replace(objective, estimator=serving)
