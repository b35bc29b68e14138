"""Message passing to its fixed point, with as much damping as an example needs.

Every example starts with little damping. Those whose estimates do not come to agree start again with more, up to the
strongest of `Settings.damping`. An attempt of an example ends where its gap has not fallen for `Settings.patience`
iterations: messages that cycle or diverge hardly ever come back. What an example hands back is its state with the
smallest gap, and whether it converged is said.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import Positive, PositiveInt, spec
from sbvi.core.watch import counted
from sbvi.inference.ml_vamp.linear import Joined, LinearFactor, joined, layer
from sbvi.inference.ml_vamp.messages import Array, Factor, Message, Mode, average
from sbvi.inference.ml_vamp.monitors import free_energy
from sbvi.inference.ml_vamp.passing import GUARDS, Limits, State, init, step
from sbvi.inference.ml_vamp.precision import in_float64
from sbvi.inference.ml_vamp.problem import BinaryOutput, Problem, sizes

_MANY = 64  # fewer examples than this are not worth another program when some of them have converged


@spec
class Settings:
    """How message passing is run."""

    mode: Mode = "mmse"
    """Posterior means and variances, or the posterior's mode."""
    damping: tuple[tuple[Positive, PositiveInt], ...] = ((0.6, 400), (0.4, 600), (0.25, 1000))
    """Attempts: the share of the new message (1: no damping), and the most iterations."""
    tolerance: Positive = 1e-6
    """The gap, a squared relative difference of the two estimates, below which an example has converged."""
    patience: PositiveInt = 100
    """Iterations without a smaller gap after which an example's attempt ends."""
    limits: Limits = Limits()
    """Bounds of the messages."""


@dataclass(frozen=True)
class Inferred:
    """What was found, by example.

    means, variances: for each variable, the latent first, (B, n) and (B, 1); of the input of a binary output, at
    `Problem.entries`. latent_variances (B, n): entry by entry.
    signal, signal_variances: the output x, (B, n). free_energy (B,): nats. gap (B,). converged (B,).
    iterations (B,): of the attempt that is kept. damping (B,): of that attempt.
    clips: how often each guard acted, name -> (B,).
    """

    means: tuple[np.ndarray, ...]
    variances: tuple[np.ndarray, ...]
    latent_variances: np.ndarray
    signal: np.ndarray
    signal_variances: np.ndarray
    free_energy: np.ndarray
    gap: np.ndarray
    converged: np.ndarray
    iterations: np.ndarray
    damping: np.ndarray
    clips: dict[str, np.ndarray]


@in_float64
def infer(problem: Problem, settings: Settings = Settings()) -> Inferred:
    """Every variable of the problem's network, for every row of y."""
    solved: list[tuple[np.ndarray, dict[str, Any]]] = []
    groups = list(problem.groups())
    for place, (examples, rows) in enumerate(groups, 1):
        what = "message passing" + (f", pattern of gaps {place} of {len(groups)}" if len(groups) > 1 else "")
        solved.append((examples, _group(problem, settings, examples, rows, what)))
    order = np.argsort(np.concatenate([examples for examples, _ in solved]))
    joined = jax.tree.map(lambda *leaves: np.concatenate(leaves)[order], *[values for _, values in solved])
    return Inferred(**joined)


def _group(problem: Problem, settings: Settings, examples: np.ndarray, rows: np.ndarray, what: str) -> dict[str, Any]:
    factors, evidence = problem.factors(rows), problem.evidence(examples)
    widths = sizes(factors, problem.network.inputs)
    state, damping = _attempts(factors, evidence, widths, settings, what)
    counts = [float(n) for n in widths]
    if isinstance(problem.output, BinaryOutput):
        counts[-1] = float(rows.sum())
    first = joined(factors)
    about = settings.mode, tuple(map(jnp.asarray, counts)), first.layer, first.place
    values = _finish(factors, evidence, state, *about)
    signal = _signal(problem, factors, evidence, state, settings.mode, first)
    clips = dict(zip(GUARDS, np.asarray(state.clips).T, strict=True))
    run = {"gap": state.gap, "converged": state.gap < settings.tolerance, "iterations": state.iteration}
    return jax.tree.map(np.asarray, values | signal | run | {"damping": damping, "clips": clips})


