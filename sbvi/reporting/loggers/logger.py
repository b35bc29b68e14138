"""What a logger is."""

import abc
import importlib.util
from collections.abc import Mapping
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
