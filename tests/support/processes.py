"""Real sbvi processes: started, waited for, killed."""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from support import fork_server
from support.paths import ROOT

_PR_SET_CHILD_SUBREAPER = 36


class Forked(subprocess.Popen):
    """A process that the fork server makes; in all else a Popen, of which it fills in how a child comes to be."""

    def _execute_child(self, args, executable, preexec_fn, close_fds, pass_fds, cwd, env, startupinfo, creationflags,
                       shell, p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite, *rest):  # fmt: skip
        try:
            streams = [given if given != -1 else own for own, given in enumerate((p2cread, c2pwrite, errwrite))]
            self.pid = _server().fork(args[0], args[1:], str(cwd), dict(env), streams)
            self._child_created = True
        finally:
            self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)


class _Server:
    """The one fork server of this process; it ends with it."""

    def __init__(self):
        # The server's grandchildren become children of this process.
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.connection, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.environment = environment()
        with theirs:
            words = [sys.executable, fork_server.__file__, str(theirs.fileno())]
            # Nor may pyarrow, which pandas imports, start the thread of its allocator.
            alone = self.environment | {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
            self.process = subprocess.Popen(words, env=alone, pass_fds=[theirs.fileno()])
        assert self.connection.recv(10) == b"ready", "the fork server did not start"

    def end(self):
        self.connection.close()  # of which the server hears
        self.process.wait()

    def fork(self, name, words, cwd, env, streams):
        for key in self.environment.keys() | env.keys():
            if key.startswith(fork_server.FIXED) and self.environment.get(key) != env.get(key):
                raise ValueError(f"{key} is read when Python or a library starts; use start(..., fresh=True)")
        request = {"name": name, "words": words, "cwd": cwd, "env": env, "parent": os.getpid()}
        socket.send_fds(self.connection, [json.dumps(request).encode()], streams)
        return int(self.connection.recv(20))


_servers = []
_started = []


def _server():
    if not _servers:
        _servers.append(_Server())
    return _servers[0]


def environment(**changes):
    """This process's, with this source tree first and Hydra as users have it."""
    kept = {key: value for key, value in os.environ.items() if key != "HYDRA_FULL_ERROR"}
    return kept | {"PYTHONPATH": str(ROOT)} | changes


def start(*words, cwd, name="train", env=None, fresh=False, **streams):
    """A Popen of `sbvi-NAME WORDS`. `fresh`: by `python -m`, in an interpreter that has imported nothing.

    Without streams, both go to one pipe.
    """
    words, env = [str(word) for word in words], env or environment()
    streams = streams or {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    if fresh or sys.platform != "linux":
        words = [sys.executable, "-m", f"sbvi.cli.{name}", *words]
        process = subprocess.Popen(words, cwd=cwd, env=env, text=True, **streams)
    else:
        process = Forked([name, *words], cwd=Path(cwd), env=env, text=True, **streams)
    _started.append(process)
    return process


def end_all():
    """Kill what a test left running, when it failed or needed no more."""
    while _started:
        process = _started.pop()
        process.kill()  # nothing where it has ended
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def end_server():
    """No more commands will be started."""
    while _servers:
        _servers.pop().end()


def finish(process, timeout=300):
    """(exit code, what it printed)."""
    output = process.communicate(timeout=timeout)[0]
    return process.returncode, output


def run(*words, cwd, name="train", **options):
    """(exit code, what it printed)."""
    return finish(start(*words, cwd=cwd, name=name, **options))


def command(name, *words, cwd, timeout=300, **options):
    """Run `sbvi-NAME WORDS` to its end: exit code, and stdout and stderr apart."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = start(*words, cwd=cwd, name=name, **streams, **options)
    try:
        out, err = process.communicate(timeout=timeout)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return subprocess.CompletedProcess([name, *words], process.returncode, out, err)


def wait_until(seen, process=None, timeout=300, pause=0.01):
    """Wait for `seen()`; a process that ends before is an error."""
    deadline = time.monotonic() + timeout
    while not seen():
        assert process is None or process.poll() is None, f"it ended before: {finish(process)}"
        assert time.monotonic() < deadline
        time.sleep(pause)


def kill_when(process, seen, timeout=300, pause=0.0005):
    """SIGKILL at the first moment that `seen()` is true; False when the process ended before."""
    deadline = time.monotonic() + timeout
    while not seen():
        if process.poll() is not None:
            return False
        assert time.monotonic() < deadline
        time.sleep(pause)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return True
