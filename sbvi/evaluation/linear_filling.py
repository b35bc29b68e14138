"""Numbers of a table filled by one Gaussian of whole rows: what is linear between columns, learned from few rows.

Rows are seen as a recognition network sees them: standardised numbers, logarithms of counts, codes on [-1, 1], one
number for each category. Continuous, positive and count columns are filled; categories only tell of these.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sbvi.data.tabular.columns import NUMERIC, Column
from sbvi.inference.joint_gaussian import JointGaussian, expectation_maximisation

#: N P^3, the work of a round, at most: some tenths of a second. Tables that are seen wider than WIDEST would have too
#: few rows by it.
WORK, WIDEST = 500_000_000, 80


@dataclass(frozen=True)
class Design:
    """How held values (N, D) are seen, (N, P = width). numeric: the columns that are filled, (M,); places: theirs
    among the P."""

    columns: tuple[Column, ...]
    numeric: np.ndarray
    places: np.ndarray
    width: int

    @classmethod
    def of(cls, columns: Sequence[Column]) -> "Design":
        widths = [len(c.values) if c.kind == "categorical" else 1 for c in columns]
        numeric = np.array([d for d, c in enumerate(columns) if c.kind in NUMERIC], int)
        ends = np.cumsum([0, *widths])
        return cls(tuple(columns), numeric, ends[numeric], int(ends[-1]))

    def __call__(self, held: np.ndarray) -> np.ndarray:
        """(N, P) float64, NaN where a value is missing."""
        parts = []
        for d, column in enumerate(self.columns):
            value = held[:, d : d + 1].astype(np.float64)
            if column.kind == "count":
                value = (np.log1p(value) - column.location) / column.scale
            elif column.kind == "categorical":
                value = np.where(np.isnan(value), np.nan, value == np.arange(len(column.values))[None])
            elif column.coded:
                value = 2 * value / max(len(column.values) - 1, 1) - 1
            parts.append(value)
        return np.concatenate(parts, 1)

    def back(self, seen: np.ndarray) -> np.ndarray:
        """Numeric columns as seen (..., M) as held values; counts no greater than the greatest training value."""
        made = seen.copy()
        for m, d in enumerate(self.numeric):
            column = self.columns[d]
            if column.kind == "count":
                value = np.minimum(column.location + column.scale * seen[..., m], np.log1p(column.maximum))
                made[..., m] = np.rint(np.maximum(np.expm1(value), 0.0))
        return made

    def means(self, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
        """E of numeric columns' source values, (N, M), of Gaussians as seen; where these are logarithms, no greater
        than the greatest training value."""
        made = np.empty_like(mean)
        for m, d in enumerate(self.numeric):
            column = self.columns[d]
            value = column.location + column.scale * mean[:, m]
            raised = value + 0.5 * column.scale**2 * variance[:, m]
            if column.kind == "positive":
                value = np.exp(np.minimum(raised, np.log(column.maximum)))
            elif column.kind == "count":
                value = np.maximum(np.expm1(np.minimum(raised, np.log1p(column.maximum))), 0.0)
            made[:, m] = value
        return made


@dataclass(frozen=True)
class LinearFilling:
    """A Gaussian of rows as a design sees them."""

    design: Design
    gaussian: JointGaussian

    @classmethod
    def fit(
        cls, design: Design, held: np.ndarray, shrinkage: float, start: "LinearFilling | None" = None
    ) -> "LinearFilling":
        """To the first rows of held values (N, D) with gaps, as many as WORK allows. shrinkage: rows without
        correlation that are added, as a share of these."""
        before = None if start is None else start.gaussian
        rows = design(held[: max(WORK // design.width**3, 2)])
        return cls(design, expectation_maximisation(rows, shrinkage * len(rows), before))

    def mean(self, held: np.ndarray) -> np.ndarray:
        """E of numeric columns' source values given what rows of held values (N, D) have, (N, M)."""
        mean, variance, _ = self.gaussian.given(self.design(held))
        return self.design.means(mean[:, self.design.places], variance[:, self.design.places])

    def draws(self, held: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
        """Numeric columns' held values given what rows have, (count, N, M)."""
        drawn = self.gaussian.draws(self.design(held), count, generator)
        return self.design.back(drawn[..., self.design.places])