def _attempts(
    factors: tuple[Factor, ...], evidence: Message, widths: list[int], settings: Settings, what: str
) -> tuple[State, np.ndarray]:
    """Every example's best state over the attempts, which are counted as `what`, and the damping that led to it."""
    evidence = jax.tree.map(np.asarray, evidence)
    examples = len(evidence.mean)
    damping = np.zeros(examples)
    left = np.arange(examples)
    best: State | None = None
    for share, iterations in counted(what, settings.damping):
        if not len(left):
            continue  # counted all the same
        kept = _attempt(factors, evidence, left, widths, share, iterations, settings)
        if best is None:
            best, better = kept, np.ones(examples, bool)
        else:
            better = np.asarray(kept.gap < best.gap[left])
            _put(best, left[better], jax.tree.map(lambda a: a[better], kept))  # noqa: B023
        damping[left[better]] = share
        left = np.flatnonzero(~(best.gap < settings.tolerance))
    assert best is not None
    return jax.tree.map(jnp.asarray, best), damping


def _attempt(
    factors: tuple[Factor, ...],
    evidence: Message,
    examples: np.ndarray,
    widths: list[int],
    share: float,
    iterations: int,
    settings: Settings,
) -> State:
    """The states of `examples` with the least gaps, from a fresh start. Those that converge or make no way leave, so
    that a few slow ones do not cost what all do."""
    left, size = np.arange(len(examples)), _size(len(examples), len(evidence.mean))
    state = init(widths, size, settings.limits)
    best = state._replace(iteration=np.zeros(size, np.int64))  # type: ignore[arg-type]
    states: State | None = None
    rows = np.arange(size)
    while True:
        # The surplus repeats examples, as if they had converged.
        best = best._replace(gap=np.where(rows < len(left), best.gap, 0.0))  # type: ignore[arg-type]
        at = np.resize(examples[left], len(rows))
        part = Message(evidence.mean[at], evidence.variance[at])
        few = len(rows) // 4 if len(rows) >= _MANY else 0
        until = tuple(map(np.asarray, (iterations, settings.tolerance, settings.patience, few)))
        shares = np.full((len(rows), 1), share)
        state, best = jax.device_get(run(factors, part, (state, best), shares, until, settings.mode, settings.limits))
        reached = jax.tree.map(lambda a: np.array(a[: len(left)]), best)  # noqa: B023
        if states is None:
            states = reached
        else:
            _put(states, left, reached)
        slow = np.flatnonzero(_under_way(state, reached, settings.tolerance, settings.patience))
        if not len(slow) or int(state.iteration) >= iterations:
            return states
        left, kept = left[slow], np.resize(slow, _size(len(slow), len(rows)))
        rows = np.arange(len(kept))
        state, best = jax.tree.map(lambda a: a[kept] if np.ndim(a) else a, (state, best))  # noqa: B023


def _size(count: int, most: int) -> int:
    """How many examples are run for so many: few sizes, so that few programs are compiled."""
    return min(most, 1 << (count - 1).bit_length())


def _put(state: State, examples: np.ndarray, values: State) -> None:
    for old, new in zip(jax.tree.leaves(state), jax.tree.leaves(values), strict=True):
        old[examples] = new


