"""Data sets: where they come from, how they are decoded, split and binarized.

To add one: a module with a `spec` that is a `DatasetSpec`, best a `Streamed` with `binarization`, `split_seed` and
`load() -> Dataset`, a line here, a file in `configs/dataset/`, a row in the contract test.
"""

from typing import Protocol

from sbvi.core.plugins import extend
from sbvi.data.binarization import Binarization
from sbvi.data.binarize import binarize
from sbvi.data.dataset import Batch, Dataset, Split
from sbvi.data.preprocessing import Preprocessing
from sbvi.data.sources.caltech_silhouettes import CaltechSilhouettes
from sbvi.data.sources.cifar10 import Cifar10
from sbvi.data.sources.debd import Debd
from sbvi.data.sources.digits import Digits
from sbvi.data.sources.frey_faces import FreyFaces
from sbvi.data.sources.mnist import Mnist
from sbvi.data.sources.norb import Norb
from sbvi.data.sources.npz import Npz
from sbvi.data.sources.omniglot import Omniglot
from sbvi.data.sources.shards import Shards
from sbvi.data.sources.stl10 import Stl10
from sbvi.data.sources.svhn import Svhn
from sbvi.data.sources.synthetic import Synthetic
from sbvi.data.sources.table import Table
from sbvi.data.sources.uci_binary import UciBinary


class DatasetSpec(Protocol):
    """What a config chooses: the frozen settings of a data set, binarization among its fields."""

    @property
    def binarization(self) -> Binarization: ...

    @property
    def likelihood(self) -> str:
        """The likelihood that the values call for."""

    @property
    def split_seed(self) -> int: ...

    @property
    def stream(self) -> bool | None:
        """See `sbvi.data.streaming.Streamed`."""

    def load(self) -> Dataset: ...


#: The names of the protocol.
SPEC_PARTS = ("binarization", "likelihood", "split_seed", "stream", "load")


DATASETS: dict[str, type] = {
    "digits": Digits,
    "mnist": Mnist,
    "frey_faces": FreyFaces,
    "caltech_silhouettes": CaltechSilhouettes,
    "norb": Norb,
    "cifar10": Cifar10,
    "svhn": Svhn,
    "stl10": Stl10,
    "omniglot": Omniglot,
    "uci_binary": UciBinary,
    "debd": Debd,
    "synthetic": Synthetic,
    "npz": Npz,
    "table": Table,
    "shards": Shards,
}
extend(DATASETS, "sbvi.datasets", SPEC_PARTS)

__all__ = ["DATASETS", "Batch", "Binarization", "Dataset", "DatasetSpec", "Preprocessing", "Split", "binarize"]
