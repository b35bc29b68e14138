"""Images as what a dictionary of their patches says of each part of them (Coates, Lee & Ng 2011).

A patch (6 x 6 pixels, all channels) is freed of its mean and contrast, (x - mean) / sqrt(var + 10), and whitened (ZCA
with 0.1 added to the spectrum). The words of the dictionary are the centres of k-means. A patch at distances d_k from
them has strengths max(0, mean_j d_j - d_k), which are summed over the cells of a grid.
"""

import hashlib
import io
import logging
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import UserError
from sbvi.core.atomic import try_folder, write_atomically
from sbvi.core.memory import require
from sbvi.data.dataset import Split
from sbvi.data.files import cache_folder

log = logging.getLogger(__name__)

SIDE = 6
BATCH = 20  # images that are encoded at once: their distances fit a processor's cache
PATCHES = 200_000  # that a dictionary is learned from, and so its most words
LEVELS = 255  # strengths are held as whole numbers up to it
SCALED_BY = 1000  # training images that say what a word's greatest strength is
EXACT = jax.lax.Precision.HIGHEST  # a distance is a small difference of large squares
_CONTRAST, _SPECTRUM = 10.0, 0.1


@dataclass(frozen=True)
class PatchCode:
    """words: of the dictionary. grid: cells a side. seed: of patches and of k-means. patches: that the dictionary is
    learned from. turns: of k-means at most."""

    words: int
    grid: int
    seed: int = 0
    patches: int = PATCHES
    turns: int = 30


class Dictionary(NamedTuple):
    """mean (P,) and whitening (P, P) of normalised patches, and the words (K, P)."""

    mean: np.ndarray
    whitening: np.ndarray
    words: np.ndarray


def check_code(words: int | None, grid: int, side: int) -> None:
    """Refuse settings of a data set whose images have this side.

    Raises:
      ValueError: more words than the patches that they are learned from, or a grid finer than the places of a patch.
    """
    if words is not None and words > PATCHES:
        raise ValueError(f"features={words} must be at most {PATCHES}, the patches that words are learned from")
    if grid > side - SIDE + 1:
        raise ValueError(f"grid={grid} must be at most {side - SIDE + 1}, the places of a patch")


def encoded(splits: Sequence[Split], code: PatchCode) -> list[Split]:
    """Splits of images (N, H, W, C) uint8, the training split first, by what the dictionary says of their parts."""
    return [Split(x, split.label) for x, split in zip(pooled([s.x for s in splits], code), splits, strict=True)]


