"""What run.json records of the way from source values to what a model sees; `preprocessing` goes that way."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self

import numpy as np

from sbvi.core import UserError
from sbvi.data.checks import units
from sbvi.data.tabular import columns as tables

Rule = Literal["none", "static", "dynamic", "threshold"]


@dataclass(frozen=True)
class PreprocessingRecord:
    """What is done to every value of a data set.

    event_shape: of one example, (D,) or (H, W) or (H, W, C).
    minimum, maximum: range of the source values; None where there is no bound.
    levels: L where source values are the whole numbers minimum .. minimum + L, held as 0..L in uint8; else None, and
      they are held as float32.
    rescale: whether real values are held moved from [minimum, maximum] to [0, 1].
    binarization: how grey values become binary ones: drawn once (static), at each use in training (dynamic; once
      everywhere else), or on from the middle of the range (threshold).
    seed: of the draws that are made once.
    dequantize: whether a model sees whole numbers k as (k + u) / (L + 1), with u uniform.
    columns: names of a table's columns.
    location, scale: of each column of a table of numbers, which is held as (x - location) / scale.
    table: the columns of a table of mixed kinds, each with its own way; source values are its numbers and codes, and
      NaN, which stays NaN in what a model sees, is a missing value.
    """

    event_shape: tuple[int, ...]
    minimum: float | None = None
    maximum: float | None = None
    levels: int | None = None
    rescale: bool = False
    binarization: Rule = "none"
    seed: int = 0
    dequantize: bool = False
    columns: tuple[str, ...] | None = None
    location: tuple[float, ...] | None = None
    scale: tuple[float, ...] | None = None
    table: tuple[tables.Column, ...] | None = None

    @classmethod
    def whole(cls, event_shape: tuple[int, ...], levels: int, minimum: float = 0.0) -> Self:
        """Of the whole numbers minimum .. minimum + levels."""
        return cls(tuple(event_shape), minimum, minimum + levels, levels)

    @classmethod
    def real(cls, event_shape: tuple[int, ...], minimum: float | None = None, maximum: float | None = None) -> Self:
        """Of real numbers, in a range where there is one."""
        return cls(tuple(event_shape), minimum, maximum)

    @property
    def event_size(self) -> int:
        return int(np.prod(self.event_shape))

    @property
    def binary(self) -> bool:
        """Whether a model sees 0 and 1 alone."""
        return self.binarization != "none" or self.levels == 1

    @property
    def dynamic(self) -> bool:
        """Whether the training split is held as means, drawn anew at each use."""
        return self.binarization == "dynamic"

    @property
    def units(self) -> str:
        """The source's units, in words."""
        if self.table is not None:
            return "columns of a table, each in its own units"
        return units(self.minimum, self.maximum, self.levels, self.location is not None)

    @property
    def _range(self) -> tuple[float, float]:
        return self.minimum or 0.0, self.maximum or 0.0

    @property
    def way_back(self) -> tuple[np.ndarray | float, np.ndarray | float]:
        """Location and scale, (D,) or of all values, of which the source is location + scale * model input; of a table
        of mixed kinds, whose columns have ways of their own, 0 and 1."""
        if self.location is not None:
            return np.asarray(self.location), np.asarray(self.scale)
        low, high = self._range
        if self.levels is not None and self.binarization == "none":
            return (low - 0.5, self.levels + 1.0) if self.dequantize else (low, float(self.levels))
        return (low, high - low) if self.rescale else (0.0, 1.0)

    def to_config(self) -> dict[str, Any]:
        """Plain data for run.json, with the units in words; see `from_config`."""
        settings = {field.name: getattr(self, field.name) for field in fields(self)}
        settings["table"] = None if self.table is None else tables.to_config(self.table)
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}
        return {"units": self.units, **plain}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """What `to_config` wrote.

        Raises:
          UserError: it is not that.
        """
        known = {field.name for field in fields(cls)}
        try:
            arguments: Any = {
                name: tuple(v) if isinstance(v, list) else v for name, v in config.items() if name in known
            }
            if arguments.get("table") is not None:
                arguments["table"] = tables.from_config(arguments["table"])
            return cls(**arguments)
        except (TypeError, AttributeError) as error:
            raise UserError(f"run.json holds a preprocessing that cannot be read ({error}).") from None

    def but(self, **changes: Any) -> Self:
        """The same with some fields changed."""
        return replace(self, **changes)
