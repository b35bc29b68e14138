"""Frey faces: 1,965 grey video frames of 28x20."""

import numpy as np

from sbvi.core import NonNegativeInt, PositiveInt, spec
from sbvi.data.binarization import Binarization
from sbvi.data.dataset import Dataset
from sbvi.data.files import RemoteFile, fetch
from sbvi.data.formats.matlab import mat
from sbvi.data.preprocessing import Preprocessing
from sbvi.data.splits import seeded
from sbvi.data.streaming import Streamed

_FILE = RemoteFile(
    "frey_rawface.mat",
    "265a83a23adb081755cd3de375509828e690324d1d60f076b8ecebc840d59c64",
    ("https://cs.nyu.edu/~roweis/data/frey_rawface.mat", "http://www.cs.nyu.edu/~roweis/data/frey_rawface.mat"),
)


@spec
class FreyFaces(Streamed):
    """Frames of one video; no official split: a seeded random one (neighbouring frames are alike)."""

    binarization: Binarization = "auto"
    """How grey values become binary ones."""
    validation_size: PositiveInt = 200
    """Frames held out for validation."""
    test_size: PositiveInt = 200
    """Frames held out for the test."""
    split_seed: NonNegativeInt = 0
    """Seed of the split and of fixed binarization draws."""

    def load(self) -> Dataset:
        frames = mat(fetch(_FILE), _FILE.name, ("ff",))["ff"]
        x = np.ascontiguousarray(frames.T).reshape(-1, 28, 20)
        train, validation, test = seeded(x, None, self.validation_size, self.test_size, self.split_seed)
        return Dataset("frey_faces", train, validation, test, Preprocessing.whole((28, 20), 255))
