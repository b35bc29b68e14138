"""Who is told how far a long piece of work has come: the terminal, where a command asks to be."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")
Told = Callable[[str, int, int], None]

_told: ContextVar[Told | None] = ContextVar("told", default=None)


@contextmanager
def watching(told: Told) -> Iterator[None]:
    """Within, `told(what, done, total)` is called as long work of this thread goes on; other threads' is not told."""
    token = _told.set(told)
    try:
        yield
    finally:
        _told.reset(token)


def compiling(what: str, total: int) -> None:
    """Tell that what does the work is being compiled, which may take longer than a piece of it."""
    if (told := _told.get()) is not None:
        told(f"{what}: compiling", 0, total)


def counted(what: str, items: Sequence[T]) -> Iterator[T]:
    """The items, one after the other, told before the first and after each."""
    told = _told.get()
    for done, item in enumerate(items):
        if told is not None and not done:
            told(what, 0, len(items))
        yield item
        if told is not None:
            told(what, done + 1, len(items))
