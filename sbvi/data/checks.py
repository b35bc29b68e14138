"""What is wrong with source values, in one sentence: the value, its place and what is allowed."""

import math
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from sbvi.core import UserError
from sbvi.core.errors import reason

#: As many numbers float32 must have among a data set's real values.
FEWEST = 1000
#: Whole numbers that never exceed half of what bytes hold are likely of another range.
DARK = 127
#: A column of no wider range, relative to its values, is a constant that was computed.
ROUNDING = 1e-12


def units(minimum: float | None, maximum: float | None, levels: int | None, by_column: bool) -> str:
    """The source's units, in words."""
    if by_column:
        return "real numbers, each column with its own location and scale"
    if levels == 1 and minimum == 0:
        return "0 and 1"
    if levels is not None:
        return f"whole numbers {minimum:.10g}..{maximum:.10g}"
    low, high = ("none" if bound is None else f"{bound:.10g}" for bound in (minimum, maximum))
    return "real numbers" if low == high == "none" else f"real numbers of [{low}, {high}]"


class Lines(str):
    """What sentences call a file whose rows are lines, as of text tables; `first_line` is that of its first row, 0
    where a row may have several."""

    first_line: int

    def __new__(cls, name: str, first_line: int) -> "Lines":
        made = super().__new__(cls, name)
        made.first_line = first_line
        return made

    def __getnewargs__(self) -> tuple[str, int]:  # type: ignore[override]
        return str(self), self.first_line


class Frames(str):
    """What sentences call frames by split that are read as one: `parts` are their names and numbers of rows."""

    parts: tuple[tuple[str, int], ...]

    def __new__(cls, name: str, parts: Sequence[tuple[str, int]]) -> "Frames":
        made = super().__new__(cls, name)
        made.parts = tuple(parts)
        return made

    def __getnewargs__(self) -> tuple[str, Any]:  # type: ignore[override]
        return str(self), self.parts


def line(row: int, where: str) -> str:
    """Where a row of what sentences call `where` stands: its line, see `Lines`, or the row by its place, counted from
    0, of frames by split in its own frame."""
    for name, count in getattr(where, "parts", ()):
        if row < count:
            return f"row {row} of {name}"
        row -= count
    first = getattr(where, "first_line", 0)
    return f"line {row + first}" if first else f"row {row}"


def inside(where: str, part: str) -> str:
    """What sentences call a part of `where`, such as a column of a file; its rows are lines where that's are."""
    name, first = f"{where}: {part}", getattr(where, "first_line", 0)
    if isinstance(where, Frames):
        return Frames(name, where.parts)
    return Lines(name, first) if first else name


def place(position: int, event_shape: Sequence[int], columns: Sequence[str] | None, where: str) -> str:
    """Where the value at a flat position of (N, D) stands: its line or row, see `line`, and its column or pixel,
    counted from 0."""
    size = int(np.prod(event_shape))
    number, column = divmod(int(position), size)
    row = line(number, where)
    if columns is not None:
        return f"{row}, column {columns[column]}"
    if len(event_shape) == 1:
        return f"{row}, column {column}"
    inside = ", ".join(str(int(i)) for i in np.unravel_index(column, tuple(event_shape)))
    return f"{row}, place ({inside})"


def unmasked(values: Any, where: str) -> np.ndarray:
    """Values as an array.

    Raises:
      UserError: a masked array hides some, which an array would bring back as if they were there; rows differ in
        length; or they are sparse, or a tensor that refuses.
    """
    if hidden := int(np.sum(values.mask)) if isinstance(values, np.ma.MaskedArray) else 0:
        raise UserError(
            f"{where} is a masked array that hides {hidden} values; NaN says what is missing: "
            f"{where}.astype(float).filled(np.nan)."
        )
    if hasattr(values, "toarray") and not hasattr(values, "__array__"):  # of SciPy: NumPy makes one object of it
        raise UserError(
            f"{where} is sparse, a {type(values).__name__}; give an array, as {where}.toarray() makes of it."
        )
    try:
        return np.asarray(values)
    except ValueError:
        raise UserError(f"{where} is no array; its rows must be of one length.") from None
    except (RuntimeError, TypeError) as error:  # of a tensor that is in a graph, or on a device, its own words
        raise UserError(f"{where} cannot be read as an array ({reason(error).rstrip('.')}).") from None


def numeric(values: Any, where: str) -> np.ndarray:
    """Values as an array of real numbers.

    Raises:
      UserError: they are others; see also `unmasked`.
    """
    x = unmasked(values, where)
    if x.dtype.kind not in "buif":
        raise UserError(f"{where} has dtype {x.dtype}; it must be numeric.")
    return x


def shaped(values: np.ndarray, event_shape: tuple[int, ...], where: str) -> np.ndarray:
    """Numeric values as (N, *event_shape).

    Raises:
      UserError: another shape, with what would serve where axes stand elsewhere or one is too many; or not numbers.
    """
    x = numeric(values, where)
    size = int(np.prod(event_shape))
    wanted = f"it must be (N, {', '.join(map(str, event_shape))}), N > 0"
    if x.ndim < 1 or len(x) == 0 or x.shape[1:] not in (event_shape, (size,)):
        if x.ndim == 4 and len(x) and x.shape[2:] + x.shape[1:2] == event_shape:
            wanted += "; its channels come first, and they must come last: x.transpose(0, 2, 3, 1)"
        if x.ndim == 3 and len(x) and x.shape[:0:-1] == event_shape:
            wanted += "; its axes are the other way round: x.transpose(0, 2, 1)"
        for place, alone in (("x[:, 0]", (1, *event_shape)), ("x[..., 0]", (*event_shape, 1))):
            if x.shape[1:] == alone and len(x):
                wanted += f"; give it without the axis of its one channel: {place}"
        raise UserError(f"{where} has shape {x.shape}; {wanted}.")
    return x.reshape(len(x), *event_shape)


