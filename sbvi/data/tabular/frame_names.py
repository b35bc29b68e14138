"""The names of a frame's columns, by which they are found."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sbvi.core import UserError

if TYPE_CHECKING:
    import pandas


def labels(frame: "pandas.DataFrame", where: str) -> dict[str, Any]:
    """Names of a frame's columns, and what the frame calls them.

    Raises:
      UserError: two have one name.
    """
    named = {str(name): name for name in frame.columns}
    if len(named) < frame.shape[1]:
        names = list(map(str, frame.columns))
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"{where} has more than one column named {twice or 'nothing'}.")
    return named


def by_name(names: Sequence[str], frame: "pandas.DataFrame", where: str) -> list[Any]:
    """What a frame calls the columns of these names.

    Raises:
      UserError: a column is not there, or two have one name.
    """
    named = labels(frame, where)
    if absent := [name for name in names if name not in named]:
        raise UserError(f"{where} has no column {absent[0]}, which the run was trained on.")
    return [named[name] for name in names]
