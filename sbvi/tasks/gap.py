"""Where a run's bound loses: to its posterior's family, or to the network that reads it off x."""

import logging
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import Positive, PositiveInt, Seed, UserError, spec
from sbvi.core.precision import jit_reported
from sbvi.evaluation.inference_gap import FAR, Gaps, inference_gaps
from sbvi.evaluation.standard_error import standard_error
from sbvi.evaluation.trust import SHARE, trust
from sbvi.models import require
from sbvi.models.capabilities import LatentVariable, PosteriorDensity
from sbvi.reporting.tables import text_table
from sbvi.runs.loaded import LoadedRun
from sbvi.tasks.data import chosen, scored
from sbvi.tasks.task import TaskResult

log = logging.getLogger(__name__)

BATCH = 50
NOISE = 1  # the key's part of dequantised values; batches take 0, 50, ..
NATS = ("log_likelihood", "amortised", "optimal", "amortisation", "approximation")


@spec
class GapTask:
    """The gap between the bound and log p(x), split into approximation and amortisation, in nats.

    Of flows and chains whose weights examples share, contexts and messages move and these weights stay, so that the
    approximation gap includes what the network loses through them.
    """

    split: Literal["train", "validation", "test"] = "test"
    """Which part of the data."""
    examples: PositiveInt = 100
    """Examples, evenly spaced over the split."""
    steps: PositiveInt = 500
    """Steps of Adam on what is an example's own of its posterior; weights that examples share stay."""
    samples: PositiveInt = 10
    """Draws of each step."""
    learning_rate: Positive = 0.01
    """Learning rate at the start; a cosine takes it to zero."""
    num_samples: PositiveInt = 2000
    """Draws behind bounds and log p(x), at least 2."""
    seed: Seed = 1
    """Seed of the draws."""

    def __post_init__(self) -> None:
        if self.num_samples < 2:
            raise ValueError(
                f"num_samples={self.num_samples} gives log p(x) and the best bound one value; allowed: 2 or more"
            )

    @property
    def title(self) -> str:
        return f"gap-{self.split}"

    def run(self, run: LoadedRun) -> TaskResult:
        for capability in (LatentVariable, PosteriorDensity):
            require(run.model, capability, "task=gap")
        if not run.experiment.model.moves_latents:
            raise UserError("task=gap moves posteriors along gradients, and this model's latents are discrete.")
        key = jax.random.key(self.seed)
        dataset, split = chosen(run, self.split, self.examples, None)
        x = np.asarray(scored(dataset, split, jax.random.fold_in(key, NOISE)))
        settings = (self.steps, self.samples, self.learning_rate, self.num_samples)
        compiled = jit_reported(partial(_gaps, run, settings))
        parts = []
        for start in range(0, len(x), BATCH):
            part = x[start : start + BATCH]
            padded = np.concatenate([part, np.repeat(part[:1], BATCH - len(part), 0)])
            gaps = jax.device_get(compiled(run.params, jax.random.fold_in(key, start), jnp.asarray(padded)))
            parts.append(jax.tree.map(lambda values, size=len(part): values[:size], gaps))
        gaps = jax.tree.map(lambda *values: np.concatenate(values), *parts)
        nats = {name: getattr(gaps, name) for name in NATS}
        scalars = {f"gap/{name}": float(np.mean(values, dtype=np.float64)) for name, values in nats.items()}
        scalars |= {f"gap/{name}_stderr": standard_error(values) for name, values in nats.items()}
        scalars["gap/effective_samples"] = float(np.mean(gaps.effective))
        arrays = {**nats, "effective_samples": np.asarray(gaps.effective)}
        if gaps.khat is not None:  # of samples enough for one
            arrays["khat"] = np.asarray(gaps.khat)
        scalars |= trust("gap", arrays, run.experiment.model.moves_latents)
        scalars["gap/still_moving"] = float(np.mean(~(gaps.travelled < FAR)))
        if scalars["gap/still_moving"] > SHARE:
            log.warning(
                "gap: the best q of %.0f %% of the examples was likely still on its way when the steps ended, so that "
                "their approximation gaps are too large and log p(x) too low; raise task.steps (%d) or "
                "task.learning_rate (%g).",
                100 * scalars["gap/still_moving"], self.steps, self.learning_rate,
            )  # fmt: skip
        rows = [(name, f"{scalars[f'gap/{name}']:.3f}", f"{scalars[f'gap/{name}_stderr']:.3f}") for name in NATS]
        return TaskResult(scalars, arrays, {}, text_table(("nats", "mean", "standard error"), rows))


def _gaps(run: LoadedRun, settings: tuple[int, int, float, int], params: object, key: jax.Array, x: jax.Array) -> Gaps:
    return inference_gaps(run.model, params, key, x, *settings)