@partial(jax.jit, static_argnums=(5, 6))
def run(
    factors: tuple[Factor, ...],
    evidence: Message,
    states: tuple[State, State],
    damping: Array,
    until: tuple[Array, ...],
    mode: Mode,
    limits: Limits,
) -> tuple[State, State]:
    """Steps from (the present state, each example's state of the least gap so far with `iteration` (B,) when that was).

    until: iterations at most; the tolerance of an example that has converged; the patience with one that has not; and
    how few may be left when it stops. An example that is done keeps its state whatever others do.
    """
    iterations, tolerance, patience, few = until

    def going(carry: tuple[State, State]) -> Array:
        left = jnp.sum(_under_way(*carry, tolerance, patience))
        return (carry[0].iteration < iterations) & (left > few)

    def body(carry: tuple[State, State]) -> tuple[State, State]:
        state, best = carry
        new, _ = step(factors, evidence, state, damping, mode, limits)
        better = (new.gap < best.gap) & _under_way(state, best, tolerance, patience)
        stamped = new._replace(iteration=jnp.full_like(best.iteration, new.iteration))

        def pick(a: Array, b: Array) -> Array:
            return jnp.where(better.reshape((-1,) + (1,) * (a.ndim - 1)), a, b)

        return new, jax.tree.map(pick, stamped, best)

    return jax.lax.while_loop(going, body, states)


def _under_way(state: State, best: State, tolerance: Any, patience: Any) -> Any:
    """Which examples have not converged, and came nearer to it of late, (B,)."""
    return ~(best.gap < tolerance) & (state.iteration - best.iteration < patience)


@partial(jax.jit, static_argnums=(3, 6))
def _finish(
    factors: tuple[Factor, ...],
    evidence: Message,
    state: State,
    mode: Mode,
    counts: tuple[Array, ...],
    first: LinearFactor,
    place: int,
) -> dict[str, Any]:
    above = (*state.backward[1:], evidence)
    beliefs = [
        factor.estimate(into, back, mode) for factor, into, back in zip(factors[1:], state.forward, above, strict=True)
    ]
    latents = jnp.eye(state.forward[0].mean.shape[1])
    return {
        "means": tuple(belief.mean_in for belief in beliefs),
        "variances": tuple(average(belief.variance_in) for belief in beliefs),
        "latent_variances": first.variances(state.forward[0], above[place - 1], latents),
        "free_energy": free_energy(factors, evidence, state, mode, counts),
    }


def _signal(
    problem: Problem, factors: tuple[Factor, ...], evidence: Message, state: State, mode: Mode, first: Joined
) -> dict[str, Any]:
    """The output x before any operator with variances; of bits the probabilities of a 1, and the bits' variances."""
    binary = isinstance(problem.output, BinaryOutput)
    place = len(factors) - (2 if binary else 1)
    into, back = state.forward[place - 1], state.backward[place] if binary else evidence
    weight, bias, noise = problem.signal
    arrays = (jnp.asarray(weight), jnp.asarray(bias)[None], jnp.asarray(noise))
    way = layer(factors[place]), into, arrays[0]
    if place == first.place:
        way = first.layer, state.forward[0], arrays[0] @ first.before
    mean, variance = _turned(factors[place], into, back, arrays, way, mode)
    if not problem.of_bits:
        return {"signal": mean, "signal_variances": variance}
    assert isinstance(problem.output, BinaryOutput)
    chance = problem.output.probability(mean, variance if mode == "mmse" else jnp.zeros_like(variance))
    return {"signal": chance, "signal_variances": chance * (1 - chance)}


@partial(jax.jit, static_argnums=5)
def _turned(
    factor: Factor,
    into: Message,
    back: Message,
    signal: tuple[Array, Array, Array],
    way: tuple[LinearFactor, Message, Array],
    mode: Mode,
) -> tuple[Array, Array]:
    """Mean and variance of weight @ z_in + bias + N(0, noise I). way: the layer that z_in, or what z_in is made of,
    goes through to what is observed, its message, and the weight from it to the output."""
    weight, bias, noise = signal
    belief = factor.estimate(into, back, mode)
    through, message, turned = way
    return belief.mean_in @ weight.T + bias, through.variances(message, back, turned) + noise
