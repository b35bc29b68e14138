"""Whether a data set that a package made keeps what its preprocessing says of it."""

from typing import Any

import numpy as np

from sbvi.core import UserError
from sbvi.core.plugins import described, ours, wrong
from sbvi.data.dataset import Dataset, Split
from sbvi.data.preprocessing import Preprocessing


def sound(dataset: Dataset, made_by: type) -> Dataset:
    """The data set as its spec, of this class, loaded it. Those of sbvi, whose values are checked as they are stored,
    are taken as they are.

    Raises:
      UserError: it is no data set, or a split is no arrays of numbers, or has other shapes or fewer labels than it
        says, or values out of their range, or no numbers.
    """
    if ours(made_by):
        return dataset
    if not isinstance(dataset, Dataset):
        raise wrong(made_by, "load", dataset, "an sbvi.data.Dataset")
    if not isinstance(dataset.preprocessing, Preprocessing):
        raise UserError(
            f"The data set {made_by.__name__}: its preprocessing is {described(dataset.preprocessing)}; it must be an "
            f"sbvi.data.Preprocessing."
        )
    for name, split in dataset.splits.items():
        who = f"The data set {made_by.__name__}: the {name} split"
        if not isinstance(split, Split):
            raise UserError(f"{who} is {described(split)}; it must be an sbvi.data.Split.")
        _check_real(split.x, f"{who} has x that is")
        if split.label is not None:
            _check_real(split.label, f"{who} has labels that are")
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


def _check_real(array: Any, whose: str) -> None:
    """Refuse what is no array, of NumPy or of shards, and one of anything but real numbers."""
    dtype = getattr(array, "dtype", None)
    if not isinstance(dtype, np.dtype) or not hasattr(array, "shape"):
        raise UserError(f"{whose} {described(array)}; allowed: a NumPy array of real numbers.")
    if dtype.kind not in "biuf":
        raise UserError(f"{whose} an array of {dtype}; allowed: a NumPy array of real numbers.")
