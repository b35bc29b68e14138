"""Data in latent space: posterior means, drawn by class (PAPER 4.4) and laid out for TensorBoard."""

from typing import Literal

import numpy as np

from sbvi.core import PositiveInt, UserError, spec
from sbvi.evaluation.active_units import variance_of_means
from sbvi.models import require
from sbvi.models.capabilities import Encoder, LatentVariable
from sbvi.reporting.figures import Figure, new_figure
from sbvi.reporting.images import shown
from sbvi.runs.loaded import LoadedRun
from sbvi.runs.parts.encodings import encodings
from sbvi.tasks.data import OWN, chosen
from sbvi.tasks.files import check_output, write_arrays
from sbvi.tasks.task import Projection, TaskResult

CLASSES = 10  # as many as have colours of their own


@spec
class EmbeddingTask:
    """E_q[xi | x] of every stochastic node."""

    split: Literal["train", "validation", "test"] = "test"
    """Which part of the data."""
    examples: PositiveInt | None = None
    """Examples, evenly spaced over the split, of the user's own data the first rows; null for all."""
    node: str | None = None
    """The stochastic node to draw; by default the one nearest the data."""
    projector: PositiveInt = 2000
    """Greatest number of points laid out for TensorBoard's projector."""
    input: str | None = None
    """The user's own data (.npz, .npy, .csv, .tsv, .parquet) in place of the run's."""
    output: str | None = None
    """Where to write means and variances of every node (.npz), beside the copy in the run's folder."""

    @property
    def title(self) -> str:
        return f"embedding-{OWN if self.input is not None else self.split}"

    def run(self, run: LoadedRun) -> TaskResult:
        if self.output is not None:
            check_output(self.output)
        for capability in (Encoder, LatentVariable):
            require(run.model, capability, "task=embedding")
        node = self.node or next(iter(run.nodes))
        if node not in run.nodes:
            raise UserError(f"task.node={node} is not known; allowed: {', '.join(run.nodes)}.")
        dataset, split = chosen(run, self.split, self.examples, self.input)
        x = dataset.seen(split)
        label, names = dataset.split(split).label, dataset.classes
        moments = encodings(run, x)
        arrays = {f"{n}/mean": e.mean for n, e in moments.items()} | {
            f"{n}/variance": e.variance for n, e in moments.items()
        }
        if label is not None:
            arrays["label"] = label
        if self.output is not None:
            write_arrays(self.output, arrays)
        means = moments[node].mean
        plane, share = _plane(means)
        few = slice(0, self.projector)
        named = None if label is None else _named(label[few], names)
        projection = Projection(means[few], named, shown(x[few], run.event_shape), f"{node} of {split}")
        scalars = {
            f"embedding/{n}/variance_of_means": float(variance_of_means(e.mean, e.error).sum())
            for n, e in moments.items()
        }
        scalars["embedding/share_drawn"] = share
        drawn = _draw(plane, label, names, share, _heads(node, means.shape[1]))
        return TaskResult(scalars, arrays, {self.title: drawn}, projection=projection)


def _plane(means: np.ndarray) -> tuple[np.ndarray, float]:
    """Two latents as they are; more, on their two leading principal components, with the share of variance."""
    centred = means - means.mean(0)
    if means.shape[1] == 1:
        return np.concatenate([means, np.zeros_like(means)], 1), 1.0
    if means.shape[1] == 2:
        return means, 1.0
    _, scales, rows = np.linalg.svd(centred, full_matrices=False)
    plane = centred @ rows[:2].T
    plane = np.pad(plane, ((0, 0), (0, 2 - plane.shape[1])))  # of a single example, which has one component
    return plane, float((scales[:2] ** 2).sum() / max((scales**2).sum(), 1e-30))


def _named(label: np.ndarray, names: tuple[str, ...] | None) -> np.ndarray:
    """Labels by the names of their classes, where they have any."""
    return label if names is None else np.asarray(names)[label]


def _heads(node: str, size: int) -> tuple[str, str]:
    """What the two axes of `_plane` are, of a node of so many latents."""
    if size > 2:
        return f"first component of {node}", "second component"
    return f"{node}, latent 0", f"{node}, latent 1" if size == 2 else ""


def _draw(
    plane: np.ndarray, label: np.ndarray | None, names: tuple[str, ...] | None, share: float, heads: tuple[str, str]
) -> Figure:
    alone = not heads[1]  # a single latent, whose second axis means nothing
    figure = new_figure(6.5, 1.6 if alone else 5.5, 130)
    axes = figure.add_subplot()
    if label is None:
        axes.scatter(plane[:, 0], plane[:, 1], s=3, linewidths=0)
    elif label.min() < 0 or label.max() >= CLASSES:
        points = axes.scatter(plane[:, 0], plane[:, 1], s=3, c=label, cmap="nipy_spectral", linewidths=0)
        figure.colorbar(points, ax=axes, label="label", shrink=0.7)
    else:
        for value in np.unique(label):
            points, name = plane[label == value], names[value] if names else str(value)
            axes.scatter(points[:, 0], points[:, 1], s=3, color=f"C{value}", linewidths=0, label=name)
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5), markerscale=4)
    if alone:
        axes.set_yticks([])
    else:
        axes.set_aspect("equal")
    if share < 1:
        axes.set_title(f"two principal components, {share:.0%} of the variance", fontsize=9)
    axes.set_xlabel(heads[0])
    axes.set_ylabel(heads[1])
    return figure
