"""One MLIR context for many programs.

JAX makes a context for every program that it lowers, and to register its dialects there takes longer (3 to 4 ms) than
to lower a small program does; a test run lowers many thousands of them. What a context holds is the types and constants
of its programs, each once: they are no others for having been used before. Threads have their own, since JAX's contexts
serve one at a time.
"""

import threading

from jax._src.interpreters import mlir  # there is no public way to do this

#: Programs of one context, whose constants live as long as it does.
PROGRAMS = 200


def share_contexts():
    """In this process, until it ends."""
    make, own = mlir.make_ir_context, threading.local()

    def shared():
        used = own.__dict__.setdefault("used", [])
        if not used or len(used) >= PROGRAMS:
            used[:] = [make()]
        else:
            used.append(used[0])
        return used[0]

    mlir.make_ir_context = shared
