"""Frames by split as one frame, with a column that says which row is of which."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from sbvi.core import UserError
from sbvi.data.own import few
from sbvi.data.tabular.cells import dtype_of, listed, plain, shortest, spelled
from sbvi.data.tabular.frame_names import labels as labels_of
from sbvi.data.tabular.frame_numbers import simple
from sbvi.data.tabular.kinds import are_times
from sbvi.data.tabular.ranks import declared_ranks, names_by_dtype
from sbvi.data.tabular.split_column import SPLITS

#: What the column is called, unless the frames have one of that name.
COLUMN = "split"


def is_frame(value: Any) -> bool:
    return hasattr(value, "to_csv") and hasattr(value, "columns")


def joined(frames: Mapping[str, Any], told: Mapping[str, Any] | None = None) -> tuple[Any, str | None]:
    """One frame of all rows, and the name of the column that says which split each is of; of frames of numbers whose
    columns have no names arrays by split, and None. Columns are found by name; told: what the user says of some.

    Raises:
      UserError: a key is no split, train is not there, one is no frame or has no rows, the splits' columns are not the
        same, or have no names, and hold other things than numbers; or see `_of_one_order`.
    """
    import pandas as pd

    alike = _alike(frames)
    names = list(map(str, alike["train"].columns))
    if names == list(map(str, range(len(names)))):  # as pandas calls what has no names
        if odd := [name for name, frame in alike.items() if any(kind.kind not in "buif" for kind in frame.dtypes)]:
            raise UserError(f"x[{odd[0]!r}] has columns without names that are no plain numbers; name them by words.")
        return {name: frame.to_numpy() for name, frame in alike.items()}, None
    column = next(name for name in (COLUMN, *(f"{COLUMN}_{i}" for i in range(len(names) + 1))) if name not in names)
    parts = [name for name, frame in alike.items() for _ in range(len(frame))]
    return pd.concat(_of_one_order(alike, told or {}).values(), ignore_index=True).assign(**{column: parts}), column


def _of_one_order(alike: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """The splits with the training frame's order of categories where that decides, and with numbers as names where it
    has these so: of dtypes that differ pandas would make texts or numbers.

    Raises:
      UserError: categories of a split are not among the training frame's in their order.
    """
    import pandas as pd

    made = {name: frame.copy(deep=False) for name, frame in alike.items()}
    for place, column in enumerate(alike["train"].dtypes.index):
        dtype = alike["train"].dtypes.iloc[place]
        if not isinstance(dtype, pd.CategoricalDtype):
            continue
        each = {name: frame.iloc[:, place] for name, frame in alike.items()}
        for name, own in each.items():
            simple(own, f"x[{name!r}]")
        ranks = declared_ranks(each["train"])
        if ranks is not None and told.get(str(column)) in (None, "ordinal") and not are_times(ranks):
            for name, own in each.items():
                _among(own, dtype, f"x[{name!r}]: column {column}")
        elif names_by_dtype(each["train"]):
            dtype = _with_more(dtype, each.values())
        else:
            continue
        for name, own in each.items():
            places = _places(_cells(own), own.dtype, dtype)
            codes = [-1 if gap else places[cell] for cell, gap in zip(own, own.isna(), strict=True)]
            made[name].isetitem(place, pd.Series(pd.Categorical.from_codes(codes, dtype=dtype), own.index))
    return made


def _cells(own: Any) -> list[Any]:
    """The different cells of a column, without the gaps."""
    return list(dict.fromkeys(own.dropna()))


def _places(values: list[Any], own: Any, dtype: Any) -> dict[Any, int]:
    """The places of values, of a column of dtype `own`, among the categories of a dtype, found by their spelling where
    they are not there; -1 of what is none."""
    there = {level: place for place, level in enumerate(dtype.categories)}
    alike = {_spelling(level, dtype): place for level, place in there.items()}
    if len(alike) < len(there):  # 1 may be 01, or 1.0
        alike = {}
    return {value: there.get(value, alike.get(_spelling(value, own), -1)) for value in values}


def _spelling(value: Any, dtype: Any) -> str:
    return spelled(shortest(plain(value), dtype_of(value, dtype)))


def _with_more(dtype: Any, each: Iterable[Any]) -> Any:
    """A dtype of names with those of all splits."""
    import pandas as pd

    more: dict[str, Any] = {}
    for own in each:
        absent = [value for value, place in _places(_cells(own), own.dtype, dtype).items() if place < 0]
        more |= {_spelling(value, own.dtype): shortest(value, dtype_of(value, own.dtype)) for value in absent}
    if not more:
        return dtype
    return pd.CategoricalDtype([*(shortest(level, dtype) for level in dtype.categories), *more.values()])


def _among(own: Any, dtype: Any, what: str) -> None:
    """Refuse cells that are none of an order's categories, and an order in which these stand otherwise."""
    import pandas as pd

    order = ", ".join(map(_shown, dtype.categories))
    if absent := [value for value, place in _places(_cells(own), own.dtype, dtype).items() if place < 0]:
        raise UserError(f"{what} has the category {_shown(absent[0])}; those of x['train'] are {order}, in this order.")
    if not (isinstance(own.dtype, pd.CategoricalDtype) and own.dtype.ordered):
        return
    known = {level: place for level, place in _places([*own.dtype.categories], own.dtype, dtype).items() if place >= 0}
    if (np.diff([*known.values()]) < 0).any():
        raise UserError(f"{what} has the order {', '.join(map(_shown, known))}; that of x['train'] is {order}.")


def _shown(value: Any) -> str:
    """A category in a list; a text that looks like a number in quotes."""
    number = isinstance(value, str) and not spelled(value).startswith("text ")
    return repr(value) if number else listed(plain(value))


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
        if not len(frame):
            raise UserError(f"x[{name!r}] has shape {frame.shape}; it must be (N, D) with rows, or be left out.")
        alike[name] = frame[[own[column] for column in wanted]].set_axis(frames["train"].columns, axis=1)
    return alike
