"""Draws from a trained generative model, or the decoding of latents the user gives."""

import numpy as np

from sbvi.core import NonNegativeInt, PositiveInt, UserError, spec
from sbvi.reporting.images import grid, shown
from sbvi.runs.loaded import LoadedRun
from sbvi.tasks.files import check_output, read_array, write_arrays
from sbvi.tasks.task import TaskResult


@spec
class SamplesTask:
    """x ~ p(x | xi), xi ~ N(0, I)."""

    num: PositiveInt = 100
    """Samples."""
    means: bool = True
    """E[x | xi] in place of draws, as papers show."""
    columns: PositiveInt = 10
    """Pictures in a row."""
    input: str | None = None
    """Latents (N, K) of one stochastic node to decode in place of draws from the prior (.npz, .npy, .csv, .tsv,
    .parquet)."""
    output: str | None = None
    """Where to write the samples (.npz), beside the copy in the run's folder."""
    seed: NonNegativeInt = 0
    """Seed of the draws."""

    @property
    def title(self) -> str:
        return "samples" if self.input is None else "samples-input"

    def run(self, run: LoadedRun) -> TaskResult:
        if self.output is not None:
            check_output(self.output)
        if self.input is None:
            samples = run.sample(self.num, self.seed, means=self.means)
        elif not self.means:
            raise UserError("task.means=false has no meaning with task.input, whose latents are decoded to means.")
        else:
            samples = run.decode(read_array(self.input))
        if self.output is not None:
            write_arrays(self.output, {"x": samples})
        pictures: dict[str, np.ndarray] = {}
        images = shown(run.preprocessing.drawable(samples).reshape(len(samples), -1), run.event_shape)
        if images is not None:
            pictures[self.title] = grid(images, self.columns)
        return TaskResult({"samples/mean": float(samples.mean(dtype=np.float64))}, {"x": samples}, pictures)
