"""What the user's own data sets have in common: a path that stays true, labels, and splits."""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np

from sbvi.core import NumPySeed, PositiveInt, UserError, spec
from sbvi.data.checks import line
from sbvi.data.dataset import Split
from sbvi.data.splits import seeded
from sbvi.data.streaming import Streamed

log = logging.getLogger(__name__)


@spec
class OwnData(Streamed):
    """A file of the user's, and how what it does not split itself is split."""

    path: str
    """The file; recorded absolute."""
    validation_size: PositiveInt | None = None
    """Examples to split off for validation; by default a tenth."""
    test_size: PositiveInt | None = None
    """Examples to split off for the test; by default a tenth."""
    split_seed: NumPySeed = 0
    """Seed of the split and of fixed binarization draws."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", absolute(self.path))


#: The file in which data in memory is kept, and what sentences call that data.
_IN_MEMORY: ContextVar[tuple[str, str] | None] = ContextVar("in_memory", default=None)


@contextlib.contextmanager
def in_memory(path: Path, name: str) -> Iterator[None]:
    """Within, sentences about the file at a path call it by the name of the argument that it keeps."""
    token = _IN_MEMORY.set((str(path), name))
    try:
        yield
    finally:
        _IN_MEMORY.reset(token)


def called(path: str, usual: str | None = None) -> str:
    """What sentences call the file at a path: as `in_memory` says, or as usual, else the path."""
    kept = _IN_MEMORY.get()
    return kept[1] if kept is not None and kept[0] == path else path if usual is None else usual


def absolute(path: str) -> str:
    """A path from the root, `~` expanded: what is recorded holds wherever a later command is started."""
    with contextlib.suppress(RuntimeError):  # of a user that is not known
        return str(Path(path).expanduser().absolute())
    return str(Path(path).absolute())


def split(spec: Any, x: np.ndarray, label: np.ndarray | None, given: dict[str, Split]) -> tuple[Split, Split, Split]:
    """Train, validation and test: those given, and what is drawn from x for the others by the spec's seed.

    x keeps its order where nothing is drawn from it.
    """
    validation, test = (given.get(name) for name in ("validation", "test"))
    if validation is not None and test is not None:
        return Split(x, label), validation, test
    tenth = max(2, len(x) // 10)  # which is as few as a split can have
    sizes = (
        0 if validation is not None else spec.validation_size or tenth,
        0 if test is not None else spec.test_size or tenth,
    )
    if spec.validation_size is None and spec.test_size is None and sum(sizes) + 2 > len(x):
        keys = " and ".join(f"dataset.{key}_size" for key in ("validation", "test") if key not in given)
        raise UserError(
            f"There are {len(x)} examples, of which by default {keys}{' each' if all(sizes) else ''} split off at "
            f"least 2; at least {sum(sizes) + 2} are needed, so that 2 are left to train on."
        )
    drawn = seeded(x, label, *sizes, spec.split_seed)
    return drawn[0], validation or drawn[1], test or drawn[2]


def coded(parts: list[np.ndarray], where: str) -> tuple[list[np.ndarray], tuple[str, ...] | None]:
    """Labels as int32 (N,), and the names of the classes 0, 1, .. where labels are words; in alphabetic order.

    Raises:
      UserError: labels are neither whole numbers nor words.
    """
    whole = all(_is_whole(part) for part in parts)
    if whole:
        return [part.astype(np.int32) for part in parts], None
    if any(part.dtype.kind not in "OUST" for part in parts):
        dtype = next(part.dtype for part in parts if not _is_whole(part))
        raise UserError(f"{where} has labels of dtype {dtype}; they must be whole numbers or words.")
    words = [np.array([str(word) for word in part.tolist()], dtype=np.str_) for part in parts]
    names = np.unique(np.concatenate(words))
    log.info("Classes of %s: %s.", where, ", ".join(f"{i} {name}" for i, name in enumerate(names[:20])))
    return [np.searchsorted(names, part).astype(np.int32) for part in words], tuple(map(str, names))


def _is_whole(part: np.ndarray) -> bool:
    if part.dtype.kind == "f":
        return bool((np.isfinite(part) & (np.rint(part) == part)).all())
    return part.dtype.kind in "iub"


def checked_labels(label: np.ndarray, count: int, where: str) -> np.ndarray:
    """Labels (count,) of whole numbers or words.

    Raises:
      UserError: they are something else, or some are missing.
    """
    import pandas as pd

    if label.shape == (count,) and (gaps := np.asarray(pd.isna(label), bool)).any():
        raise UserError(
            f"{where} has {int(gaps.sum())} empty labels of {count}, the first in "
            f"{line(int(np.flatnonzero(gaps)[0]), where)}; leave these rows out, or write a word of their own there."
        )
    kind = "words" if label.dtype.kind in "OUST" else label.dtype
    if label.shape != (count,) or not (label.dtype.kind in "OUST" or _is_whole(label)):
        raise UserError(
            f"{where} has shape {label.shape} and holds {kind}; it must be ({count},) whole numbers or words."
        )
    if label.dtype.kind in "iu":
        of_32_bits(label, where)
    return label


def of_32_bits(label: np.ndarray, where: str) -> np.ndarray:
    """Whole numbers as labels are held, int32.

    Raises:
      UserError: one is beyond them.
    """
    if label.size and not -(2**31) <= label.min() <= label.max() < 2**31:
        beyond = label.max() if label.max() >= 2**31 else label.min()
        raise UserError(f"{where} holds {beyond}; labels must fit into 32 bits.")
    return label.astype(np.int32)


def few(names: Sequence[object]) -> str:
    """The first of many names."""
    return ", ".join(map(str, names[:12])) + (", ..." if len(names) > 12 else "")
