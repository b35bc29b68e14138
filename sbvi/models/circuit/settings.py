"""What a config chooses of a circuit."""

from dataclasses import replace
from typing import Any, ClassVar, Literal

import numpy as np

from sbvi.core import NumPySeed, Positive, PositiveInt, Probability, UserError, spec
from sbvi.models.circuit import algebra, chow_liu, structures
from sbvi.models.circuit.compiled import Compiled, compiled, first_parameters
from sbvi.models.circuit.leaf import Leaf
from sbvi.models.circuit.leaves import leaf_of
from sbvi.models.circuit.model import BuiltCircuit
from sbvi.models.circuit.plan import Plan, check
from sbvi.models.circuit.units import as_seen
from sbvi.models.spec import ModelSpec
from sbvi.models.values import DataFacts, DataSummary

LeafName = Literal["bernoulli", "categorical", "binomial", "gaussian"]
BINS = 8  # of each column, where a tree is learned from values that are not binary
CELLS = 5_000  # variables times states that a table of every two variables is made for
#: A likelihood that a data set calls for -> a leaf.
LEAVES: dict[str, LeafName] = {"bernoulli": "bernoulli", "discretized_logistic": "categorical", "gaussian": "gaussian"}

#: Settings of structure=random.
OF_RANDOM = ("leaf_units", "replicas", "depth", "structure_seed")


