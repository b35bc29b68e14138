"""A terminal of a given width, and what a person sees on its lines."""

import fcntl
import os
import pty
import re
import struct
import termios
import threading
from contextlib import contextmanager

#: Moves of the cursor and colours, which are no characters of a line.
_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class Terminal:
    """The stream of a command that thinks it is at a terminal; `states` are what its lines read, one after another."""

    def __init__(self, master, slave):
        self.stream, self.master, self.read = open(slave, "w"), master, b""  # noqa: SIM115
        self.thread = threading.Thread(target=self._listen)
        self.thread.start()

    def _listen(self):
        while True:
            try:
                piece = os.read(self.master, 65536)
            except OSError:  # nobody writes any more
                return
            if not piece:
                return
            self.read += piece

    def states(self):
        """Every state of a line that was not empty, to the end of what was written; the stream is closed."""
        self.stream.close()
        self.thread.join(60)
        text = _ESCAPES.sub("", self.read.decode())
        return [state.rstrip() for state in re.split(r"[\r\n]", text) if state.strip()]


@contextmanager
def terminal(columns):
    """A pseudo-terminal of so many columns."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    made = Terminal(master, slave)
    try:
        yield made
    finally:
        made.stream.close()
        made.thread.join(60)
        os.close(master)
