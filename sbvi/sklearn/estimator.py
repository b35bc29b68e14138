"""How a table is learned: what all estimators of tables share."""

import numbers
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, check_random_state, validate_data

from sbvi.core import UserError
from sbvi.data import Preprocessing
from sbvi.data.checks import unmasked
from sbvi.data.tabular import columns as tables
from sbvi.data.tabular.columns import Column
from sbvi.data.tabular.kinds import Told
from sbvi.runs.frames import Fit, Fitted
from sbvi.sklearn.arguments import checked, in_float32

Kinds = Mapping[Any, Told]


class TableEstimator(BaseEstimator):
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
    params_: tuple[Any, ...]
    _labels: list[Any]
    #: (importance samples, draws) -> what is compiled of them.
    _draw: dict[tuple[int, int], Any]
    #: What is held out of training: rows, or entries.
    _by: ClassVar[Literal["rows", "entries"]] = "rows"
    _most_steps: ClassVar[int] = 6000

    def _members(self, rows: int) -> int:
        """How often the table is learned."""
        return 1

    @in_float32
    def fit(self, X: Any, y: Any = None) -> Self:
        """Train on a table (N, D), NaN or None where an entry is missing.

        Raises:
          ValueError: an argument of the estimator, or the table, cannot be used.
        """
        checked(**self.get_params(deep=False))
        frame = self._frame(X, reset=True)
        hidden = [int(size) for size in self.hidden]
        self.seed_ = seed_of(self.random_state)
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
        passes = round(200 * len(frame) / self.batch_size)
        how = Fit(
            model=settings,
            objective={"name": "importance_weighted", "num_samples": self.bound_samples},
            optimizer={"name": "adam", "learning_rate": self.learning_rate, "schedule": {"kind": "cosine"}},
            steps=min(max(passes, 500), self._most_steps) if self.steps is None else self.steps,
            batch_size=self.batch_size,
            held_out=self.validation,
            by=self._by,
            members=self._members(len(frame)),
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
        self._keep(fitted, frame)
        return self

    def _keep(self, fitted: Fitted, frame: Any) -> None:
        self.columns_ = fitted.preprocessing.table or ()
        modelled = {column.name for column in self.columns_}
        rest = {str(c): _distinct(frame[c]) for c in frame if str(c) not in modelled}
        self.constants_ = {name: values[0] for name, values in rest.items() if len(values) == 1}
        self.params_ = tuple(member.params for member in fitted.members)
        self.best_steps_ = tuple(member.step for member in fitted.members)
        self.validation_scores_ = tuple(member.score for member in fitted.members)
        self._built, self._draw = (fitted.preprocessing, fitted.model), {}

    def __getstate__(self) -> dict[str, Any]:
        """Without compiled functions, which are made again where they are needed."""
        state = dict(super().__getstate__())
        return {name: value for name, value in state.items() if name not in ("_built", "_draw")}

    def _fitted(self) -> tuple[Preprocessing, Any]:
        """How a table is read, and the model of all members."""
        check_is_fitted(self, "params_")
        if not hasattr(self, "_built"):
            self._built, self._draw = rebuilt(self._settings, self.columns_), {}
        return self._built

    def _frame(self, X: Any, *, reset: bool) -> Any:
        """X as a frame with the labels of the one that was fitted, checked as scikit-learn asks: names that are texts
        must be the same in the same order, and what has none is taken by place."""
        import pandas as pd

        if isinstance(X, pd.DataFrame):
            validate_data(self, X, reset=reset, skip_check_array=True)
            if not X.size:
                raise ValueError(f"Found array with {len(X)} sample(s) and {len(X.columns)} feature(s).")
            if reset:
                self._labels = list(X.columns)
            return self._in_order(X)
        try:
            unmasked(X, "X")
        except UserError as error:
            raise ValueError(str(error)) from None
        checked = validate_data(self, X, reset=reset, dtype=np.float64, ensure_all_finite="allow-nan")
        if reset:
            self._labels = list(range(checked.shape[1]))
        return pd.DataFrame(checked, columns=self._known_by())

    def _in_order(self, X: Any) -> Any:
        """A frame with the labels and the order of the fitted table.

        Raises:
          ValueError: it has other labels, which are neither texts nor mere places 0, 1, ...
        """
        known = self._known_by()
        labels = {str(label): label for label in X.columns}
        if not labels.keys() ^ set(map(str, known)):
            return X[[labels[str(name)] for name in known]].set_axis(known, axis=1)
        # By place, with scikit-learn's warning where either has texts for names and the other has not.
        texts = hasattr(self, "feature_names_in_") or all(isinstance(label, str) for label in X.columns)
        places = list(map(str, range(len(known))))
        if texts or places in (list(map(str, known)), list(map(str, X.columns))):
            return X.set_axis(known, axis=1)
        theirs, ours = (", ".join(map(str, each)) for each in (X.columns, known))
        raise ValueError(f"X has the columns {theirs}, and the table that was fitted {ours}.")

    def _known_by(self) -> list[Any]:
        """What the columns of the fitted table were called; of one that an earlier version pickled, what is left."""
        if hasattr(self, "_labels"):
            return self._labels
        names = [column.name for column in self.columns_]
        if len(names) == self.n_features_in_:
            return names
        return list(getattr(self, "feature_names_in_", range(self.n_features_in_)))

    def _held(self, X: Any) -> tuple[Any, np.ndarray]:
        """X as a frame and as the model sees it."""
        frame = self._frame(X, reset=False)
        known, _ = self._fitted()
        try:
            return frame, known.store(tables.encoded(self.columns_, frame, "X"), "X")
        except UserError as error:
            raise ValueError(str(error)) from None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.non_deterministic = True  # rows are given different draws
        return tags


def seed_of(random_state: Any) -> int:
    """A whole number as it is, NumPy's too; of what scikit-learn takes beside, None and a generator, one drawn.

    Raises:
      ValueError: the argument, its value and what is allowed.
    """
    if isinstance(random_state, numbers.Integral):
        checked(random_state=random_state)
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))


def _distinct(column: Any) -> Sequence[Any]:
    """Different values of a column; none of one that holds what cannot be compared, such as lists."""
    try:
        values: Sequence[Any] = column.dropna().unique()
    except TypeError:
        return ()
    return values


def rebuilt(settings: dict[str, Any], columns: Sequence[Column]) -> tuple[Preprocessing, Any]:
    """Preprocessing and model of a pickled estimator."""
    from sbvi.core import build
    from sbvi.models import MODELS
    from sbvi.models.values import DataFacts

    table = tuple(columns)
    known = Preprocessing((len(table),), columns=tuple(c.name for c in table), table=table)
    return known, build(MODELS, "model", settings).build(DataFacts((len(table),), False, None, 0, table), None)