@spec
class Circuit(ModelSpec):
    """Structure, sizes and leaves of a circuit."""

    builds: ClassVar[type] = BuiltCircuit
    default_objective: ClassVar[str] = "log_likelihood"
    summary_rows: ClassVar[int] = 300_000  # trees are learned from them
    of_real_values: ClassVar[str | None] = "model.leaf=gaussian"
    of_training: ClassVar[tuple[str, ...]] = ("file", "leaf_dropout", "sum_dropout")  # a file by `placing`

    structure: Literal["hidden_chow_liu", "chow_liu", "random", "quad_tree", "mixture", "file"] = "hidden_chow_liu"
    """hidden_chow_liu: a latent for every variable, joined by the data's Chow-Liu tree. chow_liu: that tree alone.
    random: halves of random orders of the variables. quad_tree: quarters of an image. mixture: products of leaves.
    file: a circuit built by hand, with its own first parameters."""
    file: str | None = None
    """The file of structure=file, as `sbvi.models.circuit.algebra.save` writes it."""
    units: PositiveInt = 16
    """Sums of every region: states of a latent, components of a mixture."""
    leaf_units: PositiveInt | None = None
    """Leaves of every leaf region of a random structure; null for as many as sums."""
    replicas: PositiveInt = 10
    """Random orders, for structure=random."""
    depth: PositiveInt = 3
    """How often each order is halved, for structure=random."""
    layer: Literal["cp", "tucker"] = "cp"
    """Whether products join equal units of two regions or every pair of them, for structure=random."""
    structure_seed: NumPySeed = 0
    """Seed of the random orders."""
    leaf: LeafName | None = None
    """Density of a single variable; null for what the data set calls for."""
    least_variance: Positive = 1e-3
    """Least variance of a Gaussian leaf."""
    most_variance: Positive = 1.0
    """Greatest variance of a Gaussian leaf."""
    labels: bool = False
    """Whether the root has a class for every label, so that the circuit classifies."""
    leaf_dropout: Probability = 0.0
    """Probability that a variable with all of its leaves is summed out, in training by labels."""
    sum_dropout: Probability = 0.0
    """Probability that a sum goes without a child, in training by labels."""

    def __post_init__(self) -> None:
        if self.least_variance >= self.most_variance:
            raise ValueError(
                f"least_variance={self.least_variance} must be less than most_variance={self.most_variance}"
            )
        if self.layer == "tucker" and self.structure != "random":
            raise ValueError(f"layer=tucker needs structure=random; structure={self.structure} has layer=cp")
        if (self.structure == "file") != (self.file is not None):
            raise ValueError(f"structure={self.structure} and file={self.file} must be given together")
        if self.structure == "file" and self.labels:
            raise ValueError("labels=true needs a structure that is made with a class for every label, not file")
        if (self.leaf_dropout or self.sum_dropout) and not self.labels:
            raise ValueError("leaf_dropout and sum_dropout are of training by labels, and need labels=true")
        if self.structure == "chow_liu" and self.leaf == "gaussian":
            raise ValueError("structure=chow_liu is of discrete values; use structure=hidden_chow_liu")

    def idle(self) -> dict[str, str]:
        found = {} if self.structure == "random" else dict.fromkeys(OF_RANDOM, "structure=random")
        made = self.structure not in ("chow_liu", "file")
        return found if made else found | {"units": "structure=hidden_chow_liu, random, quad_tree or mixture"}

    @property
    def binary(self) -> bool:
        return self.leaf == "bernoulli"

    @property
    def binary_by(self) -> str:
        return "The model" if self.file is None else f"model.file={self.file}, of Bernoulli leaves,"

    @property
    def beyond_bits(self) -> tuple[str | None, str | None]:
        if self.file is None:
            return "model.leaf=categorical or binomial", self.of_real_values
        real = f"a model.file of Gaussian leaves, or {self.of_real_values} with another model.structure"
        return "a model.file of categorical leaves", real

    @property
    def discrete(self) -> bool:
        return self.leaf != "gaussian"

    @property
    def labelled(self) -> bool:
        return self.labels

    def completed(self, likelihood: str) -> "Circuit":
        if self.leaf is not None:
            return self
        if self.file is not None:
            return replace(self, leaf=compiled(algebra.load(self.file)).leaf)  # type: ignore[arg-type]
        return replace(self, leaf=LEAVES.get(likelihood, "gaussian"))

    def check(self, facts: DataFacts) -> None:
        if self.leaf in ("categorical", "binomial") and facts.levels is None:
            raise UserError(f"model.leaf={self.leaf} needs whole numbers, and the data has real values; use gaussian.")
        if facts.binary and self.leaf == "gaussian":
            raise UserError("model.leaf=gaussian has no bound on binary data; use model.leaf=bernoulli.")
        if self.labels and facts.classes < 2:
            raise UserError(f"model.labels=true needs labels of at least two classes; the data has {facts.classes}.")
        cells = facts.event_size * ((facts.levels or 1) + 1)
        if self.structure == "chow_liu" and cells > CELLS:
            raise UserError(
                f"model.structure=chow_liu keeps a table of every two variables' states: {facts.event_size} variables "
                f"of {(facts.levels or 1) + 1} states are too many; use structure=hidden_chow_liu."
            )

    def learn_structure(self, summary: DataSummary) -> Any:
        """The parents of the Chow-Liu tree of the rows, where the structure is one; the nodes of a file, whose
        Gaussian leaves are in the source's units, in the model's."""
        if self.file is not None:
            nodes = algebra.to_data(algebra.load(self.file))
            return {"nodes": as_seen(nodes, summary.location, summary.scale)}
        if self.structure not in ("hidden_chow_liu", "chow_liu"):
            return None
        counts = chow_liu.pair_counts(*chow_liu.states(summary.x[:], BINS))
        return {"parent": [int(parent) for parent in chow_liu.tree(chow_liu.mutual_information(counts))]}

    def least_parameters(self, facts: DataFacts) -> int:
        """Those of the leaves, of which every variable has some in every order, and a weight of each sum."""
        if self.structure in ("chow_liu", "file"):
            return 0
        if self.structure != "random":
            return self.units * facts.event_size
        return self.replicas * facts.event_size * (self.leaf_units or self.units) + self.units

    def placing(self, structure: Any) -> dict[str, Any]:
        """The variables below each sum."""
        seed = {"structure_seed": self.structure_seed} if self.structure == "random" else {}
        return {"structure": self.structure, **seed, "learned": structure}

    def plan(self, facts: DataFacts, structure: Any) -> Plan:
        """The folded layers.

        Raises:
          UserError: the data does not fit the structure.
        """
        size, classes = facts.event_size, facts.classes if self.labels else 1
        if self.structure == "file":
            plan = self._by_hand(structure, facts).plan
        elif self.structure == "mixture":
            plan = structures.mixture(size, self.units, classes)
        elif self.structure == "quad_tree":
            plan = structures.quad_tree(facts.event_shape, self.units, classes)
        elif self.structure == "random":
            leaf_units = self.leaf_units or self.units
            plan = structures.random(
                size, self.replicas, self.depth, leaf_units, self.units, classes, self.layer, self.structure_seed
            )
        else:
            units = (facts.levels or 1) + 1 if self.structure == "chow_liu" else self.units
            plan = structures.latent_tree(structure["parent"], units, classes)
        check(plan, size)
        return plan

    def _by_hand(self, structure: Any, facts: DataFacts) -> Compiled:
        circuit = compiled(algebra.from_data(structure["nodes"], f"model.file={self.file}"))
        if circuit.leaf != self.leaf:
            raise UserError(
                f"model.leaf={self.leaf}, and the leaves of model.file={self.file} are {circuit.leaf}; allowed: "
                f"model.leaf={circuit.leaf}, as without model.leaf, or another file."
            )
        if (size := circuit.variables) != facts.event_size:
            raise UserError(
                f"model.file={self.file} has variables {size}, and the data set calls for {facts.event_size}."
            )
        if circuit.levels > (facts.levels or 1):
            raise UserError(f"model.file={self.file} has levels up to {circuit.levels}, the data up to {facts.levels}.")
        return circuit

    def family(self, facts: DataFacts) -> Leaf:
        """The leaves' family."""
        name = "indicator" if self.structure == "chow_liu" else str(self.leaf)
        return leaf_of(name, facts.levels or 1, self.least_variance, self.most_variance)

    def build(self, facts: DataFacts, structure: Any = None) -> BuiltCircuit:
        plan = self.plan(facts, structure)
        tables = np.asarray(structure["parent"]) if self.structure == "chow_liu" else None
        start = None
        if self.structure == "file":
            start = first_parameters(self._by_hand(structure, facts), self.family(facts), facts.levels or 1)
        return BuiltCircuit(facts, plan, self.family(facts), tables, self.leaf_dropout, self.sum_dropout, start)
