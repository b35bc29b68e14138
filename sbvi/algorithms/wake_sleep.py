"""Wake-sleep (Hinton et al. 1995; Dayan 2000) for models with latents.

Wake:   xi ~ q(xi | v), v from the data; the generative parameters climb log p(v, xi).
Sleep:  (xi, v) ~ p; the recognition parameters climb log q(xi | v).

There is no single objective: the sleep phase fits q to the model's dreams, not to the data. The bound is
reported all the same, from the wake phase's samples.
"""

from typing import Annotated, Any

import jax
import jax.numpy as jnp

from sbvi.algorithms.algorithm import AlgorithmSpec, Array, Hyper, Info, check_halves, needs
from sbvi.algorithms.ascent import Ascent, State, typed
from sbvi.algorithms.gradient_ascent import objective_scores
from sbvi.algorithms.optimizer import Optimizer
from sbvi.core import Part, PositiveInt, spec
from sbvi.data import Batch
from sbvi.models.capabilities import LatentVariable, PosteriorDensity
from sbvi.models.rollout import Noise
from sbvi.models.spec import ModelSpec
from sbvi.models.values import LatentParams
from sbvi.objectives import FreeEnergy
from sbvi.objectives.pieces import node_kl


class WakeSleep(Ascent):
    """num_samples: S samples of the recognition model for each example in the wake phase."""

    normalised = False

    def __init__(self, model: Any, num_samples: int, optimizer: Optimizer, examples: int):
        super().__init__(model, optimizer, examples)
        self.num_samples = num_samples

    @property
    def monitor(self) -> str:
        return "elbo"

    def step(self, state: State, batch: Batch, key: Array, hyper: Hyper) -> tuple[State, Info]:
        hyper, noise = typed(hyper, batch.x.dtype)
        (_, report), grads = jax.value_and_grad(self.loss, has_aux=True)(state.params, key, batch.x, noise)
        return self.update(state, grads, hyper), Info({name: jnp.mean(part) for name, part in report.items()})

    def loss(self, params: LatentParams, key: Array, x: Array, noise: Noise) -> tuple[Array, dict[str, Array]]:
        """What a step descends, both phases, and its parts."""
        wake_key, sleep_key = jax.random.split(key)
        value, report = self.wake(params, wake_key, x, noise)
        dreamt = self.sleep(params, sleep_key, x.shape[0], x.dtype)
        return value + dreamt, {"loss": value, "sleep": dreamt} | report

    def wake(self, params: LatentParams, key: Array, x: Array, noise: Noise) -> tuple[Array, dict[str, Array]]:
        """What the generative parameters and the prior's descend, and the bound's parts (B,)."""
        params = params._replace(recognition=jax.lax.stop_gradient(params.recognition))
        rollout = self.model.rollout(params, key, x, self.num_samples, noise=noise)
        fit, kl = jnp.mean(rollout.log_likelihood, 0), sum(node_kl(rollout, "analytic").values())
        return -jnp.mean(fit - kl), {"elbo": fit - kl, "log_likelihood": fit, "kl": kl + jnp.zeros_like(fit)}

    def sleep(self, params: LatentParams, key: Array, count: int, dtype: Any) -> Array:
        """What the recognition parameters descend."""
        return dream_loss(self.model, params, key, count, dtype)

    def scores(self, params: Any, key: Array, batch: Batch) -> dict[str, Array]:
        return objective_scores(FreeEnergy(num_samples=self.num_samples), self.model, params, key, batch)


def dream_loss(model: Any, params: LatentParams, key: Array, count: int, dtype: Any) -> Array:
    """-log q(xi | v), mean over `count` dreams (xi, v) ~ p; a function of the recognition parameters."""
    latents, dreamt = jax.lax.stop_gradient(model.sample_joint(params, key, count, dtype))
    points = {node: values[None] for node, values in latents.items()}
    log_q = model.posterior(params, dreamt.value).log_prob(points)
    return -jnp.mean(sum(values[0] for values in log_q.values()))


@spec
class WakeSleepSpec(AlgorithmSpec):
    """The generative model learns from inferences on data, the recognition model from dreams."""

    num_samples: PositiveInt = 1
    """Samples of the recognition model for each example in the wake phase."""
    optimizer: Annotated[Optimizer, Part("optimizer", Optimizer)] = Optimizer()
    """The optimiser."""

    def check(self, model: ModelSpec) -> None:
        for capability in (LatentVariable, PosteriorDensity):
            needs(model, capability, "algorithm=wake_sleep")
        check_halves(model, "algorithm=wake_sleep")

    def build(self, model: Any, examples: int) -> WakeSleep:
        return WakeSleep(model, self.num_samples, self.optimizer, examples)
