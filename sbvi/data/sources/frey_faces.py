"""Frey faces: 1,965 grey video frames of 28x20."""

import logging
from typing import Literal

import numpy as np

from sbvi.core import NumPySeed, PositiveInt, spec
from sbvi.data.binarization import Binarization
from sbvi.data.dataset import Dataset
from sbvi.data.files import RemoteFile
from sbvi.data.formats.matlab import mat
from sbvi.data.preprocessing import Preprocessing
from sbvi.data.splits import blocks, seeded
from sbvi.data.streaming import Streamed

log = logging.getLogger(__name__)

_FILE = RemoteFile(
    "frey_rawface.mat",
    "265a83a23adb081755cd3de375509828e690324d1d60f076b8ecebc840d59c64",
    ("https://cs.nyu.edu/~roweis/data/frey_rawface.mat", "http://www.cs.nyu.edu/~roweis/data/frey_rawface.mat"),
)


@spec
class FreyFaces(Streamed):
    """Frames of one video; no official split.

    A random one has neighbouring frames, which are alike, on both sides, so that a test score says little of unseen
    faces; blocks are the video's end for the test and what is before it for validation.
    """

    binarization: Binarization = "auto"
    """How grey values become binary ones."""
    validation_size: PositiveInt = 200
    """Frames held out for validation."""
    test_size: PositiveInt = 200
    """Frames held out for the test."""
    split: Literal["random", "blocks"] = "random"
    """How frames are divided: at random, or in the order of the video."""
    split_seed: NumPySeed = 0
    """Seed of the random split and of fixed binarization draws."""

    @property
    def likelihood(self) -> str:
        return "gaussian"

    def load(self) -> Dataset:
        frames = mat(_FILE, ("ff",))["ff"]
        x = np.ascontiguousarray(frames.T).reshape(-1, 28, 20)
        divide = seeded if self.split == "random" else blocks
        if self.split == "random":
            log.info("Frey faces are split at random: most test frames have a neighbour that trains.")
        train, validation, test = divide(x, None, self.validation_size, self.test_size, self.split_seed)
        return Dataset("frey_faces", train, validation, test, Preprocessing.whole((28, 20), 255))
