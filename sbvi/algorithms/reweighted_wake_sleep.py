"""Reweighted wake-sleep (Bornschein & Bengio 2015): the wake phase sees the posterior, not the recognition model.

With S samples xi_s ~ q(xi | v) and their normalised importance weights w_s,

    generative parameters     climb   sum_s w_s log p(v, xi_s)          v from the data
    recognition parameters    climb   (1 - d) sum_s w_s log q(xi_s | v)  and  d log q(xi | v) of dreams (xi, v) ~ p

with d the dreams' share. The first is the gradient of the importance-weighted bound in the generative parameters; the
second brings q to the posterior, in the sense of KL(p || q), where the data is and where the model dreams.
"""

from typing import Annotated, Any

import jax
import jax.numpy as jnp

from sbvi.algorithms.algorithm import AlgorithmSpec, Array, check_halves, check_weighed, needs
from sbvi.algorithms.gradient_ascent import objective_scores
from sbvi.algorithms.held import held_samples
from sbvi.algorithms.optimizer import Optimizer
from sbvi.algorithms.wake_sleep import WakeSleep
from sbvi.core import Part, PositiveInt, Share, spec
from sbvi.data import Batch
from sbvi.models.capabilities import LatentVariable, PosteriorDensity
from sbvi.models.rollout import Noise
from sbvi.models.spec import ModelSpec
from sbvi.models.values import LatentParams
from sbvi.objectives import ImportanceWeighted
from sbvi.objectives.discrete import renyi_value
from sbvi.objectives.pieces import node_kl, parts


class ReweightedWakeSleep(WakeSleep):
    """Wake-sleep with importance weights. dreams: their share of the recognition model's gradient."""

    normalised = True

    def __init__(self, model: Any, num_samples: int, optimizer: Optimizer, examples: int, dreams: float = 0.5):
        super().__init__(model, num_samples, optimizer, examples)
        self.dreams = dreams

    @property
    def monitor(self) -> str:
        return "bound"

    def wake(self, params: LatentParams, key: Array, x: Array, noise: Noise) -> tuple[Array, dict[str, Array]]:
        """What both halves of the parameters descend on data, and the bound's parts (B,)."""
        rollout, log_q = held_samples(self.model, params, key, x, self.num_samples, noise)
        log_weights = jax.lax.stop_gradient(rollout.log_weights())
        weights = jax.nn.softmax(log_weights, axis=0)
        joint = rollout.log_likelihood + sum(rollout.log_prior.values())
        surrogate = jnp.sum(weights * (joint + (1 - self.dreams) * log_q), axis=0)
        bound = renyi_value(log_weights, 0.0)
        # The surrogate's gradient with the bound's value.
        loss = -jnp.mean(surrogate + jax.lax.stop_gradient(bound - surrogate))
        return loss, parts(rollout, node_kl(rollout, "sampled")) | {"bound": bound}

    def sleep(self, params: LatentParams, key: Array, count: int, dtype: Any) -> Array:
        if not self.dreams:
            return jnp.zeros((), dtype)
        return self.dreams * super().sleep(params, key, count, dtype)

    def scores(self, params: Any, key: Array, batch: Batch) -> dict[str, Array]:
        return objective_scores(ImportanceWeighted(num_samples=self.num_samples), self.model, params, key, batch)


@spec
class ReweightedWakeSleepSpec(AlgorithmSpec):
    """Generative and recognition model learn from importance-weighted samples, the latter from dreams too."""

    num_samples: PositiveInt = 5
    """Samples of the recognition model for each example."""
    dreams: Share = 0.5
    """Share of the dreams in the recognition model's gradient; the rest is that of the weighted samples."""
    optimizer: Annotated[Optimizer, Part("optimizer", Optimizer)] = Optimizer()
    """The optimiser."""

    def check(self, model: ModelSpec) -> None:
        for capability in (LatentVariable, PosteriorDensity):
            needs(model, capability, "algorithm=reweighted_wake_sleep")
        check_halves(model, "algorithm=reweighted_wake_sleep")
        check_weighed(self.num_samples, self.dreams)

    def build(self, model: Any, examples: int) -> ReweightedWakeSleep:
        return ReweightedWakeSleep(model, self.num_samples, self.optimizer, examples, self.dreams)
