"""Small NORB (LeCun, Huang and Bottou 2004): toys in five classes, seen by two cameras at 96x96."""

import logging
from typing import Literal

import numpy as np

from sbvi.core import NumPySeed, PositiveInt, UserError, spec
from sbvi.data.binarization import Binarization
from sbvi.data.dataset import Dataset, Split
from sbvi.data.files import RemoteFile, fetch
from sbvi.data.formats import decoders
from sbvi.data.preprocessing import Preprocessing
from sbvi.data.splits import held_out
from sbvi.data.streaming import Streamed

log = logging.getLogger(__name__)

_TRAIN, _TEST = "smallnorb-5x46789x9x18x6x2x96x96-training", "smallnorb-5x01235x9x18x6x2x96x96-testing"
# Hashes of the files as published: those that the tensorflow-datasets 4.9.10 package checks downloads with.
_HASHES = {
    f"{_TRAIN}-dat.mat.gz": "5ffd6272a07d32695ee1082a26a41a93a37aab8c28da047f8c34ed348d214873",
    f"{_TRAIN}-cat.mat.gz": "2784e542c1922060691090952b6cd6278879a216c90f81476f0f00256d42cdaa",
    f"{_TEST}-dat.mat.gz": "cf7104eed3e51174d2f65b66d1e5878b9da233b886f161b0d88f4510ba2c7474",
    f"{_TEST}-cat.mat.gz": "ecaf6d5bb8c3bc5eab9cf0258f6d2198dd474e016e374836fc097f2e5ff509ff",
}
_PLACES = ("https://cs.nyu.edu/~ylclab/data/norb-v1.0-small/", "http://www.cs.nyu.edu/~ylclab/data/norb-v1.0-small/")


@spec
class Norb(Streamed):
    """24,300 training and 24,300 test pairs of grey images; validation images are a seeded draw from training."""

    cameras: Literal["left", "both"] = "left"
    """Which images of a pair: left (24,300 images) or both (48,600)."""
    downsample: PositiveInt = 1
    """Side of the pixel blocks that are averaged into one; 2 gives 48x48, 3 gives 32x32."""
    binarization: Binarization = "auto"
    """How grey values become binary ones."""
    validation_size: PositiveInt = 2430
    """Training images held out for validation."""
    split_seed: NumPySeed = 0
    """Seed of the split and of fixed binarization draws."""

    def __post_init__(self) -> None:
        if 96 % self.downsample:
            raise ValueError(f"downsample={self.downsample} must divide 96")

    @property
    def likelihood(self) -> str:
        return "gaussian"

    def load(self) -> Dataset:
        train, test = self._part(_TRAIN), self._part(_TEST)
        if self.cameras == "both":
            log.info("Images are held out one by one: most validation images have their pair's other that trains.")
        train, validation = held_out(train, self.validation_size, self.split_seed)
        return Dataset("norb", train, validation, test, Preprocessing.whole(train.x.shape[1:], 255))

    def _part(self, stem: str) -> Split:
        pairs, label = (decoders.norb(self._file(f"{stem}-{kind}.mat.gz"), f"{stem}-{kind}") for kind in ("dat", "cat"))
        if pairs.ndim != 4 or pairs.shape[1:] != (2, 96, 96) or label.shape != pairs.shape[:1]:
            raise UserError(
                f"{stem} holds images {pairs.shape} and labels {label.shape}; expected (N, 2, 96, 96), (N,)."
            )
        images = pairs[:, 0] if self.cameras == "left" else pairs.reshape(-1, 96, 96)
        if self.downsample > 1:
            side, block = 96 // self.downsample, self.downsample
            means = images.reshape(-1, side, block, side, block).mean((2, 4), dtype=np.float32)
            images = np.rint(means).astype(np.uint8)
        return Split(np.ascontiguousarray(images), np.repeat(label, len(images) // len(label)).astype(np.int32))

    def _file(self, name: str) -> bytes:
        return fetch(RemoteFile(name, _HASHES[name], tuple(place + name for place in _PLACES), packed=True))
