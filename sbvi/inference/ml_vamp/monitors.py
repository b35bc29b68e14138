"""How good a set of messages is: the Bethe free energy."""

import jax.numpy as jnp

from sbvi.inference.ml_vamp.messages import Array, Factor, Message, Mode, log_normal
from sbvi.inference.ml_vamp.passing import State


def free_energy(
    factors: tuple[Factor, ...], evidence: Message, state: State, mode: Mode, counts: tuple[float | Array, ...]
) -> Array:
    """-log p(y) as the messages have it, (B,), nats.

    With `mmse` the factors' evidences less those of the variables,

        -sum_f log Z_f + sum_i log N(r_i^+; r_i^-, (v_i^+ + v_i^-) I),

    exact where the messages are. With `map`, -log p(z, y): each factor's cost at its own estimate.
    counts: how many entries of each variable count.
    """
    total = jnp.zeros_like(state.gap)
    last = len(state.forward)
    for i, factor in enumerate(factors):
        below = state.forward[i - 1] if i else state.backward[0]
        above = state.backward[i] if i < last else evidence
        belief = factor.estimate(below, above, mode)
        total = total - belief.evidence
    if mode == "map":
        return total
    for up, down, count in zip(state.forward, state.backward, counts, strict=True):
        whole = up.variance + down.variance
        logs = log_normal(up.mean - down.mean, whole) - log_normal(jnp.zeros_like(up.mean), whole)
        total = total + jnp.sum(logs, axis=1) + count * log_normal(jnp.zeros_like(whole), whole)[:, 0]
    return total
