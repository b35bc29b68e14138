"""What a command prints. Whoever reads it, such as head, may leave: the work goes on, and the rest is told to nobody.
A file on a full disk takes no more either, which is told."""

import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress

from sbvi.core.errors import UserError


def tell(*lines: str) -> None:
    """Print lines to a reader who may have left.

    Raises:
      UserError: they cannot be written.
    """
    try:
        print(*lines, sep="\n", flush=True)
    except OSError as error:
        _give_up(error)


@contextmanager
def collected() -> Iterator[None]:
    """Within, what a library prints is held, and told at the end: its own printing fails where the reader has left,
    with an error that names no file.

    Raises:
      UserError: it cannot be written.
    """
    held = io.StringIO()
    try:
        with redirect_stdout(held):
            yield
    finally:
        if printed := held.getvalue().removesuffix("\n"):
            tell(printed)


@contextmanager
def printing() -> Iterator[None]:
    """Within, what is printed by others is written to its end, or nobody reads it.

    Raises:
      UserError: it cannot be written.
    """
    try:
        yield
    except SystemExit as end:
        with suppress(*[UserError] if end.code else []):  # the command's own sentence says more
            _flush()
        raise
    except OSError as error:
        if error.filename is None:  # perhaps that of the output: what is left for it then fails too
            _flush()
        raise
    _flush()


def _flush() -> None:
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        _give_up(error)


def _give_up(error: OSError) -> None:
    """Print nothing from now on, nor what is left when Python ends.

    Raises:
      UserError: it was not that the reader left.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    if not isinstance(error, BrokenPipeError):
        raise UserError(f"The output cannot be written ({error.strerror}).") from None


@contextmanager
def unheard() -> Iterator[None]:
    """Within, a log line that nobody reads is no error."""
    before, logging.raiseExceptions = logging.raiseExceptions, False
    try:
        yield
    finally:
        logging.raiseExceptions = before
