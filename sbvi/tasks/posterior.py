"""The true posterior of a model with two latents beside the recognition model's (PAPER 4.1, figure 2)."""

from typing import Literal

import jax
import numpy as np

from sbvi.core import Positive, PositiveInt, spec
from sbvi.evaluation.batched import batched
from sbvi.evaluation.divergences import divergences
from sbvi.evaluation.posterior_grid import GridPosterior, posterior_on_grid
from sbvi.evaluation.quadrature import Quadrature
from sbvi.evaluation.standard_error import standard_error
from sbvi.reporting.figures import Figure, new_figure
from sbvi.reporting.images import shown
from sbvi.runs.loaded import LoadedRun
from sbvi.tasks.data import OWN, chosen
from sbvi.tasks.files import check_output, write_arrays
from sbvi.tasks.task import TaskResult

DEFAULT = 200  # examples of a split
FEWEST = 3  # points of an axis, of which one is inside
QUARTILES = {"lower_quartile": 25, "median": 50, "upper_quartile": 75}


@spec
class PosteriorTask:
    """p(xi | x) by quadrature, q(xi | x), and the KLs between them; and log p(x), the logarithm of the evidence."""

    split: Literal["train", "validation", "test"] = "test"
    """Which part of the data."""
    examples: PositiveInt | None = None
    """Examples, evenly spaced over the split, of the user's own data the first rows; null for 200, and for the whole of
    the user's own data."""
    points: PositiveInt = 200
    """Points of the drawn grids on each axis."""
    extent: Positive = 5.0
    """The first drawn grid spans [-extent, extent] in both latents; doubled, six times at most, while the posterior
    reaches its edge."""
    drawn: PositiveInt = 8
    """Greatest number of examples in the picture, whose grids are kept."""
    input: str | None = None
    """The user's own data (.npz, .npy, .csv, .tsv, .parquet) in place of the run's."""
    output: str | None = None
    """Where to write the grids and KLs (.npz), beside the copy in the run's folder."""

    def __post_init__(self) -> None:
        if self.points < FEWEST:
            raise ValueError(f"points={self.points} is no grid; allowed: {FEWEST} or more")

    @property
    def title(self) -> str:
        return f"posterior-{OWN if self.input is not None else self.split}"

    def run(self, run: LoadedRun) -> TaskResult:
        if self.output is not None:
            check_output(self.output)
        dataset, split = chosen(run, self.split, self.examples, self.input, DEFAULT)
        settings = run.experiment.evaluation
        work = Quadrature(run.model, dataset, further=divergences(run.model))
        batches, key = batched(dataset, split, settings.batch_size), jax.random.key(settings.seed)
        scores = work(run.params, key, batches)
        names = ("kl", "reverse_kl")
        arrays = {name: scores[name] for name in (*names, *(f"{name}_error" for name in names), "error")}
        arrays["log_evidence"] = scores["log_likelihood"]
        x = np.asarray(work.inputs(run.params, key, batches))[: self.drawn]
        pairs = posterior_on_grid(run.model, run.params, x, self.points, self.extent)
        for name in ("horizontal", "vertical", "true", "approximate", "mean", "covariance"):
            arrays[name] = np.stack([getattr(close, name) for _, close in pairs])
        if self.output is not None:
            write_arrays(self.output, arrays)
        # KLs of examples that q misses are large without bound, and would be all that a mean tells.
        scalars = {
            f"posterior/{name}_{part}": float(np.percentile(arrays[name], share))
            for name in names
            for part, share in QUARTILES.items()
        }
        scalars |= {f"posterior/{name}_error": float(arrays[f"{name}_error"].max()) for name in names}
        scalars["posterior/log_evidence"] = float(arrays["log_evidence"].mean(dtype=np.float64))
        if not np.isnan(error := standard_error(arrays["log_evidence"])):  # of a single example
            scalars["posterior/log_evidence_stderr"] = error
        scalars["posterior/quadrature_error"] = float(arrays["error"].max())
        images = shown(x, run.event_shape)
        return TaskResult(
            scalars, arrays, {self.title: _draw(pairs, images, scores["kl"])}, about={"examples": len(scores["kl"])}
        )


def _draw(pairs: list[tuple[GridPosterior, GridPosterior]], images: np.ndarray | None, kl: np.ndarray) -> Figure:
    """A row for each example: the image, the whole plane with the prior, and the closer look with q."""
    first = int(images is not None)
    figure = new_figure(3 * (2 + first), 2.8 * len(pairs))
    panels = np.asarray(figure.subplots(len(pairs), 2 + first, squeeze=False))
    levels = np.exp(-0.5 * np.array([3.0, 2.0, 1.0]) ** 2)  # of a Gaussian at one, two and three deviations
    for row, (whole, close) in enumerate(pairs):
        if images is not None:
            panels[row, 0].imshow(images[row], cmap="gray", vmin=0, vmax=1)
            panels[row, 0].axis("off")
        for axes, grid in zip(panels[row, first:], (whole, close), strict=True):
            true, own = (np.exp(v - v.max()) for v in (grid.true, grid.approximate))
            axes.contourf(grid.horizontal, grid.vertical, true, levels=12, cmap="Greys")
            axes.contour(grid.horizontal, grid.vertical, own, levels=levels, colors="tab:blue", linewidths=1)
            axes.plot(*grid.mean, "+", color="tab:blue")
        prior, style = np.exp(whole.prior - whole.prior.max()), {"colors": "tab:green", "linewidths": 0.8}
        panels[row, first].contour(whole.horizontal, whole.vertical, prior, levels=levels[1:], linestyles=":", **style)
        panels[row, first].set_aspect("equal")
        panels[row, -1].set_title(f"KL(q || p) = {kl[row]:.3f} nats", fontsize=9)
    for axes in panels[-1, first:]:
        axes.set_xlabel("latent 0")
    for axes in panels[:, first]:
        axes.set_ylabel("latent 1")
    panels[0, first].set_title("posterior (grey), q (blue), prior (dots)", fontsize=9)
    return figure
