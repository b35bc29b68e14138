"""What is missing, from what is there: imputation by a loaded run, and recovery through its generative network."""

import numbers
from abc import abstractmethod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import UserError, at_least_one, seed_of
from sbvi.core.errors import COUNTED
from sbvi.data.checks import not_there, numeric
from sbvi.evaluation.trust import chains_met, enough_kept
from sbvi.inference import convergence
from sbvi.inference.imputation import by_chain, directions, exact, impute, without_chain
from sbvi.inference.ml_vamp.recovery import Recovery, recover
from sbvi.inference.ml_vamp.sensing import entries, fits, network_of, projections
from sbvi.models.capabilities import Layered
from sbvi.runs.parts.part import BATCH, Part


class Completion(Part):
    """What `LoadedRun` offers of it. Data is (N, *event_shape) or (N, D), in the units of the run's data set."""

    data: dict[str, Any]

    @abstractmethod
    def check_possible(self, inputs: np.ndarray, observed: np.ndarray, where: str = "x") -> None: ...

    def impute(
        self, x: np.ndarray, iterations: int = 100, warmup: int = 20, seed: int = 1, chains: int = 4
    ) -> np.ndarray:
        """x with NaN where a value is missing, filled with conditional means: exact ones where the model knows them,
        else by exact chains, or by populations of particles where it has these, of which it is said when they have not
        met; same shape.

        Raises:
          UserError: the model gives what is not NaN probability 0.
        """
        iterations, chains = at_least_one(iterations, "iterations", COUNTED), at_least_one(chains, "chains")
        if not isinstance(warmup, numbers.Integral) or not 0 <= warmup < iterations:
            raise UserError(
                f"warmup={warmup!r} must be a whole number, at least 0 and less than iterations={iterations}."
            )
        key = jax.random.key(seed_of(seed))
        if self.preprocessing.table is not None:
            raise UserError("This run is of a table by column; its gaps are filled by fill_table(frame).")
        x = self.preprocessing.arranged(x)
        missing = not_there(x)
        values = np.asarray(x)
        known = self.preprocessing.to_model(values, "x", missing)
        self.check_possible(known, ~missing)
        count = 1 if exact(self.model) else chains
        told = not exact(self.model) and enough_kept("impute()", iterations - warmup)

        def chained(params: Any, key: jax.Array, part: jax.Array, m: jax.Array) -> tuple[jax.Array, jax.Array | None]:
            imputation = impute(
                self.model, params, key, jnp.tile(part, (count, 1)), jnp.tile(m, (count, 1)), iterations, warmup
            )
            mean = jnp.mean(by_chain(imputation.means, count)[:, warmup:], (0, 1))
            return jnp.where(m, mean, part), directions(self.model, imputation, m, count, warmup) if told else None

        chain = self._jitted(("impute", iterations, warmup, count), chained)

        def filled(part: tuple[jax.Array, jax.Array], position: int) -> tuple[jax.Array, np.ndarray]:
            means, along = chain(self.params, jax.random.fold_in(key, position), *part)
            return means, np.ones(len(means)) if along is None else convergence.rhat(along).max(-1)

        completed, rhats = self._batches(filled, (known, missing), max(1, BATCH // count))  # rows of all chains
        chains_met("impute()", rhats, without_chain(self.model))
        return self.preprocessing.filled(completed, missing, values.reshape(completed.shape)).reshape(values.shape)

    def recover(
        self,
        y: np.ndarray,
        operator: np.ndarray | None = None,
        noise: float = 0.1,
        method: str = "ml_vamp",
        seed: int = 1,
    ) -> Recovery:
        """Latents and data, with variances, from a part of the data or from projections of it, as the model sees data.

        Args:
          y: data with NaN where a value is missing; with an operator, (N, m): y = A x + N(0, noise^2 I).
          operator: A, (m, D), of x as the model sees it.
          noise: standard deviation, on values that are not bits.
          method: ml_vamp, ml_vamp_map, gradient, langevin or hamiltonian.
        """
        seed = seed_of(seed)
        if not isinstance(noise, numbers.Real) or not 0 < noise < np.inf:
            raise UserError(f"noise={noise!r} must be a number above 0.")
        network = network_of(self._able(Layered, "recover").layers(self.params))
        binary = bool(self.data["binary"])
        fits(network, int(np.prod(self.event_shape)))
        values = numeric(y if operator is not None else self.preprocessing.arranged(y, "y"), "y")
        if operator is not None:
            operator = numeric(operator, "operator")
            return recover(projections(network, values, operator, binary, noise), method, seed)
        missing = not_there(values)
        known = self.preprocessing.to_model(values, "y", missing)
        return recover(entries(network, known, missing.reshape(known.shape), binary, noise), method, seed)
