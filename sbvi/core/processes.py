"""What the processes of one run agree on; with one process, nothing has to be."""

from collections.abc import Sequence

import jax
import numpy as np

from sbvi.core import UserError


def several() -> bool:
    """Whether this run has more processes than this one."""
    return jax.process_count() > 1


def first() -> bool:
    """Whether this process writes what is written once."""
    return jax.process_index() == 0


def any_of(flags: Sequence[bool]) -> list[bool]:
    """For each flag whether some process has it set; all processes get the same answer."""
    if not several():
        return list(flags)
    from jax.experimental import multihost_utils

    gathered = multihost_utils.process_allgather(np.array(flags, np.bool_))
    return [bool(value) for value in np.any(gathered, axis=0)]


def wait(place: str) -> None:
    """Go on when all processes are here."""
    if several():
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(place)


def gathered(text: str) -> list[str]:
    """The text of every process, in their order."""
    if not several():
        return [text]
    from jax.experimental import multihost_utils

    content = np.frombuffer(text.encode(), np.uint8)
    sizes = np.ravel(multihost_utils.process_allgather(np.array([content.size], np.int32)))
    rows = multihost_utils.process_allgather(np.pad(content, (0, int(sizes.max()) + 1 - content.size)))
    return [bytes(row[:size]).decode() for row, size in zip(rows, sizes, strict=True)]


def check_same(text: str, what: str) -> None:
    """Refuse to work together on different things.

    Raises:
      UserError: `text` is not the same in all processes; with the words for it.
    """
    texts = gathered(text)
    for other in texts:
        if other != texts[0]:
            raise UserError(f"The processes of this run must have the same {what}; they have {texts[0]} and {other}.")
