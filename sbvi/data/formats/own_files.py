"""Files that users have: .npz, .npy, .csv, .tsv, .parquet, and .csv.gz and .tsv.gz; nothing pickled is ever read."""

import contextlib
import itertools
import logging
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sbvi.core import UserError
from sbvi.core.memory import require
from sbvi.core.places import is_file, is_folder
from sbvi.data.checks import Lines, line
from sbvi.data.tabular.frame_numbers import as_numbers

if TYPE_CHECKING:
    import pandas

log = logging.getLogger(__name__)

ARRAYS, TEXTS = (".npz", ".npy"), (".csv", ".tsv", ".csv.gz", ".tsv.gz")
IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp")
SUFFIXES = (*ARRAYS, *TEXTS, ".parquet")


@dataclass(frozen=True)
class Table:
    """A table of one file: `frame` with a row an example; `named` says whether the file names its columns, and `where`
    what sentences call it, see `Lines`."""

    frame: "pandas.DataFrame"
    named: bool
    where: str

    def values(self, columns: Sequence[str] | None = None) -> np.ndarray:
        """Columns, all by default, as numbers (N, D): whole ones as int64, else float64; NaN where one is missing.

        Raises:
          UserError: there is no such column, or it holds text; the sentence names column and line.
        """
        frame = self.frame if columns is None else self.frame[list(columns)]
        arrays = [self._numbers(frame[name]) for name in frame.columns]
        if not arrays:
            raise UserError(f"{self.where} has no columns of numbers.")
        return np.ascontiguousarray(np.stack(arrays, 1, dtype=np.result_type(*arrays), casting="unsafe"))

    def _numbers(self, column: "pandas.Series") -> np.ndarray:
        if isinstance(column.dtype, np.dtype) and column.dtype.kind in "buif":
            values = column.to_numpy()
            large = values.dtype.kind == "f" or values.dtype == np.uint64
            return values.astype(np.uint8 if values.dtype.kind == "b" else np.float64 if large else np.int64)
        numbers = as_numbers(column)
        bad = np.isnan(numbers) & column.notna().to_numpy(bool)
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            text = str(column.iloc[row])[:40]
            raise UserError(
                f"{self.where}: column {column.name} holds {text!r} in {line(row, self.where)}, which is no "
                "number; "
                "a run of experiment=table takes words."
            )
        return numbers

    def names(self, columns: Sequence[str] | None = None) -> tuple[str, ...] | None:
        """Column names, where the file has them."""
        chosen = self.frame.columns if columns is None else columns
        return tuple(map(str, chosen)) if self.named else None


def suffix(path: Path) -> str:
    """The ending that says what a file is, in lower case; `.csv.gz` is one."""
    name = path.name.lower()
    return next((s for s in (*SUFFIXES, ".gz") if name.endswith(s)), path.suffix.lower())


def read_own(path: str, where: str) -> "Archive | np.ndarray | Table":
    """The arrays of an .npz file by name, the array of an .npy file, or a table; logs what was understood.

    Raises:
      UserError: the file is not there, of another kind, or cannot be read.
    """
    place = Path(path).expanduser()
    kind = suffix(place)
    if not is_file(place, where):
        if is_folder(place, where):
            raise UserError(f"{where} is a folder, and must be a file{_of_images(place)}.")
        raise UserError(f"{where} is not a file.")
    if kind not in SUFFIXES:
        raise UserError(f"{where} must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}.")
    if kind not in ARRAYS:
        return _table(place, kind, where)
    return Archive(place, where) if kind == ".npz" else _array(place, where)


def _of_images(folder: Path) -> str:
    """What is said of a folder with images."""
    try:
        images = any(entry.suffix.lower() in IMAGES for entry in itertools.islice(folder.rglob("*"), 1000))
    except OSError:
        images = False
    return "; images go into one array of an .npy or .npz file, see docs/howto_images.md" if images else ""


