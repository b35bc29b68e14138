"""Numeric arrays of MATLAB 5 files, by SciPy's reader.

SciPy believes the sizes that a file announces, and a damaged file can end the process: only files whose hash is
known are read, and only after it was checked.
"""

import io

import numpy as np

from sbvi.core import UserError
from sbvi.data.files import RemoteFile, fetch


def mat(remote: RemoteFile, keys: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The named arrays, real and numeric, in the dtype they are stored in: MATLAB keeps whole doubles as bytes.

    Raises:
      UserError: the file cannot be had, lacks an array, or holds something else in its place.
    """
    from scipy.io import loadmat

    content = loadmat(io.BytesIO(fetch(remote)), variable_names=list(keys))
    for key in keys:
        if key not in content:
            raise UserError(f"{remote.name} has no array {key}.")
        # Cells, structs and texts have other kinds.
        if not isinstance(content[key], np.ndarray) or content[key].dtype.kind not in "uif":
            raise UserError(f"{remote.name}: {key} is not a real numeric array.")
    return {key: content[key] for key in keys}
