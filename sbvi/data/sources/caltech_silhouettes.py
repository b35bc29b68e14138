"""Caltech 101 Silhouettes (Marlin et al. 2010): 8,671 binary outlines of 28x28 in 101 classes."""

import numpy as np

from sbvi.core import spec
from sbvi.data.binarization import Binarization
from sbvi.data.dataset import Dataset, Split
from sbvi.data.files import RemoteFile
from sbvi.data.formats.matlab import mat
from sbvi.data.preprocessing import Preprocessing
from sbvi.data.streaming import Streamed

_FILE = RemoteFile(
    "caltech101_silhouettes_28_split1.mat",
    "eb6735e8d84b1850fabc5590124aab1755e90c9fd28123585324398405e1e42a",
    ("https://people.cs.umass.edu/~marlin/data/caltech101_silhouettes_28_split1.mat",),
)
_KEYS = ("train_data", "train_labels", "val_data", "val_labels", "test_data", "test_labels")


@spec
class CaltechSilhouettes(Streamed):
    """The official split 1: 4,100 train, 2,264 validation, 2,307 test; the object is 1.

    The file stores pixels column by column with the object as 0; here images stand upright and the
    object is 1, as in most papers.
    """

    binarization: Binarization = "auto"
    """The images are binary already, so every choice but `none` leaves them as they are."""

    @property
    def split_seed(self) -> int:
        """The splits are the files', and the images binary: nothing is drawn."""
        return 0

    def load(self) -> Dataset:
        arrays = mat(_FILE, _KEYS)
        splits = [
            Split(
                np.ascontiguousarray(1 - arrays[f"{part}_data"].reshape(-1, 28, 28).transpose(0, 2, 1)),
                arrays[f"{part}_labels"].reshape(-1).astype(np.int32),
            )
            for part in ("train", "val", "test")
        ]
        train, validation, test = splits
        return Dataset("caltech_silhouettes", train, validation, test, Preprocessing.whole((28, 28), 1))
