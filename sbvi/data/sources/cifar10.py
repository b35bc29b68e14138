"""CIFAR-10 (Krizhevsky 2009): 60,000 colour images of 32x32, whole or as random patches."""

from typing import Literal

import numpy as np

from sbvi.core import NumPySeed, PositiveInt, UserError, spec
from sbvi.data.binarization import Binarization
from sbvi.data.dataset import Dataset, Split
from sbvi.data.files import RemoteFile, fetch
from sbvi.data.formats import decoders
from sbvi.data.patch_features import PatchCode, check_code, encoded
from sbvi.data.preprocessing import Preprocessing
from sbvi.data.splits import seeded
from sbvi.data.streaming import Streamed

# The hash that the tensorflow-datasets 4.9.10 package checks the download with.
_ARCHIVE = RemoteFile(
    "cifar-10-binary.tar.gz",
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
    packed=True,
)
_BATCHES = (*(f"cifar-10-batches-bin/data_batch_{i}.bin" for i in range(1, 6)), "cifar-10-batches-bin/test_batch.bin")
_SHEETS = {
    "cifar10_batch_0.png": "0614720d69293a033786d5fe2924c4e9a9b48874f19ca4627c4662a864ee9f2d",
    "cifar10_batch_1.png": "2927e26ea68602e34a7424826b76b7336ce36b8f6bcc2e9fce0c05568ff6b4c1",
    "cifar10_batch_2.png": "0b2759e307bb405bb1a6531f8a0f557eaec46d7546050612fdb836f0fa60eae0",
    "cifar10_batch_3.png": "a4530ff15c83886058a97c352f53f38be07d191de8f410e998e91786b5900a26",
}
_SHEET = (1000, 1024, 3)
_JPEG = RemoteFile(
    "cifar10/cifar10_jpeg.tar.xz", "d36960ba7d386e9c0d3147498ca8dc8a014059b7f0f5a5001b93852f72a1c8eb", packed=True
)
_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@spec
class Cifar10(Streamed):
    """The official split with validation images from the end of training; or 4,000 training images from sheets.

    With `patch`, every image gives `patches_per_image` random squares (PAPER 4.3), whose labels are dropped. With
    `features`, an image is what a dictionary of patches says of each part of it (`sbvi.data.patch_features`).
    """

    source: Literal["official", "sheets", "jpeg"] = "official"
    """The official binary archive; the four image sheets cifar10_batch_0.png .. 3 (no labels, no test images); or the
    lossy archive cifar10/cifar10_jpeg.tar.xz of all images by label, for classification."""
    patch: PositiveInt | None = None
    """Side of random patches; null for whole images."""
    patches_per_image: PositiveInt = 10
    """Patches drawn from each image."""
    features: PositiveInt | None = None
    """Words of a dictionary of patches that stand for an image; null for its pixels."""
    grid: PositiveInt = 4
    """Side of the grid over which the words' strengths are summed."""
    mirrored: bool = False
    """Let the mirror image of every training image train too."""
    binarization: Binarization = "auto"
    """How values become binary ones."""
    validation_size: PositiveInt | None = None
    """Images held out for validation; by default a tenth of those for training."""
    test_size: PositiveInt | None = None
    """Images held out for the test, for sheets; by default a tenth. The archive has its own."""
    split_seed: NumPySeed = 0
    """Seed of patches, of the sheets' split and of fixed binarization draws."""

    def __post_init__(self) -> None:
        if self.patch is not None and self.patch > 32:
            raise ValueError(f"patch={self.patch} must be at most 32")
        if self.source != "sheets" and self.test_size is not None:
            raise ValueError(f"test_size={self.test_size} is for source=sheets: the archive has its own test images")
        if self.features is not None and self.patch is not None:
            raise ValueError(f"features={self.features} is of whole images; leave patch={self.patch} out")
        check_code(self.features, self.grid, 32)

    def idle(self) -> dict[str, str]:
        patches = {} if self.patch is not None else {"patches_per_image": "patch=SIDE"}
        return patches if self.features is not None else patches | {"grid": "features=WORDS"}

    @property
    def likelihood(self) -> str:
        return "gaussian"

    def load(self) -> Dataset:
        parts = {"official": self._official, "sheets": self._sheets, "jpeg": self._jpeg}[self.source]()
        if self.mirrored:
            first, *rest = parts
            label = None if first.label is None else np.tile(first.label, 2)
            parts = [Split(np.concatenate([first.x, first.x[:, :, ::-1]]), label), *rest]
        if self.patch is not None:
            generator = np.random.default_rng(self.split_seed)
            parts = [Split(self._patches(part.x, self.patch, generator)) for part in parts]
        if self.features is not None:
            parts = encoded(parts, PatchCode(words=self.features, grid=self.grid, seed=self.split_seed))
        train, validation, test = parts
        note = "4,000 training images, split at random" if self.source == "sheets" else ""
        return Dataset("cifar10", train, validation, test, Preprocessing.whole(train.x.shape[1:], 255), note)

    def _official(self) -> list[Split]:
        files = decoders.tar_members(fetch(_ARCHIVE), _ARCHIVE.name, _BATCHES)
        batches = [decoders.cifar(content, name) for content, name in zip(files, _BATCHES, strict=True)]
        x, label = (np.concatenate([part[i] for part in batches[:-1]]) for i in (0, 1))
        held = self.validation_size or len(x) // 10
        if held >= len(x):
            raise UserError(f"dataset.validation_size={held} must be less than {len(x)}.")
        kept = len(x) - held
        return [Split(x[:kept], label[:kept]), Split(x[kept:], label[kept:]), Split(*batches[-1])]

    def _sheets(self) -> list[Split]:
        files = [(name, fetch(RemoteFile(name, digest))) for name, digest in _SHEETS.items()]
        x = np.concatenate([decoders.png(content, name, _SHEET) for name, content in files]).reshape(-1, 32, 32, 3)
        tenth = len(x) // 10
        return list(seeded(x, None, self.validation_size or tenth, self.test_size or tenth, self.split_seed))

    def _jpeg(self) -> list[Split]:
        """Validation images are the last ones of each class, equally many of each; of the first classes one more."""
        folders = decoders.jpeg_folders(fetch(_JPEG), _JPEG.name, (32, 32, 3))
        wanted = [f"{part}/{name}" for part in ("train", "test") for name in _CLASSES]
        if missing := [name for name in wanted if name not in folders]:
            raise UserError(f"{_JPEG.name} has no folder {missing[0]}.")
        count = sum(len(folders[name]) for name in wanted[:10])
        each, more = divmod(self.validation_size or count // 10, len(_CLASSES))
        found: list[list[tuple[np.ndarray, int]]] = [[], [], []]
        for label, name in enumerate(_CLASSES):
            images = folders[f"train/{name}"]
            kept = len(images) - each - (label < more)
            if kept < 1:
                raise UserError(
                    f"dataset.validation_size={self.validation_size} leaves none of the {len(images)} training images "
                    f"of {name}; allowed: fewer of the {count}, a tenth of each class."
                )
            for place, part in enumerate((images[:kept], images[kept:], folders[f"test/{name}"])):
                found[place].append((part, label))
        return [
            Split(
                np.concatenate([x for x, _ in part]),
                np.concatenate([np.full(len(x), label, np.int32) for x, label in part]),
            )
            for part in found
        ]

    def _patches(self, x: np.ndarray, side: int, generator: np.random.Generator) -> np.ndarray:
        """(N * patches_per_image, side, side, 3)."""
        windows = np.lib.stride_tricks.sliding_window_view(x, (side, side), axis=(1, 2))
        image = np.repeat(np.arange(len(x)), self.patches_per_image)
        top, left = generator.integers(0, 33 - side, (2, len(image)))
        return np.ascontiguousarray(windows[image, top, left].transpose(0, 2, 3, 1))
