"""The pictures a run leaves: samples, reconstructions, ways between test examples and along latents, and the 2-D
manifold, of a model that can make them."""

import contextlib
import logging
from collections.abc import Iterator, Mapping
from statistics import NormalDist
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import UserError
from sbvi.core.errors import reason
from sbvi.core.interrupts import signal_of
from sbvi.core.plugins import fault, telling, wrong
from sbvi.core.precision import jit_reported
from sbvi.data import Dataset
from sbvi.distributions.priors.marginals import Marginal, OneMarginal, marginals, plane
from sbvi.evaluation.active_units import THRESHOLD
from sbvi.models.capabilities import Encoder, Generative, LatentVariable, ObservedDensity, offers
from sbvi.posteriors.posterior import Moments
from sbvi.reporting.images import grid, shown
from sbvi.reporting.panels import Panel

log = logging.getLogger(__name__)

COLUMNS = 10
STEPS = 20  # of the manifold, along each of its two latents
TRAVERSED = 8  # latents, the most active ones
IDLE = ", idle"  # beside a latent that is not active
#: Shares of the prior's mass below the ends of a traversal: three deviations of a normal law, either way.
ENDS = NormalDist().cdf(-3.0), NormalDist().cdf(3.0)
#: Shares below the quantiles that are asked of the prior: a traversal's ends, and the manifold's steps between these.
SHARES = (ENDS[0], *((step + 0.5) / STEPS for step in range(STEPS)), ENDS[1])


class Traversed(NamedTuple):
    """Latents by their places among those of all nodes, and the variances of their posterior means over the examples,
    (rows,) both."""

    latent: Any
    variance: Any


def _ends(error: Exception) -> bool:
    """Whether what was raised ends a run that makes pictures: a signal, or memory that is full."""
    return isinstance(error, MemoryError) or signal_of(error) is not None


