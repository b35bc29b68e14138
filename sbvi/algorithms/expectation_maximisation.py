"""Expectation maximisation (Dempster, Laird & Rubin 1977) for models whose M-step has a closed form.

Full batch: expected sufficient statistics are summed over an epoch, whatever the size of the batches, and maximised at
its end, so that the likelihood of the training set (with the pseudocount's prior) never falls from epoch to epoch.

Online (Cappé & Moulines 2009): after each batch

    s <- (1 - eta_t) s + eta_t N/B statistics(batch),     theta <- maximise(s),     eta_1 = 1,

with N training examples and B in the batch: s stands for the statistics of the whole training set.

Hard: the latents' most probable state takes the place of their posterior.
"""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.algorithms.algorithm import AlgorithmSpec, Array, Hyper, Info, needs
from sbvi.algorithms.schedules import Schedule
from sbvi.core import NonNegative, Share, UserError, spec
from sbvi.data import Batch
from sbvi.models.capabilities import Density, HardMixing, Mixing, Recentring, offers
from sbvi.models.spec import ModelSpec
from sbvi.models.values import DataSummary
from sbvi.objectives.compatibility import without_labels


class EMState(NamedTuple):
    """params; statistics, of the epoch so far (full batch) or their running mean (online); steps taken."""

    params: Any
    statistics: Any
    steps: Array


class ExpectationMaximisation:
    """What both modes share. examples: N, the size of the training set."""

    monitor = "log_likelihood"

    def __init__(self, model: Any, spec: "ExpectationMaximisationSpec", examples: int):
        self.model, self.spec, self.examples = model, spec, examples
        self.statistics = model.hard_statistics if spec.estimator == "hard" else model.statistics

    def init(self, seed: int, summary: DataSummary) -> EMState:
        return self.fresh(self.model.init(seed, summary))

    def fresh(self, params: Any) -> EMState:
        """A state that starts from given parameters."""
        rows = jax.ShapeDtypeStruct((1, self.model.facts.event_size), jnp.float32)
        shapes = jax.eval_shape(self.statistics, params, rows, jax.ShapeDtypeStruct((1,), jnp.float32))
        zeros = jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), shapes)
        return EMState(params, zeros, jnp.zeros((), jnp.int32))

    def with_params(self, state: EMState, params: Any) -> EMState:
        return self.fresh(params)

    def eval_params(self, state: EMState) -> Any:
        return state.params

    def keeps(self, score: float, best: float) -> bool:
        return score > best

    def scores(self, params: Any, key: Array, batch: Batch) -> dict[str, Array]:
        return {self.monitor: self.model.log_prob(params, key, batch.x).value}

    def maximised(self, params: Any, statistics: Any) -> Any:
        return self.model.maximise(params, statistics, self.spec.pseudocount)

    def reported(self, params: Any, key: Array, batch: Batch) -> Info:
        value = jnp.mean(self.scores(params, key, batch)[self.monitor])
        return Info({"loss": -value, self.monitor: value})


class FullBatch(ExpectationMaximisation):
    """Statistics of whole epochs. A batch in which an epoch ends counts to either side of that end."""

    def hypers(self, steps: np.ndarray, steps_per_epoch: float, total_steps: int) -> dict[str, np.ndarray]:
        """ends: whether an epoch ends within the step; left: the batch's examples up to that end, else all.

        Raises:
          UserError: a batch holds more than an epoch.
        """
        size = round(self.examples / steps_per_epoch)
        if size > self.examples:
            raise UserError(
                f"trainer.batch_size={size} must be at most {self.examples}, the training examples, for "
                f"algorithm.mode=full_batch."
            )
        first, last = steps.astype(np.int64) * size, (steps.astype(np.int64) + 1) * size
        boundary = last // self.examples * self.examples  # the latest end of an epoch up to here
        ends = boundary > first
        left = np.where(ends, boundary - first, size)
        return {"ends": ends.astype(np.float32), "left": left.astype(np.float32)}

    def step(self, state: EMState, batch: Batch, key: Array, hyper: Hyper) -> tuple[EMState, Info]:
        place = jnp.arange(batch.x.shape[0], dtype=jnp.float32)
        before = batch.mask * (place < hyper["left"]).astype(batch.mask.dtype)
        batch_statistics = self.statistics(state.params, batch.x, before)
        total = jax.tree.map(jnp.add, state.statistics, batch_statistics)

        def finish(total: Any) -> tuple[Any, Any]:
            params = self.maximised(state.params, total)
            return params, self.statistics(params, batch.x, batch.mask - before)

        params, statistics = jax.lax.cond(hyper["ends"] > 0, finish, lambda total: (state.params, total), total)
        return EMState(params, statistics, state.steps + 1), self.reported(state.params, key, batch)


class Online(ExpectationMaximisation):
    """A running mean of the batches' statistics."""

    def hypers(self, steps: np.ndarray, steps_per_epoch: float, total_steps: int) -> dict[str, np.ndarray]:
        eta = self.spec.step_size * self.spec.schedule.at(steps, steps_per_epoch, total_steps)
        return {"step_size": eta.astype(np.float32)}

    def step(self, state: EMState, batch: Batch, key: Array, hyper: Hyper) -> tuple[EMState, Info]:
        batch_statistics = self.statistics(state.params, batch.x, batch.mask)
        eta = jnp.where(state.steps == 0, jnp.ones_like(hyper["step_size"]), hyper["step_size"])
        scale = self.examples / batch.x.shape[0]

        def mixed(old: Array, new: Array) -> Array:
            share = eta.astype(old.dtype)
            return (1 - share) * old + share * scale * new

        statistics = jax.tree.map(mixed, state.statistics, batch_statistics)
        params = self.maximised(state.params, statistics)
        if offers(self.model, Recentring):
            statistics = self.model.recentred(statistics, state.params, params)
        return EMState(params, statistics, state.steps + 1), self.reported(state.params, key, batch)


@spec
class ExpectationMaximisationSpec(AlgorithmSpec):
    """Posterior statistics of the latents, and the parameters that maximise them."""

    mode: Literal["full_batch", "online"] = "full_batch"
    """Whether parameters change once an epoch, or after every batch."""
    estimator: Literal["soft", "hard"] = "soft"
    """Whether latents count by their posterior, or by their most probable state alone."""
    step_size: Share = 0.1
    """Weight eta of a batch's statistics, for mode=online."""
    schedule: Schedule = Schedule()
    """Factor on the step size over training."""
    pseudocount: NonNegative = 1.0
    """Strength of the prior that smooths the maximised parameters, in examples; each model says how it is shared."""

    def __post_init__(self) -> None:
        if not self.step_size:
            raise ValueError("step_size=0 learns nothing; give a positive share")

    def idle(self) -> dict[str, str]:
        return {} if self.mode == "online" else dict.fromkeys(("step_size", "schedule"), "mode=online")

    def check(self, model: ModelSpec) -> None:
        for capability in (Mixing, Density):  # fewer models have the first, so its sentence names those that serve
            needs(model, capability, "algorithm=expectation_maximisation")
        without_labels(model, "algorithm=expectation_maximisation")
        if self.estimator == "hard":
            needs(model, HardMixing, "algorithm.estimator=hard")

    def build(self, model: Any, examples: int) -> ExpectationMaximisation:
        kind = FullBatch if self.mode == "full_batch" else Online
        return kind(model, self, examples)
