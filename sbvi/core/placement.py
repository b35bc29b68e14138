"""Where arrays live: on one device, or over a mesh with the batch split and everything else on each.

With a mesh, JAX's compiler divides the program: every device works on its part of the batch, and gradients
are summed over devices. Numbers are those of one device up to the order of sums, since random numbers are a
function of the key and the place in the whole batch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from sbvi.core import UserError
from sbvi.core.processes import several

Array = jax.Array
AXIS = "batch"


@dataclass(frozen=True)
class Placement:
    """mesh: devices along one axis, or None for JAX's own single device."""

    mesh: Mesh | None = None

    @classmethod
    def over(cls, devices: int) -> "Placement":
        """The first devices there are, of all processes.

        Raises:
          UserError: there are fewer, or a process would have none of them.
        """
        there = jax.devices()
        if several() and devices != len(there):
            raise UserError(
                f"runtime.devices={devices} leaves devices of some process out: a run of several processes takes all "
                f"{len(there)}; set runtime.devices=all."
            )
        if devices > len(there):
            raise UserError(
                f"runtime.devices={devices} is more than there are: {len(there)} of kind {there[0].platform}."
            )
        return cls() if devices == 1 else cls(Mesh(np.array(there[:devices]), (AXIS,)))

    @property
    def devices(self) -> int:
        return 1 if self.mesh is None else self.mesh.devices.size

    def replicated(self, tree: Any) -> Any:
        """Arrays whole on every device; host arrays, the same in all processes, are sent there."""
        return self._put(tree, PartitionSpec())

    def split(self, array: Any, axis: int) -> Any:
        """An array divided along one axis, whose extent the number of devices divides."""
        return self._put(array, PartitionSpec(*[None] * axis, AXIS))

    def made(self, shape: tuple[int, ...], axis: int, rows: Callable[[Any], np.ndarray]) -> Any:
        """An array divided along one axis; `rows` makes the part at an index, and is asked for this process's only."""
        if self.mesh is None:
            return jax.device_put(rows(tuple(slice(None) for _ in shape[:2])))
        sharding = NamedSharding(self.mesh, PartitionSpec(*[None] * axis, AXIS))
        return jax.make_array_from_callback(shape, sharding, lambda index: rows((index or ())[:2]))

    def _put(self, tree: Any, spec: PartitionSpec) -> Any:
        if self.mesh is None:
            return jax.device_put(tree)
        sharding = NamedSharding(self.mesh, spec)
        if not several():
            return jax.device_put(tree, sharding)

        def one(value: Any) -> Any:
            if isinstance(value, jax.Array) and value.sharding.device_set == sharding.device_set:
                return value
            if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
                return jax.random.wrap_key_data(one(jax.random.key_data(value)), impl=jax.random.key_impl(value))
            host = np.asarray(value)
            return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])

        return jax.tree.map(one, tree)

    def hold_split(self, array: Any) -> Any:
        """Traced: keep the first axis divided."""
        if self.mesh is None:
            return array
        return jax.lax.with_sharding_constraint(array, NamedSharding(self.mesh, PartitionSpec(AXIS)))

    def hold_replicated(self, tree: Any) -> Any:
        """Traced: keep arrays whole on every device."""
        if self.mesh is None:
            return tree
        return jax.lax.with_sharding_constraint(tree, NamedSharding(self.mesh, PartitionSpec()))

    def by_parts(self, function: Callable[[Any, Array], Any]) -> Callable[[Any, Array], Any]:
        """Traced: (tree, (B, ...)) -> pytree of (B, ...), by every device on its own part of B, and no word between
        them. Left to itself the compiler divides sorts and gathers by collectives, whose programs on many host devices
        of few cores wait for one another for ever."""
        if self.mesh is None:
            return function
        ends = PartitionSpec(AXIS)
        return jax.shard_map(
            function, mesh=self.mesh, in_specs=(PartitionSpec(), ends), out_specs=ends, check_vma=False
        )

    def check(self, batch_size: int, key: str) -> None:
        """Refuse a batch that does not divide.

        Raises:
          UserError: with the nearest sizes that would.
        """
        rest = batch_size % self.devices
        if rest:
            below, above = batch_size - rest, batch_size - rest + self.devices
            near = f"{below} or {above}" if below else str(above)
            raise UserError(f"{key}={batch_size} does not divide over {self.devices} devices; {near} would.")


SINGLE = Placement()
