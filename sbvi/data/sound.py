"""Whether a data set that a package made keeps what its preprocessing says of it."""

import numpy as np

from sbvi.core import UserError
from sbvi.core.plugins import ours
from sbvi.data.dataset import Dataset


def sound(dataset: Dataset, made_by: type) -> Dataset:
    """The data set as its spec, of this class, loaded it. Those of sbvi, whose values are checked as they are stored,
    are taken as they are.

    Raises:
      UserError: a split has other shapes or fewer labels than it says, or values out of their range, or no numbers.
    """
    if ours(made_by):
        return dataset
    for name, split in dataset.splits.items():
        who = f"The data set {made_by.__name__}: the {name} split"
        if tuple(split.x.shape[1:]) != dataset.event_shape:
            raise UserError(
                f"{who} has examples of shape {tuple(split.x.shape[1:])}; its preprocessing says {dataset.event_shape}."
            )
        if split.label is not None and split.label.shape != (len(split),):
            raise UserError(f"{who} has labels of shape {split.label.shape}; it must be ({len(split)},), one each.")
        if not isinstance(split.x, np.ndarray) or not split.x.size or dataset.preprocessing.table is not None:
            continue
        if not np.isfinite(split.x).all():
            raise UserError(f"{who} holds NaN or an infinite value; every value must be finite.")
        top = dataset.levels
        if top is not None and (split.x.min() < 0 or split.x.max() > top or (np.rint(split.x) != split.x).any()):
            raise UserError(
                f"{who} holds values from {split.x.min():g} to {split.x.max():g}; its preprocessing says whole numbers "
                f"0..{top}."
            )
    return dataset
