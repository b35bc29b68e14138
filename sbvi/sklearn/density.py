"""Densities of rows with gaps."""

from typing import Any

import numpy as np
from sklearn.base import DensityMixin

from sbvi.data.tabular import columns as tables
from sbvi.sklearn.arguments import checked, in_float32
from sbvi.sklearn.estimator import TableEstimator, seed_of


class DensityEstimator(DensityMixin, TableEstimator):
    """The density of a table's rows, by importance sampling.

    Args:
      latents: size of the latent layer.
      hidden: deterministic layers of the generative and of the recognition network.
      continuous: law of continuous columns.
      scale: whether the scale of continuous columns is learned for each, or predicted by the network.
      columns: name -> kind, where that is not to be found by looking: continuous, positive, count, binary, categorical,
        ordinal, ignored, or a list of ranks.
      steps: of Adam, whose rate falls as a cosine; None for 200 passes over the table, within 500 and 6,000 steps.
      batch_size: rows of a step of Adam.
      learning_rate: of Adam.
      bound_samples: K of the importance-weighted bound.
      extra_missing: probability that an entry is hidden in training: for complete tables.
      validation: share of rows that are held out of training, and choose among its steps.
      samples: importance samples of each row that is scored.
      random_state: seed.

    Attributes:
      columns_: the columns that are modelled. seed_; and of the one model best_steps_ and validation_scores_ (nats of a
        row in the columns' own units).
    """

    @in_float32
    def score_samples(self, X: Any) -> np.ndarray:
        """log p of the observed entries of each row, (N,), nats of the columns' own units: a lower bound in
        expectation that rises to it with `samples`; a warning says where few of these count."""
        import jax

        from sbvi.core.precision import jit_reported
        from sbvi.evaluation.trust import few_effective
        from sbvi.inference.importance import importance_sampling

        checked(samples=self.samples)
        _, held = self._held(X)
        _, model = self._fitted()
        how = (self.samples, 0)  # which `set_params` changes without another fit
        if how not in self._draw:
            self._draw[how] = jit_reported(importance_sampling(model.rollout, self.samples, 100))
        scores, effective = [], []
        for start in range(0, len(held), 200):
            rows = held[start : start + 200]
            padded = np.concatenate([rows, np.repeat(rows[:1], 200 - len(rows), 0)]) if len(held) > 200 else rows
            key = jax.random.fold_in(jax.random.key(self.seed_), start)
            said = self._draw[how](self.params_[0], key, jax.device_put(padded))
            scores.append(np.asarray(said.log_likelihood)[: len(rows)])
            effective.append(np.asarray(said.effective)[: len(rows)])
        few_effective("score_samples()", np.concatenate(effective), self.samples, "samples")
        return np.concatenate(scores).astype(np.float64)

    def score(self, X: Any, y: Any = None) -> float:
        """The mean of `score_samples`."""
        return float(np.mean(self.score_samples(X)))

    @in_float32
    def sample(self, n_samples: int = 1, random_state: int | np.random.RandomState | None = 0) -> Any:
        """Draws of complete rows, a frame of the columns that are modelled; with None other ones at every call.

        Raises:
          ValueError: n_samples is no whole number of at least 1.
        """
        import jax

        checked(n_samples=n_samples)
        known, model = self._fitted()
        drawn = model.sample(self.params_[0], jax.random.key(seed_of(random_state)), n_samples).value
        return tables.framed(self.columns_, known.to_source(np.asarray(drawn)))
