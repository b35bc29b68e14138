"""A parser of flags that answers a mistake in one sentence, where argparse prints its usage."""

import argparse
import difflib
import re
import sys
from typing import Any, NoReturn

from sbvi.cli.reader import tell
from sbvi.core.errors import UserError, choices


class Once(argparse.Action):
    """Keeps a flag's value; of two, argparse would take the last without a word."""

    def __call__(self, _: Any, namespace: argparse.Namespace, values: Any, option_string: str | None = None) -> None:
        """Raises:
        UserError: the flag was given before.
        """
        given = vars(namespace).setdefault("given_once", {})
        if self.dest in given:
            raise UserError(f"{option_string} is given twice, {given[self.dest]} and {values}; give it once.")
        given[self.dest] = values
        setattr(namespace, self.dest, values)


class Parser(argparse.ArgumentParser):
    """An `argparse.ArgumentParser` whose errors are `UserError`s."""

    def error(self, message: str) -> NoReturn:
        """Raise what argparse says as a sentence, with the nearest flag or value that there is.

        Raises:
          UserError: always.
        """
        flags = sorted(flag for action in self._actions for flag in action.option_strings if flag.startswith("--"))
        known = f"flags: {', '.join(flags)}; {self.prog} --help tells what they do"
        given = [word.partition("=")[0] for word in sys.argv[1:] if word.startswith("-")]
        if odd := next((flag for flag in given if not self._known(flag)), None):
            near = difflib.get_close_matches(odd, flags, n=1)
            raise UserError(f"{odd} is not a flag{f' (did you mean {near[0]}?)' if near else ''}; {known}.")
        if match := re.match(r"argument (\S+): invalid choice: '([^']*)'", message):
            names = match[1].split("/")
            allowed = next((a.choices or () for a in self._actions if set(names) & set(a.option_strings)), ())
            raise choices(match[1], match[2], map(str, allowed))
        if match := re.match(r"argument (\S+): expected one argument", message):
            raise UserError(f"{match[1]} needs a value; {known}.")
        if match := re.match(r"the following arguments are required: (.*)", message):
            raise UserError(f"{match[1]} must be given; {self.prog} --help tells what it is.")
        raise UserError(f"{message[:1].upper()}{message[1:]}; {known}.")

    def _print_message(self, message: str, file: Any = None) -> None:  # noqa: ARG002  (argparse's own)
        """Print help or a version; argparse would say nothing of what cannot be written."""
        tell(message.removesuffix("\n"))

    def _known(self, flag: str) -> bool:
        """Whether it is a flag, or the beginning of one."""
        every = [option for action in self._actions for option in action.option_strings]
        return flag in every or (flag.startswith("--") and any(option.startswith(flag) for option in every))
