"""Exact queries of a loaded run on NumPy arrays, NaN where a value is missing; for models that answer them."""

from abc import abstractmethod
from typing import Any

import jax
import numpy as np

from sbvi.core import UserError, seed_of
from sbvi.data.checks import not_there, shaped
from sbvi.evaluation.trust import difference_held
from sbvi.models import require
from sbvi.models.capabilities import Classifier, Marginals, MostProbable, PartialClassifier, offers
from sbvi.models.values import impossible
from sbvi.runs.parts.part import Part


class Queries(Part):
    """What `LoadedRun` offers of them. x is (N, *event_shape) or (N, D), in the units of the run's data set."""

    experiment: Any

    @abstractmethod
    def _marginal(self, held: np.ndarray, missing: np.ndarray, seed: int | None) -> np.ndarray: ...

    def conditional_log_likelihood(self, x: np.ndarray, given: np.ndarray, seed: int | None = None) -> np.ndarray:
        """log p(what is not NaN in x | what is not NaN in given), (N,), nats; a value that stands in both is given.

        -inf where the model gives what is asked for probability 0.

        seed: of the noise of dequantised values, one draw for both; by default that of the run's evaluation.

        Raises:
          UserError: the model gives what is given probability 0, so that it says nothing of the rest.
        """
        self._able(Marginals, "conditional_log_likelihood")
        arranged, one = self.preprocessing.arranged, self.preprocessing.event_shape
        values, known = shaped(arranged(x, "x"), one, "x"), shaped(arranged(given, "given"), one, "given")
        if values.shape != known.shape:
            raise UserError(f"x has shape {values.shape} and given {known.shape}; they must be equal.")
        absent = not_there(known).reshape(known.shape)
        differ = ~absent & ~not_there(values).reshape(values.shape) & (values != known)
        if differ.any():
            raise UserError("x and given hold different values in the same place.")
        together = np.where(absent, values, known)
        unknown = not_there(together)
        # Once for both: whether a file holds grey values or bits is told by all of them, and of what is given alone it
        # may look otherwise.
        held = self.preprocessing.own(together, "x", unknown)
        evidence = possible(self._marginal(held, not_there(known), seed), "given")
        joint = self._marginal(held, unknown, seed)
        difference_held("conditional_log_likelihood()", evidence)
        return np.where(impossible(joint), -np.inf, joint - evidence)

    def conditional(self, x: np.ndarray, seed: int = 0, *, means: bool = False) -> np.ndarray:
        """x with every NaN replaced: by one joint draw from p(missing | rest), or by its means; same shape.

        Raises:
          UserError: the model gives what is not NaN probability 0.
        """
        model, key = self._able(Marginals, "conditional"), jax.random.key(seed_of(seed))
        parted = self._parted(x)
        self.check_possible(*parted)
        compiled = self._jitted("conditional", model.conditional)
        drawn = self._batches(
            lambda part, position: compiled(self.params, jax.random.fold_in(key, position), *part), parted
        )
        return self._filled(drawn.mean if means else drawn.value, x)

    def most_probable(self, x: np.ndarray) -> np.ndarray:
        """x with every NaN replaced by the most probable values given the rest; same shape.

        They are exact where a circuit is deterministic, as a plain Chow-Liu tree is. Elsewhere they belong to the most
        probable state of the latents, and other values can be more probable.

        Raises:
          UserError: the model gives what is not NaN probability 0.
        """
        compiled = self._jitted("most_probable", self._able(MostProbable, "most_probable").most_probable)
        parted = self._parted(x)
        self.check_possible(*parted)
        return self._filled(self._batches(lambda part, _: compiled(self.params, *part), parted), x)

    def check_possible(self, inputs: np.ndarray, observed: np.ndarray, where: str = "x") -> None:
        """Refuse model input (N, D) of which what is observed has probability 0, of a model that knows marginals.

        Raises:
          UserError: there is such a row; see `possible`.
        """
        if offers(self.model, Marginals):
            marginal = self._jitted("evidence", lambda *given: self.model.marginal_log_prob(*given).value)
            possible(self._batches(lambda part, _: marginal(self.params, *part), (inputs, observed)), where)

    def classify(self, x: np.ndarray) -> np.ndarray:
        """p(label | what is not NaN), (N, C)."""
        return self.label_probabilities(*self._parted(x))

    def label_probabilities(
        self, inputs: np.ndarray, observed: np.ndarray | None = None, where: str = "x"
    ) -> np.ndarray:
        """p(label | what is observed), (N, C), for model input (N, D), such as `Dataset.seen` gives."""
        return np.exp(self.label_log_probs(inputs, observed, where))

    def label_log_probs(self, inputs: np.ndarray, observed: np.ndarray | None = None, where: str = "x") -> np.ndarray:
        """log p(label | what is observed), (N, C), nats; see `label_probabilities`.

        Raises:
          UserError: the model predicts no labels, or was built without a class for each; or it gives what is observed
            probability 0, under every label.
        """
        able = self._able(Classifier, "classify")
        if not self.experiment.model.labelled:
            raise UserError(
                "classify() needs a model with a class for every label, and this run's has one for all; train one by "
                "model.labels=true and objective=conditional_likelihood or hybrid."
            )
        self.check_possible(inputs, np.ones(inputs.shape, bool) if observed is None else observed, where)
        if observed is not None and not observed.all():
            model = require(self.model, PartialClassifier, "classify() of rows with missing values")
            compiled = self._jitted("classify_given", model.class_log_probs_given)
            return np.asarray(self._batches(lambda part, _: compiled(self.params, *part), (inputs, observed)))
        compiled = self._jitted("classify", able.class_log_probs)
        return np.asarray(self._batches(lambda part, _: compiled(self.params, part), inputs))

    def _parted(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Model input (N, D), and where it is observed."""
        x = self.preprocessing.arranged(x)
        missing = not_there(x)
        return self.preprocessing.to_model(np.asarray(x), "x", missing), ~missing

    def _filled(self, values: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Values (N, D) of the model where x has none, in the source's units and the shape of x."""
        x = self.preprocessing.arranged(x)
        missing = not_there(x)
        source = np.asarray(x).reshape(missing.shape)
        return self.preprocessing.filled(np.asarray(values), missing, source).reshape(np.shape(x))


def possible(evidence: np.ndarray, where: str) -> np.ndarray:
    """log p of what is known, (N,), as it is; 0 / 0 is no answer, though its logarithms have a difference.

    Raises:
      UserError: the model gives what is known probability 0.
    """
    refused = impossible(evidence) | np.isnan(evidence)  # NaN where float32 lost it, of values very far from all others
    if refused.any():
        raise UserError(
            f"Row {int(np.argmax(refused))} of {where} holds values that the model gives probability "
            f"0, so that nothing follows from them; allowed: values that it can draw."
        )
    return evidence
