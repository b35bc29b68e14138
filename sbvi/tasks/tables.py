"""The user's own table: read by the names of its columns, and written back with the same ones."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from sbvi.core import UserError
from sbvi.data.formats.own_files import Archive, Table, read_own, suffix
from sbvi.data.formats.parquet import holdable, of_one_type, written
from sbvi.data.formats.quoting import quoting
from sbvi.data.sources.table import as_frame
from sbvi.data.tabular import columns as tables
from sbvi.data.tabular.columns import Column
from sbvi.tasks.files import new_output, taken

if TYPE_CHECKING:
    import pandas

WRITTEN = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet")


def read_table(path: str) -> Table:
    """A file as a table.

    Raises:
      UserError: it is not there, or no table.
    """
    where = f"task.input={path}"
    content = read_own(path, where)
    if isinstance(content, Archive):
        raise UserError(f"{where} holds arrays, and the run's data is a table: give a .csv, .tsv or .parquet table.")
    return content if isinstance(content, Table) else Table(as_frame(content, where), False, where)


def beside(path: str, part: str) -> Path:
    """The name of a further file: filled.csv and `lower` make filled.lower.csv."""
    place = Path(path)
    ending = suffix(place)
    return place.with_name(f"{place.name[: -len(ending)]}.{part}{place.name[-len(ending) :]}")


def check_tables(path: str, parts: list[str]) -> None:
    """Refuse a bad output before any work is done.

    Raises:
      UserError: it is no table's name, one of the files is there, or their folder is not.
    """
    if suffix(Path(path)) not in WRITTEN:
        raise UserError(f"task.output={path} must end in {', '.join(WRITTEN[:-1])} or {WRITTEN[-1]}, as tables do.")
    for place in [Path(path), *(beside(path, part) for part in parts)]:
        if place.exists():
            raise taken(Path(path), place)
    if not Path(path).parent.is_dir():
        raise UserError(f"task.output={path} is in a folder that is not there.")
    if suffix(Path(path)) == ".parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            raise UserError(
                f"task.output={path} needs pyarrow, which is not installed: pip install 'sbvi[parquet]'."
            ) from None


def named_by(columns: Sequence[Column]) -> bool:
    """Whether columns have names of their own, not places (0, 1, 3 where one was left out), as those of a file without
    a header have; a header of such would be read again as a row."""
    places = [int(column.name) for column in columns if column.name.isdecimal()]
    return len(places) < len(columns) or places != sorted(set(places))


def write_frame(path: Path, frame: "pandas.DataFrame", named: bool = True) -> None:
    """A frame as a file, its index where it has one of its own (Parquet alone keeps it).

    Raises:
      UserError: the file exists, or cannot be written; or Parquet does not hold the frame.
    """
    with new_output(path) as file:
        put_frame(file, path, frame, named)


def put_frame(file: BinaryIO, path: Path, frame: "pandas.DataFrame", named: bool = True) -> None:
    """The same, into a file that is to have this path.

    Raises:
      UserError: Parquet does not hold the frame.
    """
    ending = suffix(path)
    if ending == ".parquet":
        file.write(_as_parquet(path, frame))
        return
    separator = "\t" if ending.startswith(".tsv") else ","
    # The name that the archive itself tells is that of the file, not that under which it is written.
    packed: Any = {"method": "gzip", "filename": str(path)} if ending.endswith(".gz") else None
    quotes: Any = quoting(frame, named)
    frame.to_csv(file, sep=separator, index=False, header=named, compression=packed, quoting=quotes)


def _as_parquet(path: Path, frame: "pandas.DataFrame") -> bytes:
    import pandas as pd
    import pyarrow

    try:
        return written(pd.DataFrame({name: of_one_type(holdable(column)) for name, column in frame.items()}))
    except (pyarrow.ArrowException, TypeError, ValueError) as error:
        raise UserError(
            f"task.output={path} cannot hold the table ({str(error).splitlines()[0][:100]}); name a .csv file."
        ) from None


def whole_again(frame: "pandas.DataFrame") -> "pandas.DataFrame":
    """Columns that pandas holds as floats for their gaps' sake alone, and that have none now, as whole numbers."""
    made = frame.copy()
    for name in made.columns:
        column = made[name]
        if column.dtype.kind == "f" and column.notna().all() and (np.rint(column) == column).all():
            made[name] = column.astype(np.int64) if (column.abs() < 2**53).all() else column
    return made


def filled_frame(
    columns: tuple[Column, ...], frame: "pandas.DataFrame", numbers: np.ndarray, missing: np.ndarray
) -> "pandas.DataFrame":
    """The user's frame with its gaps (N, D) filled; other columns, their order, index and dtypes as they were."""
    return tables.decoded(columns, numbers, frame, missing)
