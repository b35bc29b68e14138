"""scikit-learn's bundled handwritten digits: 1,797 images of 8x8, values 0..16."""

import gzip
import importlib.util
from pathlib import Path

import numpy as np

from sbvi.core import NumPySeed, PositiveInt, UserError, spec
from sbvi.data.binarization import Binarization
from sbvi.data.dataset import Dataset
from sbvi.data.preprocessing import Preprocessing
from sbvi.data.splits import seeded
from sbvi.data.streaming import Streamed


@spec
class Digits(Streamed):
    """8x8 handwritten digits (UCI optical recognition, test part); no official split, a seeded one."""

    binarization: Binarization = "auto"
    """How grey values become binary ones."""
    validation_size: PositiveInt = 250
    """Examples held out for validation."""
    test_size: PositiveInt = 250
    """Examples held out for the test."""
    split_seed: NumPySeed = 0
    """Seed of the split and of fixed binarization draws."""

    def load(self) -> Dataset:
        table = _table()
        x = table[:, :-1].reshape(-1, 8, 8)
        train, validation, test = seeded(
            x, table[:, -1].astype(np.int32), self.validation_size, self.test_size, self.split_seed
        )
        return Dataset("digits", train, validation, test, Preprocessing.whole((8, 8), 16))


def _table() -> np.ndarray:
    # Read beside the package: importing sklearn.datasets takes two seconds.
    package = importlib.util.find_spec("sklearn")
    if package is None or not package.submodule_search_locations:
        raise UserError("dataset=digits needs scikit-learn, which is not installed; install it with pip.")
    path = Path(package.submodule_search_locations[0]) / "datasets" / "data" / "digits.csv.gz"
    if path.is_file():
        with gzip.open(path, "rt") as lines:
            return np.loadtxt(lines, delimiter=",").astype(np.uint8)
    from sklearn.datasets import load_digits  # a release that keeps the file elsewhere

    bunch = load_digits()
    return np.concatenate([bunch.data, bunch.target[:, None]], axis=1).astype(np.uint8)
