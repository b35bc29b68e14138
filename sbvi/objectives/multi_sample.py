"""Bounds over several samples, and how their gradients are estimated.

With log weights log w_s = log p(v | xi_s) + c (log p(xi_s) - log q(xi_s | v)), c the KL weight, for alpha
other than 1,

    L_alpha = 1 / (1 - alpha) log (1/S) sum_s w_s^(1 - alpha)

which at c = 1 is the importance-weighted bound for alpha = 0 and tends to the ELBO at alpha = 1; that is what is
reported, at any c. Its gradient is sum_s v_s grad log w_s with v the normalised weights w^(1 - alpha). Estimators
(PAPER 5.2):

- standard: as it stands;
- sticking_the_landing: without the score of q, -c sum_s v_s grad log q(xi_s | v). Its mean is zero where v does not
  depend on the samples: with one sample, or with alpha = 1, at any c. Otherwise the estimator is biased;
- doubly_reparameterised: without the score of q, and with the path through sample s weighed by
  v_s (1 - c (1 - alpha) (1 - v_s)) in place of v_s, which is unbiased again. Since E_q[g grad log q] = E[dg/dxi
  dxi/dphi] and dv_s/dxi_s = (1 - alpha) v_s (1 - v_s) dlog w_s/dxi_s, the second term is the score that was
  dropped (Tucker et al. 2019 for alpha = 0 and c = 1, where the weight is v^2);
- score_function, nvil, vimco: for latents without such a path (`sbvi.objectives.discrete`);
- relaxed: standard with the path of a relaxation of values of 0 and 1. The bound's value is that of the values; the
  gradient of the recognition model is biased, that of the generative model is not.
"""

from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import Positive, PositiveInt, spec
from sbvi.gradients import Paths
from sbvi.models.capabilities import LatentVariable
from sbvi.models.rollout import Rollout
from sbvi.models.spec import ModelSpec
from sbvi.objectives.compatibility import check_latent_noise
from sbvi.objectives.discrete import DISCRETE, check_estimator, init_companion, renyi_value, score_loss
from sbvi.objectives.pieces import KLWeight, node_kl, parts
from sbvi.objectives.view import Array, Report, View

Estimator = Literal[
    "standard", "sticking_the_landing", "doubly_reparameterised", "score_function", "nvil", "vimco", "relaxed"
]
DROPPED = ("sticking_the_landing", "doubly_reparameterised")  # those without the score of q


def weighted_log_weights(rollout: Rollout, kl_weight: Array) -> Array:
    """log p(v | xi) + kl_weight (log p(xi) - log q(xi | v)), (S, B)."""
    prior, posterior = sum(rollout.log_prior.values()), sum(rollout.log_posterior.values())
    return rollout.log_likelihood + kl_weight * (prior - posterior)


def path_factor(normalised: Array, alpha: float, kl_weight: Array) -> Array:
    """1 - c (1 - alpha) (1 - v): what the doubly reparameterised gradient weighs v's paths with, like v (S, B)."""
    return 1 - kl_weight * (1 - alpha) * (1 - normalised)


def multi_sample(
    view: View,
    num_samples: int,
    alpha: float,
    estimator: Estimator,
    kl_weight: Array,
    temperature: float = 0.5,
    weighted: bool = False,
) -> tuple[Array, Report]:
    """The loss whose gradient is the estimator, and the bound with its parts, (B,) each. temperature: of relaxed.
    weighted: whether kl_weight may be another than 1; the bound is that of weight 1 all the same."""
    paths = Paths(
        detach_posterior=estimator in DROPPED,
        gated=estimator == "doubly_reparameterised",
        temperature=temperature if estimator == "relaxed" else None,
    )
    rollout = view.rollout(num_samples, paths)
    log_weights = weighted_log_weights(rollout, kl_weight)
    value = renyi_value(log_weights, alpha)
    if estimator not in DROPPED:
        loss = -jnp.mean(value)
        if estimator in DISCRETE:
            loss = loss + score_loss(view, log_weights, rollout.score, alpha, estimator)
    else:
        normalised = jax.lax.stop_gradient(jax.nn.softmax((1 - alpha) * log_weights, axis=0))
        surrogate = jnp.sum(normalised * log_weights, axis=0)
        # The surrogate's gradient with the bound's value.
        loss = -jnp.mean(surrogate + jax.lax.stop_gradient(value - surrogate))
        if rollout.gate is not None:
            loss = loss + rollout.gate.weigh(path_factor(normalised, alpha, kl_weight))
    bound = renyi_value(rollout.log_weights(), alpha) if weighted else value
    return loss, parts(rollout, node_kl(rollout, "sampled")) | {"bound": bound}


@spec
class MultiSample:
    """What every bound over several samples can be told."""

    num_samples: PositiveInt = 5
    """Samples S for each example."""
    estimator: Estimator = "standard"
    """How the gradient is estimated."""
    temperature: Positive = 0.5
    """Of the relaxation of estimator=relaxed: lower is less biased, and noisier."""
    kl_weight: KLWeight = KLWeight()
    """Factor of log p(xi) - log q(xi | v) in the weights over training."""

    needs: ClassVar[type] = LatentVariable
    monitor: ClassVar[str] = "bound"

    def idle(self) -> dict[str, str]:
        return {} if self.estimator == "relaxed" else {"temperature": "estimator=relaxed"}

    def check(self, model: ModelSpec) -> None:
        """Refuse an estimator that the model's latents cannot be served by, and noise that it cannot have.

        Raises:
          UserError: what would serve.
        """
        check_latent_noise(self.estimator, model.sample_noise)
        check_estimator(self.estimator, self.num_samples, model)

    def companion(self, key: Array, size: int) -> Any:
        return init_companion(self.estimator, key, size)

    def numbers(self, steps: np.ndarray, steps_per_epoch: float) -> dict[str, np.ndarray]:
        return {"kl_weight": self.kl_weight.at(steps, steps_per_epoch)}
