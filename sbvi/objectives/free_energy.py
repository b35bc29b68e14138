"""The free energy, the paper's objective (eq. 11-13):

F(v) = -E_q[log p(v | xi)] + sum_l KL(q(xi_l | v) || p(xi_l)),   ELBO = -F.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import jax.numpy as jnp
import numpy as np

from sbvi.core import NonNegative, Positive, PositiveInt, UserError, fields, spec
from sbvi.gradients import RULES, SECOND_ORDER, Paths
from sbvi.models.capabilities import LatentVariable
from sbvi.models.spec import ModelSpec
from sbvi.objectives.compatibility import check_latent_noise
from sbvi.objectives.discrete import DISCRETE, check_estimator, init_companion, score_loss
from sbvi.objectives.pieces import LayeredKLWeight, node_kl, parts
from sbvi.objectives.view import Array, Report, View


@spec
class FreeEnergy:
    """Free energy with the KL in closed form or from the samples."""

    num_samples: PositiveInt = 1
    """Samples of the recognition model for each example."""
    kl: Literal["analytic", "sampled"] = "analytic"
    """KL in closed form where prior and posterior have one, or as the mean of log q - log p over the samples."""
    rule: Literal["reparameterised", "price", "price_hutchinson", "price_gauss_newton", "score_function"] = (
        "reparameterised"
    )
    """Gradient rule of the expected log-likelihood."""
    probes: PositiveInt = 1
    """Random directions of price_hutchinson and price_gauss_newton."""
    estimator: Literal["standard", "sticking_the_landing", "score_function", "nvil", "vimco", "relaxed"] = "standard"
    """How the gradient is estimated. sticking_the_landing drops the score of q, whose mean is zero, and needs the
    sampled KL; with free_bits the floor picks batches by their samples, and what is dropped has a mean where the KL is
    near the floor. score_function, nvil and vimco are for latents through whose samples no gradient passes; relaxed,
    which is biased, lets it pass through a relaxation of them."""
    temperature: Positive = 0.5
    """Of the relaxation of estimator=relaxed: lower is less biased, and noisier."""
    free_bits: NonNegative = 0.0
    """Nats of KL that each stochastic layer may spend at no cost (mean over the batch)."""
    kl_weight: LayeredKLWeight = LayeredKLWeight()
    """Factor of the KL term over training."""

    needs: ClassVar[type] = LatentVariable
    monitor: ClassVar[str] = "elbo"

    def __post_init__(self) -> None:
        if self.estimator == "sticking_the_landing" and self.kl == "analytic":
            raise ValueError("estimator=sticking_the_landing needs kl=sampled: a closed-form KL has no score to drop")
        if self.rule != "reparameterised" and self.kl == "sampled":
            raise ValueError(
                f"rule={self.rule} needs kl=analytic: its samples carry no gradient to a sampled KL; "
                f"use rule=reparameterised"
            )

    def idle(self) -> dict[str, str]:
        found = {} if self.estimator == "relaxed" else {"temperature": "estimator=relaxed"}
        probed = [name for name, rule in RULES.items() if "probes" in fields(rule)]
        return found if self.rule in probed else found | {"probes": f"rule={' or '.join(probed)}"}

    def check(self, model: ModelSpec) -> None:
        """Refuse a rule that the model's densities are too rough for, and noise that the estimator cannot have.

        Raises:
          UserError: the rule needs second derivatives, and there are kinks; or see `check_latent_noise`.
        """
        check_latent_noise(self.estimator, model.sample_noise)
        if self.rule != "reparameterised" and not model.analytic_kl:
            raise UserError(
                f"objective.rule={self.rule} needs a KL in closed form, since its samples carry no gradient to a "
                f"sampled one, and this prior and posterior have none; allowed: objective.rule=reparameterised, or "
                f"prior=standard and a Gaussian posterior."
            )
        if self.rule in SECOND_ORDER and model.kinks:
            raise UserError(f"objective.rule={self.rule} needs {model.kinks}, or objective.rule=reparameterised.")
        if self.kl_weight.layer_epochs and model.stochastic_layers == 1:
            raise UserError(
                f"objective.kl_weight.layer_epochs={self.kl_weight.layer_epochs} is for several stochastic layers that "
                f"have a KL each, and this model has one; leave it at 0."
            )
        if model.joins_kl and (self.free_bits or self.kl_weight.layer_epochs):
            key, value = ("kl_weight.layer_epochs", self.kl_weight.layer_epochs)
            key, value = ("free_bits", self.free_bits) if self.free_bits else (key, value)
            raise UserError(
                f"objective.{key}={value} is of each layer's own KL, and with {model.joins_kl} only the layers' sum is "
                f"one; leave it at 0."
            )
        check_estimator(self.estimator, self.num_samples, model)
        if self.rule != "reparameterised" and self.estimator in (*DISCRETE, "relaxed"):
            raise UserError(f"objective.rule={self.rule} is of Gaussian latents; leave it at reparameterised here.")

    def companion(self, key: Array, size: int) -> Any:
        return init_companion(self.estimator, key, size)

    def numbers(self, steps: np.ndarray, steps_per_epoch: float) -> dict[str, np.ndarray]:
        return self.kl_weight.numbers(steps, steps_per_epoch)

    def __call__(self, view: View, numbers: Mapping[str, Array]) -> tuple[Array, Report]:
        """The loss to differentiate (a scalar, mean over the batch), and the bound's parts (B,)."""
        rule = RULES[self.rule]
        options = {"probes": self.probes} if "probes" in fields(rule) else {}
        paths = Paths(
            rule=rule(**options),
            detach_posterior=self.estimator == "sticking_the_landing",
            temperature=self.temperature if self.estimator == "relaxed" else None,
        )
        rollout = view.rollout(self.num_samples, paths)
        kl = node_kl(rollout, self.kl)
        means = [jnp.mean(value) for value in kl.values()]
        if self.free_bits:
            means = [jnp.maximum(value, self.free_bits) for value in means]
        if self.kl_weight.layer_epochs:
            places = list(view.model.latent_sizes())
            weights = [self.kl_weight.of(numbers, places.index(node)) for node in kl]
            weighted = sum(weight * mean for weight, mean in zip(weights, means, strict=True))
        else:  # one factor of the sum: a multiplication in place of one for each layer, in every default step
            weights = [numbers["kl_weight"]] * len(means)
            weighted = numbers["kl_weight"] * sum(means)
        loss = weighted - jnp.mean(rollout.log_likelihood)
        if self.estimator in DISCRETE:
            terms = rollout.log_likelihood
            for node, mean, weight in zip(kl, means, weights, strict=True):
                spent = weight * (jnp.mean(kl[node]) >= mean).astype(terms.dtype)  # free bits cost nothing
                terms = terms + spent * (rollout.log_prior[node] - rollout.log_posterior[node])
            loss = loss + score_loss(view, terms, rollout.score, 1.0, self.estimator)
        return loss, parts(rollout, kl)
