"""Whoever reads what a command prints, such as head, may leave: the work goes on, and the rest is told to nobody."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def tell(*lines: str) -> None:
    """Print lines to a reader who may have left."""
    try:
        print(*lines, sep="\n", flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def unheard() -> Iterator[None]:
    """Within, a log line that nobody reads is no error."""
    before, logging.raiseExceptions = logging.raiseExceptions, False
    try:
        yield
    finally:
        logging.raiseExceptions = before
