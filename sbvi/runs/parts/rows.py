"""Rows of a table by column, as its user has them: filled in, and drawn."""

from abc import abstractmethod
from typing import TYPE_CHECKING, get_args

import numpy as np

from sbvi.core import UserError, at_least_one, choices, seed_of
from sbvi.data.tabular import columns as tables
from sbvi.data.tabular.columns import Column
from sbvi.evaluation.filling import Guess, drawing, fill
from sbvi.models.capabilities import Tabular
from sbvi.runs.parts.part import Part

if TYPE_CHECKING:
    import pandas


class Rows(Part):
    """What `LoadedRun` offers of them, for runs on a table by column (likelihood=mixed)."""

    @abstractmethod
    def sample(self, num: int, seed: int | None = None, *, means: bool = False) -> np.ndarray: ...

    def fill_table(
        self, frame: "pandas.DataFrame", samples: int = 2000, seed: int = 1, guess: Guess = "mean"
    ) -> "pandas.DataFrame":
        """A frame with its gaps filled, of a run on a table by column: the same columns, order, index and dtypes."""
        known, model = self.preprocessing, self._able(Tabular, "fill_table")
        samples, seed = at_least_one(samples, "samples"), seed_of(seed)
        if guess not in get_args(Guess):
            raise choices("guess", guess, get_args(Guess))
        columns = self._columns("fill_table")
        if not hasattr(frame, "columns"):
            raise UserError(f"fill_table() takes a DataFrame, not {type(frame).__name__}; columns are found by name.")
        held = known.store(tables.encoded(columns, frame, "frame"), "frame")
        filled = fill(drawing(model, samples, 500), self.params, known, held, seed)
        return tables.decoded(columns, filled.guess(guess), frame, np.isnan(held))

    def sample_table(self, num: int, seed: int | None = None) -> "pandas.DataFrame":
        """Draws of complete rows, a frame of the columns that the model sees: categories by their names, counts and
        ranks whole, numbers in their own units; the rows of `sample`, of the same seed.

        Raises:
          UserError: the run is not of a table by column, or `num` is no number of rows.
        """
        columns = self._columns("sample_table")
        return tables.framed(columns, self.sample(num, seed))

    def _columns(self, what: str) -> tuple[Column, ...]:
        if self.preprocessing.table is None:
            raise UserError(f"{what}() is for runs on a table by column (likelihood=mixed).")
        return self.preprocessing.table
