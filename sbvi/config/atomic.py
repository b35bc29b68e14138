"""Files that are written whole or not at all."""

import os
from pathlib import Path

from sbvi.config.errors import UserError


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file with new content, or leave it as it was.

    The content is written beside its place, flushed to the disk and renamed, so that a crash at any
    moment leaves either the old file or the new one.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UserError(f"{path} cannot be written ({error.strerror}); what was there before is untouched.") from None
