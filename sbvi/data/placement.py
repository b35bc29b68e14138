"""Where arrays live: on one device, or over a mesh with the batch split and everything else on each.

With a mesh, JAX's compiler divides the program: every device works on its part of the batch, and gradients
are summed over devices. Numbers are those of one device up to the order of sums, since random numbers are a
function of the key and the place in the whole batch.
"""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from sbvi.config import UserError

AXIS = "batch"


@dataclass(frozen=True)
class Placement:
    """mesh: devices along one axis, or None for JAX's own single device."""

    mesh: Mesh | None = None

    @classmethod
    def over(cls, devices: int) -> "Placement":
        """The first devices of this process.

        Raises:
          UserError: there are fewer.
        """
        there = jax.devices()
        if devices > len(there):
            raise UserError(
                f"runtime.devices={devices} is more than there are: {len(there)} of kind {there[0].platform}."
            )
        return cls() if devices == 1 else cls(Mesh(np.array(there[:devices]), (AXIS,)))

    @property
    def devices(self) -> int:
        return 1 if self.mesh is None else self.mesh.devices.size

    def replicated(self, tree: Any) -> Any:
        """Arrays whole on every device; host arrays are sent there."""
        if self.mesh is None:
            return jax.device_put(tree)
        return jax.device_put(tree, NamedSharding(self.mesh, PartitionSpec()))

    def split(self, array: Any, axis: int) -> Any:
        """An array divided along one axis, whose extent the number of devices divides."""
        if self.mesh is None:
            return jax.device_put(array)
        return jax.device_put(array, NamedSharding(self.mesh, PartitionSpec(*[None] * axis, AXIS)))

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
