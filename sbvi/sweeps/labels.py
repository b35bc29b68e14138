"""Which job of a sweep a line on the console is of, where several print to it."""

import copy
import logging
from collections.abc import Callable
from typing import Any


class Labelled(logging.Formatter):
    """Another formatter's lines, with a label before the message."""

    def __init__(self, inner: logging.Formatter | None, label: str):
        super().__init__()
        self.inner, self.label = inner or logging.Formatter(), label

    def format(self, record: logging.LogRecord) -> str:
        own = copy.copy(record)  # other handlers, such as the job's file, have the record as it is
        own.msg, own.args = f"{self.label} {record.getMessage()}", None
        return self.inner.format(own)


def labelled(task: Callable[[Any], Any], number: int) -> Callable[[Any], Any]:
    """A job's task, whose lines on the console begin with the job's number. Hydra sets up the handlers anew for every
    job, before it calls its task; files stay as they are."""

    def run(config: Any) -> Any:
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
                handler.setFormatter(Labelled(handler.formatter, f"#{number}"))
        return task(config)

    return run
