"""Stochastic gradient ascent on a bound: Algorithm 1 of the paper, with any Optax optimiser.

    theta <- theta - Gamma grad [ F(theta) + |theta^g|^2 / (2 kappa N) ]         (PAPER eq. 18)

The weight prior enters through its gradient; the reported `loss` is the objective's, without it.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from sbvi.algorithms import averaging
from sbvi.algorithms.algorithm import Array, Hyper, Info
from sbvi.algorithms.optimizer import Optimizer, clip, set_learning_rate
from sbvi.core import spec
from sbvi.data import Batch
from sbvi.models import STANDARD, BuiltDLGM, DLGMParams, Noise, Paths
from sbvi.objectives import Objective


class State(NamedTuple):
    """params; the optimiser's state; the average of the parameters, or None; updates averaged."""

    params: DLGMParams
    optimizer: Any
    average: Any
    updates: Array


class GradientAscent:
    """Updates all parameters jointly. examples: N, the size of the training set."""

    def __init__(self, model: BuiltDLGM, objective: Objective, optimizer: Optimizer, examples: int):
        self.model, self.objective, self.optimizer, self.examples = model, objective, optimizer, examples
        self.transform = optimizer.build()

    @property
    def monitor(self) -> str:
        return self.objective.monitor

    def init(self, seed: int, mean: np.ndarray, spread: np.ndarray) -> State:
        return self.fresh(self.model.init(seed, mean, spread))

    def fresh(self, params: DLGMParams) -> State:
        @jax.jit  # one program in place of one for each shape
        def rest(params: DLGMParams) -> tuple[Any, ...]:
            average = averaging.init(params) if self.optimizer.average is not None else None
            return self.transform.init(params), average, jnp.zeros((), jnp.int32)

        return State(params, *rest(params))

    def with_params(self, state: State, params: Any) -> State:
        return self.fresh(params)

    def hypers(self, steps: np.ndarray, steps_per_epoch: float, total_steps: int) -> dict[str, np.ndarray]:
        spec = self.model.spec
        factor = self.optimizer.schedule.at(steps, steps_per_epoch, total_steps)
        constants = {
            "bit_flip": spec.bit_flip,
            "dropout": spec.input_dropout,
            "latent": spec.latent_noise,
            "prior_precision": 1 / (spec.weight_prior_variance * self.examples) if spec.weight_prior_variance else 0.0,
            "average_rate": averaging.rate_of(self.optimizer.average),
            "clip_norm": self.optimizer.clip_norm or 0.0,
        }
        found = {name: np.full(steps.shape, value) for name, value in constants.items() if value}
        found["learning_rate"] = self.optimizer.learning_rate * factor
        found["kl_weight"] = self.objective.kl_weight.at(steps, steps_per_epoch)
        return {name: value.astype(np.float32) for name, value in found.items()}

    def step(self, state: State, batch: Batch, key: Array, hyper: Hyper) -> tuple[State, Info]:
        dtype = batch.x.dtype
        hyper = {name: value.astype(dtype) for name, value in hyper.items()}
        noise = Noise(**{name: hyper.get(name) for name in Noise._fields})

        def loss(params: DLGMParams) -> tuple[Array, dict[str, Array]]:
            def roll(num_samples: int, paths: Paths = STANDARD) -> Any:
                return self.model.rollout(params, key, batch.x, num_samples, noise=noise, paths=paths)

            return self.objective(roll, hyper["kl_weight"])

        (value, report), grads = jax.value_and_grad(loss, has_aux=True)(state.params)
        scalars = {"loss": value} | {name: jnp.mean(part) for name, part in report.items()}
        return self.update(state, grads, hyper), Info(scalars)

    def update(self, state: State, grads: DLGMParams, hyper: Hyper) -> State:
        """One step of the optimiser along -grads, the weight prior's pull added."""
        if "prior_precision" in hyper:
            pulled = jax.tree.map(
                lambda g, p: g + hyper["prior_precision"] * p, grads.generative, state.params.generative
            )
            grads = grads._replace(generative=pulled)
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

    def eval_params(self, state: State) -> DLGMParams:
        """The parameters, or their average without the bias of its start at zero."""
        if state.average is None or self.optimizer.average is None or int(state.updates) == 0:
            return state.params
        rate = averaging.rate_of(self.optimizer.average)
        found: DLGMParams = averaging.debiased(state.average, rate, int(state.updates))
        return found


@spec
class GradientAscentSpec:
    """One joint step of all parameters along the gradient of the objective."""

    def build(self, model: BuiltDLGM, objective: Objective, optimizer: Optimizer, examples: int) -> GradientAscent:
        return GradientAscent(model, objective, optimizer, examples)
