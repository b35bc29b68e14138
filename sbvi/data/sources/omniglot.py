"""Omniglot at 28x28, as used for importance-weighted autoencoders (Burda et al. 2016): `chardata.mat`."""

import numpy as np

from sbvi.core import NumPySeed, PositiveInt, UserError, spec
from sbvi.data.binarization import Binarization
from sbvi.data.dataset import Dataset, Split
from sbvi.data.files import RemoteFile
from sbvi.data.formats.matlab import mat
from sbvi.data.preprocessing import Preprocessing
from sbvi.data.splits import held_out
from sbvi.data.streaming import Streamed

# The only hash of it that is published: the one that tfsnippet's loader checks this download with.
_FILE = RemoteFile(
    "chardata.mat",
    "21ecaf34373511aa7691cf2e0802aa3d",
    ("https://raw.githubusercontent.com/yburda/iwae/master/datasets/OMNIGLOT/chardata.mat",),
    algorithm="md5",
)


@spec
class Omniglot(Streamed):
    """24,345 training and 8,070 test characters, grey values in [0, 1]; labels are the alphabets.

    Validation characters are a seeded draw from training, 1,345 as in that paper.
    """

    binarization: Binarization = "auto"
    """How grey values become binary ones; that paper draws them anew at each use (dynamic)."""
    validation_size: PositiveInt = 1345
    """Training characters held out for validation."""
    split_seed: NumPySeed = 0
    """Seed of the split and of fixed binarization draws."""

    def load(self) -> Dataset:
        arrays = mat(_FILE, ("data", "target", "testdata", "testtarget"))
        train, test = (self._part(arrays[f"{which}data"], arrays[f"{which}target"]) for which in ("", "test"))
        train, validation = held_out(train, self.validation_size, self.split_seed)
        return Dataset("omniglot", train, validation, test, Preprocessing.real((28, 28), 0.0, 1.0))

    def _part(self, columns: np.ndarray, target: np.ndarray) -> Split:
        """Images are columns of pixels stored column by column; targets are one-hot columns."""
        if columns.ndim != 2 or len(columns) != 784 or target.ndim != 2 or target.shape[1] != columns.shape[1]:
            raise UserError(
                f"{_FILE.name} holds images {columns.shape}, targets {target.shape}; expected (784, N), (n, N)."
            )
        x = columns.T.reshape(-1, 28, 28).transpose(0, 2, 1).astype(np.float32)
        if not (np.isfinite(x).all() and x.min() >= 0 and x.max() <= 1):
            raise UserError(f"{_FILE.name} ranges over [{x.min():g}, {x.max():g}]; expected [0, 1].")
        return Split(np.ascontiguousarray(x), target.argmax(0).astype(np.int32))
