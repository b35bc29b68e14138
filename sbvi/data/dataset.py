"""What every data set becomes: three splits of small arrays, and the facts a model needs of them."""

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import UserError

Array = jax.Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Batch:
    """What a training step or an evaluation sees of the data.

    x: (B, D) float values, flattened from the event shape.
    index: (B,) position of each example in its split.
    mask: (B,) one for a real example, zero for padding.
    label: (B,) class, or None.
    """

    x: Array
    index: Array
    mask: Array
    label: Array | None = None


@dataclass(frozen=True)
class Split:
    """One part of a data set: x (N, *event_shape) as stored, label (N,) or None. The x of a training split may be
    a `ShardedArray`, whose rows are read where they are asked for."""

    x: np.ndarray
    label: np.ndarray | None = None

    def __len__(self) -> int:
        return int(self.x.shape[0])


@dataclass(frozen=True)
class Dataset:
    """Train, validation and test splits with what is known of the values.

    Values are stored either as whole numbers 0..levels in uint8 or, where `levels` is None, as
    float32. `binary` says that every value is 0 or 1, which is what a Bernoulli likelihood needs.
    `dynamic` says that values are Bernoulli means, to be drawn anew at each use in training.
    `dequantized` says that a model sees whole numbers k with uniform noise, (k + u) / (levels + 1).

    exact_log_likelihood: for data drawn from a tractable model, x (N, *event) -> log p(x) (N,), nats.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    levels: int | None
    binary: bool = False
    dynamic: bool = False
    dequantized: bool = False
    note: str = ""
    exact_log_likelihood: Callable[[np.ndarray], np.ndarray] | None = field(default=None, compare=False)

    @property
    def event_shape(self) -> tuple[int, ...]:
        return self.train.x.shape[1:]

    @property
    def event_size(self) -> int:
        return int(np.prod(self.event_shape))

    @functools.cached_property
    def resident(self) -> tuple[Array, Array | None]:
        """The training set on the device, once for all who train on it: values (N, D) and labels (N,)."""
        label = None if self.train.label is None else jnp.asarray(self.train.label)
        return jnp.asarray(self.train.x[:].reshape(len(self.train), -1)), label

    @property
    def splits(self) -> dict[str, Split]:
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def split(self, name: str) -> Split:
        if name not in self.splits:
            raise UserError(f"split={name} is not known; allowed: {', '.join(self.splits)}.")
        return self.splits[name]

    def with_split(self, name: str, split: Split) -> "Dataset":
        """The same data set with another split of this name."""
        parts: dict[str, Any] = {name: split}
        return replace(self, **parts)

    def scaled(self, x: np.ndarray, dtype: Any = np.float32) -> np.ndarray:
        """Stored values as floats in [0, 1] (or as they are, for float data), shape (N, D)."""
        flat = x.reshape(x.shape[0], -1).astype(dtype)
        return flat / np.asarray(self.levels, dtype) if self.levels else flat

    def some(self, name: str, count: int | None = None) -> Split:
        """`count` examples of a split, evenly spaced: files may be sorted by class."""
        split = self.split(name)
        if count is None or count >= len(split):
            return split
        rows = np.arange(count) * len(split) // count
        return Split(split.x[rows], None if split.label is None else split.label[rows])

    def seen(self, name: str, count: int | None = None) -> np.ndarray:
        """`count` examples of a split (see `some`) as a model sees them, (N, D) float32: binary values as they are,
        others in [0, 1]. A training split that is drawn anew at each use gives its means."""
        x = self.some(name, count).x
        if self.binary and not (self.dynamic and name == "train"):
            return x.reshape(len(x), -1).astype(np.float32)
        return self.scaled(x)

    def digest(self) -> str:
        """A SHA-256 of every array, so that a run can tell that its data has changed."""
        found = hashlib.sha256()
        for name, split in self.splits.items():
            for array in (split.x, split.label):
                if (known := getattr(array, "digest", None)) is not None:  # shards have theirs on file
                    found.update(known.encode())
                elif array is not None:
                    found.update(f"{name} {array.dtype} {array.shape}".encode())
                    found.update(np.ascontiguousarray(array).data)
        return found.hexdigest()
