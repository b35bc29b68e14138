"""Tables with gaps for scikit-learn: `Imputer` beside its own imputers, and `DensityEstimator`.

    from sbvi.sklearn import Imputer
    filled = Imputer().fit_transform(frame)

Both train a deep latent Gaussian model on the entries that are there (MIWAE, Mattei and Frellsen 2019), with a law for
each column, and take arrays of numbers or pandas frames with columns of every kind.
"""

from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, check_random_state, validate_data

from sbvi.core import UserError
from sbvi.data import columns as tables
from sbvi.data.columns import Column
from sbvi.evaluation.filling import Filled, drawing, fill
from sbvi.runs.frames import Fit, Fitted

Kinds = Mapping[str, str | tuple[str, ...]]


class _Table(BaseEstimator):
    """What both estimators share: how a table is learned."""

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
        random_state: int | np.random.RandomState | None = None,
    ):
        self.latents = latents
        self.hidden = hidden
        self.continuous = continuous
        self.scale = scale
        self.columns = columns
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.bound_samples = bound_samples
        self.extra_missing = extra_missing
        self.validation = validation
        self.samples = samples
        self.random_state = random_state

    columns_: tuple[Column, ...]
    _draw: dict[int, Any]

    def _seed(self) -> int:
        if isinstance(self.random_state, int):
            return self.random_state
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train on a table (N, D), NaN or None where an entry is missing."""
        frame = self._frame(X, reset=True)
        hidden = [int(size) for size in self.hidden]
        self.seed_ = self._seed()
        settings: dict[str, Any] = {
            "name": "dlgm",
            "latents": [self.latents],
            "hidden": hidden,
            "recognition_hidden": hidden,
            "activation": "silu",
            "recognition_activation": "silu",
            "extra_missing": self.extra_missing,
            "likelihood": {"name": "mixed", "continuous": self.continuous, "scale": self.scale},
        }
        passes = round(200 * (1 - self.validation) * len(frame) / self.batch_size)
        how = Fit(
            model=settings,
            objective={"name": "importance_weighted", "num_samples": self.bound_samples},
            optimizer={"name": "adam", "learning_rate": self.learning_rate, "schedule": {"kind": "cosine"}},
            steps=min(max(passes, 500), 6000) if self.steps is None else self.steps,
            batch_size=self.batch_size,
            validation=self.validation,
            columns=self.columns,
            seed=self.seed_,
        )
        self._settings = settings
        if len(frame) < 3:
            raise ValueError(f"Found array with {len(frame)} sample(s); at least 3 are needed.")
        try:
            fitted = how(frame)
        except UserError as error:  # scikit-learn's word for it
            raise ValueError(str(error)) from None
        self.columns_ = fitted.preprocessing.table or ()
        modelled = {column.name for column in self.columns_}
        rest = {str(c): frame[c].dropna().unique() for c in frame if str(c) not in modelled}
        self.constants_ = {name: values[0] for name, values in rest.items() if len(values) == 1}
        self.params_ = fitted.params
        self.best_step_ = fitted.best_step
        self.validation_bound_ = fitted.validation
        self._built, self._draw = fitted, {}
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Without compiled functions, which are made again where they are needed."""
        state = dict(super().__getstate__())
        return {name: value for name, value in state.items() if name not in ("_built", "_draw")}

    def _fitted(self) -> Fitted:
        check_is_fitted(self, "params_")
        if not hasattr(self, "_built"):
            self._built, self._draw = rebuilt(self._settings, self.columns_, self.params_), {}
        return self._built

    def _frame(self, X: Any, *, reset: bool) -> Any:
        """X as a frame, checked as scikit-learn asks."""
        import pandas as pd

        if isinstance(X, pd.DataFrame):
            validate_data(self, X, reset=reset, skip_check_array=True)
            if not X.size:
                raise ValueError(f"Found array with {len(X)} sample(s) and {len(X.columns)} feature(s).")
            return X
        checked = validate_data(self, X, reset=reset, dtype=np.float64, ensure_all_finite="allow-nan")
        return pd.DataFrame(checked)

    def _is_frame(self, X: Any) -> None:
        if not len(X) or not len(X.columns):
            raise ValueError(
                f"Found a table of {len(X)} sample(s) and {len(X.columns)} feature(s): there must be some."
            )

    def _held(self, X: Any) -> tuple[Any, np.ndarray]:
        """X as a frame and as the model sees it."""
        frame = self._frame(X, reset=False)
        known = self._fitted().preprocessing
        try:
            return frame, known.store(tables.encoded(self.columns_, frame, "X"), "X")
        except UserError as error:
            raise ValueError(str(error)) from None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.non_deterministic = True  # rows are given different draws
        return tags


def rebuilt(settings: dict[str, Any], columns: Any, params: Any) -> Fitted:
    """The model of a pickled estimator."""
    from sbvi.core import build
    from sbvi.data import Preprocessing
    from sbvi.models import MODELS
    from sbvi.models.values import DataFacts

    known = Preprocessing((len(columns),), columns=tuple(c.name for c in columns), table=columns)
    model = build(MODELS, "model", settings).build(DataFacts((len(columns),), False, None, 0, columns), None)
    return Fitted(known, model, params, 0, float("nan"))


class Imputer(TransformerMixin, _Table):
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


class DensityEstimator(DensityMixin, _Table):
    """The density of a table's rows, by importance sampling; see `Imputer` for its arguments."""

    def score_samples(self, X: Any) -> np.ndarray:
        """log p of the observed entries of each row, (N,), nats of the columns' own units: a lower bound in
        expectation that rises to it with `samples`."""
        import jax
        import jax.numpy as jnp

        from sbvi.inference.importance import importance_sampling

        _, held = self._held(X)
        fitted = self._fitted()
        if 0 not in self._draw:
            self._draw[0] = jax.jit(importance_sampling(fitted.model.rollout, self.samples, 100))
        found = []
        for start in range(0, len(held), 200):
            rows = held[start : start + 200]
            padded = np.concatenate([rows, np.repeat(rows[:1], 200 - len(rows), 0)]) if len(held) > 200 else rows
            key = jax.random.fold_in(jax.random.key(self.seed_), start)
            found.append(np.asarray(self._draw[0](fitted.params, key, jnp.asarray(padded)).log_likelihood)[: len(rows)])
        return np.concatenate(found).astype(np.float64)

    def score(self, X: Any, y: Any = None) -> float:
        """The mean of `score_samples`."""
        return float(np.mean(self.score_samples(X)))

    def sample(self, n_samples: int = 1, random_state: int = 0) -> Any:
        """Draws of complete rows, a frame of the columns that are modelled."""
        import jax
        import pandas as pd

        if n_samples < 1:
            raise UserError(f"n_samples={n_samples} must be at least 1.")
        fitted = self._fitted()
        drawn = fitted.model.sample(fitted.params, jax.random.key(random_state), n_samples).value
        numbers = fitted.preprocessing.to_source(np.asarray(drawn))
        return pd.DataFrame({c.name: c.decoded(numbers[:, d]) for d, c in enumerate(self.columns_)})
