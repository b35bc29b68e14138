"""STL-10 (Coates, Lee & Ng 2011): 13,000 labelled colour images of 96x96 in ten classes."""

import numpy as np

from sbvi.core import NumPySeed, PositiveInt, UserError, spec
from sbvi.data.binarization import Binarization
from sbvi.data.dataset import Dataset, Split
from sbvi.data.files import RemoteFile, fetch
from sbvi.data.patch_features import PatchCode, check_code, encoded
from sbvi.data.preprocessing import Preprocessing
from sbvi.data.splits import held_out
from sbvi.data.streaming import Streamed

# Hashes that torchvision's STL10 checks the unpacked files with; the archive that has them is of 2.5 GB.
_HASHES = {
    "train_X.bin": "918c2871b30a85fa023e0c44e0bee87f",
    "train_y.bin": "5a34089d4802c674881badbb80307741",
    "test_X.bin": "7f263ba9f9e0b06b93213547f721ac82",
    "test_y.bin": "36f9794fa4beb8a2c72628de14fa638e",
}
_SIZE = 96
_CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")


@spec
class Stl10(Streamed):
    """5,000 training and 8,000 test images, of the official binary files in stl10_binary/ of $SBVI_DATA_DIR.

    Validation images are a seeded draw from training. With `features`, an image is what a dictionary of patches says
    of each part of it (`sbvi.data.patch_features`).
    """

    features: PositiveInt | None = None
    """Words of a dictionary of patches that stand for an image; null for its pixels."""
    grid: PositiveInt = 4
    """Side of the grid over which the words' strengths are summed."""
    binarization: Binarization = "auto"
    """How values become binary ones."""
    validation_size: PositiveInt = 500
    """Training images held out for validation."""
    split_seed: NumPySeed = 0
    """Seed of the split, of the dictionary and of fixed binarization draws."""

    def __post_init__(self) -> None:
        check_code(self.features, self.grid, _SIZE)

    def idle(self) -> dict[str, str]:
        return {} if self.features is not None else {"grid": "features=WORDS"}

    @property
    def likelihood(self) -> str:
        return "gaussian"

    def load(self) -> Dataset:
        train, test = self._part("train"), self._part("test")
        train, validation = held_out(train, self.validation_size, self.split_seed)
        if self.features is not None:
            code = PatchCode(words=self.features, grid=self.grid, seed=self.split_seed)
            train, validation, test = encoded([train, validation, test], code)
        known = Preprocessing.whole(train.x.shape[1:], 255)
        return Dataset("stl10", train, validation, test, known, classes=_CLASSES)

    def _part(self, part: str) -> Split:
        """Planes of colours, each column by column; labels from 1."""
        x, label = (
            np.frombuffer(fetch(RemoteFile(f"stl10_binary/{name}", _HASHES[name], algorithm="md5")), np.uint8)
            for name in (f"{part}_X.bin", f"{part}_y.bin")
        )
        if x.size != label.size * 3 * _SIZE**2 or not 1 <= label.min(initial=1) <= label.max(initial=1) <= 10:
            raise UserError(
                f"stl10_binary/{part}_X.bin and {part}_y.bin hold {x.size} bytes and {label.size} labels; they must be "
                f"{3 * _SIZE**2} bytes an image, and labels 1..10."
            )
        images = x.reshape(-1, 3, _SIZE, _SIZE).transpose(0, 3, 2, 1)
        return Split(np.ascontiguousarray(images), label.astype(np.int32) - 1)
