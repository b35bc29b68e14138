"""Several models of one table as one: a mixture whose weights are chosen on entries held out of training.

    p(x_m | x_o) = sum_k v_k p_k(x_m | x_o);   E[x_m | x_o] = sum_k v_k E_k[x_m | x_o]

Members that were trained alike have equal weights. A Gaussian of whole rows stands beside them with a weight for each
numeric column, the one in [0, 1] with the least squared error of held-out entries (stacking; Wolpert 1992, Breiman
1996), drawn towards the one of all columns together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import jax
import numpy as np

from sbvi.data.tabular import columns as tables
from sbvi.data.tabular.columns import Column
from sbvi.evaluation.filling import Draw
from sbvi.evaluation.hidden_entries import Prediction
from sbvi.evaluation.linear_filling import WIDEST, Design, LinearFilling
from sbvi.inference.resampling import Resampled

#: Shares of rows without correlation that are tried, and how many entries all columns together are worth to each.
SHRINKAGES, PRIOR = (0.2, 0.05, 0.01), 50.0


@dataclass(frozen=True)
class Beside:
    """A Gaussian of whole rows, and its weight for each numeric column, (M,).

    without: the same fitted without what was held out of each member's training.
    """

    linear: LinearFilling
    weights: np.ndarray
    without: tuple[LinearFilling, ...] = ()

    def blind(self, member: int) -> "Beside":
        """As it would be without what was held out of a member's training."""
        return Beside(self.without[member], self.weights)

    @classmethod
    def fit(cls, columns: Sequence[Column], held: np.ndarray, predictions: Sequence[Prediction]) -> "Beside | None":
        """To held values (N, D) with gaps, in random order, and what members say of entries that they were not
        trained on. None where no column is a number, or the table is too wide."""
        design = Design.of(columns)
        numeric = design.numeric
        if not len(numeric) or design.width > WIDEST:
            return None
        spread = np.nanstd(tables.back(columns, held.astype(np.float64))[:, numeric], 0)
        spread = np.where(spread > 0, spread, 1.0)
        centres = tables.centres(columns)[numeric]
        shrinkages: Sequence[float] = SHRINKAGES
        last: LinearFilling | None = None
        without = []
        squares, products, counts = np.zeros((3, len(numeric)))
        for predicted in predictions:
            places = predicted.places
            hidden = places.hidden[:, numeric]
            truth = tables.back(columns, places.truth.astype(np.float64))[:, numeric]
            said = centres + predicted.mean[:, numeric]
            off = np.where(hidden, (truth - said) / spread, 0.0)
            errors, differences, fitted = [], [], []
            for shrinkage in shrinkages:
                last = LinearFilling.fit(design, places.without(held), shrinkage, last)
                fitted.append(last)
                differences.append(np.where(hidden, (last.mean(places.x) - said) / spread, 0.0))
                errors.append(np.sum((differences[-1] - off) ** 2))
            place = int(np.argmin(errors))
            shrinkages = (shrinkages[place],)
            without.append(fitted[place])
            squares += np.sum(differences[place] ** 2, 0)
            products += np.sum(differences[place] * off, 0)
            counts += hidden.sum(0)
        prior = PRIOR / max(counts.sum(), 1.0)
        weights = (products + prior * products.sum()) / np.maximum(squares + prior * squares.sum(), 1e-12)
        linear = LinearFilling.fit(design, held, shrinkages[0], last)
        return cls(linear, np.clip(weights, 0.0, 1.0), tuple(without))


@dataclass(frozen=True)
class Mixture:
    """Draws of several members, and of a Gaussian beside them, as those of one model.

    draw: of one member's parameters.
    """

    draw: Draw
    beside: Beside | None = None

    def __call__(self, members: Sequence[Any], key: jax.Array, x: jax.Array) -> Resampled:
        """Means of members, and their draws in random order; see `resampled`. Numbers of a row are drawn from the
        Gaussian together, categories from a member always."""
        keys = jax.random.split(key, len(members))
        parts = [jax.device_get(self.draw(params, k, x)) for params, k in zip(members, keys, strict=True)]
        mean, effective, accepted = (
            np.mean([getattr(part, name) for part in parts], 0) for name in ("mean", "effective", "accepted")
        )
        draws = np.concatenate([part.draws for part in parts])
        generator = np.random.default_rng(np.asarray(jax.random.key_data(key)))
        draws = draws[generator.permutation(len(draws))]
        if self.beside is not None:
            held, linear, weights = np.asarray(x), self.beside.linear, self.beside.weights
            numeric = linear.design.numeric
            own = linear.mean(held) - tables.centres(linear.design.columns)[numeric]
            mean = mean.astype(np.float64)
            mean[:, numeric] += weights * (own - mean[:, numeric])
            chance = generator.random((*draws.shape[:2], 1))
            drawn = linear.draws(held, len(draws), generator)
            draws[..., numeric] = np.where(chance < weights, drawn, draws[..., numeric])
        tails = [part.khat for part in parts if part.khat is not None]
        made, khat = cast(Any, draws), np.max(tails, 0) if tails else None
        return Resampled(mean, made, effective, accepted, khat=cast(Any, khat))
