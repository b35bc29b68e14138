"""A process that has imported all that the commands need, and forks one process for each command.

A fresh interpreter spends seconds on imports before it does anything. Here they are paid once. Every command still
is a process: its own pid, signals, exit code, environment, folder and pipes, a child of the process that asked for
it, so that whoever asked waits for it as for any other. What it skips is the start alone; that is tested with fresh
interpreters, by `processes.start(..., fresh=True)`.

The server never starts JAX's backends and has one thread (its BLAS is told to): a fork is safe, and each command
reads XLA_FLAGS itself. Nor is a command's memory taken apart at its end, which copies most of what was forked: once
its functions for the end have run, it leaves.
What Python, JAX and Matplotlib read from the environment when they are imported is the server's (see FIXED).

Run as a script with the number of a socket; a message is a JSON object and the three standard streams.
"""

import array
import atexit
import contextlib
import ctypes
import gc
import importlib
import io
import json
import os
import pkgutil
import signal
import socket
import sys
import threading
import time
from types import ModuleType

#: Read at import: a command whose environment differs here needs an interpreter of its own.
FIXED = ("JAX_", "PYTHON", "MPL", "OMP_", "OPENBLAS_", "LD_")
MESSAGE_BYTES = 1 << 20

_PR_SET_PDEATHSIG = 1
_LATE = (
    "hydra.main",
    "hydra._internal.hydra",
    "hydra._internal.core_plugins.basic_launcher",
    "hydra._internal.core_plugins.basic_sweeper",
    "hydra._internal.logging_config",
    "jax.experimental.multihost_utils",
    "jaxlib.mlir.dialects.builtin",
    "jaxlib.mlir.dialects.mhlo",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_pdf",
    "matplotlib.figure",
    "omegaconf._impl",
    "fontTools.subset",
    "tensorboard.summary.writer.event_file_writer",
    "tqdm.contrib.logging",
    "PIL.PngImagePlugin",
    "sklearn.datasets",
    "threadpoolctl",
)
#: What a word has a command import besides, from packages that not all have: once, before the first that is told it.
_BY_WORD = {"search=optuna": "optuna.storages", "logger=mlflow": "mlflow"}


def dies_with_parent():
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def preload():
    """Import sbvi, and what it imports late."""
    import config_files  # beside this script
    import lowering

    import sbvi

    config_files.read_once()
    lowering.share_contexts()
    for module in pkgutil.walk_packages(sbvi.__path__, "sbvi."):
        importlib.import_module(module.name)
    for name in _LATE:
        importlib.import_module(name)
    # What their first use reads and keeps: the configs' grammar and plugins, and Matplotlib's fonts.
    sbvi.Experiment.from_overrides(["dataset=synthetic", "trainer.steps=1"])
    figure = importlib.import_module("sbvi.reporting.figures").new_figure()
    figure.add_subplot().set_title("any")
    for kind in ("png", "pdf"):
        figure.savefig(io.BytesIO(), format=kind)


def preload_for(words):
    """Import what these words ask for, where it is installed; it starts no thread."""
    for word in _BY_WORD.keys() & set(words):
        with contextlib.suppress(ImportError):
            importlib.import_module(_BY_WORD.pop(word))
        gc.freeze()
        assert _one_thread()


def _one_thread():
    return threading.active_count() == len(os.listdir("/proc/self/task")) == 1


def receive(connection):
    """(request, its streams), or None when nobody is there any more."""
    size = array.array("i").itemsize
    content, ancillary, _, _ = connection.recvmsg(MESSAGE_BYTES, socket.CMSG_LEN(3 * size))
    if not content:
        return None
    streams = array.array("i")
    for _, _, data in ancillary:
        streams.frombytes(data)
    return json.loads(content), list(streams)


def serve(connection):
    """Fork for every request. Returns the request in each forked process, and None in the server at its end."""
    from jax._src import xla_bridge  # there is no public way to ask

    assert not xla_bridge.backends_are_initialized()
    assert _one_thread()
    while (asked := receive(connection)) is not None:
        request, streams = asked
        preload_for(request["words"])
        result, answer = os.pipe()
        between = os.fork()
        if between == 0:
            # The one in between leaves at once, so that the command becomes a child of who asked (a subreaper).
            between = os.getpid()
            if command := os.fork():
                os.write(answer, b"%d" % command)
                os._exit(0)
            while os.getppid() == between:
                time.sleep(0.0005)
            dies_with_parent()
            if os.getppid() != request["parent"]:
                os._exit(1)
            os.close(result)
            os.close(answer)
            connection.close()
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
                os.close(stream)
            return request
        os.close(answer)
        os.waitpid(between, 0)
        connection.send(os.read(result, 20))
        os.close(result)
        for stream in streams:
            os.close(stream)
    return None


def become(request):
    """Be the process that a shell would have started."""
    import numpy as np
    import threadpoolctl

    np.random.seed()  # noqa: NPY002  (the global generator was copied; a fresh process has one of its own)
    threadpoolctl.threadpool_limits(len(os.sched_getaffinity(0)), "blas")
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    script = os.path.join(os.path.dirname(sys.executable), f"sbvi-{request['name']}")
    sys.argv = [script, *request["words"]]
    sys.path[0] = os.path.dirname(script)  # as for an installed script
    sys.modules["__main__"] = ModuleType("__main__")


class _End:
    """The last of a process's functions for its end: leaves with the command's exit code, where that is known."""

    code = None

    def __call__(self):
        if self.code is not None:
            try:
                sys.stdout.flush()
                sys.stderr.flush()
            except OSError:  # nobody reads any more: Python has its own way with that
                return
            os._exit(self.code)


def main():
    end = _End()
    atexit.register(end)  # before all others, and so called after them
    dies_with_parent()
    connection = socket.socket(fileno=int(sys.argv[1]))
    preload()
    gc.freeze()  # what is there stays there: no command's collector need look at it
    connection.send(b"ready")
    request = serve(connection)
    if request is not None:
        become(request)
        # The command ends as Python ends, by its exit code, exception or signal.
        try:
            importlib.import_module(f"sbvi.cli.{request['name']}").main()
            end.code = 0
        except SystemExit as ended:
            end.code = ended.code if isinstance(ended.code, int) else None
            raise


if __name__ == "__main__":
    main()
