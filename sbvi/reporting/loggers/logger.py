"""What a logger is."""

import abc
import contextlib
import importlib.util
import shutil
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from sbvi.core import UserError
from sbvi.core.held import check_held
from sbvi.core.plugins import called


class Logger(Protocol):
    """Takes what one run reports.

    One that tells a stopped run from a completed one has a method `stopped`, too, which is called before `close` where
    a signal or an interrupt has ended the session; the run can go on."""

    def start(self, settings: Mapping[str, Any]) -> None:
        """The run's settings, flat: numbers, texts and booleans."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None: ...

    def image(self, step: int, name: str, picture: np.ndarray) -> None:
        """picture: (H, W) or (H, W, 3) uint8."""

    def close(self, success: bool) -> None:
        """success: the run has not failed."""


class Service:
    """A logger that stands for a package of others': what fails there, such as a server that does not answer, is told
    in a sentence."""

    def __init__(self, name: str, made: Callable[[], Logger], remedy: str):
        """remedy: what to do where it cannot be opened."""
        self._name = name
        try:
            self._logger = made()
        except Exception as error:  # of any kind, as below
            raise UserError(f"logger={name} cannot be opened ({_in_brief(error)}); {remedy}.") from error

    def start(self, settings: Mapping[str, Any]) -> None:
        with self._told():
            self._logger.start(settings)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        with self._told():
            self._logger.scalars(step, values)

    def image(self, step: int, name: str, picture: np.ndarray) -> None:
        with self._told():
            self._logger.image(step, name, picture)

    def stopped(self) -> None:
        with self._told():
            tell_stopped(self._logger)

    def close(self, success: bool) -> None:
        with self._told():
            self._logger.close(success)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # of any kind: packages have their own, and those of what they stand on
            what = _in_brief(error)
            raise UserError(f"logger={self._name} failed ({what}); what was saved before is untouched.") from error


def tell_stopped(logger: Any) -> None:
    """Call a logger's `stopped`, where it has one."""
    if callable(stopped := getattr(logger, "stopped", None)):
        stopped()


def _in_brief(error: Exception) -> str:
    """The first line of what an error says, of whole words."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    return textwrap.shorten(line, 300, placeholder=" ...")


@contextlib.contextmanager
def undone(*paths: Path) -> Iterator[None]:
    """What is made at these places goes again where the work within fails; what was there before stays."""
    new = [path for path in paths if not path.exists()]
    try:
        yield
    except BaseException:
        for path in new:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)  # a service of the package's may be writing there still
            else:
                path.unlink(missing_ok=True)
        raise


class LoggerSpec(abc.ABC):
    """The settings of a logger."""

    def check(self) -> None:  # noqa: B027  (most need none)
        """Refuse a logger whose package is not installed; asked before a run begins.

        Raises:
          UserError: the extra that brings it.
        """

    def command(self, folder: Path) -> str | None:
        """The command that shows what was logged of the run in a folder, of those beside it too; None where nothing
        but its files would."""
        return None

    @abc.abstractmethod
    def open(self, folder: Path, resume_step: int) -> Logger:
        """For the run in a folder, which goes on after a step; what was logged later is dropped where that can be.

        A run that begins is logged before anything of it is written: where that fails, nothing is left in the folder.

        Raises:
          UserError: it cannot be logged there.
        """


def opened(settings: LoggerSpec, folder: Path, resume_step: int) -> Logger:
    """What a logger's `open` gives, which of an installed package's may be nothing: no logger at all stands for a
    process that writes nothing.

    Raises:
      UserError: it is no logger, or see `LoggerSpec.open`.
    """
    check_held(folder)
    logger: Any = settings.open(folder, resume_step)
    methods = [name for name in vars(Logger) if not name.startswith("_")]
    if lacking := [name for name in methods if not callable(getattr(logger, name, None))]:
        what = "None" if logger is None else f"a {type(logger).__name__} without {', '.join(lacking)}"
        raise UserError(
            f"{called(type(settings), 'open')} gives {what}; allowed: a logger, which has {', '.join(methods)}."
        )
    return logger


def needs_extra(extra: str, *packages: str) -> None:
    """Refuse a logger whose packages are not installed.

    extra: what brings them, the logger's name. packages: by default the one of that name.

    Raises:
      UserError: the extra, and what of it is lacking.
    """
    lacking = next((name for name in packages or (extra,) if importlib.util.find_spec(name) is None), None)
    if lacking is not None:
        what = f"the extra `{extra}`" if lacking == extra else f"{lacking} of the extra `{extra}`"
        raise UserError(
            f"logger={extra} needs {what}, which is not installed: pip install 'sbvi[{extra}]', or "
            f"pip install -e '.[{extra}]' in a clone."
        )
