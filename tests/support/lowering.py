"""One MLIR context for many programs, and in it one lowering of each operation.

JAX makes a context for every program that it lowers, and to register its dialects there takes longer (3 to 4 ms) than
to lower a small program does; a test run lowers many thousands of them. What a context holds is the types and constants
of its programs, each once: they are no others for having been used before. Threads have their own, since JAX's contexts
serve one at a time.

Within a program JAX lowers an operation once for its types and parameters, as a function that it copies to each place.
To make these functions took a quarter of a test's time; here the programs of one context share those that stand alone.
For that an inner program (of a jitted function within another, or of a loop's body) is lowered where it is called,
not as a function of its own, which only its program would have; XLA would bring it there anyway.
"""

import re
import threading

from jax._src import config, core, pjit  # there is no public way to do this
from jax._src.interpreters import mlir
from jax._src.random import threefry2x32
from jax._src.sharding_impls import ShardingContext, UnspecifiedValue

#: Programs of one context, whose constants live as long as it does.
PROGRAMS = 1000


#: Operations that may name a function, a channel or a mesh: calls, what devices tell one another, other dialects'.
MAY_NAME = re.compile(r".*(call|all_|collective|scatter|send|recv|feed)|(?!(stablehlo|chlo)\.|func\.(func|return)$)")


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
    mlir.register_lowering(pjit.jit_p, _where_called("jaxpr", pjit._pjit_lowering))
    mlir.register_lowering(core.closed_call_p, _where_called("call_jaxpr", mlir._lowerings[core.closed_call_p].rule))
    # On a CPU the one for every platform is not used, but says that the CPU's has to be a function of its own, too.
    mlir.register_lowering(threefry2x32.threefry2x32_p, threefry2x32._threefry2x32_lowering_rule)


def _stands_alone(entry):
    """Whether it names nothing of its program: no other function, channel or mesh, nor a constant that it is passed."""
    if not entry.inline or entry.const_args:
        return False
    operation = entry.func.operation
    if not any(MAY_NAME.match(name) for name in _names(operation)):
        return True
    text = str(operation)  # takes several times as long
    return text.count("@") == 1 and "channel" not in text and "sdy." not in text  # the one name is its own


def _names(operation):
    """Of the operations within it, itself among them."""
    found = set()

    def met(each):
        found.add(each.name)
        return mlir.ir.WalkResult.ADVANCE

    operation.walk(met)
    return found


def _where_called(name, as_function):
    """A rule for a call of the inner program of this name, where it is a plain one."""

    def rule(ctx, *args, **params):
        inner = params[name]
        places = [place for key, all_ in params.items() if key.endswith(("_shardings", "_layouts")) for place in all_]
        placed = not all(place is None or isinstance(place, UnspecifiedValue) for place in places)
        if placed or inner.effects or inner.consts or core.jaxpr_const_args(inner.jaxpr):
            return as_function(ctx, *args, **params)
        out, tokens = mlir.jaxpr_subcomp(
            ctx.module_context,
            inner.jaxpr,
            ctx.name_stack,
            ctx.tokens_in,
            (),
            *args,
            dim_var_values=ctx.dim_var_values,
            const_lowering=ctx.const_lowering,
            outer_traceback=None,
        )
        ctx.set_tokens_out(tokens)
        return out

    return rule
