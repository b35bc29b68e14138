"""The free energy, the paper's objective (eq. 11-13):

F(v) = -E_q[log p(v | xi)] + sum_l KL(q(xi_l | v) || p(xi_l)),   ELBO = -F.
"""

from typing import Literal

import jax.numpy as jnp

from sbvi.core import NonNegative, PositiveInt, fields, spec
from sbvi.gradients import RULES
from sbvi.models import Paths
from sbvi.objectives.pieces import Array, KLWeight, Report, Roll, node_kl, parts


@spec
class FreeEnergy:
    """Free energy with the KL in closed form or from the samples."""

    num_samples: PositiveInt = 1
    """Samples of the recognition model for each example."""
    kl: Literal["analytic", "sampled"] = "analytic"
    """KL in closed form, or as the mean of log q - log p over the samples."""
    rule: Literal["reparameterised", "price", "price_hutchinson", "price_gauss_newton", "score_function"] = (
        "reparameterised"
    )
    """Gradient rule of the expected log-likelihood."""
    probes: PositiveInt = 1
    """Random directions of price_hutchinson and price_gauss_newton."""
    estimator: Literal["standard", "sticking_the_landing"] = "standard"
    """Whether the score of q, whose mean is zero, is dropped from the gradient; needs the sampled KL. With free_bits
    the floor picks batches by their samples, and what is dropped has a mean where the KL is near the floor."""
    free_bits: NonNegative = 0.0
    """Nats of KL that each stochastic layer may spend at no cost (mean over the batch)."""
    kl_weight: KLWeight = KLWeight()
    """Factor of the KL term over training."""

    monitor = "elbo"

    def __post_init__(self) -> None:
        if self.estimator == "sticking_the_landing" and self.kl == "analytic":
            raise ValueError("estimator=sticking_the_landing needs kl=sampled: a closed-form KL has no score to drop")
        if self.rule != "reparameterised" and self.kl == "sampled":
            raise ValueError(
                f"rule={self.rule} needs kl=analytic: its samples carry no gradient to a sampled KL; "
                f"use rule=reparameterised"
            )

    def __call__(self, roll: Roll, kl_weight: Array) -> tuple[Array, Report]:
        """The loss to differentiate (a scalar, mean over the batch), and the bound's parts (B,)."""
        rule = RULES[self.rule]
        options = {"probes": self.probes} if "probes" in fields(rule) else {}
        paths = Paths(rule=rule(**options), detach_posterior=self.estimator == "sticking_the_landing")
        rollout = roll(self.num_samples, paths)
        kl = node_kl(rollout, self.kl)
        means = [jnp.mean(value) for value in kl.values()]
        if self.free_bits:
            means = [jnp.maximum(value, self.free_bits) for value in means]
        loss = kl_weight * sum(means) - jnp.mean(rollout.log_likelihood)
        return loss, parts(rollout, kl)
