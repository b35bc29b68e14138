"""What a logger is."""

import abc
import contextlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from sbvi.core import UserError


class Logger(Protocol):
    """Takes what one run reports."""

    def start(self, settings: Mapping[str, Any]) -> None:
        """The run's settings, flat: numbers, texts and booleans."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None: ...

    def image(self, step: int, name: str, picture: np.ndarray) -> None:
        """picture: (H, W) or (H, W, 3) uint8."""

    def close(self, success: bool) -> None: ...


class Service:
    """A logger that stands for a package of others': what fails there, such as a server that does not answer, is told
    in a sentence."""

    def __init__(self, name: str, made: Callable[[], Logger]):
        self._name = name
        with self._told():
            self._logger = made()

    def start(self, settings: Mapping[str, Any]) -> None:
        with self._told():
            self._logger.start(settings)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        with self._told():
            self._logger.scalars(step, values)

    def image(self, step: int, name: str, picture: np.ndarray) -> None:
        with self._told():
            self._logger.image(step, name, picture)

    def close(self, success: bool) -> None:
        with self._told():
            self._logger.close(success)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # of any kind: packages have their own, and those of what they stand on
            what = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
            raise UserError(f"logger={self._name} failed ({what}); what was saved before is untouched.") from error


class LoggerSpec(abc.ABC):
    """The settings of a logger."""

    def check(self) -> None:  # noqa: B027  (most need none)
        """Refuse a logger whose package is not installed; asked before a run begins.

        Raises:
          UserError: the extra that brings it.
        """

    @abc.abstractmethod
    def open(self, folder: Path, resume_step: int) -> Logger:
        """For the run in a folder, which goes on after a step; what was logged later is dropped where that can be."""


def needs_extra(package: str) -> None:
    """Refuse a logger whose package is not installed.

    Raises:
      UserError: the extra of the same name.
    """
    if importlib.util.find_spec(package) is None:
        raise UserError(
            f"logger={package} needs the extra `{package}`, which is not installed: pip install 'sbvi[{package}]', or "
            f"pip install -e '.[{package}]' in a clone."
        )
