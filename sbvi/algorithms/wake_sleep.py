"""Wake-sleep (Hinton et al. 1995; Dayan 2000) for the same models.

Wake:   xi ~ q(xi | v), v from the data; the generative parameters climb log p(v, xi).
Sleep:  (xi, v) ~ p; the recognition parameters climb log q(xi | v).

There is no single objective: the sleep phase fits q to the model's dreams, not to the data. The bound is
reported all the same, from the wake phase's samples.
"""

from typing import Any

import jax
import jax.numpy as jnp

from sbvi.algorithms.algorithm import Array, Hyper, Info
from sbvi.algorithms.gradient_ascent import GradientAscent, State
from sbvi.algorithms.optimizer import Optimizer
from sbvi.core import spec
from sbvi.data import Batch
from sbvi.distributions.gaussian import log_prob
from sbvi.models import BuiltDLGM, DLGMParams, Noise
from sbvi.objectives import FreeEnergy, Objective


class WakeSleep(GradientAscent):
    """Gradient ascent's state, optimiser and numbers, with a step of its own."""

    def step(self, state: State, batch: Batch, key: Array, hyper: Hyper) -> tuple[State, Info]:
        dtype = batch.x.dtype
        hyper = {name: value.astype(dtype) for name, value in hyper.items()}
        noise = Noise(**{name: hyper.get(name) for name in Noise._fields})
        wake_key, sleep_key = jax.random.split(key)

        def both(params: DLGMParams) -> tuple[Array, dict[str, Array]]:
            value, report = self.wake(params, wake_key, batch.x, noise)
            dreamt = self.sleep(params, sleep_key, batch.x.shape[0], dtype)
            return value + dreamt, {"loss": value, "sleep": dreamt} | report

        (_, report), grads = jax.value_and_grad(both, has_aux=True)(state.params)
        return self.update(state, grads, hyper), Info({name: jnp.mean(part) for name, part in report.items()})

    def wake(self, params: DLGMParams, key: Array, x: Array, noise: Noise) -> tuple[Array, dict[str, Array]]:
        """What the generative parameters descend, and the bound's parts (B,)."""
        params = params._replace(recognition=jax.lax.stop_gradient(params.recognition))
        samples = getattr(self.objective, "num_samples", 1)
        rollout = self.model.rollout(params, key, x, samples, noise=noise)
        fit, kl = jnp.mean(rollout.log_likelihood, 0), sum((rollout.kl or {}).values())
        return -jnp.mean(fit), {"elbo": fit - kl, "log_likelihood": fit, "kl": kl + jnp.zeros_like(fit)}

    def sleep(self, params: DLGMParams, key: Array, count: int, dtype: Any) -> Array:
        """What the recognition parameters descend: -log q(xi | v), mean over `count` dreams."""
        latents, _, x = jax.lax.stop_gradient(self.model.sample_joint(params, key, count, dtype))
        q = self.model.encode(params, x)
        return -jnp.mean(sum(log_prob(q[node], latents[node][None])[0] for node in q))


@spec
class WakeSleepSpec:
    """The generative model learns from inferences on data, the recognition model from dreams."""

    #: The objective that goes with it, of which num_samples alone has a meaning.
    takes = FreeEnergy

    def build(self, model: BuiltDLGM, objective: Objective, optimizer: Optimizer, examples: int) -> WakeSleep:
        return WakeSleep(model, objective, optimizer, examples)