class Archive(Mapping[str, np.ndarray]):
    """The arrays of an .npz file by name, each read when it is asked for."""

    def __init__(self, place: Path, where: str):
        self.place, self.where = place, where
        with _damage_told(where, ".npz"), open(place, "rb") as file, np.load(file, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise UserError(f"{where} is not an .npz file.")
            # The sizes that the archive announces: a small file can unpack to more than there is.
            assert archive.zip is not None
            self.sizes = {info.filename: info.file_size for info in archive.zip.infolist()}
            self.names = list(archive.files)
        self._read: dict[str, np.ndarray] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.names:
            raise KeyError(name)
        if name not in self._read:
            require(self.sizes.get(f"{name}.npy", self.sizes.get(name, 0)), self.where)
            told = _damage_told(self.where, ".npz")
            with told, open(self.place, "rb") as file, np.load(file, allow_pickle=False) as archive:
                self._read[name] = archive[name]
            log.info("Read %s: %s %s, %s.", self.place, name, self._read[name].shape, self._read[name].dtype)
        return self._read[name]


def _array(place: Path, where: str) -> np.ndarray:
    with _damage_told(where, ".npy"):
        array = np.load(place, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise ValueError("it is not an array")
        require(array.nbytes, where)
        log.info("Read %s: %s, %s.", place, array.shape, array.dtype)
        return np.array(array)


def why(error: BaseException) -> str:
    """What NumPy says of a file that it cannot read, in short. It takes bytes that it does not know for pickled ones,
    and tells how to load these, which nothing here does."""
    return "it does not begin as one" if "pickled" in str(error) else str(error)[:100]


@contextlib.contextmanager
def _damage_told(where: str, kind: str) -> Iterator[None]:
    try:
        yield
    except UserError:
        raise
    # NotImplementedError is not of ours: zipfile raises it for a compression method that it does not know.
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, NotImplementedError) as error:
        raise UserError(f"{where} is not a readable {kind} file of plain arrays ({why(error)}).") from None
    except Exception as error:  # zlib.error, struct.error and their like: a damaged archive
        raise UserError(f"{where} is a damaged {kind} file ({type(error).__name__}: {str(error)[:100]}).") from None


def _table(place: Path, kind: str, where: str) -> Table:
    if kind == ".parquet":
        table = _parquet(place, where)
        index = ", ".join(str(name) for name in table.frame.index.names if name is not None)
        said = f"parquet, its index {index} left out" if index else "parquet"
    else:
        from sbvi.data.formats.text_tables import read_text

        frame, dialect, first = read_text(place, where)
        frame, index = _without_index(frame)
        table = Table(frame, dialect.header, Lines(where, first))
        said = f"{dialect}, {'a header' if dialect.header else 'no header'}{index}"
    frame = table.frame
    if not len(frame):
        raise UserError(f"{where} holds no rows.")
    dtypes = ", ".join(sorted({str(dtype) for dtype in frame.dtypes}))
    missing = int(frame.isna().to_numpy().sum())
    log.info("Read %s: %d rows, %d columns, %d missing, %s (%s).", place, *frame.shape, missing, dtypes, said)
    return table


def _without_index(frame: "pandas.DataFrame") -> tuple["pandas.DataFrame", str]:
    """Without the column that pandas writes for row numbers: the first, without a name, that counts from 0."""
    if frame.columns[0] == "" and frame.shape[1] > 1 and (frame.iloc[:, 0] == np.arange(len(frame))).all():
        return frame.iloc[:, 1:], ", row numbers left out"
    return frame, ""


def _parquet(place: Path, where: str) -> Table:
    try:
        import pyarrow

        from sbvi.data.formats import parquet
    except ImportError:
        raise UserError(f"{where} needs pyarrow, which is not installed: pip install 'sbvi[parquet]'.") from None
    try:
        return Table(parquet.read(place), True, where)
    # TypeError: of a dtype that pandas wrote down and does not know again, such as an Arrow dictionary's.
    except (pyarrow.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{where} is not a readable .parquet file ({str(error).splitlines()[0][:100]}).") from None
