"""Annealed importance sampling on a trained run, and the bracket that checks it."""

from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import PositiveInt, Seed, UserError, spec
from sbvi.core.precision import full_precision
from sbvi.core.watch import counted
from sbvi.evaluation.standard_error import standard_error
from sbvi.evaluation.trust import weights_shared
from sbvi.inference.annealed import Annealed, Latents, annealed
from sbvi.models import require
from sbvi.models.capabilities import LatentVariable, PosteriorDensity
from sbvi.runs.loaded import LoadedRun
from sbvi.tasks.data import OWN, chosen, scored
from sbvi.tasks.files import check_output, write_arrays
from sbvi.tasks.task import TaskResult

BATCH = 50
DEFAULT = 100  # examples of a split


@spec
class AnnealedTask:
    """log p(x) by annealed importance sampling with Hamiltonian transitions.

    On `split: dreams`, data drawn from the model itself, backward chains from the true latents bound it
    from above too, so that the gap tells how far off the forward chains can be.
    """

    split: Literal["train", "validation", "test", "dreams"] = "test"
    """Which part of the data, or draws of the model."""
    examples: PositiveInt | None = None
    """Examples, evenly spaced over the split, of the user's own data the first rows, or draws; null for 100, and for
    the whole of the user's own data."""
    chains: PositiveInt = 16
    """Chains for each example; backward ones are single."""
    temperatures: PositiveInt = 1000
    """Steps from the base to the posterior."""
    leapfrog_steps: PositiveInt = 10
    """Leapfrog steps in each transition."""
    base: Literal["prior", "posterior"] = "prior"
    """Where chains start: the prior, or the recognition model."""
    input: str | None = None
    """The user's own data (.npz, .npy, .csv, .tsv, .parquet) in place of the run's."""
    output: str | None = None
    """Where to write per-example values (.npz), beside the copy in the run's folder."""
    seed: Seed = 1
    """Seed of dreams and chains."""

    @property
    def title(self) -> str:
        return f"annealed-{OWN if self.input is not None else self.split}"

    def run(self, run: LoadedRun) -> TaskResult:
        if self.output is not None:
            check_output(self.output)
        needed = [LatentVariable] if self.base == "prior" else [LatentVariable, PosteriorDensity]
        for capability in needed:
            require(run.model, capability, "task=annealed")
        if not run.experiment.model.moves_latents:
            raise UserError(
                "task=annealed moves latents along gradients, and this model has discrete ones; use task=likelihood."
            )
        key = jax.random.key(self.seed)
        exact: Latents | None = None
        if self.split == "dreams" and self.input is None:
            exact, drawn = run.model.sample_joint(run.params, jax.random.fold_in(key, 0), self.examples or DEFAULT)
            x = np.asarray(drawn.value, np.float32)
        else:
            dataset, split = chosen(run, self.split, self.examples, self.input, DEFAULT)
            x = np.asarray(scored(dataset, split, jax.random.fold_in(key, 0)))
        forward = self._all(run, jax.random.fold_in(key, 1), x, None)
        where = OWN if self.input is not None else self.split
        weights_shared(where, np.asarray(forward.effective), self.chains)
        arrays = {"nll": -np.asarray(forward.log_likelihood), "effective_samples": np.asarray(forward.effective)}
        scalars = {
            f"{where}/nll": float(np.mean(arrays["nll"], dtype=np.float64)),
            f"{where}/nll_stderr": standard_error(arrays["nll"]),
            f"{where}/effective_samples": float(np.mean(forward.effective)),
            f"{where}/accepted": float(np.mean(forward.accepted)),
        }
        if exact is not None:
            above = np.asarray(self._all(run, jax.random.fold_in(key, 2), x, exact).log_likelihood)
            gap = above + arrays["nll"]
            arrays["nll_lower"] = -above
            scalars |= {
                f"{where}/nll_lower": float(np.mean(-above, dtype=np.float64)),
                f"{where}/gap": float(np.mean(gap, dtype=np.float64)),
                f"{where}/gap_stderr": standard_error(gap),
            }
        if self.output is not None:
            write_arrays(self.output, arrays)
        return TaskResult(scalars, arrays)

    def _all(self, run: LoadedRun, key: jax.Array, x: np.ndarray, exact: Latents | None) -> Annealed:
        chains = self.chains if exact is None else 1

        @jax.jit
        def one(params: Any, key: jax.Array, x: jax.Array, exact: Latents | None) -> Annealed:
            return annealed(run.model, params, key, x, chains, self.temperatures, self.leapfrog_steps, self.base, exact)

        parts = []
        for start in counted("annealed", range(0, len(x), BATCH)):
            rows = slice(start, start + BATCH)
            own = None if exact is None else {n: v[rows] for n, v in exact.items()}
            with full_precision():
                part = one(run.params, jax.random.fold_in(key, start), jnp.asarray(x[rows]), own)
            parts.append(jax.device_get(part))
        return Annealed(*(np.concatenate(values) for values in zip(*parts, strict=True)))  # type: ignore[arg-type]