@contextlib.contextmanager
def left_out(name: str, beside: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Within, what fails costs a run the picture of this name and no more, and a warning says why.

    beside: what is raised all the same, as signals and full memory are.
    """
    try:
        with telling():  # also of what is no Exception
            yield
    except Exception as error:
        if _ends(error) or isinstance(error, beside):
            raise
        why = str(error).rstrip(".") if isinstance(error, UserError) else fault(error) or reason(error)
        log.warning("There is no picture %s: %s.", name, why)


class Pictures:
    """Makes them in one compiled program, kept for the runs of one process that have model and data in common.

    names: node -> its manifold's. titles: picture -> its title. parts: the pictures that are made together, where the
    program fails as a whole.
    """

    def __init__(self, model: Any, dataset: Dataset):
        self.shape, self.dataset, self.model = dataset.event_shape, dataset, model
        latent = offers(model, LatentVariable)
        # A density with a gradient in the latents: between values of 0 and 1 there is nothing.
        continuous = latent and offers(model, ObservedDensity)
        flat = [node for node, size in model.latent_sizes().items() if size == 2] if latent else []
        self.names = {node: "manifold" if len(model.latent_sizes()) == 1 else f"manifold_{node}" for node in flat}
        self.missing = () if continuous else tuple(self.names.values())
        planes = flat if continuous else []
        encoded = ("reconstructions", *(("interpolations", "traversals") if continuous else ()))
        self.parts = (
            *([("samples",)] if offers(model, Generative) else []),
            *([encoded] if latent and offers(model, Encoder) else []),
            *((self.names[node],) for node in planes),
        )
        means = not latent or model.factorises()
        self.titles = _titles(model if continuous else None, means) | {
            self.names[node]: _of_manifold(model, node) for node in planes
        }

        def seen(params: Any, key: jax.Array, latents: dict[str, jax.Array]) -> jax.Array:
            """E[x | z]; or a draw, where values depend on one another given z and their means are no such x."""
            count = len(next(iter(latents.values())))
            if means:
                return _of_examples(model, "decode", model.decode(params, latents), count)
            return _of_examples(model, "observe", model.observe(params, key, latents), count, "value")

        def made(
            params: Any, key: jax.Array, real: jax.Array, asked: tuple[str, ...]
        ) -> tuple[dict[str, jax.Array], Traversed | None]:
            pictures: dict[str, jax.Array] = {}
            traversed: Traversed | None = None
            if "samples" in asked:
                drawn = model.sample(params, key, COLUMNS**2)
                part = "mean" if means else "value"
                pictures["samples"] = _of_examples(model, "sample", drawn, COLUMNS**2, part)
            prior: dict[str, Marginal] = {}
            if continuous:
                prior = marginals(model.node_prior(), model.prior_params(params), SHARES, real.dtype)
            if "reconstructions" in asked:
                given = model.encode(params, real)
                moments = {node: given[node] for node in model.latent_sizes()}
                encoded = {node: own.mean for node, own in moments.items()}
                parts = {"reconstructions": encoded}
                if continuous:
                    traversed = most_active(moments)
                    parts |= {"interpolations": between(encoded), "traversals": along(encoded, prior, traversed.latent)}
                joined = {node: jnp.concatenate([part[node] for part in parts.values()]) for node in encoded}
                ends = np.cumsum([len(next(iter(part.values()))) for part in parts.values()])
                images = seen(params, jax.random.fold_in(key, 1), joined)
                pictures |= dict(zip(parts, jnp.split(images, ends[:-1]), strict=True))
            for place, node in enumerate(planes, 2):
                if self.names[node] not in asked:
                    continue
                points = _points(model, params, node, prior[node])
                others = {n: jnp.broadcast_to(own.mean, (len(points), *own.mean.shape)) for n, own in prior.items()}
                own_key = jax.random.fold_in(key, place)
                pictures[self.names[node]] = seen(params, own_key, others | {node: points})
            return pictures, traversed

        self.made = jit_reported(made, static_argnums=3)  # op by op it would be dozens of programs

    def of(self, params: Any, seed: int) -> dict[str, Panel]:
        """name -> picture; empty when the events are not images. What cannot be made is left out with a warning."""
        if shown(np.zeros((1, self.dataset.event_size)), self.shape) is None:
            return {}
        for name in self.missing:
            log.info("There is no picture %s: it needs a density with a gradient in the latents.", name)
        real = self.dataset.seen("test", 5 * COLUMNS)
        made, traversed = self._drawn(params, jax.random.key(seed), jnp.asarray(real))
        columns = dict.fromkeys(made, COLUMNS) | dict.fromkeys(self.names.values(), STEPS)
        rows: dict[str, tuple[str, ...]] = {}
        if (decoded := made.get("reconstructions")) is not None:
            columns["reconstructions"] = across = min(COLUMNS, len(real))
            pairs = [part[i : i + across] for i in range(0, len(real) - across + 1, across) for part in (real, decoded)]
            made["reconstructions"] = np.concatenate(pairs)  # of whole rows, so that each is below its own
            rows["reconstructions"] = ("data", "reconstruction", *[""] * (len(pairs) - 2))
        titles = dict(self.titles)
        if traversed is not None:
            rows["traversals"] = _latents(self.model, traversed)
            if any(row.endswith(IDLE) for row in rows["traversals"]):
                titles["traversals"] += f"\n(idle: its posterior mean's variance over examples is at most {THRESHOLD})"
        return {n: Panel(self._grid(v, columns[n]), titles[n], rows.get(n, ())) for n, v in made.items()}

    def _drawn(self, params: Any, key: jax.Array, real: jax.Array) -> tuple[dict[str, np.ndarray], Traversed | None]:
        """What the program gives; where it fails, what each part gives that does not."""
        pictures: dict[str, np.ndarray] = {}
        traversed: Traversed | None = None
        try:
            with telling():
                pictures, traversed = jax.device_get(self.made(params, key, real, sum(self.parts, ())))
        except Exception as error:
            if _ends(error):
                raise
            for part in self.parts:
                with left_out(", ".join(part)):
                    own, moved = jax.device_get(self.made(params, key, real, part))
                    pictures, traversed = pictures | own, moved or traversed
        return pictures, traversed

    def _grid(self, values: np.ndarray, columns: int) -> np.ndarray:
        images = shown(values, self.shape)
        assert images is not None
        return grid(images, columns)


def _of_examples(model: Any, function: str, given: Any, count: int, part: str = "") -> jax.Array:
    """What a model's function gave, or a part of it, if it is one example for each that was asked for.

    Raises:
      UserError: what it is, and what it must be.
    """
    value: Any = getattr(given, part, given) if part else given
    if getattr(value, "shape", None) != (shape := (count, model.facts.event_size)):
        raise wrong(type(model), function, value, f"{part or 'an array'} of shape {shape} for {count} examples")
    images: jax.Array = value
    return images


def between(means: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """node -> (5 * COLUMNS, K): a row of COLUMNS latents from each of the first five even examples to the next one, and
    from the last one, where they are few and odd, to the first."""
    share = jnp.linspace(0.0, 1.0, COLUMNS)[None, :, None]

    def way(mean: jax.Array) -> jax.Array:
        first, last = (at[0:COLUMNS:2, None] for at in (mean, jnp.roll(mean, -1, 0)))
        return ((1 - share) * first + share * last).reshape(-1, mean.shape[-1])

    return {node: way(mean) for node, mean in means.items()}


def most_active(moments: Mapping[str, Moments]) -> Traversed:
    """The latents whose posterior means vary most over the examples (Burda et al. 2016), of all nodes together."""
    variance = jnp.concatenate([jnp.var(own.mean, 0) - jnp.mean(own.error, 0) for own in moments.values()])
    chosen = jax.lax.top_k(variance, min(TRAVERSED, len(variance)))
    return Traversed(chosen[1], chosen[0])


def along(means: dict[str, jax.Array], prior: Mapping[str, Marginal], latents: jax.Array) -> dict[str, jax.Array]:
    """node -> (rows * COLUMNS, K): the first example's latents, of which each row moves one of `latents`, places among
    those of all nodes, between the prior's first and last quantile of it."""
    whole = jnp.concatenate(list(means.values()), -1)
    moved = jax.nn.one_hot(latents, whole.shape[-1], dtype=whole.dtype)[:, None]
    low, high = (jnp.concatenate([prior[node].quantiles[end] for node in means])[latents] for end in (0, -1))
    values = jnp.linspace(low, high, COLUMNS, axis=1, dtype=whole.dtype)[..., None]
    points = (whole[:1, None] * (1 - moved) + moved * values).reshape(-1, whole.shape[-1])
    ends = np.cumsum([mean.shape[-1] for mean in means.values()])
    return dict(zip(means, jnp.split(points, ends[:-1], axis=-1), strict=True))


def _latents(model: Any, traversed: Traversed) -> tuple[str, ...]:
    """What each row of a traversal moves: the latent by its place in its node, and whether it is idle."""
    sizes = model.latent_sizes()
    named = [f"{node}, {k}" if len(sizes) > 1 else f"latent {k}" for node, size in sizes.items() for k in range(size)]
    active = traversed.variance > THRESHOLD
    return tuple(named[k] + ("" if on else IDLE) for k, on in zip(traversed.latent, active, strict=True))


def _points(model: Any, params: Any, node: str, own: Marginal) -> jax.Array:
    """The manifold's, (STEPS^2, 2), top row first: of equal mass where the prior knows such a grid."""
    prior = model.node_prior()
    if prior.grids:
        return jnp.asarray(prior.plane(model.prior_params(params), node, STEPS), own.mean.dtype)
    return plane(own.quantiles[1:-1])


def _titles(continuous: Any | None, means: bool) -> dict[str, str]:
    """Of all but manifolds. continuous: the model, if its latents are."""
    titles: dict[str, str] = {
        "samples": "samples of the model",
        "reconstructions": "test examples, and below each "
        + ("its reconstruction" if means else "a draw given its posterior mean"),
    }
    if continuous is None:
        return titles
    reach = f"over the prior's quantiles {ENDS[0]:.2%} to {ENDS[1]:.2%}".replace("%", " %")
    if isinstance(prior := continuous.node_prior(), OneMarginal):
        reach = "from {:g} to {:g}".format(*map(prior.marginal.inv_cdf, ENDS))
    return titles | {
        "interpolations": "from the posterior mean of a test example to that of another",
        "traversals": f"the most active latents, one a row, {reach}",
    }


def _of_manifold(model: Any, node: str) -> str:
    """Its title."""
    where = "points of equal prior mass" if model.node_prior().grids else "the prior's quantiles of each"
    others = f" of {node}, at {where}; others at the prior's mean"
    return "two latents" + (others if len(model.latent_sizes()) > 1 else f", at {where}")
