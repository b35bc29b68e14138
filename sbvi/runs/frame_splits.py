"""Frames by split as one frame, with a column that says which row is of which."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from sbvi.core import UserError
from sbvi.data.own import few
from sbvi.data.tabular.cells import listed, plain
from sbvi.data.tabular.frame_names import labels as labels_of
from sbvi.data.tabular.frame_numbers import simple
from sbvi.data.tabular.ranks import names_by_dtype
from sbvi.data.tabular.split_column import SPLITS

#: What the column is called, unless the frames have one of that name.
COLUMN = "split"


def is_frame(value: Any) -> bool:
    return hasattr(value, "to_csv") and hasattr(value, "columns")


def joined(frames: Mapping[str, Any]) -> tuple[Any, str | None]:
    """One frame of all rows, and the name of the column that says which split each is of; of frames of numbers whose
    columns have no names arrays by split, and None. Columns are found by name.

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
    told = [name for name, frame in alike.items() for _ in range(len(frame))]
    return pd.concat(_of_one_order(alike).values(), ignore_index=True).assign(**{column: told}), column


def _of_one_order(alike: Mapping[str, Any]) -> dict[str, Any]:
    """The splits with the training frame's order of categories, and with numbers as names where it has these so: of
    dtypes that differ pandas would make texts or numbers.

    Raises:
      UserError: categories of a split are not among the training frame's in their order.
    """
    import pandas as pd

    made = {name: frame.copy(deep=False) for name, frame in alike.items()}
    for place, column in enumerate(alike["train"].dtypes.index):
        ranks = alike["train"].dtypes.iloc[place]
        if not isinstance(ranks, pd.CategoricalDtype):
            continue
        each = {name: frame.iloc[:, place] for name, frame in alike.items()}
        for name, own in each.items():
            simple(own, f"x[{name!r}]")
        if ranks.ordered:
            for name, own in each.items():
                _among(own, ranks, f"x[{name!r}]: column {column}")
        elif names_by_dtype(each["train"]):
            levels = [level for own in each.values() for level in own.astype("category").cat.categories]
            more = dict.fromkeys(level for level in levels if level not in ranks.categories)
            ranks = pd.CategoricalDtype([*ranks.categories, *more])
        else:
            continue
        for name, own in each.items():
            made[name].isetitem(place, own.astype(ranks))
    return made


def _among(own: Any, ranks: Any, what: str) -> None:
    """Refuse categories, or values of another dtype, that are none of an order's, or stand in another."""
    import pandas as pd

    declared = isinstance(own.dtype, pd.CategoricalDtype)
    levels = list(own.dtype.categories if declared else own.dropna().unique())
    order = ", ".join(listed(plain(level)) for level in ranks.categories)
    if absent := [level for level in levels if level not in ranks.categories]:
        raise UserError(f"{what} has the category {absent[0]!s}; those of x['train'] are {order}, in this order.")
    places = ranks.categories.get_indexer(levels)
    if declared and own.dtype.ordered and (np.diff(places) < 0).any():
        given = ", ".join(listed(plain(level)) for level in levels)
        raise UserError(f"{what} has the order {given}; that of x['train'] is {order}.")


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
