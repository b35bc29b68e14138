"""One likelihood for each column of a table, as one likelihood, over the entries that are there.

    log p(x_o | outputs) = sum over observed d of log p_d(x_d | outputs),   in nats of the columns' own units

Columns of one kind and law make a group; what is missing is NaN in x and counts nothing, unless entries go missing by
their own value: then it is log p(x_o, missing places | outputs).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.data.tabular.columns import Column
from sbvi.distributions.likelihoods.likelihood import Array, row
from sbvi.distributions.likelihoods.missingness import SelfMasking


class Group(NamedTuple):
    """Columns with one likelihood. places: theirs, (G,); unit: what their values are divided by for it."""

    places: np.ndarray
    likelihood: Any
    unit: float


class Columns:
    """The likelihood of one table; see `Likelihood`.

    laws: of each of the columns a likelihood, and what its values are divided by for it.
    self_masking: whether entries of standardised columns go missing by their own value.
    """

    binary = discrete = dequantize = False
    factorised = by_column = True

    def __init__(self, columns: tuple[Column, ...], laws: Sequence[tuple[Any, float]], self_masking: bool):
        self.columns = columns
        grouped: dict[tuple[str, tuple[Any, float]], list[int]] = {}
        for place, (column, law) in enumerate(zip(columns, laws, strict=True)):
            grouped.setdefault((column.kind, law), []).append(place)
        self.groups = [Group(np.array(places), *made) for (_, made), places in grouped.items()]
        order = np.concatenate([g.places for g in self.groups])
        self._back = np.argsort(order)
        self._output_ends = np.cumsum([g.likelihood.outputs(len(g.places)) for g in self.groups])[:-1]
        self._free_ends = np.cumsum([g.likelihood.free(len(g.places)) for g in self.groups])
        by_value = [d for d, c in enumerate(columns) if c.standardised and self_masking]
        #: Columns whose entries go missing by their value, (M,).
        self.masking = np.array(by_value, int)
        scale, log_location, log_scale = (np.zeros(len(columns)) for _ in range(3))
        for d, column in enumerate(columns):
            if column.standardised:
                log_scale[d] = np.log(column.scale)
            if column.kind == "positive":
                scale[d], log_location[d] = column.scale, column.location
        #: log |dx / dv| of source values x and what a model sees, v: a + b v.
        self._offset, self._slope = log_scale + log_location, scale

    def check(self, levels: int | None) -> None:
        """The columns say what they hold."""

    def outputs(self, size: int) -> int:
        return sum(g.likelihood.outputs(len(g.places)) for g in self.groups)

    def free(self, size: int) -> int:
        return sum(g.likelihood.free(len(g.places)) for g in self.groups) + 2 * len(self.masking)

    def initial_outputs(self, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
        parts = [g.likelihood.initial_outputs(mean[g.places] / g.unit, spread[g.places] / g.unit) for g in self.groups]
        return np.concatenate(parts)

    def initial_free(self, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
        parts = [g.likelihood.initial_free(mean[g.places] / g.unit, spread[g.places] / g.unit) for g in self.groups]
        return np.concatenate([*parts, np.zeros(2 * len(self.masking))])

    def _parts(self, outputs: Array, free: Array) -> list[tuple[Group, Array, Array]]:
        pieces = jnp.split(outputs, self._output_ends, axis=-1)
        frees = jnp.split(free, self._free_ends, axis=-1)[:-1]
        return list(zip(self.groups, pieces, frees, strict=True))

    def _masked(self, outputs: Array, free: Array) -> SelfMasking:
        """Of the columns in `masking`."""
        means, scales, places = [], [], []
        for g, piece, own in self._parts(outputs, free):
            if self.columns[g.places[0]].standardised:
                mean, scale = g.likelihood.moments(piece, own)
                means.append(mean)
                scales.append(jnp.broadcast_to(scale, mean.shape))
                places.append(g.places)
        back = np.argsort(np.concatenate(places))
        mean, scale = (jnp.take(jnp.concatenate(v, -1), back, axis=-1) for v in (means, scales))
        offset, slope = (row(v, outputs.ndim) for v in jnp.split(free[-2 * len(self.masking) :], 2))
        return SelfMasking(mean, scale, offset, slope)

    def _joined(self, parts: Sequence[Array]) -> Array:
        """Values of the groups (..., G) in the columns' order, (..., D)."""
        return jnp.take(jnp.concatenate(parts, -1), self._back, axis=-1)

    def log_probs(self, outputs: Array, free: Array, x: Array) -> Array:
        """Of each entry, (S, B, D) for x (1, B, D), in nats of its column's units; 0 where x is NaN."""
        there = ~jnp.isnan(x)
        seen = jnp.where(there, x, jnp.zeros_like(x))
        parts = []
        for g, piece, own in self._parts(outputs, free):
            parts.append(g.likelihood.log_probs(piece, own, jnp.take(seen, g.places, axis=-1) / g.unit))
        offset, slope = (row(jnp.asarray(v, x.dtype), x.ndim) for v in (self._offset, self._slope))
        log_probs = self._joined(parts)
        log_probs = jnp.where(there, log_probs - offset - slope * seen, jnp.zeros_like(log_probs))
        if not len(self.masking):
            return log_probs
        law = self._masked(outputs, free)
        here, values = (jnp.take(v, self.masking, axis=-1) for v in (there, seen))
        return log_probs.at[..., self.masking].add(jnp.where(here, law.log_there(values), law.log_missing()))

    def log_prob(self, outputs: Array, free: Array, x: Array) -> Array:
        return jnp.sum(self.log_probs(outputs, free, x[None]), -1)

    def mean(self, outputs: Array, free: Array) -> Array:
        """E of what a model sees: of positive columns of the logarithm, of categories of the code."""
        return self._joined([g.likelihood.mean(piece, own) * g.unit for g, piece, own in self._parts(outputs, free)])

    def missing_mean(self, outputs: Array, free: Array) -> Array:
        """`centred_mean` given that the values are missing, (..., D)."""
        centred = self.centred_mean(outputs, free)
        if not len(self.masking):
            return centred
        law = self._masked(outputs, free)
        mean = law.missing_mean()
        columns = [self.columns[d] for d in self.masking]
        location, scale = (
            row(jnp.asarray([getattr(c, name) for c in columns], mean.dtype), mean.ndim)
            for name in ("location", "scale")
        )
        positive = row(jnp.asarray([c.kind == "positive" for c in columns]), mean.ndim)
        most = row(
            jnp.asarray([np.log(c.maximum) if c.kind == "positive" else 0 for c in columns], mean.dtype), mean.ndim
        )
        raised = jnp.exp(jnp.minimum(location + law.missing_log_power(scale), most))
        return centred.at[..., self.masking].set(jnp.where(positive, raised, scale * mean))

    def missing_sample(self, key: Array, outputs: Array, free: Array) -> Array:
        """A draw of what a model sees, given that it is missing, (..., D)."""
        first, second = jax.random.split(key)
        drawn = self.sample(first, outputs, free)
        if not len(self.masking):
            return drawn
        return drawn.at[..., self.masking].set(self._masked(outputs, free).missing_sample(second))

    def centred_mean(self, outputs: Array, free: Array) -> Array:
        """E of the source's values, (..., D), less `sbvi.data.tabular.columns.centres`, beside which float32 may not
        hold it: positive columns' no greater than the greatest training value, of which a law of logarithms knows
        nothing; of categories the mean code."""
        parts = []
        for g, piece, own in self._parts(outputs, free):
            value = g.likelihood.mean(piece, own) * g.unit
            columns = [self.columns[d] for d in g.places]
            if columns[0].standardised:
                location, scale = (
                    row(jnp.asarray([getattr(c, name) for c in columns], value.dtype), value.ndim)
                    for name in ("location", "scale")
                )
                if columns[0].kind == "positive":
                    most = row(jnp.asarray([np.log(c.maximum) for c in columns], value.dtype), value.ndim)
                    deviation = g.likelihood.moments(piece, own)[1]
                    value = jnp.exp(jnp.minimum(location + scale * value + 0.5 * jnp.square(scale * deviation), most))
                else:
                    value = scale * value
            parts.append(value)
        return self._joined(parts)

    def sample(self, key: Array, outputs: Array, free: Array) -> Array:
        keys = jax.random.split(key, len(self.groups))
        parts = [
            g.likelihood.sample(k, piece, own) * g.unit
            for k, (g, piece, own) in zip(keys, self._parts(outputs, free), strict=True)
        ]
        return self._joined(parts)

    def output_precision(self, outputs: Array, free: Array) -> Array:
        """Of complete rows; see `precision_given`."""
        parts = [g.likelihood.output_precision(piece, own) for g, piece, own in self._parts(outputs, free)]
        return jnp.concatenate(parts, -1)

    def precision_given(self, outputs: Array, free: Array, x: Array) -> Array:
        """`output_precision` over the entries of x (B, D) that are there."""
        there = (~jnp.isnan(x)).astype(outputs.dtype)
        parts = []
        for g, piece, own in self._parts(outputs, free):
            seen = jnp.take(there, g.places, axis=-1)
            repeated = jnp.tile(seen, (1, piece.shape[-1] // len(g.places)))
            parts.append(g.likelihood.output_precision(piece, own) * repeated[None])
        return jnp.concatenate(parts, -1)

    def inputs(self, mask: bool) -> int:
        """Numbers that `read` makes of a row."""
        size = sum(len(c.values) if c.kind == "categorical" else 1 for c in self.columns)
        return size + mask * len(self.columns)

    def read(self, x: Array, mask: bool) -> Array:
        """x (B, D) as a network reads it, (B, inputs): standardised numbers, logarithms of counts, codes on [-1, 1],
        one number for each category; 0 where a value is missing; and with `mask` which values are there."""
        there = ~jnp.isnan(x)
        parts = []
        for d, column in enumerate(self.columns):
            value = x[:, d : d + 1]
            if column.kind == "count":
                value = (jnp.log1p(value) - column.location) / column.scale
            elif column.kind == "categorical":
                codes = jnp.arange(len(column.values), dtype=x.dtype)[None]
                value = (value == codes).astype(x.dtype)
            elif column.coded:
                value = 2 * value / (len(column.values) - 1) - 1
            parts.append(jnp.where(there[:, d : d + 1], value, jnp.zeros_like(value)))
        return jnp.concatenate([*parts, there.astype(x.dtype)] if mask else parts, -1)
