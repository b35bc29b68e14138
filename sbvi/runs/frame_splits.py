"""Frames by split as one frame, with a column that says which row is of which."""

from collections.abc import Mapping
from typing import Any

from sbvi.core import UserError
from sbvi.data.own import few
from sbvi.data.tabular.frame_names import labels as labels_of
from sbvi.data.tabular.split_column import SPLITS

#: What the column is called, unless the frames have one of that name.
COLUMN = "split"


def is_frame(value: Any) -> bool:
    return hasattr(value, "to_csv") and hasattr(value, "columns")


def joined(frames: Mapping[str, Any]) -> tuple[Any, str | None]:
    """One frame of all rows, and the name of the column that says which split each is of; of frames of numbers whose
    columns have no names arrays by split, and None. Columns are found by name.

    Raises:
      UserError: a key is no split, train is not there, one is no frame, the splits' columns are not the same, or have
        no names, and hold other things than numbers.
    """
    import pandas as pd

    alike = _alike(frames)
    names = list(map(str, alike["train"].columns))
    if names == list(map(str, range(len(names)))):  # as pandas calls what has no names
        if odd := [name for name, frame in alike.items() if any(kind.kind not in "buif" for kind in frame.dtypes)]:
            raise UserError(f"x[{odd[0]!r}] has columns without names that are no plain numbers; name them by words.")
        return {name: frame.to_numpy() for name, frame in alike.items()}, None
    column = next(name for name in (COLUMN, *(f"{COLUMN}_{i}" for i in range(len(names) + 1))) if name not in names)
    told = [name for name, frame in alike.items() for _ in range(len(frame))]
    return pd.concat(alike.values(), ignore_index=True).assign(**{column: told}), column


def _alike(frames: Mapping[str, Any]) -> dict[str, Any]:
    """The splits in their order, each with the columns of the training frame in that one's order."""
    if odd := [name for name in frames if name not in SPLITS]:
        raise UserError(f"x has the key {odd[0]}; allowed: {', '.join(SPLITS)}.")
    if "train" not in frames:
        raise UserError(f"x has the keys {', '.join(frames)}; train must be one of them.")
    if others := [name for name, value in frames.items() if not is_frame(value)]:
        kind = type(frames[others[0]]).__name__
        raise UserError(f"x[{others[0]!r}] is of type {kind}, and others are DataFrames; allowed: one kind for all.")
    wanted = labels_of(frames["train"], "x['train']")
    alike = {}
    for name in (name for name in SPLITS if name in frames):
        frame = frames[name]
        own = labels_of(frame, f"x[{name!r}]")
        if lost := [column for column in wanted if column not in own]:
            raise UserError(f"x[{name!r}] lacks the columns {few(lost)} of x['train']; splits are matched by name.")
        if more := [column for column in own if column not in wanted]:
            raise UserError(f"x[{name!r}] has columns that x['train'] lacks: {few(more)}; splits are matched by name.")
        alike[name] = frame[[own[column] for column in wanted]].set_axis(frames["train"].columns, axis=1)
    return alike
