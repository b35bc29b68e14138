"""One MLIR context for many programs, and in it one lowering of each operation.

JAX makes a context for every program that it lowers, and to register its dialects there takes longer (3 to 4 ms) than
to lower a small program does; a test run lowers many thousands of them. What a context holds is the types and constants
of its programs, each once: they are no others for having been used before. Threads have their own, since JAX's contexts
serve one at a time.

Within a program JAX lowers an operation once for its types and parameters, as a function that it copies to each place.
To make these functions took a quarter of a test's time; here the programs of one context share those that stand alone.
"""

import threading

from jax._src import config  # there is no public way to do this
from jax._src.interpreters import mlir
from jax._src.sharding_impls import ShardingContext

#: Programs of one context, whose constants live as long as it does.
PROGRAMS = 1000


def share_contexts():
    """In this process, until it ends."""
    make, lower, own = mlir.make_ir_context, mlir._cached_lowering_miss, threading.local()

    def shared():
        used = own.__dict__.setdefault("used", [])
        if not used or len(used) >= PROGRAMS:
            used[:] = [make()]
            own.functions = {}
        else:
            used.append(used[0])
        return used[0]

    def lowered(ctx, eqn, cache_key, avals_in, **params):
        # Neither mapped over devices by hand nor exported: there the key says all that a lowering depends on.
        plain = isinstance(ctx.axis_context, ShardingContext) and not ctx.lowering_parameters.for_export
        if not plain or ctx.context is not own.__dict__.get("used", [None])[0]:
            return lower(ctx, eqn, cache_key, avals_in, **params)
        key = (cache_key, ctx.axis_context, config.enable_x64.value)
        if (found := own.functions.get(key)) is None:
            found = lower(ctx, eqn, cache_key, avals_in, **params)
            if _stands_alone(found):
                own.functions[key] = found
        ctx.lowering_cache[cache_key] = found
        return found

    mlir.make_ir_context = shared
    mlir._cached_lowering_miss = lowered


def _stands_alone(entry):
    """Whether it names nothing of its program: no other function, channel or mesh, nor a constant that it is passed."""
    if not entry.inline or entry.const_args:
        return False
    text = str(entry.func.operation)
    return text.count("@") == 1 and "channel" not in text and "sdy." not in text  # the one name is its own
