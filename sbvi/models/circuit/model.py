"""A circuit over data of one shape: exact likelihoods, marginals, conditionals, draws, and statistics for learning.

Everything is one upward pass and, where a latent is asked for, its gradient: that of log S by a weight's logarithm is
the posterior probability of its edge, that by a leaf's logarithm of the leaf; with other rules for the sums it is the
most probable tree, or a drawn one (Darwiche 2003; NEIGHBOURS D.2).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.models.capabilities import Recentring
from sbvi.models.circuit import chow_liu
from sbvi.models.circuit.evaluate import root
from sbvi.models.circuit.leaf import Leaf, region_order, rows
from sbvi.models.circuit.plan import Plan
from sbvi.models.circuit.sums import Rule, drawn, hard, soft, without_some
from sbvi.models.values import IMPOSSIBLE, Array, DataFacts, DataSummary, LogProb, Params, Samples


class Logs(NamedTuple):
    """What a circuit's value is a function of, in logarithms: each Sum's weights (nodes, inputs, units), of classes
    (1, C, 1), and the leaves (n, B, K)."""

    weights: list[Array]
    classes: Array
    leaves: Array


class BuiltCircuit:
    """params: `sums`, free log-weights of each layer (nodes, inputs, units), normalised over inputs; `classes` (C,);
    `leaves`, the family's free parameters.

    parent: of a plain Chow-Liu tree, whose parameters start from its tables. start: first parameters that are given.
    """

    def __init__(
        self,
        facts: DataFacts,
        plan: Plan,
        family: Leaf,
        parent: np.ndarray | None = None,
        leaf_dropout: float = 0.0,
        sum_dropout: float = 0.0,
        start: Params | None = None,
    ):
        self.facts, self.plan, self.family, self.parent, self.start = facts, plan, family, parent, start
        self.leaf_dropout, self.sum_dropout = leaf_dropout, sum_dropout
        self.discrete = family.discrete
        self.order, self.real = region_order(plan.leaves, facts.event_size)
        self.classes = plan.sizes()[-1][1]

    def numbers(self, examples: int) -> dict[str, float]:
        return {}

    def init(self, seed: int, summary: DataSummary) -> Params:
        """Leaves near the data's means and weights near uniform, both apart by noise; a plain tree at its
        optimum; what is given."""
        if self.start is not None:
            return jax.tree.map(lambda value: jnp.asarray(value, jnp.float32), self.start)
        mean, spread = (np.append(v, 0.5).astype(np.float32)[self.order] for v in (summary.mean, summary.spread))
        shape = (*self.plan.leaves.shape, self.plan.leaf_units)
        classes = np.zeros(self.classes, np.float32)
        if summary.label is not None and self.classes > 1:
            counts = np.bincount(summary.label, minlength=self.classes) + 1.0
            classes = np.log(counts / counts.sum()).astype(np.float32)

        sizes = [shape, *self.plan.sums()]
        ends = np.cumsum([int(np.prod(size)) for size in sizes])

        @jax.jit  # one program, and one draw in it, in place of one for each layer
        def made(key: Array, mean: Array, spread: Array) -> Params:
            drawn = jnp.split(jax.random.normal(key, (int(ends[-1]),), jnp.float32), ends[:-1].tolist())
            noise, *sums = (part.reshape(size) for part, size in zip(drawn, sizes, strict=True))
            return {"sums": sums, "classes": jnp.asarray(classes), "leaves": self.family.init(noise, mean, spread)}

        params = made(jax.random.key(seed), mean, spread)
        if self.parent is not None:
            params["sums"] = [jnp.asarray(w, jnp.float32) for w in self._tables(summary.x[:])]
        return params

    def _tables(self, x: np.ndarray) -> list[np.ndarray]:
        """log p(state | parent's state) of each level of the tree, with one added to each cell of two variables."""
        assert self.parent is not None
        total = self.facts.levels or 1
        both = chow_liu.joint(chow_liu.pair_counts(np.round(total * x).astype(np.uint8), total + 1))
        tables, start = [], 0
        for nodes, _, units in self.plan.sums():
            level = self.order[start : start + nodes, 0]
            start += nodes
            if self.parent[level[0]] < 0:
                other = (level[0] + 1) % len(self.parent)
                alone = (
                    both[level[0], :, other].sum(-1) if len(self.parent) > 1 else both[level[0], :, level[0]].sum(-1)
                )
                tables.append(np.repeat(np.log(alone)[None, :, None], units, 2))
            else:
                table = both[level, :, self.parent[level], :]
                tables.append(np.log(table / table.sum(1, keepdims=True)))
        return tables

    # Upward.

    def _inputs(self, x: Array, observed: Array | None) -> tuple[Array, Array]:
        """x by regions (n, s, B), and what of it is seen: (n, s, B), or (n, s, 1) where that is the same for all."""
        real = jnp.asarray(self.real, x.dtype)[..., None]
        if observed is not None:
            x = jnp.where(observed, x, 0)
        padded = jnp.concatenate([x.T, jnp.zeros((1, x.shape[0]), x.dtype)])
        values = jnp.take(padded, self.order, axis=0)
        if observed is None:
            return values, real
        shown = jnp.take(jnp.concatenate([observed.T, observed.T[:1]]), self.order, axis=0)
        return values, real * shown.astype(x.dtype)

    def _logs(self, params: Params, values: Array, seen: Array) -> Logs:
        weights = [jax.nn.log_softmax(w, axis=1) for w in params["sums"]]
        classes = jax.nn.log_softmax(params["classes"])[None, :, None]
        return Logs(weights, classes, self.family.log_density(params["leaves"], values, seen))

    def _by_class(self, logs: Logs, rule: Rule) -> Array:
        """log p(x | class), (B, C)."""
        return root(self.plan, logs.leaves, logs.weights, rule)

    def _total(self, logs: Logs, rule: Rule) -> Array:
        """log p(x), (B,), by the rule."""
        return rule(len(logs.weights), self._by_class(logs, rule)[None], logs.classes)[0, :, 0]

    def joint_log_probs(
        self, params: Params, x: Array, *, rule: str = "soft", key: Array | None = None, observed: Array | None = None
    ) -> Array:
        """log p(x, label) for every label, (B, C); with rule=hard, of the most probable latents.

        key: draws what is left out, for training with dropout. A variable goes with all of its leaves, as if it had not
        been observed (Peharz et al. 2019).
        """
        if key is not None and self.leaf_dropout:
            kept = jax.random.bernoulli(jax.random.fold_in(key, 0), 1 - self.leaf_dropout, x.shape)
            observed = kept if observed is None else observed & kept
        values, seen = self._inputs(x, observed)
        chosen: Rule = hard if rule == "hard" else soft
        if key is not None and self.sum_dropout:
            chosen = without_some(chosen, jax.random.fold_in(key, 1), self.sum_dropout)
        logs = self._logs(params, values, seen)
        return self._by_class(logs, chosen) + logs.classes[0, :, 0][None]

    def log_prob(self, params: Params, key: Array, x: Array) -> LogProb:
        return LogProb(self._total(self._logs(params, *self._inputs(x, None)), soft), "exact")

    def marginal_log_prob(self, params: Params, x: Array, observed: Array) -> LogProb:
        return LogProb(self._total(self._logs(params, *self._inputs(x, observed)), soft), "exact")

    def class_log_probs(self, params: Params, x: Array) -> Array:
        return jax.nn.log_softmax(self.joint_log_probs(params, x), -1)

    def class_log_probs_given(self, params: Params, x: Array, observed: Array) -> Array:
        """log p(label | x_o), (B, C), the values that are not observed summed out."""
        return jax.nn.log_softmax(self.joint_log_probs(params, x, observed=observed), -1)

    # Downward.

    def _leaf_gradient(self, logs: Logs, rule: Rule) -> Array:
        """Of each leaf (n, B, K): its posterior probability, or whether it is in the tree that the rule chose."""
        batch = logs.leaves.shape[1]
        _, pull = jax.vjp(lambda leaves: self._total(logs._replace(leaves=leaves), rule), logs.leaves)
        gradient: Array = pull(jnp.ones(batch, logs.leaves.dtype))[0]
        return gradient

    def _to_variables(self, by_region: Array) -> Array:
        """(n, s, B) summed over the regions of each variable, as (B, D)."""
        flat = by_region.reshape(-1, by_region.shape[-1])
        summed = jax.ops.segment_sum(flat, self.order.reshape(-1), self.facts.event_size + 1)
        return summed[:-1].T

    def _chosen(self, params: Params, path: Array) -> Params:
        """Free parameters (B, D, ...) of each variable's leaf in a tree, whose leaves are one in path (n, B, K)."""
        n, s = self.order.shape
        units = path.shape[-1]
        unit = jnp.argmax(path, -1)[:, None] + jnp.arange(n * s).reshape(n, s, 1) * units
        taken = jnp.round(jnp.sum(path, -1)).astype(unit.dtype)[:, None]
        return rows(params["leaves"], self._to_variables(unit * taken))

    def conditional(self, params: Params, key: Array, x: Array, observed: Array) -> Samples:
        logs = self._logs(params, *self._inputs(x, observed))
        posterior = self._leaf_gradient(logs, soft)
        means = jnp.einsum("nbk,nsk->nsb", posterior, self.family.mean(params["leaves"]))
        mean = self._to_variables(means)
        first, second = jax.random.split(key)
        leaf = self._chosen(params, self._leaf_gradient(logs, drawn(first)))
        draw = self.family.sample(second, leaf)
        return Samples(jnp.where(observed, x, mean), jnp.where(observed, x, draw))

    def sample(self, params: Params, key: Array, num: int) -> Samples:
        nothing = jnp.zeros((num, self.facts.event_size), params["classes"].dtype)
        logs = self._logs(params, *self._inputs(nothing, nothing > 0))
        first, second = jax.random.split(key)
        leaf = self._chosen(params, self._leaf_gradient(logs, drawn(first)))
        return Samples(self.family.mean(leaf), self.family.sample(second, leaf))

    def most_probable(self, params: Params, x: Array, observed: Array) -> Array:
        """Values of the rest in the most probable tree given the observed ones, which stay as they are, (B, D): the
        most probable explanation where the circuit is deterministic, else the usual approximation of it."""
        values, seen = self._inputs(x, observed)
        peak = self.family.log_peak(params["leaves"])
        unseen = jnp.asarray(self.real, x.dtype)[..., None] - seen
        logs = self._logs(params, values, seen)
        logs = logs._replace(leaves=logs.leaves + jnp.einsum("nsb,nsk->nbk", unseen, peak))
        mode = self.family.mode(self._chosen(params, self._leaf_gradient(logs, hard)))
        return jnp.where(observed, x, mode)

    # Learning by expectation maximisation.

    def statistics(self, params: Params, x: Array, mask: Array) -> Any:
        return self._counts(params, x, mask, soft)

    def hard_statistics(self, params: Params, x: Array, mask: Array) -> Any:
        return self._counts(params, x, mask, hard)

    def _counts(self, params: Params, x: Array, mask: Array, rule: Rule) -> Any:
        values, seen = self._inputs(x, None)
        _, pull = jax.vjp(lambda logs: self._total(logs, rule), self._logs(params, values, seen))
        counts: Logs = pull(mask.astype(x.dtype))[0]
        leaves = self.family.statistics(params["leaves"], counts.leaves, values, seen)
        return {"sums": counts.weights, "classes": counts.classes[0, :, 0], "leaves": leaves}

    def recentred(self, statistics: Any, before: Params, after: Params) -> Any:
        if not isinstance(self.family, Recentring):
            return statistics
        leaves = self.family.recentred(statistics["leaves"], before["leaves"], after["leaves"])
        return {**statistics, "leaves": leaves}

    def maximise(self, params: Params, statistics: Any, pseudocount: float) -> Params:
        """The pseudocount is spread over the inputs of every sum, and over the values of every leaf; inputs of weight
        zero, which only fill a layer up, have no part in it."""

        def weights(old: Array, counts: Array, axis: int) -> Array:
            real = (old > IMPOSSIBLE / 2).astype(counts.dtype)
            counts = counts + pseudocount * real / jnp.maximum(jnp.sum(real, axis, keepdims=True), 1)
            never = jnp.sum(counts, axis, keepdims=True) <= 0
            log_weights = jax.nn.log_softmax(jnp.log(jnp.maximum(counts, jnp.asarray(1e-30, counts.dtype))), axis)
            return jnp.where(never | (real == 0), old, log_weights)

        return {
            "sums": [weights(w, c, 1) for w, c in zip(params["sums"], statistics["sums"], strict=True)],
            "classes": weights(params["classes"], statistics["classes"], 0),
            "leaves": self.family.maximise(params["leaves"], statistics["leaves"], pseudocount),
        }