def pooled(images: Sequence[np.ndarray], code: PatchCode) -> list[np.ndarray]:
    """Splits of images (N, H, W, C) uint8, the training split first, as strengths (N, grid, grid, words) uint8; kept in
    the cache's folder. 255 stands for a word's greatest strength in a thousand training images, and for all above."""
    digest = hashlib.sha256(repr(sorted(asdict(code).items())).encode())
    for split in images:
        digest.update(f"{split.shape}".encode())
        digest.update(np.ascontiguousarray(split).data)
    path = cache_folder() / "features" / f"patches-{digest.hexdigest()[:32]}.npz"
    names = [f"split{place}" for place in range(len(images))]
    if (known := _kept(path, names)) is not None:
        return known
    _check_fits(images, code)
    _check_writable(path.parent)
    log.info(
        "Learning %d words of patches and encoding %d images; kept in %s.", code.words, sum(map(len, images)), path
    )
    dictionary = learned(images[0], code)
    some = images[0][:: -(-len(images[0]) // SCALED_BY)]
    top = np.maximum(strengths(some, dictionary, code.grid).max((0, 1, 2)), np.finfo(np.float32).tiny)
    held = []
    for split in images:
        parts = [strengths(split[i : i + 1000], dictionary, code.grid) for i in range(0, len(split), 1000)]
        held.append(np.concatenate([np.rint(np.minimum(part / top, 1) * LEVELS).astype(np.uint8) for part in parts]))
    buffer = io.BytesIO()
    np.savez(buffer, **dict(zip(names, held, strict=True)))  # type: ignore[arg-type]
    write_atomically(path, buffer.getvalue())
    return held


def _kept(path: Path, names: Sequence[str]) -> list[np.ndarray] | None:
    """What was kept before; None where there is nothing, or nothing whole."""
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file, np.load(file) as kept:  # NumPy would leave a damaged one open
            return [kept[name] for name in names]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        log.warning("%s is damaged (%s); its features are made anew.", path, error)
        return None


def _check_fits(images: Sequence[np.ndarray], code: PatchCode) -> None:
    """Refuse more words than memory holds the strengths of.

    Raises:
      UserError: see `sbvi.core.memory.require`.
    """
    height, width = (size - SIDE + 1 for size in images[0].shape[1:3])
    kept = code.grid**2 * sum(map(len, images))  # a byte for each word
    at_once = 4 * (BATCH * height * width + code.grid**2 * min(SCALED_BY, len(images[0])))  # float32: distances, sums
    require(code.words * (kept + at_once), f"dataset.features={code.words} with dataset.grid={code.grid}")


def _check_writable(folder: Path) -> None:
    """Make the cache's folder before minutes of work whose outcome it is to keep.

    Raises:
      UserError: nothing can be written there.
    """
    try:
        try_folder(folder)
    except OSError as error:
        raise UserError(
            f"{folder}, where features are kept, cannot be written ({error.strerror}); set SBVI_CACHE_DIR to a folder "
            f"that can."
        ) from None


def learned(images: np.ndarray, code: PatchCode) -> Dictionary:
    """The dictionary of random patches, by one thread: k-means adds up in another order with each number of them, and
    of other words a run of the same settings would be one on other data."""
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits  # scikit-learn's own

    generator = np.random.default_rng(code.seed)
    windows = np.lib.stride_tricks.sliding_window_view(images, (SIDE, SIDE), axis=(1, 2))
    image = generator.integers(0, len(images), code.patches)
    top, left = (generator.integers(0, size, code.patches) for size in windows.shape[1:3])
    patches = windows[image, top, left].transpose(0, 2, 3, 1).reshape(code.patches, -1)
    x = np.asarray(normalised(jnp.asarray(patches, jnp.float32)))
    mean = x.mean(0)
    spectrum, turn = np.linalg.eigh(np.cov(x, rowvar=False).astype(np.float64))
    whitening = ((turn / np.sqrt(spectrum + _SPECTRUM)) @ turn.T).astype(np.float32)
    with threadpool_limits(1):
        found = KMeans(code.words, n_init=1, max_iter=code.turns, random_state=code.seed).fit((x - mean) @ whitening)
    return Dictionary(mean, whitening, found.cluster_centers_.astype(np.float32))


def normalised(patches: jax.Array) -> jax.Array:
    """(..., P) freed of mean and contrast."""
    apart = patches - jnp.mean(patches, -1, keepdims=True)
    return apart / jnp.sqrt(jnp.mean(apart**2, -1, keepdims=True) + _CONTRAST)


def strengths(images: np.ndarray, dictionary: Dictionary, grid: int) -> np.ndarray:
    """(N, grid, grid, words) float32 of images (N, H, W, C)."""
    height, width = (size - SIDE + 1 for size in images.shape[1:3])
    cells = [np.arange(size) * grid // size for size in (height, width)]
    rows, columns = (np.eye(grid, dtype=np.float32)[cell] for cell in cells)  # which cell each place is of
    found = []
    for start in range(0, len(images), BATCH):
        part = images[start : start + BATCH]
        padded = np.concatenate([part, np.zeros((BATCH - len(part), *images.shape[1:]), images.dtype)])
        found.append(np.asarray(_strengths(jnp.asarray(padded), dictionary, rows, columns))[: len(part)])
    return np.concatenate(found)


@jax.jit
def _strengths(images: jax.Array, dictionary: Dictionary, rows: jax.Array, columns: jax.Array) -> jax.Array:
    height, width = rows.shape[0], columns.shape[0]
    shifts = [images[:, i : i + height, j : j + width] for i in range(SIDE) for j in range(SIDE)]
    patches = jnp.stack(shifts, 3).astype(jnp.float32)  # (B, h, w, 36, C)
    apart = normalised(patches.reshape(*patches.shape[:3], -1)) - dictionary.mean[None, None, None]
    x = jnp.matmul(apart, dictionary.whitening, precision=EXACT)
    squares = jnp.sum(x**2, -1, keepdims=True) + jnp.sum(dictionary.words**2, -1)[None, None, None]
    products = jnp.matmul(x, dictionary.words.T, precision=EXACT)
    distance = jnp.sqrt(jnp.maximum(squares - 2 * products, 0.0))
    strength = jnp.maximum(jnp.mean(distance, -1, keepdims=True) - distance, 0.0)
    return jnp.einsum("bhwk,hi,wj->bijk", strength, rows, columns, precision=EXACT)
