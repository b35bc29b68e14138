"""The one way from source values to what a model sees, and back, as a value that run.json records.

    source --store--> held --traced (in the compiled program) or read (on the host)--> model input
    model output --to_source--> source

`docs/data.md` has every kind of data in one table.
"""

import logging
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from sbvi.data.binarization import fixed_draw
from sbvi.data.checks import finite, in_range, shaped, whole
from sbvi.data.preprocessing_record import PreprocessingRecord
from sbvi.data.tabular import columns as tables
from sbvi.data.tabular.frame_names import by_name
from sbvi.data.tabular.frame_numbers import numbers
from sbvi.data.unit_interval import far, from_unit, to_unit

log = logging.getLogger(__name__)

#: What is added to the seed of fixed draws, for each split; a user's own file is drawn as the test split is.
OFFSETS = {"train": 0, "validation": 1, "test": 2}


@dataclass(frozen=True)
class Preprocessing(PreprocessingRecord):
    """What is done to every value of a data set: the record's way, gone there and back."""

    # Source to held.

    def store(self, values: np.ndarray, where: str = "x", missing: np.ndarray | None = None) -> np.ndarray:
        """Source values (N, *event_shape) or (N, D) as they are held, (N, *event_shape): uint8 or float32.

        missing: (N, D) of bool, where NaN stands for a value that is not there; it is held as the least value, or as
          the location of its column.

        Raises:
          UserError: another shape, a dtype that is not numeric, or a value that is not finite or not in the range;
            with the value, its place and what is allowed.
        """
        values = self.arranged(values, where)
        if self.table is not None:
            return self._columns(values, where, missing)
        x = shaped(values, self.event_shape, where)
        if missing is not None:
            x = self._without(x, missing)
        if x.dtype.kind == "f":
            finite(x, where, self.columns)
        in_range(x, self.minimum, self.maximum, self.units, where, self.columns)
        if self.levels is not None:
            if x.dtype.kind == "f":
                whole(x, self.units, where, self.columns)
            return (x - np.int64(self.minimum or 0) if self.minimum else x).astype(np.uint8)
        if self.location is not None:
            flat = x.reshape(len(x), -1).astype(np.float64)
            held = ((flat - np.asarray(self.location)) / np.asarray(self.scale)).reshape(x.shape)
            return finite(narrowed(held), where, self.columns, source=x)
        if self.rescale and far(*self._range):
            return to_unit(x.astype(np.float64), *self._range).astype(np.float32)
        held = finite(narrowed(x), where, self.columns, source=x)
        return to_unit(held, *self._range) if self.rescale else held

    def arranged(self, values: Any, where: str = "x") -> Any:
        """A frame's columns in the run's own order, found by name, as numbers and codes; an array as it is.

        Raises:
          UserError: a column is not there, or holds what the run does not know.
        """
        if not hasattr(values, "columns"):
            return values
        if self.table is not None:
            return tables.encoded(self.table, values, where)
        if self.columns is not None:
            values = values[by_name(self.columns, values, where)]
        return numbers(values, where)

    def _columns(self, values: np.ndarray, where: str, missing: np.ndarray | None) -> np.ndarray:
        """Numbers and codes (N, D) as held; NaN stays."""
        table = self.table or ()
        x = shaped(values, self.event_shape, where).astype(np.float64)
        gaps = np.isnan(x) if missing is None else np.isnan(x) | missing
        held = tables.store(table, np.where(gaps, np.nan, x), where)
        finite(narrowed(np.where(gaps, 0.0, held)), where, self.columns, source=x)
        return held.astype(np.float32)

    def _without(self, x: np.ndarray, missing: np.ndarray) -> np.ndarray:
        if not missing.any():
            return x
        flat = x.reshape(len(x), -1)
        stand_in = np.asarray(self.location if self.location is not None else (self.minimum or 0.0), flat.dtype)
        return np.where(missing, stand_in, flat).astype(flat.dtype).reshape(x.shape)

    def means(self, held: np.ndarray) -> np.ndarray:
        """Held values that are not yet binary as Bernoulli means: whole numbers 0..levels, or floats in [0, 1]."""
        return held if self.levels is not None or self.rescale else to_unit(held, *self._range)

    def once(self, held: np.ndarray, split: str) -> np.ndarray:
        """Held values as evaluation sees them: those of binarized data drawn, a function of the seed and the split's
        name alone, or compared with the middle of the range; others as they are."""
        if self.binarization == "none":
            return held
        if self.binarization == "threshold":
            return (self.means(held) >= (self.levels or 1) / 2).astype(np.uint8)
        return fixed_draw(self.means(held), self.levels, self.seed + OFFSETS[split])

    def own(
        self, values: np.ndarray, where: str = "x", missing: np.ndarray | None = None, split: str = "test"
    ) -> np.ndarray:
        """A user's source values as evaluation sees them.

        A model of binarized data takes 0 and 1 as they are, and what is grey by its own rule, and says so.

        Raises:
          UserError: see `store`.
        """
        if self.binarization != "none":
            x = shaped(self.arranged(values, where), self.event_shape, where)
            known = x if missing is None else np.where(missing.reshape(x.shape), 0, x)
            if ((known == 0) | (known == 1)).all():
                return known.astype(np.uint8)
            held = self.store(x, where, missing)
            rule = self.binarization if self.binarization == "threshold" else f"draws of seed {self.seed}"
            log.info("%s holds grey values; they are binarized by the run's own rule (%s).", where, rule)
            return self.once(held, split)
        return self.once(self.store(values, where, missing), split)

    # Held to model input.

    def read(self, held: np.ndarray) -> np.ndarray:
        """What evaluation sees, on the host without noise, (N, D) float32: a dequantised level as its middle."""
        flat = held.reshape(len(held), -1).astype(np.float32)
        if self.binary or self.levels is None:
            return flat
        if self.dequantize:
            return (flat + np.float32(0.5)) / np.float32(self.levels + 1)
        return flat / np.float32(self.levels)

    def scaled(self, held: np.ndarray) -> np.ndarray:
        """The training split as held, in the float32 means (N, D) that a model's first parameters start from."""
        flat = held.reshape(len(held), math.prod(held.shape[1:])).astype(np.float32)
        if self.binarization in ("static", "threshold"):
            return flat
        if self.levels is not None:
            return flat / np.float32(self.levels)
        return to_unit(flat, *self._range) if self.dynamic and not self.rescale else flat

    def to_model(self, values: np.ndarray, where: str = "x", missing: np.ndarray | None = None) -> np.ndarray:
        """Source values (N, ...) as model input (N, D) float32; see `own` and `read`.

        Raises:
          UserError: see `store`.
        """
        return self.read(self.own(values, where, missing))

    # Model output to source.

    def to_source(self, values: np.ndarray) -> np.ndarray:
        """Model values (..., D) in the source's units, of the same shape; those of binarized data as they are, since
        a draw cannot be undone. float32; float64 where they are standardised or far from 0."""
        x = np.asarray(values)
        if self.table is not None:
            return tables.back(self.table, x.astype(np.float64))
        if self.location is not None:
            return x.astype(np.float64) * np.asarray(self.scale) + np.asarray(self.location)
        x = x.astype(np.float32)
        if self.binarization != "none":
            return x
        ranged = self.rescale or self.levels is not None
        wide = np.dtype(np.float64 if ranged and far(*self._range) else np.float32)
        if self.levels is not None:
            return self._levels(x, self.levels).astype(wide) + wide.type(self.minimum or 0)
        return from_unit(x.astype(wide), *self._range) if self.rescale else x

    def _levels(self, x: np.ndarray, levels: int) -> np.ndarray:
        """Model values in float32 as numbers from 0: k / levels, which is rounded there, gives k back, of counts beyond
        the levels too, and a mean stays one."""
        if self.dequantize:
            return np.asarray(x * np.float32(levels + 1) - np.float32(0.5))
        steps = x * np.float32(levels)
        nearest = np.rint(steps)
        return np.where(np.abs(steps - nearest) <= 4 * np.spacing(nearest), nearest, steps)

    def filled(self, values: np.ndarray, missing: np.ndarray, source: np.ndarray | None) -> np.ndarray:
        """Model values (..., N, D) in the source's units, with the source's own (N, D), to the last digit, where there
        is one; those of binarized data as the model saw them."""
        back = self.to_source(values)
        if source is None or self.binarization != "none":
            return back
        return np.where(missing, back, source if source.dtype.kind == "f" else source.astype(back.dtype))

    def drawable(self, values: np.ndarray) -> np.ndarray:
        """Source values on the scale of pictures, [0, 1] where they have a range."""
        if self.binarization != "none" or self.minimum is None or self.maximum is None:
            return values
        return (values - self.minimum) / (self.maximum - self.minimum)


def narrowed(x: np.ndarray) -> np.ndarray:
    """As float32, infinite where that does not reach, of which `finite` tells."""
    with np.errstate(over="ignore"):
        return x.astype(np.float32)
