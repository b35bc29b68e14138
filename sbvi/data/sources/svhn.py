"""Street View House Numbers (Netzer et al. 2011), cropped: colour digits of 32x32."""

import numpy as np

from sbvi.core import NumPySeed, PositiveInt, UserError, spec
from sbvi.data.binarization import Binarization
from sbvi.data.dataset import Dataset, Split
from sbvi.data.files import RemoteFile
from sbvi.data.formats.matlab import mat
from sbvi.data.preprocessing import Preprocessing
from sbvi.data.splits import held_out
from sbvi.data.streaming import Streamed

# Hashes that the tensorflow-datasets 4.9.10 package checks downloads with.
_HASHES = {
    "train_32x32.mat": "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
    "test_32x32.mat": "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
}
_PLACE = "ufldl.stanford.edu/housenumbers/"


@spec
class Svhn(Streamed):
    """73,257 training and 26,032 test images; validation images are a seeded draw from training."""

    binarization: Binarization = "auto"
    """How values become binary ones."""
    validation_size: PositiveInt = 7257
    """Training images held out for validation."""
    split_seed: NumPySeed = 0
    """Seed of the split and of fixed binarization draws."""

    @property
    def likelihood(self) -> str:
        return "gaussian"

    def load(self) -> Dataset:
        train, test = (self._part(name) for name in _HASHES)
        train, validation = held_out(train, self.validation_size, self.split_seed)
        return Dataset("svhn", train, validation, test, Preprocessing.whole((32, 32, 3), 255))

    def _part(self, name: str) -> Split:
        remote = RemoteFile(name, _HASHES[name], (f"https://{_PLACE}{name}", f"http://{_PLACE}{name}"))
        arrays = mat(remote, ("X", "y"))
        x, label = arrays["X"], arrays["y"].reshape(-1)
        if x.dtype != np.uint8 or x.ndim != 4 or x.shape[:3] != (32, 32, 3) or x.shape[3] != len(label):
            raise UserError(
                f"{name} holds X {x.shape} of {x.dtype} and y {label.shape}; expected (32, 32, 3, N) uint8."
            )
        # The files call the digit 0 ten.
        return Split(np.ascontiguousarray(x.transpose(3, 0, 1, 2)), (label % 10).astype(np.int32))
