"""MNIST: 70,000 handwritten digits of 28x28, grey, or in Larochelle's fixed binary form."""

import logging
from dataclasses import replace
from typing import Literal

import numpy as np

from sbvi.core import NumPySeed, PositiveInt, UserError, spec
from sbvi.data.binarization import Binarization
from sbvi.data.dataset import Dataset, Split
from sbvi.data.files import RemoteFile, Unavailable, fetch
from sbvi.data.formats import decoders
from sbvi.data.preprocessing import Preprocessing
from sbvi.data.streaming import Streamed

log = logging.getLogger(__name__)

_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)
_IDX = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
_AMAT = {
    "train": "ad693b29f94c14277b095f5238ddefbbdaaae0939789dd2f4f0205278cee3e4d",
    "valid": "1de3d397c40fe8eeb33dafd4099a1f665ec01e96d9be234aaeeac8a34930e2e2",
    "test": "e6687bfea3f820c174f33b7865140b2a2dd2930ef786f35d45795fc193b5ab2c",
}


@spec
class Mnist(Streamed):
    """Official test images; the last of the 60,000 training images validate.

    With `static` binarization the files of Larochelle and Murray (2011) are read instead:
    50,000 train, 10,000 validation, 10,000 test, without labels.
    """

    binarization: Binarization = "auto"
    """How grey values become binary ones."""
    validation_size: PositiveInt = 10_000
    """Training images held out for validation (fixed in the Larochelle files)."""
    train_size: PositiveInt | None = None
    """Training images that are used, the first ones of those not held out; null for all."""
    split_seed: NumPySeed = 0
    """Seed of fixed binarization draws."""
    when_absent: Literal["fail", "synthetic"] = "fail"
    """What to do when the files are neither at hand nor to be had: fail, or go on with random images of
    the same shape and number, for measuring speed."""

    def idle(self) -> dict[str, str]:
        """Larochelle's files are split and drawn already; a stand-in is not."""
        if self.binarization != "static" or self.when_absent != "fail":
            return {}
        return {"validation_size": "binarization=dynamic, threshold or none", "split_seed": "binarization=dynamic"}

    def load(self) -> Dataset:
        dataset = self._available()
        if self.train_size is None:
            return dataset
        x, label = dataset.train.x, dataset.train.label
        if self.train_size > len(x):
            raise UserError(f"dataset.train_size={self.train_size} must be at most {len(x)}.")
        few = Split(x[: self.train_size], None if label is None else label[: self.train_size])
        return replace(dataset, train=few)

    def _available(self) -> Dataset:
        try:
            return self._files()
        except Unavailable as error:
            if self.when_absent == "fail":
                raise
            log.warning("Random images stand in for MNIST: %s", error)
            return _random_images(self.validation_size)

    def _files(self) -> Dataset:
        if self.binarization in ("static", "auto"):
            return _larochelle()
        images, labels, test_images, test_labels = (
            decoders.idx(fetch(RemoteFile(n, h, tuple(f"{m}{n}.gz" for m in _MIRRORS))), n) for n, h in _IDX.items()
        )
        kept = len(images) - self.validation_size
        if kept <= 0:
            raise UserError(f"dataset.validation_size={self.validation_size} must be less than {len(images)}.")
        labels, test_labels = labels.astype(np.int32), test_labels.astype(np.int32)
        return Dataset(
            "mnist",
            Split(images[:kept], labels[:kept]),
            Split(images[kept:], labels[kept:]),
            Split(test_images, test_labels),
            Preprocessing.whole((28, 28), 255),
        )


def _random_images(validation_size: int) -> Dataset:
    """Grey noise of MNIST's shape, a fifth of it ink.

    Raises:
      UserError: no training image would be left.
    """
    if validation_size >= 60_000:
        raise UserError(f"dataset.validation_size={validation_size} must be less than 60000.")
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (70_000, 28, 28), np.uint8) * (generator.random((70_000, 28, 28)) < 0.2)
    train, validation, test = np.split(images.astype(np.uint8), [60_000 - validation_size, 60_000])
    splits = (Split(train), Split(validation), Split(test))
    return Dataset("random_images", *splits, Preprocessing.whole((28, 28), 255), "random images, not MNIST")


def _larochelle() -> Dataset:
    splits = []
    for part, digest in _AMAT.items():
        name = f"binarized_mnist_{part}.amat"
        place = f"www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/{name}"
        content = fetch(RemoteFile(name, digest, (f"https://{place}", f"http://{place}")))
        splits.append(Split(decoders.amat(content, name, 784).reshape(-1, 28, 28)))
    train, validation, test = splits
    known = Preprocessing.whole((28, 28), 1)
    return Dataset("mnist", train, validation, test, known, "Larochelle's fixed binarization")
