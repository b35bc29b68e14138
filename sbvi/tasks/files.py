"""The user's own arrays: read for a task, and written where asked."""

from pathlib import Path

import numpy as np

from sbvi.core import UserError
from sbvi.core.memory import require


def read_array(path: str, *, allow_nan: bool = False) -> np.ndarray:
    """A numeric array from .npz (its only array, or `x`), .npy or .csv (no header); (N, ...).

    Raises:
      UserError: the file is not there, of another kind, holds objects, or has values that are not finite.
    """
    place = Path(path)
    try:
        if place.suffix == ".npz":
            with open(place, "rb") as file, np.load(file, allow_pickle=False) as archive:
                name = "x" if "x" in archive.files else archive.files[0] if len(archive.files) == 1 else None
                if name is None:
                    raise UserError(f"input={path} holds {', '.join(archive.files)}; one of them must be named x.")
                require(sum(entry.file_size for entry in archive.zip.infolist()), f"input={path}")
                found = archive[name]
        elif place.suffix == ".npy":
            found = np.array(np.load(place, mmap_mode="r", allow_pickle=False))
        elif place.suffix == ".csv":
            if not place.read_bytes().strip():
                raise UserError(f"input={path} is empty.")
            found = np.loadtxt(place, delimiter=",", ndmin=2)
        else:
            raise UserError(f"input={path} must end in .npz, .npy or .csv.")
    except UserError:
        raise
    except Exception as error:  # numpy, zipfile and zlib raise many kinds on damaged files
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"input={path} cannot be read ({reason[:160]}).") from None
    if found.dtype.kind not in "buif" or found.ndim < 2 or not len(found):
        raise UserError(f"input={path} has shape {found.shape} and dtype {found.dtype}; it must be numbers (N, ...).")
    if found.dtype.kind == "f" and not (np.isfinite(found) | (np.isnan(found) & allow_nan)).all():
        raise UserError(f"input={path} holds values that are {'infinite' if allow_nan else 'NaN or infinite'}.")
    return np.asarray(found)


def check_output(path: str) -> None:
    """Refuse a bad output before any work is done.

    Raises:
      UserError: the file exists, does not end in .npz, or its folder is not there.
    """
    place = Path(path)
    if place.suffix != ".npz":
        raise UserError(f"output={path} must end in .npz.")
    if place.exists():
        raise UserError(f"output={path} is there already; name another file.")
    if not place.parent.is_dir():
        raise UserError(f"output={path} is in a folder that is not there.")


def write_arrays(path: str, arrays: dict[str, np.ndarray]) -> None:
    """Write named arrays as .npz; an existing file is left alone.

    Raises:
      UserError: the file exists, or cannot be written.
    """
    try:
        with open(path, "xb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
    except FileExistsError:
        raise UserError(f"output={path} is there already; name another file.") from None
    except OSError as error:
        raise UserError(f"output={path} cannot be written ({error.strerror}).") from None
