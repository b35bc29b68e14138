"""Gradients of bounds over latents through whose samples no gradient passes, such as values of 0 and 1.

A bound F of the log weights of S samples has the gradient

    E[ sum_s (F - b_s) grad log q(h_s | v) + grad F ]

for any b_s that does not depend on h_s. Estimators by their baseline:

- score_function: b_s = 0 (Williams 1992);
- nvil: b_s = C(v), a network that learns to predict F, its `companion` (Mnih & Gregor 2014; without the division by a
  running deviation, which would scale the gradient);
- vimco: b_s = F with log w_s replaced by the mean of the other samples' (Mnih & Rezende 2016), for two or more.

For the free energy, a mean over samples, each sample's own term is all of F that depends on it.
"""

from typing import Any

import jax
import jax.numpy as jnp

from sbvi.core import UserError
from sbvi.models.spec import ModelSpec
from sbvi.objectives.view import View

Array = jax.Array

DISCRETE = ("score_function", "nvil", "vimco")
NEAR_ONE = 0.01  # orders alpha so near 1 have a sum of their own
WIDTH = 100  # units of the network that predicts the bound


def check_estimator(estimator: str, num_samples: int, model: ModelSpec) -> None:
    """Refuse an estimator that the model's latents cannot be served by.

    Raises:
      UserError: what would serve.
    """
    if estimator not in model.estimators:
        raise UserError(
            f"objective.estimator={estimator} does not serve this model's latents; "
            f"allowed: {', '.join(model.estimators)}."
        )
    if estimator == "vimco" and num_samples < 2:
        raise UserError(f"objective.estimator=vimco needs objective.num_samples of at least 2, not {num_samples}.")


def renyi_value(log_weights: Array, alpha: float) -> Array:
    """L_alpha of log weights (S, ...), over the first axis."""
    if alpha == 1:
        return jnp.mean(log_weights, 0)
    count = jnp.log(jnp.asarray(log_weights.shape[0], log_weights.dtype))
    value = (jax.nn.logsumexp((1 - alpha) * log_weights, axis=0) - count) / (1 - alpha)
    if abs(1 - alpha) > NEAR_ONE:
        return value
    # The sum is then near S, and 1 / (1 - alpha) times its last digit is what would be lost.
    top = jax.lax.stop_gradient(jnp.max(log_weights, 0))
    raised = (1 - alpha) * (log_weights - top[None])
    small = jnp.max(jnp.abs(raised), 0) < 1
    near = top + jnp.log1p(jnp.mean(jnp.expm1(jnp.where(small[None], raised, 0)), 0)) / (1 - alpha)
    return jnp.where(small, near, value)


def leave_one_out(log_weights: Array, alpha: float) -> Array:
    """L_alpha with the log weight of sample s replaced by the mean of the others', (S, B)."""
    count = log_weights.shape[0]
    others = (jnp.sum(log_weights, 0, keepdims=True) - log_weights) / (count - 1)
    own = jnp.eye(count, dtype=bool)[:, :, None]
    return renyi_value(jnp.where(own, others[None], log_weights[:, None]), alpha)


def signals(log_weights: Array, alpha: float, estimator: str, predicted: Array | None) -> Array:
    """What multiplies grad log q of every sample, (S, B): the bound less the baseline.

    predicted: (B,), the companion's prediction of the bound, for nvil.
    """
    count = log_weights.shape[0]
    if estimator == "vimco":
        return renyi_value(log_weights, alpha)[None] - leave_one_out(log_weights, alpha)
    baseline = jnp.zeros_like(log_weights[:1]) if predicted is None else predicted[None]
    if alpha == 1:
        return (log_weights - baseline) / count
    return jnp.broadcast_to(renyi_value(log_weights, alpha)[None] - baseline, log_weights.shape)


def score_loss(view: View, log_weights: Array, score: Array | None, alpha: float, estimator: str) -> Array:
    """Zero in value, to be added to a loss that is minus the bound: the gradient through the choice of samples, and
    that of the companion's squared error.

    log_weights: (S, B), of which the bound is L_alpha.  score: log q of the samples that were chosen, (S, B).
    """
    fixed = jax.lax.stop_gradient(log_weights)
    predicted = predict(view.companion, view.batch.x) if estimator == "nvil" and not view.values_only else None
    loss = jnp.zeros((), log_weights.dtype)
    if predicted is not None:
        target = renyi_value(fixed, alpha)
        loss = jnp.mean((target - predicted) ** 2)
        predicted = jax.lax.stop_gradient(predicted)
    if score is not None:
        loss = loss - jnp.mean(jnp.sum(signals(fixed, alpha, estimator, predicted) * score, 0))
    return loss - jax.lax.stop_gradient(loss)


def init_companion(estimator: str, key: Array, size: int) -> Any:
    """The parameters of the network that predicts the bound from x (B, size), None where none is needed."""
    if estimator != "nvil":
        return None
    scale = (6 / (size + WIDTH)) ** 0.5
    return {
        "hidden": scale * jax.random.uniform(key, (size, WIDTH), minval=-1.0, maxval=1.0),
        "shift": jnp.zeros(WIDTH),
        "output": jnp.zeros((WIDTH, 1)),
        "level": jnp.zeros(1),
    }


def predict(companion: Any, x: Array) -> Array:
    """C(x), (B,)."""
    hidden = jnp.tanh(x @ companion["hidden"] + companion["shift"][None])
    prediction: Array = (hidden @ companion["output"] + companion["level"][None])[:, 0]
    return prediction
