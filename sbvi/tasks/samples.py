"""Draws from a trained generative model, or the decoding of latents the user gives."""

from dataclasses import fields
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import NonNegativeInt, PositiveInt, Seed, UserError, spec
from sbvi.core.precision import jit_reported
from sbvi.data.tabular.columns import framed
from sbvi.evaluation.chains import summarise
from sbvi.evaluation.trust import law_reached
from sbvi.inference import gibbs
from sbvi.inference.geometric_mean import ancestral, resampled
from sbvi.models import require
from sbvi.models.capabilities import Bidirectional, Generative, LatentVariable
from sbvi.models.values import Samples
from sbvi.reporting.images import grid, shown
from sbvi.runs.loaded import LoadedRun
from sbvi.tasks.files import check_output, read_array, write_arrays
from sbvi.tasks.parameters import Parameters, with_parameters
from sbvi.tasks.tables import check_tables, named_by, write_frame
from sbvi.tasks.task import TaskResult

POOL = 100  # draws of p, of which resampling takes one
ROWS = 10  # of a table, that are shown


@spec
class SamplesTask:
    """x ~ p(x | z), z ~ p(z); or of a Helmholtz machine x ~ p*(x)."""

    num: PositiveInt = 100
    """Samples."""
    means: bool = True
    """E[x | xi] in place of draws, as papers show; of tables by column, and of models whose values of x depend on one
    another given the latents, always draws."""
    method: Literal["ancestral", "resampling", "gibbs", "gibbs_drop_qx"] = "ancestral"
    """From p; or from p* of a Helmholtz machine: by importance resampling, or by Gibbs chains that start at draws of
    p, the last named of which is cheaper and biased."""
    iterations: PositiveInt = 250
    """Sweeps of a Gibbs chain."""
    frames: NonNegativeInt = 0
    """Pictures of the chains on their way, evenly spaced, as an animation (GIF)."""
    parameters: Parameters | None = None
    """Of a run that keeps draws of its parameters: their mean, each of them in turn, or the newest; null for the run's
    best, which is the mean."""
    columns: PositiveInt = 10
    """Pictures in a row."""
    input: str | None = None
    """Latents (N, K) of one stochastic node to decode in place of draws from the prior (.npz, .npy, .csv, .tsv,
    .parquet)."""
    output: str | None = None
    """Where to write the samples (.npz; of a table by column its rows, with categories by their names: .csv, .tsv,
    .parquet), beside the arrays in the run's folder."""
    seed: Seed = 0
    """Seed of the draws."""

    def __post_init__(self) -> None:
        usual = next(field.default for field in fields(self) if field.name == "iterations")
        if "gibbs" not in self.method and self.iterations != usual:
            raise ValueError(
                f"iterations={self.iterations} has no use with method={self.method}, which has no chains; allowed: "
                f"method=gibbs or gibbs_drop_qx, or iterations={usual}"
            )

    @property
    def title(self) -> str:
        return "samples" if self.input is None else "samples-input"

    def run(self, run: LoadedRun) -> TaskResult:
        table = run.preprocessing.table
        if self.output is not None:
            check_output(self.output) if table is None else check_tables(self.output, [])
        if self.frames > self.iterations or (self.frames and "gibbs" not in self.method):
            raise UserError(
                f"task.frames={self.frames} with task.method={self.method}; allowed: up to "
                f"task.iterations={self.iterations}, with gibbs or gibbs_drop_qx."
            )
        average = self.parameters == "average"
        if average and (self.input is not None or self.method != "ancestral"):
            raise UserError("task.parameters=average needs task.method=ancestral, and no task.input.")
        if self.method == "ancestral" or self.input is not None:  # the others say themselves what they need
            require(run.model, Generative if self.input is None else LatentVariable, "task=samples")
        run = with_parameters(run, self.parameters)
        # Of values that depend on one another given the latents a mean is no x, and is known along a draw alone.
        depend = run.offers(LatentVariable) and not run.model.factorises()
        drawn = table is not None or depend  # a mean code is no category
        means = self.means and not drawn
        frames = np.zeros((0, self.num, 1), np.float32)
        scalars: dict[str, float] = {}
        if average:
            samples = run.averaged().sample(self.num, self.seed, means=means)
        elif self.input is None and self.method != "ancestral":
            draws, frames, scalars = self._geometric(run, means)
            samples = draws.reshape(-1, *run.event_shape)
        elif self.input is None:
            samples = run.sample(self.num, self.seed, means=means)
        elif not self.means and not drawn:
            raise UserError("task.means=false has no meaning with task.input, whose latents are decoded to means.")
        else:
            samples = run.decode(read_array(self.input), self.seed if drawn else None)
        if table is not None:
            rows = framed(table, samples)
            if self.output is not None:
                write_frame(Path(self.output), rows, named_by(table))
            return TaskResult(scalars, {"x": samples}, table=rows.head(ROWS).to_string(index=False))
        if self.output is not None:
            write_arrays(self.output, {"x": samples})
        pictures: dict[str, np.ndarray] = {}
        if (picture := self._picture(run, samples)) is not None:
            pictures[self.title] = picture
        moving = [self._picture(run, frame.reshape(samples.shape)) for frame in frames]
        animations = {self.title: np.stack([f for f in moving if f is not None])} if pictures and moving else {}
        scalars = {"samples/mean": float(samples.mean(dtype=np.float64))} | scalars
        return TaskResult(scalars, {"x": samples}, pictures, animations=animations)

    def _picture(self, run: LoadedRun, samples: np.ndarray) -> np.ndarray | None:
        images = shown(run.preprocessing.drawable(samples).reshape(len(samples), -1), run.event_shape)
        return None if images is None else grid(images, self.columns)

    def _geometric(self, run: LoadedRun, means: bool) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
        """Draws of p*, (num, D), and the chains on their way, (frames, num, D); and how far they can be trusted: of
        resampling the effective size of the pools of POOL draws of p that it chooses from, of chains R-hat."""
        model = require(run.model, Bidirectional, f"task.method={self.method}")
        settings = gibbs.Gibbs(x_step="drop_qx" if self.method == "gibbs_drop_qx" else "exact")

        def drawn(params: Any, key: jax.Array) -> tuple[Samples, Samples, dict[str, jax.Array]]:
            if self.method == "resampling":
                found = resampled(model, params, key, self.num, POOL)
                return found.x, Samples(found.x.mean[None][:0], found.x.value[None][:0]), {"pools": found.effective}
            first, second, third = jax.random.split(key, 3)
            begun = ancestral(model, params, first, self.num)
            state = gibbs.start(model, params, second, begun.x.value, begun.latents, settings)
            keys = jax.random.split(third, self.iterations)
            shown = max(self.frames, 1)
            every, extra = divmod(self.iterations, shown)

            def swept(state: gibbs.State, key: jax.Array) -> tuple[gibbs.State, dict[str, jax.Array]]:
                state = gibbs.sweep(model, params, key, state, settings)
                layers = {"x": state.x} | state.latents
                return state, {name: jnp.mean(values, 1) for name, values in layers.items()}

            def frame(state: gibbs.State, keys: jax.Array) -> tuple[gibbs.State, tuple[Samples, dict[str, jax.Array]]]:
                state, traces = jax.lax.scan(swept, state, keys)
                return state, (Samples(state.mean, state.x), traces)

            before: list[dict[str, jax.Array]] = []
            if extra:  # a program of its own, which takes seconds to compile
                state, traces = jax.lax.scan(swept, state, keys[:extra])
                before = [traces]
            last, (way, after) = jax.lax.scan(frame, state, keys[extra:].reshape(shown, every))
            flat = {name: trace.reshape(-1, self.num) for name, trace in after.items()}
            whole = {name: jnp.concatenate([part[name] for part in (*before, flat)]) for name in flat}
            return Samples(last.mean, last.x), jax.tree.map(lambda a: a[: self.frames], way), whole

        *parts, told = jax.device_get(jit_reported(drawn)(run.params, jax.random.key(self.seed)))
        last, way = (np.asarray(part.mean if means else part.value) for part in parts)
        if self.method == "resampling":
            return last, way, {"samples/effective_pool": float(np.mean(told["pools"]))}
        halves = {name: trace[len(trace) // 2 :].T for name, trace in told.items()}
        return last, way, law_reached("samples", [found.rhat for found in summarise(halves).values()])
