"""Seeded splits for data that has no official ones."""

import numpy as np

from sbvi.core import UserError
from sbvi.data.aligned import taken
from sbvi.data.dataset import Split


def seeded(
    x: np.ndarray, label: np.ndarray | None, validation: int, test: int, seed: int
) -> tuple[Split, Split, Split]:
    """A random split, a function of the seed alone: the rest trains, then validation, then test."""
    _check(len(x), validation, test)
    return _cut(x, label, np.random.default_rng(seed).permutation(len(x)), validation, test)


def blocks(
    x: np.ndarray, label: np.ndarray | None, validation: int, test: int, seed: int
) -> tuple[Split, Split, Split]:
    """A split in the order of the examples: the first train, then validation, then test."""
    _check(len(x), validation, test)
    return _cut(x, label, np.arange(len(x)), validation, test)


def _check(count: int, validation: int, test: int) -> None:
    if validation + test >= count:
        raise UserError(
            f"dataset.validation_size={validation} and dataset.test_size={test} leave nothing to train on: "
            f"there are {count} examples."
        )


def _cut(
    x: np.ndarray, label: np.ndarray | None, order: np.ndarray, validation: int, test: int
) -> tuple[Split, Split, Split]:
    train = len(x) - validation - test
    parts = np.split(order, [train, train + validation])
    first, second, third = (Split(taken(x, p), None if label is None else label[p]) for p in parts)
    return first, second, third


def held_out(train: Split, validation: int, seed: int) -> tuple[Split, Split]:
    """A seeded draw of validation examples from an official training split: (what is left, the draw)."""
    count = len(train)
    if validation >= count:
        raise UserError(f"dataset.validation_size={validation} must be less than {count}, the training examples.")
    order = np.random.default_rng(seed).permutation(count)
    left, drawn = (
        Split(taken(train.x, rows), None if train.label is None else train.label[rows])
        for rows in (order[validation:], order[:validation])
    )
    return left, drawn
