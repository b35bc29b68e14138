"""What cannot fit is refused by shapes, before any array is made."""

import jax
import pytest
from support.small_run import experiment

from sbvi.core import UserError
from sbvi.models.values import DataFacts
from sbvi.runs import memory
from sbvi.runs.assembly import Assembly
from sbvi.runs.experiment import Experiment

SMALL = ["dataset=synthetic", "dataset.dimensions=12", "dataset.train_size=20"]


def test_a_state_s_size_is_known_before_it_is_made():
    assembly = Assembly.build(experiment(model={"latents": [4, 3]}))
    state = assembly.initial_state()
    abstract = memory.abstract_state(assembly.algorithm, memory.blank(assembly.model.facts))
    assert memory.size_of(abstract) == sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    assert jax.tree.structure(abstract) == jax.tree.structure(state)


@pytest.mark.parametrize(
    ("groups", "what"),
    [
        ({"model": {"latents": [30_000_000]}}, "the model's parameters"),
        ({"model": {"latents": [200_000]}, "posterior": {"name": "full"}}, "the model's parameters"),
        ({"objective": {"num_samples": 2_000_000_000}}, "a step with objective.num_samples=2000000000"),
        ({"evaluation": {"chunk": 10**9, "num_samples": 10**9}}, "an evaluation with evaluation.chunk=1000000000"),
    ],
)
def test_what_cannot_fit_is_refused_without_an_array(groups, what):
    with pytest.raises(UserError, match=rf"Too large: {what}.* would take at least [\d.]+ GiB, and"):
        Assembly.build(experiment(**groups))


@pytest.mark.parametrize(
    "model",
    [
        f"nade model.hidden={2**40}",
        f"mixture model.count={2**40}",
        f"circuit model.units={2**32}",
        f"circuit model.structure=random model.replicas={2**40}",
        f"helmholtz model.deterministic={2**40}",
    ],
)
def test_what_has_no_shapes_is_refused_by_its_settings(model):
    """NumPy would make an array for them, Python a list, or 32 bits overflow."""
    asked = Experiment.from_overrides([*SMALL, *f"model={model}".split()])
    with pytest.raises(UserError, match=r"^Too large: the model's parameters would take at least [\d.]+ GiB, and"):
        Assembly.build(asked)


@pytest.mark.parametrize(
    "model",
    [
        "nade model.hidden=5",
        "mixture model.count=4",
        "circuit model.units=3",
        "circuit model.units=3 model.structure=mixture",
        "circuit model.structure=random model.replicas=2 model.depth=1 model.units=5 model.leaf_units=2",
        "helmholtz model.layers=[3] model.deterministic=4",
        "helmholtz model.layers=[5,2] model.deterministic=1",
    ],
)
def test_what_settings_alone_say_is_no_more_than_there_is(model):
    asked = Experiment.from_overrides([*SMALL, *f"model={model}".split()])
    built = Assembly.build(asked).model
    numbers = sum(leaf.size for leaf in jax.tree.leaves(memory.abstract_params(built)))
    assert 0 <= asked.model.least_parameters(built.facts) <= numbers


def test_points_that_fit_fill_half_of_the_memory(monkeypatch):
    assembly = Assembly.build(experiment())
    needs = memory.needs(
        assembly.experiment,
        assembly.model,
        memory.abstract_state(assembly.algorithm, memory.blank(DataFacts((12,), True, 1))),
    )
    each = sum(list(needs.values())[:2])
    monkeypatch.setattr(memory, "_room", lambda: (2 * 7 * each, "available"))
    assert memory.points_that_fit(assembly.experiment, assembly.model, assembly.algorithm) == 7
