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
from sbvi.data.preprocessing import Preprocessing

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
    """One part of a data set: x (N, *event_shape) as held, label (N,) or None. The x of a training split may be
    a `ShardedArray`, whose rows are read where they are asked for.

    means: whether x are means of binary values, to be drawn at each use.
    """

    x: np.ndarray
    label: np.ndarray | None = None
    means: bool = False

    def __len__(self) -> int:
        return int(self.x.shape[0])


@dataclass(frozen=True)
class Dataset:
    """Train, validation and test splits with what is done to their values.

    Values are held as `preprocessing` says: whole numbers 0..levels in uint8, float32, or what binarization drew; the
    training split of dynamically binarized data as means.

    classes: names of the labels 0, 1, .., where labels have names.
    exact_log_likelihood: for data drawn from a tractable model, x (N, *event) -> log p(x) (N,), nats.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    preprocessing: Preprocessing
    note: str = ""
    classes: tuple[str, ...] | None = None
    exact_log_likelihood: Callable[[np.ndarray], np.ndarray] | None = field(default=None, compare=False)

    @property
    def levels(self) -> int | None:
        """L where the training split holds whole numbers 0..L."""
        return 1 if self.preprocessing.binarization in ("static", "threshold") else self.preprocessing.levels

    @property
    def binary(self) -> bool:
        return self.preprocessing.binary

    @property
    def dynamic(self) -> bool:
        return self.preprocessing.dynamic

    @property
    def dequantized(self) -> bool:
        return self.preprocessing.dequantize

    @property
    def event_shape(self) -> tuple[int, ...]:
        return self.preprocessing.event_shape

    @property
    def event_size(self) -> int:
        return self.preprocessing.event_size

    @functools.cached_property
    def resident(self) -> tuple[Array, Array | None]:
        """The training set on the device, once for all who train on it: values (N, D) and labels (N,)."""
        label = None if self.train.label is None else jnp.asarray(self.train.label)
        # Not by jnp.asarray, which under jax_debug_nans refuses a table's gaps.
        return jax.device_put(self.train.x[:].reshape(len(self.train), -1)), label

    @property
    def splits(self) -> dict[str, Split]:
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def split(self, name: str) -> Split:
        if name not in self.splits:
            raise UserError(f"split={name} is not known; allowed: {', '.join(self.splits)}.")
        return self.splits[name]

    def labels(self, name: str, count: int | None, what: str) -> np.ndarray:
        """The labels (N,) of a split as evaluation sees it; count: see `evaluated`.

        Raises:
          UserError: it has none; the sentence says what needs them and which splits have.
        """
        label: np.ndarray | None = self.evaluated(name, count).label
        if label is not None:
            return label
        those = [other for other, split in self.splits.items() if split.label is not None]
        has = f"the {name} split has none; those that have: {', '.join(those)}" if those else "the data set has none"
        raise UserError(f"{what} needs labels, and {has}.")

    def with_split(self, name: str, split: Split) -> "Dataset":
        """The same data set with another split of this name."""
        parts: dict[str, Any] = {name: split}
        return replace(self, **parts)

    def evaluated(self, name: str, count: int | None = None) -> Split:
        """A split as evaluation sees it: means of dynamically binarized data are drawn, by the seed alone.

        count: examples, evenly spaced, since files may be sorted by class. An example's draw does not depend on it,
          unless the split is read from shards, of which only the rows asked for are read and drawn.
        """
        split = self.split(name)
        if split.means and isinstance(split.x, np.ndarray):
            split = replace(split, x=self.preprocessing.once(split.x, name), means=False)
        if count is not None and count < len(split):
            rows = np.arange(count) * len(split) // count
            split = replace(split, x=split.x[rows], label=None if split.label is None else split.label[rows])
        return replace(split, x=self.preprocessing.once(split.x[:], name), means=False) if split.means else split

    def seen(self, name: str, count: int | None = None) -> np.ndarray:
        """`count` examples of a split (see `evaluated`) as model input without noise, (N, D) float32."""
        return self.preprocessing.read(self.evaluated(name, count).x[:])

    def digest(self) -> str:
        """A SHA-256 of every array, so that a run can tell that its data has changed."""
        hasher = hashlib.sha256()
        for name, split in self.splits.items():
            for array in (split.x, split.label):
                if (known := getattr(array, "digest", None)) is not None:  # shards have theirs on file, see `unchanged`
                    hasher.update(known.encode())
                elif array is not None:
                    hasher.update(f"{name} {array.dtype} {array.shape}".encode())
                    hasher.update(np.ascontiguousarray(array).data)
        return hasher.hexdigest()
