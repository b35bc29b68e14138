"""Gaps of tables, filled."""

from typing import Any, Literal

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sbvi.data import columns as tables
from sbvi.evaluation.filling import Filled, drawing, fill
from sbvi.sklearn.estimator import Kinds, TableEstimator


class Imputer(TransformerMixin, TableEstimator):
    """Fills gaps with conditional means (categories with their mode, ranks with their median).

    Args:
      latents: size of the latent layer.
      hidden: deterministic layers of the generative and of the recognition network.
      continuous: law of continuous columns.
      scale: whether the scale of continuous columns is learned for each, or predicted by the network.
      columns: name -> kind, where that is not to be found by looking: continuous, positive, count, binary, categorical,
        ordinal, ignored, or a tuple of ranks.
      steps: of Adam, whose rate falls as a cosine; None for 200 passes over the table, within 500 and 6,000 steps.
      batch_size, learning_rate: of Adam.
      bound_samples: K of the importance-weighted bound.
      extra_missing: probability that an entry is hidden in training: for complete tables.
      validation: share of rows that choose among the steps.
      samples: importance samples for each row that is filled.
      guess: what is filled in: mean, median or mode.
      random_state: seed.

    Attributes:
      columns_: the columns that are modelled. seed_, best_step_, validation_bound_ (nats of the columns' own units).
    """

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
        samples: int = 1000,
        guess: Literal["mean", "median", "mode"] = "mean",
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

    def transform(self, X: Any) -> Any:
        """X with its gaps filled: a frame for a frame, else an array (N, D). A column of one value is filled with it;
        others that are not modelled stay as they are."""
        frame, held = self._held(X)
        values = self._fill(held).guess(self.guess)
        return self._given_back(X, frame, values, np.isnan(held))

    def multiple(self, X: Any, imputations: int = 5, interval: float = 0.9) -> tuple[list[Any], Any, Any]:
        """Completed tables, draws from p(missing | observed), and the bounds of an interval of that probability."""
        frame, held = self._held(X)
        found = self._fill(held, imputations, interval)
        gaps = np.isnan(held)
        made = [self._given_back(X, frame, v, gaps) for v in (*found.draws, found.lower, found.upper)]
        return made[:-2], made[-2], made[-1]

    def _fill(self, held: np.ndarray, imputations: int = 0, interval: float = 0.9) -> Filled:
        if self.guess not in ("mean", "median", "mode"):
            raise ValueError(f"guess={self.guess!r} is not known; allowed: mean, median, mode.")
        fitted = self._fitted()
        draws = max(imputations, 300)
        if draws not in self._draw:
            self._draw[draws] = drawing(fitted.model, self.samples, draws)
        return fill(self._draw[draws], fitted.params, fitted.preprocessing, held, self.seed_, interval, imputations)

    def _given_back(self, X: Any, frame: Any, values: np.ndarray, gaps: np.ndarray) -> Any:
        made = tables.decoded(self.columns_, values, frame, gaps)
        for name in made:
            if str(name) in self.constants_:
                made[name] = made[name].fillna(self.constants_[str(name)])
        return made if hasattr(X, "columns") else made.to_numpy(np.float64)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """The names of the columns, which stay."""
        from sklearn.utils.validation import _check_feature_names_in

        check_is_fitted(self, "params_")
        return _check_feature_names_in(self, input_features)
