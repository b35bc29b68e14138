"""Applying a choice of binarization to a data set."""

from dataclasses import replace
from typing import Any

import numpy as np

from sbvi.core import UserError
from sbvi.data.binarization import Binarization
from sbvi.data.dataset import Dataset

#: What becomes of a grey value, in words.
SAID = {
    "static": "each is drawn once, with its place in the range as its mean",
    "dynamic": "each is drawn at every use, with its place in the range as its mean",
    "threshold": "each is on from the middle of the range",
}


def binarize(dataset: Dataset, how: Binarization, seed: int) -> Dataset:
    """A data set of grey values as a binary one; a value's mean is its place in the range.

    static: every split drawn once. dynamic: validation and test drawn once, the training split left
    as means, to be drawn in the training step. threshold: on where the mean is at least one half.

    Raises:
      UserError: the values have no range to draw from, or are read from shards.
    """
    known = dataset.preprocessing
    if how in ("none", "auto") or dataset.binary:
        return dataset
    if known.location is not None or known.minimum is None or known.maximum is None:
        raise UserError(
            f"dataset.binarization={how} needs values with a range, and those of {dataset.name} are {known.units}; "
            f"use dataset.binarization=none, and train with likelihood=gaussian."
        )
    if not isinstance(dataset.train.x, np.ndarray) and how != "dynamic":
        raise UserError(
            f"dataset.binarization={how} would take all shards into memory; use dynamic, or let sbvi-convert do it."
        )
    made = known.but(binarization=how, seed=seed)
    drawn: Any = {
        name: replace(split, means=True)
        if how == "dynamic" and name == "train"
        else replace(split, x=made.once(split.x, name))
        for name, split in dataset.splits.items()
    }
    return replace(dataset, **drawn, preprocessing=made)
