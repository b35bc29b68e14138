"""The column of a table that says of each row to which split it belongs."""

from typing import TYPE_CHECKING, Any

import numpy as np

from sbvi.core import UserError
from sbvi.data.checks import line
from sbvi.data.dataset import Split
from sbvi.data.own import few, split

if TYPE_CHECKING:
    import pandas

SPLITS = ("train", "validation", "test")


def told_splits(frame: "pandas.DataFrame", name: str, labels: str | None, where: str) -> np.ndarray:
    """The split of each row, (N,), by the frame's column of this name.

    Args:
      labels: the column of labels.

    Raises:
      UserError: there is no such column, it is that of the labels, a row says something else, or none is for training.
    """
    if name == labels:
        raise UserError(f"dataset.split={name} is dataset.labels too; each needs a column of its own.")
    if name not in frame.columns:
        raise UserError(f"{where} has no column {name}; it has: {few(list(frame.columns))}.")
    words = frame[name].to_numpy(object)
    if odd := [row for row, word in enumerate(words) if not isinstance(word, str) or word not in SPLITS]:
        raise UserError(
            f"{where}: column {name} holds {words[odd[0]]} in {line(odd[0], where)}; allowed with "
            f"dataset.split={name}: {', '.join(SPLITS)}."
        )
    if not (words == "train").any():
        raise UserError(f"{where}: column {name} says train of no row, and training needs some.")
    return words.astype(np.str_)


def parts(spec: Any, x: np.ndarray, label: np.ndarray | None, told: np.ndarray | None) -> tuple[Split, Split, Split]:
    """Train, validation and test as the rows are told to be, or drawn where they are not; a split that no row is of is
    drawn from the training rows.

    Raises:
      UserError: a size is given of a split that the column has.
    """

    def of(name: str) -> Split:
        rows = told == name
        return Split(x[rows], None if label is None else label[rows])

    if told is None:
        return split(spec, x, label, {})
    given = {name: of(name) for name in SPLITS[1:] if (told == name).any()}
    for name in given:
        if (size := getattr(spec, f"{name}_size")) is not None:
            raise UserError(
                f"dataset.{name}_size={size} has no use where dataset.split={spec.split} says which rows are the "
                f"{name} split; leave one of them out."
            )
    train = of("train")
    return split(spec, train.x, train.label, given)
