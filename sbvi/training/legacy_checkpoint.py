"""Reading of checkpoints as they were before format 3: one MessagePack file each.

A file holds a format version, and a body with its SHA-256; the body holds plain metadata and a list of leaves (path,
dtype, shape, SHA-256, bytes). Format 1 had no digest but those of the leaves. Runs of several processes kept their
states in folders of Orbax, which are refused.
"""

import hashlib
import re
from pathlib import Path
from typing import Any

import msgpack
import numpy as np

from sbvi.core import UserError
from sbvi.training.checkpoint import DamagedCheckpoint, content_of
from sbvi.training.tensor_names import dotted

SUFFIX = ".msgpack"
FORMATS = (1, 2)

# A step of a path: an attribute, a position, or a key in quotation marks.
_STEP = re.compile(r"""\.(\w+)|\[(\d+)\]|\['([^']*)'\]|\["([^"]*)"\]""")


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Every array by its name of today, and the metadata, all checked against their digests.

    Raises:
      DamagedCheckpoint: the file is missing, cut short, altered, or of another format.
    """
    content = content_of(path)
    try:
        document = msgpack.unpackb(content, strict_map_key=True)
        version = document["format"]
        if version not in FORMATS:
            raise DamagedCheckpoint(f"{path} has format {version}; such files have formats 1 and 2.")
        body = document if version == 1 else msgpack.unpackb(document["body"], strict_map_key=True)
        arrays = {}
        for entry in body["leaves"]:
            if hashlib.sha256(entry["data"]).digest() != entry["sha256"]:
                raise DamagedCheckpoint(f"{path} is damaged: {entry['path']} does not match its digest.")
            array = np.frombuffer(entry["data"], np.dtype(entry["dtype"])).reshape(entry["shape"])
            arrays[name_of(entry["path"])] = array
        # After the leaves, whose own digests can name what is wrong.
        if version != 1 and hashlib.sha256(document["body"]).digest() != document["sha256"]:
            raise DamagedCheckpoint(f"{path} is damaged: it does not match its digest.")
        return arrays, dict(body["metadata"])
    except DamagedCheckpoint:
        raise
    except Exception as error:  # msgpack and numpy raise many kinds on damaged bytes
        raise DamagedCheckpoint(f"{path} is damaged: it is not a whole checkpoint ({type(error).__name__}).") from None


def name_of(path: str) -> str:
    """JAX's text of a path, `.params['maps'][0]['kernel'].value`, as a tensor's name.

    Raises:
      ValueError: the text is no path.
    """
    parts, at = [], 0
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            raise ValueError(f"{path} is no path of a leaf")
        parts.append(next(part for part in step.groups() if part is not None))
        at = step.end()
    return dotted(parts)


def refuse_orbax_steps(folder: Path, newest: int) -> None:
    """Refuse to go on from a state that is older than what several processes have saved.

    Raises:
      UserError: there is a state after step `newest`, saved by Orbax.
    """
    steps = folder / "steps"
    saved = [int(entry.name) for entry in steps.iterdir() if entry.name.isdigit()] if steps.is_dir() else []
    if saved and max(saved) > newest:
        raise UserError(
            f"{steps} holds the state of step {max(saved)} as several processes once saved it by Orbax, which this "
            f"version of sbvi cannot read; finish the run with the version that made it, which run.json names."
        )
