"""Bidirectional Helmholtz machines (Bornschein, Shabanian, Fischer & Bengio 2016): p and q as views of one joint.

The model is p*(x, h) = sqrt(p(x, h) q(x, h)) / Z with q(x) := p*(x), so that p*(x) = p~(x) / Z^2 with

    log p~(x) = 2 log sum_h sqrt(p(x, h) q(h | x)) <= log p*(x),   Z <= 1.

With samples h_k ~ q(h | x), log weights lw_k = log p(x, h_k) - log q(h_k | x) and w = softmax(lw / 2), log p~(x) is
estimated by 2 (logsumexp_k(lw_k / 2) - log K) and its gradient by

    sum_k [ w_k grad log p(x, h_k) + (w_k - 1/K) grad log q(h_k | x) ]

where 1/K costs no bias, since E_q[grad log q] = 0. Z is never differentiated: the bound itself draws it to 1.
"""

from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.algorithms.algorithm import AlgorithmSpec, Array, Hyper, Info, check_halves, check_weighed, needs
from sbvi.algorithms.ascent import Ascent, State, typed
from sbvi.algorithms.gradient_ascent import objective_scores
from sbvi.algorithms.held import held_samples
from sbvi.algorithms.optimizer import Optimizer
from sbvi.core import NonNegative, Part, PositiveInt, spec
from sbvi.data import Batch
from sbvi.models.capabilities import LatentVariable, PosteriorDensity
from sbvi.models.rollout import Noise
from sbvi.models.spec import ModelSpec
from sbvi.models.values import LatentParams
from sbvi.objectives import Renyi
from sbvi.objectives.discrete import renyi_value
from sbvi.objectives.pieces import node_kl, parts


class BiHM(Ascent):
    """num_samples: K.  l1, l2: factors of the sum of |W| and of W^2 over all weight matrices, for the loss summed over
    the batch, as the authors have it; the mean over the batch is divided likewise."""

    monitor = "bound"
    normalised = True

    def __init__(self, model: Any, num_samples: int, optimizer: Optimizer, examples: int, l1: float, l2: float):
        super().__init__(model, optimizer, examples)
        self.num_samples, self.penalties = num_samples, {"l1": l1, "l2": l2}

    def hypers(self, steps: np.ndarray, steps_per_epoch: float, total_steps: int) -> dict[str, np.ndarray]:
        own = {name: np.full(steps.shape, value, np.float32) for name, value in self.penalties.items() if value}
        return super().hypers(steps, steps_per_epoch, total_steps) | own

    def step(self, state: State, batch: Batch, key: Array, hyper: Hyper) -> tuple[State, Info]:
        hyper, noise = typed(hyper, batch.x.dtype)

        def penalised(params: LatentParams) -> tuple[Array, dict[str, Array]]:
            value, report = self.loss(params, key, batch.x, noise)
            return value + penalty(params, hyper) / batch.x.shape[0], report

        (value, report), grads = jax.value_and_grad(penalised, has_aux=True)(state.params)
        scalars = {"loss": value} | {name: jnp.mean(part) for name, part in report.items()}
        return self.update(state, grads, hyper), Info(scalars)

    def loss(self, params: LatentParams, key: Array, x: Array, noise: Noise) -> tuple[Array, dict[str, Array]]:
        """Minus the bound's value with the estimator's gradient, and the bound's parts (B,)."""
        rollout, log_q = held_samples(self.model, params, key, x, self.num_samples, noise)
        log_weights = jax.lax.stop_gradient(rollout.log_weights())
        weights = jax.nn.softmax(0.5 * log_weights, axis=0)
        joint = rollout.log_likelihood + sum(rollout.log_prior.values())
        surrogate = jnp.sum(weights * joint + (weights - 1 / self.num_samples) * log_q, axis=0)
        bound = renyi_value(log_weights, 0.5)
        loss = -jnp.mean(surrogate + jax.lax.stop_gradient(bound - surrogate))
        return loss, parts(rollout, node_kl(rollout, "sampled")) | {"bound": bound}

    def scores(self, params: Any, key: Array, batch: Batch) -> dict[str, Array]:
        return objective_scores(Renyi(num_samples=self.num_samples, alpha=0.5), self.model, params, key, batch)


def penalty(params: LatentParams, hyper: Hyper) -> Array:
    """l1 sum |W| + l2 sum W^2 over the weight matrices of p and q."""
    total = jnp.zeros((), jax.tree.leaves(params)[0].dtype)
    for weights in (leaf for leaf in jax.tree.leaves(params) if leaf.ndim > 1):
        if "l1" in hyper:
            total = total + hyper["l1"] * jnp.sum(jnp.abs(weights))
        if "l2" in hyper:
            total = total + hyper["l2"] * jnp.sum(weights**2)
    return total


@spec
class BiHMSpec(AlgorithmSpec):
    """Climbs the bound on the geometric mean of p and q."""

    num_samples: PositiveInt = 10
    """Samples K of the recognition model for each example, two at least."""
    l1: NonNegative = 0.0
    """Factor of the sum of |W| over the weights of p and q, for the loss summed over the batch."""
    l2: NonNegative = 0.0
    """Factor of the sum of W^2 likewise."""
    optimizer: Annotated[Optimizer, Part("optimizer", Optimizer)] = Optimizer()
    """The optimiser."""

    def check(self, model: ModelSpec) -> None:
        for capability in (LatentVariable, PosteriorDensity):
            needs(model, capability, "algorithm=bihm")
        check_halves(model, "algorithm=bihm")
        check_weighed(self.num_samples)

    def build(self, model: Any, examples: int) -> BiHM:
        return BiHM(model, self.num_samples, self.optimizer, examples, self.l1, self.l2)
