"""What a config chooses of a model, before data is seen."""

import abc
from typing import Any, ClassVar

from sbvi.models.values import DataFacts, DataSummary


class ModelSpec(abc.ABC):
    """What a config chooses: the frozen settings of a model, before data is seen.

    builds: the class of the built model, by which capabilities are known.  default_algorithm, default_objective:
    what trains it where nothing is chosen.  summary_rows: the most rows of the training split in its `DataSummary`.
    of_real_values: the word of a config that makes it a density of real values; None of a model that is of bits alone.
    of_training: keys that say how parameters are begun and found, and nothing of what they mean, such as dropout; what
    hangs from a model may say it too.
    """

    builds: ClassVar[type]
    default_algorithm: ClassVar[str] = "gradient_ascent"
    default_objective: ClassVar[str] = "free_energy"
    summary_rows: ClassVar[int] = 10_000
    of_real_values: ClassVar[str | None] = None
    of_training: ClassVar[tuple[str, ...]] = ()

    @property
    @abc.abstractmethod
    def binary(self) -> bool:
        """Whether it models binary data."""

    @property
    def binary_by(self) -> str:
        """What of it is of binary data, for a sentence."""
        return "The model"

    @property
    def beyond_bits(self) -> tuple[str | None, str | None]:
        """What would make it a probability of whole numbers, and a density of real ones, as it is set; None where
        nothing does."""
        return None, self.of_real_values

    @property
    def dequantizes(self) -> bool:
        """Whether whole numbers get uniform noise, so that a density has a meaning in bits for them."""
        return False

    @property
    def discrete(self) -> bool:
        """Whether p is a probability of whole levels, and no density."""
        return self.binary

    @property
    def by_column(self) -> bool:
        """Whether it takes a table whose columns are of their own kinds, with gaps."""
        return False

    @property
    def scores_gaps(self) -> bool:
        """Whether p is of which entries are missing too, beside the values of the others."""
        return False

    @property
    def analytic_kl(self) -> bool:
        """Whether the KL of its posterior to its prior has a closed form."""
        return False

    @property
    def stochastic_layers(self) -> int:
        """How many stochastic layers have a KL of their own."""
        return 1

    @property
    def asks_recognition(self) -> bool:
        """Whether p(x, z) has the recognition model's parameters too, as under a prior made of what it says."""
        return False

    @property
    def asks_generative(self) -> str:
        """The setting by which q(z | x) has the generative model's parameters too, as where a ladder meets its layers'
        means; empty where it has none."""
        return ""

    @property
    def joins_kl(self) -> str:
        """The setting by which only the sum of the layers' terms is a KL, and a layer's own may be below 0; empty where
        each is one."""
        return ""

    @property
    def sample_noise(self) -> float:
        """Standard deviation of noise that moves samples off q in training."""
        return 0.0

    @property
    def hidden_noise(self) -> float:
        """Probability that training leaves out a unit of p(x | z)'s network."""
        return 0.0

    @property
    def kinks(self) -> str:
        """Where its density is not twice differentiable in the latents: what is needed instead, for a sentence; empty
        where it is smooth."""
        return ""

    @property
    def estimators(self) -> tuple[str, ...]:
        """The estimators of the bounds' gradients that serve its latents."""
        return ("standard", "sticking_the_landing", "doubly_reparameterised")

    @property
    def moves_latents(self) -> bool:
        """Whether all its latents are continuous, so that tasks can move them along gradients, as annealing does."""
        return "standard" in self.estimators

    @property
    def labelled(self) -> bool:
        """Whether it is built with a class for every label, so that it can be trained by them."""
        return False

    def completed(self, likelihood: str) -> Any:
        """The settings with every open choice made; likelihood: the one that the data set calls for."""
        return self

    def check(self, facts: DataFacts) -> None:  # noqa: B027  (most models take any data of their kind)
        """Refuse data that the model cannot be of.

        Raises:
          UserError: what the data holds, and what is needed.
        """

    def check_begun(self) -> None:  # noqa: B027  (most models take all settings that can be given)
        """Refuse settings that no run should begin with, and that a begun run may have.

        Raises:
          UserError: one has no use.
        """

    def least_parameters(self, facts: DataFacts) -> int:
        """A number that the model's parameters are no fewer than, by its settings alone: what surely cannot fit is
        refused by it, where the parameters' shapes could not even be listed."""
        return 0

    def learn_structure(self, summary: DataSummary) -> Any:
        """What is learned from data before the model is built: plain data, kept in run.json; None for nothing."""
        return None

    def placing(self, structure: Any) -> dict[str, Any]:
        """What says, beside shapes, which parameter is of what, such as an order of the variables: key -> plain data.
        structure: what was learned from data."""
        return {}

    @abc.abstractmethod
    def build(self, facts: DataFacts, structure: Any = None) -> Any:
        """The model over data of these facts."""
