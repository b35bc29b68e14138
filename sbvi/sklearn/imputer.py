"""Gaps of tables, filled."""

from typing import Any, Literal, NamedTuple

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sbvi.data.tabular import columns as tables
from sbvi.evaluation.calibrated_tails import calibrate
from sbvi.evaluation.filling import Draw, Filled, drawing, fill
from sbvi.evaluation.stacking import Beside, Mixture
from sbvi.runs.frames import Fitted
from sbvi.sklearn.arguments import checked, in_float32
from sbvi.sklearn.estimator import Kinds, TableEstimator


class Completed(NamedTuple):
    """A table with its gaps filled, the bounds of what is missing, and draws of the whole table."""

    filled: Any
    lower: Any
    upper: Any
    draws: list[Any]


class Imputer(TransformerMixin, TableEstimator):
    """Fills gaps with conditional means (categories with their mode, ranks with their median).

    Args:
      latents: size of the latent layer.
      hidden: deterministic layers of the generative and of the recognition network.
      continuous: law of continuous columns.
      scale: whether the scale of continuous columns is learned for each, or predicted by the network.
      columns: name -> kind, where that is not to be found by looking: continuous, positive, count, binary, categorical,
        ordinal, ignored, or a list of ranks.
      steps: of Adam, whose rate falls as a cosine; None for 200 passes over the table, within 500 and 2,500 steps.
      batch_size: rows of a step of Adam.
      learning_rate: of Adam.
      bound_samples: K of the importance-weighted bound.
      extra_missing: probability that an entry is hidden in training: for complete tables.
      validation: share of entries that are held out of the training of a member, other ones for each, and choose among
        its steps and between linear and other relations.
      samples: importance samples of each member for each row that is filled.
      guess: what is filled in: mean, median or mode.
      members: how often the table is learned; what they say is averaged.
      linear: whether a Gaussian of whole rows stands beside them, with a weight for each column of numbers.
      random_state: seed.

    Attributes:
      columns_: the columns that are modelled. beside_: the Gaussian and its weights. tails_: what an interval leaves to
        each side, by the entries held out. seed_, and of each member best_steps_ and validation_scores_ (nats of an
        entry in its column's own units).
    """

    _by = "entries"
    _most_steps = 2500  # of each member

    # scikit-learn reads settings off this signature, so it is written out here as well.
    def __init__(
        self,
        *,
        latents: int = 10,
        hidden: tuple[int, ...] = (128, 128),
        continuous: Literal["gaussian", "student_t"] = "student_t",
        scale: Literal["learned", "predicted"] = "predicted",
        columns: Kinds | None = None,
        steps: int | None = None,
        batch_size: int = 64,
        learning_rate: float = 3e-3,
        bound_samples: int = 20,
        extra_missing: float = 0.0,
        validation: float = 0.1,
        samples: int = 500,
        guess: Literal["mean", "median", "mode"] = "mean",
        members: int = 3,
        linear: bool = True,
        random_state: int | np.random.RandomState | None = None,
    ):
        super().__init__(
            latents=latents,
            hidden=hidden,
            continuous=continuous,
            scale=scale,
            columns=columns,
            steps=steps,
            batch_size=batch_size,
            learning_rate=learning_rate,
            bound_samples=bound_samples,
            extra_missing=extra_missing,
            validation=validation,
            samples=samples,
            random_state=random_state,
        )
        self.guess = guess
        self.members = members
        self.linear = linear

    def transform(self, X: Any) -> Any:
        """X with its gaps filled: a frame for a frame, else an array (N, D). A column of one value is filled with it;
        others that are not modelled stay as they are."""
        frame, held = self._held(X)
        return self._given_back(X, frame, self._fill(held).guess(self.guess), np.isnan(held))

    def multiple(self, X: Any, imputations: int = 5, interval: float = 0.9) -> tuple[list[Any], Any, Any]:
        """Completed tables, draws from p(missing | observed), and the bounds of an interval of that probability."""
        filled = self.complete(X, imputations, interval)
        return filled.draws, filled.lower, filled.upper

    def complete(self, X: Any, imputations: int = 5, interval: float = 0.9) -> Completed:
        """All that is said of the gaps of X; `multiple` gives it in another order.

        Raises:
          ValueError: `interval` or `imputations` cannot be used; or an earlier version fitted this one, without what
            intervals are calibrated by.
        """
        checked(interval=interval, imputations=imputations)
        frame, held = self._held(X)
        said = self._fill(held, imputations, self._tails(interval))
        gaps = np.isnan(held)
        made = [
            self._given_back(X, frame, values, gaps)
            for values in (said.guess(self.guess), said.lower, said.upper, *said.draws)
        ]
        return Completed(made[0], made[1], made[2], made[3:])

    def _tails(self, interval: float) -> np.ndarray:
        """What an interval leaves to each side, by column."""
        if not hasattr(self, "tails_"):
            raise ValueError("This Imputer was fitted by a version that did not calibrate intervals; fit it again.")
        return np.full(len(self.columns_), (1 - interval) / 2) if self.tails_ is None else self.tails_(interval)

    @in_float32
    def _fill(self, held: np.ndarray, imputations: int = 0, tails: np.ndarray | None = None) -> Filled:
        checked(guess=self.guess, samples=self.samples)
        draw = Mixture(self._drawing(imputations), self.beside_)
        return fill(draw, self.params_, self._fitted()[0], held, self.seed_, imputations=imputations, tails=tails)

    def _drawing(self, imputations: int = 0) -> Draw:
        """Of each member so many that all together suffice."""
        _, model = self._fitted()
        draws = -(-max(imputations, 300) // len(self.params_))
        how = (self.samples, draws)  # of which `set_params` changes the first without another fit
        if how not in self._draw:
            self._draw[how] = drawing(model, *how)
        return self._draw[how]

    def _members(self, rows: int) -> int:
        return self.members

    def _keep(self, fitted: Fitted, frame: Any) -> None:
        super()._keep(fitted, frame)
        told = [member.predicted for member in fitted.members if member.predicted is not None]
        self.beside_ = Beside.fit(self.columns_, fitted.held, told) if self.linear else None
        parts = []
        for number, (params, predicted) in enumerate(zip(self.params_, told, strict=True)):
            beside = None if self.beside_ is None else self.beside_.blind(number)
            parts.append((Mixture(self._drawing(), beside), (params,), predicted.places))
        self.tails_ = calibrate(self.columns_, parts, self.seed_)

    def _given_back(self, X: Any, frame: Any, values: np.ndarray, gaps: np.ndarray) -> Any:
        made = tables.decoded(self.columns_, values, frame, gaps)
        for name in made:
            if str(name) in self.constants_:
                made[name] = made[name].fillna(self.constants_[str(name)])
        if not hasattr(X, "columns"):
            return made.to_numpy(np.float64)
        places, labels = {str(name): place for place, name in enumerate(made)}, list(map(str, X.columns))
        if set(labels) == places.keys():  # else columns were taken by place
            made = made.iloc[:, [places[label] for label in labels]]
        return made.set_axis(X.columns, axis=1)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """The names of the columns, which stay."""
        from sklearn.utils.validation import _check_feature_names_in

        check_is_fitted(self, "params_")
        return _check_feature_names_in(self, input_features)
