"""A setting that changes nothing as the others stand is refused before a run begins."""

import pytest

from sbvi.core import UserError
from sbvi.runs.experiment import Experiment

pytestmark = pytest.mark.quick

EM = ["model=mixture", "algorithm=expectation_maximisation"]
SGMCMC = ["algorithm=sgmcmc"]
RELAXED = ["objective.estimator=relaxed", "model=helmholtz", "algorithm=gradient_ascent"]
TABLE = ["dataset=table", "dataset.path=x.csv", "likelihood=mixed"]
CIRCUIT = ["model=circuit", "dataset=digits"]
#: Words that have no effect -> the sentence, and words with which they have one.
IDLE = {
    ("optimizer.schedule.final=0.1",): (
        r"optimizer.schedule.final=0.1 has .* optimizer.schedule.kind=cosine or exponential alone; .*: 0.0",
        ["optimizer.schedule.kind=cosine"],
    ),
    ("optimizer.schedule.boundaries=[3]", "optimizer.schedule.factors=[0.1]"): (
        r"optimizer.schedule.boundaries=\[3.0\] has an effect with optimizer.schedule.kind=staged alone; .*: \[\]",
        ["optimizer.schedule.kind=staged"],
    ),
    ("objective.kl_weight.start=0.5",): (
        r"objective.kl_weight.start=0.5 has an effect with objective.kl_weight.warmup_epochs above 0 alone",
        ["objective.kl_weight.warmup_epochs=3"],
    ),
    ("objective=importance_weighted", "objective.kl_weight.start=0.5"): (
        r"objective.kl_weight.start=0.5 has an effect",
        ["objective.kl_weight.warmup_epochs=3"],
    ),
    ("dataset=digits", "likelihood=gaussian", "likelihood.fixed_scale=0.5"): (
        r"likelihood.fixed_scale=0.5 has an effect with likelihood.scale=fixed alone; allowed without: 0.1",
        ["likelihood.scale=fixed"],
    ),
    (*EM, "algorithm.step_size=0.5"): (
        r"algorithm.step_size=0.5 has an effect with algorithm.mode=online alone; allowed without: 0.1",
        ["algorithm.mode=online"],
    ),
    (*EM, "algorithm.schedule.kind=cosine"): (
        r"algorithm.schedule.kind=cosine has an effect with algorithm.mode=online alone; allowed without: constant",
        ["algorithm.mode=online"],
    ),
    (*SGMCMC, "model.weight_prior_variance=10"): (
        r"model.weight_prior_variance=10.0 has no effect with algorithm=sgmcmc, .* algorithm.prior_scale",
        ["model.weight_prior_variance=null"],
    ),
    (*SGMCMC, "model=helmholtz", "model.weight_prior_variance=10"): (
        r"model.weight_prior_variance=10.0 .* allowed: null",
        ["algorithm=bihm"],
    ),
    ("objective.probes=5",): (
        r"objective.probes=5 has an effect with objective.rule=price_hutchinson or price_gauss_newton alone; .*: 1",
        ["objective.rule=price_hutchinson", "model.activation=tanh"],
    ),
    ("objective=free_energy", "objective.temperature=0.1"): (r"with objective.estimator=relaxed alone", RELAXED),
    ("objective=importance_weighted", "objective.temperature=0.1"): (r"objective.temperature=0.1 has", RELAXED),
    ("dataset=digits", "likelihood=gaussian", "likelihood.scale=fixed", "likelihood.minimum_scale=0.2"): (
        r"likelihood.minimum_scale=0.2 has an effect with likelihood.scale=learned or predicted alone",
        ["likelihood.scale=predicted"],
    ),
    ("model.kernel=5",): (r"model.kernel=5 has an effect with model.convolutions=\[n", ["model.convolutions=[8]"]),
    (*CIRCUIT, "model.structure=quad_tree", "model.depth=2"): (
        r"model.depth=2 has an effect with model.structure=random alone; allowed without: 3",
        ["model.structure=random"],
    ),
    (*CIRCUIT, "model.structure=chow_liu", "model.units=9"): (
        r"model.units=9 has an effect with model.structure=hidden_chow_liu, random",
        ["model.structure=hidden_chow_liu"],
    ),
    ("runtime.coordinator=host:1",): (
        r"runtime.coordinator=host:1 has an effect with runtime.distributed=true alone; allowed without: null",
        ["runtime.distributed=true"],
    ),
    ("dataset=mnist", "dataset.validation_size=5000"): (
        r"validation_size=5000 has an effect with dataset.binarization=dynamic, threshold or none alone; .*: 10000",
        ["dataset.binarization=threshold"],
    ),
    ("dataset=mnist", "dataset.split_seed=1"): (r"dataset.split_seed=1 has", ["dataset.when_absent=synthetic"]),
    ("dataset=cifar10", "likelihood=gaussian", "dataset.patches_per_image=5"): (
        r"dataset.patches_per_image=5 has an effect with dataset.patch=SIDE alone; allowed without: 10",
        ["dataset.patch=8"],
    ),
    ("dataset=cifar10", "likelihood=gaussian", "dataset.grid=2"): (
        r"dataset.grid=2 has an effect with dataset.features=WORDS alone; allowed without: 4",
        ["dataset.features=10"],
    ),
    ("dataset=stl10", "likelihood=gaussian", "dataset.grid=2"): (r"grid=2 has an", ["dataset.features=10"]),
    (*TABLE, "dataset.missing.mechanism=block"): (
        r"dataset.missing.mechanism=block has an effect with dataset.missing.fraction above 0 alone; .*: random",
        ["dataset.missing.fraction=0.1"],
    ),
}


@pytest.mark.parametrize("words", IDLE, ids=" ".join)
def test_what_changes_nothing_is_refused(words):
    said, more = IDLE[words]
    with pytest.raises(UserError, match=said):
        Experiment.from_overrides(words)
    Experiment.from_overrides([*words, *more])


def test_a_word_may_take_its_effect_from_what_an_experiment_sets():
    """It was not the user who set it; together they were both given."""
    constant = ["experiment=rws_mnist_200x3", "optimizer.schedule.kind=constant"]
    assert Experiment.from_overrides(constant).algorithm.optimizer.schedule.final == 0.01
    with pytest.raises(UserError, match=r"optimizer.schedule.final=0.02 has an effect"):
        Experiment.from_overrides([*constant, "optimizer.schedule.final=0.02"])


def test_what_an_earlier_run_recorded_is_still_read():
    config = Experiment.from_overrides(["optimizer.schedule.kind=cosine", "optimizer.schedule.final=0.1"]).to_config()
    config["algorithm"]["optimizer"]["schedule"]["kind"] = "constant"
    with pytest.raises(UserError, match="has an effect"):
        Experiment.from_config(config)
    schedule = Experiment.from_config(config, recorded=True).algorithm.optimizer.schedule
    assert (schedule.kind, schedule.final) == ("constant", 0.1)