def not_there(values: np.ndarray) -> np.ndarray:
    """(N, D) of bool, where values (N, ...) are NaN."""
    x = unmasked(values, "x")
    flat = x.reshape(len(x), math.prod(x.shape[1:])) if x.ndim else x.reshape(1, 1)
    return np.isnan(flat) if x.dtype.kind == "f" else np.zeros(flat.shape, bool)


def told_apart(arrays: Collection[np.ndarray], origin: float, where: str, columns: Sequence[str] | None = None) -> None:
    """Refuse real values that float32 cannot tell apart: those so far from where they are counted from that fewer than
    `FEWEST` of its numbers lie between the least and the greatest of all arrays, or of a column of tables (N, D).

    origin: what is taken off before they are held.  columns: their names, where they have any.

    Raises:
      UserError: how many there are, and what helps.
    """
    low, high = min(float(x.min()) for x in arrays), max(float(x.max()) for x in arrays)
    if (there := _too_few(arrays, low, high, origin)) is not None:
        raise UserError(
            f"{where} holds {low:.10g} to {high:.10g}, where float32 has {there} numbers; set dataset.rescale=true "
            f"with dataset.minimum and dataset.maximum near these, or give the values in another unit."
        )
    if any(x.ndim != 2 for x in arrays):  # a pixel may well be nearly constant
        return
    lows, highs = (np.array([end(x, 0) for x in arrays], np.float64) for end in (np.min, np.max))
    for column, (low, high) in enumerate(zip(lows.min(0).tolist(), highs.max(0).tolist(), strict=True)):
        if high - low <= ROUNDING * max(abs(low), abs(high)):
            continue
        if (there := _too_few([x[:, column] for x in arrays], low, high, origin)) is not None:
            raise UserError(
                f"{where} holds {low:.10g} to {high:.10g} in column {columns[column] if columns else column}, where "
                f"float32 has {there} numbers; give its values in another unit, such as without their mean."
            )


def _too_few(arrays: Collection[np.ndarray], low: float, high: float, origin: float) -> int | None:
    """How many numbers of float32 lie between the ends, where these are too few for the values; else None."""
    end = max(abs(low - origin), abs(high - origin))
    if low == high or end > np.finfo(np.float32).max:  # which is refused where it is held
        return None
    there = int((high - low) / np.spacing(np.float32(end)))
    if there >= FEWEST or (not origin and all((x.astype(np.float32) == x).all() for x in arrays)):
        return None
    return there


def channels_last(event_shape: Sequence[int], where: str) -> None:
    """Refuse images that are (C, H, W).

    Raises:
      UserError: three axes, of which the first alone can be one of channels.
    """
    if len(event_shape) == 3 and event_shape[0] in (1, 3) and event_shape[-1] not in (1, 2, 3, 4):
        raise UserError(
            f"{where} holds images of shape {tuple(event_shape)}, channels first; channels must come last: "
            f"x.transpose(0, 2, 3, 1)."
        )


def _refuse(x: np.ndarray, bad: np.ndarray, why: str, where: str, columns: Sequence[str] | None) -> UserError:
    position = int(np.flatnonzero(bad)[0])
    value = x.reshape(-1)[position]
    count = int(np.count_nonzero(bad))
    more = f" ({count - 1} more like this)" if count > 1 else ""
    # As many digits as ranges are told in; of the shortest text, since float32's 0.1 is 0.1000000015 in ten.
    shown = f"{float(str(value)):.10g}" if x.dtype.kind == "f" else str(int(value))
    return UserError(f"{where} holds {shown} at {place(position, x.shape[1:], columns, where)}; {why}{more}.")


def finite(
    x: np.ndarray, where: str, columns: Sequence[str] | None = None, source: np.ndarray | None = None
) -> np.ndarray:
    """x, whose values are all finite.

    source: what x was made from in float32, for the sentence about what overflows there.

    Raises:
      UserError: NaN, infinite, or too large.
    """
    good = np.isfinite(x)
    if not good.all():
        why = "values must not be NaN or infinite" if source is None else "it is too large for float32 (3.4e38)"
        raise _refuse(x if source is None else source, ~good, why, where, columns)
    return x


def in_range(
    x: np.ndarray,
    minimum: float | None,
    maximum: float | None,
    units: str,
    where: str,
    columns: Sequence[str] | None = None,
) -> None:
    """Refuse what lies outside the range.

    Raises:
      UserError: a value does.
    """
    if (minimum is None or x.min() >= minimum) and (maximum is None or x.max() <= maximum):
        return
    bad = np.zeros(x.shape, bool)
    if minimum is not None:
        bad |= x < minimum
    if maximum is not None:
        bad |= x > maximum
    raise _refuse(x, bad, f"allowed: {units}", where, columns)


def whole(x: np.ndarray, units: str, where: str, columns: Sequence[str] | None = None) -> None:
    """Refuse fractions.

    Raises:
      UserError: a value is no whole number.
    """
    bad = np.rint(x) != x
    if bad.any():
        hint = ", which this data set's values are: values scaled to [0, 1] must be scaled back"
        raise _refuse(x, bad, f"allowed: {units}{hint}", where, columns)
