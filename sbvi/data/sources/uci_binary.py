"""Binary tables of the UCI repository as NADE's authors prepared them (Larochelle and Murray 2011): the small density
sets of the literature on discrete latents.

The rows of adult's and connect4's test sets come in another order than upstream's, which changes no mean; dna is
LIBSVM's form of the same splits' sizes.
"""

from typing import Literal

import numpy as np

from sbvi.core import spec
from sbvi.data.binarization import Binarization
from sbvi.data.dataset import Dataset, Split
from sbvi.data.files import RemoteFile, fetch
from sbvi.data.formats import decoders
from sbvi.data.preprocessing import Preprocessing
from sbvi.data.streaming import Streamed

_DEBD = "https://raw.githubusercontent.com/arranger1044/DEBD/d5e0c95fef9e418a39feccddae5d7a7526c1e8de/datasets"
_LIBSVM = "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass"

#: Set -> number of variables.
COLUMNS = {"adult": 123, "connect4": 126, "dna": 180, "mushrooms": 112, "nips": 500, "ocr_letters": 128}
#: SHA-256 of each file's text.
_HASHES = {
    "adult.test.data": "2e5d002a0337766af4c9b0086d7fd3607115a4fdefac7e3785769d3a4bc73d98",
    "adult.train.data": "5590ab772dd51ed1b29bb972d2b416a58aee902b88be2f89b8c77f28f3e3db77",
    "adult.valid.data": "dbd7472c04c648e988264b90b76dc086294958ef4b395ee916090b2b82146e59",
    "connect4.test.data": "e3f07544fc0cdeb74663d4dbdac9de58fe71db57b7e835767264a23b53625de3",
    "connect4.train.data": "1cf1f300a290a33e15f8989364dd7e87c008699c3627e05cc70a5f2dd01cafd8",
    "connect4.valid.data": "e4657afaf1b6880aed84b64e348d2d502b32d90ad3177bea730dd5e0384fd3b8",
    "dna.scale.t": "d2eeed170e4e38ae2aba6aa4cd27a8ca4ecceb01a7751e8e509bb4e1a6bcef39",
    "dna.scale.tr": "101d8f3dc2b4da34263a9dd35694a3896df5830de16650f1307dfa4e0c47976c",
    "dna.scale.val": "5028d909949f791be3628f9f4f25a33de9c470ad5c7458a3f5d62a2e0eb9d2ba",
    "mushrooms.test.data": "313c5f04b5d0a18bee2f2ffa264be265d09f5362aad6f714637acd9552f81aa0",
    "mushrooms.train.data": "465c712c066bbbee3ccceded24bbe42b4c379df67b524e28cce9bf3a8b83f27b",
    "mushrooms.valid.data": "5a067e6854df71623415e6adc8e913cbff766637a324788882ba800907aa5385",
    "nips.test.data": "48711bdaffbd43aa439679785e19d9cc80c64a157fa84eadc5dce60ee4edf7bc",
    "nips.train.data": "4d744cb1f2c725405bff6ef6878df06eafbbc2a91f0510e0f3d8a508b05ec7bb",
    "nips.valid.data": "b06acd8e6a701d63d4e58b5076c11c59bcd0343fb9b1fbb5997459d3e6b8ca96",
    "ocr_letters.test.data": "63c77682a932c5e5e04a429aba8dc7db5f942a87d549a8228fa144ec5ae998fb",
    "ocr_letters.train.data": "cf14ab30626ce194ca08a03359e81dfd4e3a649706be2f7f0676efcfa64ee622",
    "ocr_letters.valid.data": "b28ca9c39bb94fc3b0aeb3197304547bb066daaad0a1cce3da9749d068b74133",
}
#: Files that can be had as they are: the others were put together from several, or stand in archives.
_IN_DEBD = {
    *(f"{name}.{part}.data" for name in ("adult", "connect4") for part in ("train", "valid")),
    *(f"{name}.{part}.data" for name in ("mushrooms", "nips") for part in ("train", "valid", "test")),
    *(f"ocr_letters.{part}.data" for part in ("valid", "test")),
}


def _content(name: str, own: str) -> bytes:
    urls: tuple[str, ...] = ()
    if own in _IN_DEBD:
        urls = (f"{_DEBD}/{name}/{own}",)
    elif name == "dna":
        urls = (f"{_LIBSVM}/{own}",)
    return fetch(RemoteFile(f"uci_binary/{own}", _HASHES[own], urls))


def _split(name: str, part: str) -> Split:
    columns = COLUMNS[name]
    if name == "dna":
        own = f"dna.scale.{ {'train': 'tr', 'valid': 'val', 'test': 't'}[part] }"
        x, label = decoders.sparse(_content(name, own), own, columns)
        return Split(x, label - 1)
    own = f"{name}.{part}.data"
    return Split(np.ascontiguousarray(decoders.amat(_content(name, own), own, columns, ",")))


@spec
class UciBinary(Streamed):
    """Six binary tables in their official splits; adult, connect4 and ocr_letters each have a file without a public
    address, which must be in SBVI_DATA_DIR."""

    set: Literal["adult", "connect4", "dna", "mushrooms", "nips", "ocr_letters"] = "adult"
    """Which table."""
    binarization: Binarization = "auto"
    """The values are binary already, so every choice but `none` leaves them as they are."""

    @property
    def split_seed(self) -> int:
        """The splits are the files', and the values binary: nothing is drawn."""
        return 0

    def load(self) -> Dataset:
        train, validation, test = (_split(self.set, part) for part in ("train", "valid", "test"))
        return Dataset(f"uci_binary/{self.set}", train, validation, test, Preprocessing.whole(train.x.shape[1:], 1))
