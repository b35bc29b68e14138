"""Models, posteriors and objectives of packages are tried by shapes before a run begins: each fault is a sentence that
names the function, what it gave and what it must give."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from support.models import dlgm

from sbvi.algorithms.gradient_ascent import GradientAscentSpec
from sbvi.core import UserError, spec
from sbvi.distributions.diagonal import DiagonalGaussian
from sbvi.distributions.priors import PRIORS
from sbvi.models.capabilities import Density
from sbvi.models.nade import NADE
from sbvi.models.values import DataFacts, LogProb
from sbvi.objectives import FreeEnergy
from sbvi.posteriors import Moments
from sbvi.posteriors.families import Diagonal
from sbvi.posteriors.gaussian import FactorisedGaussian
from sbvi.posteriors.posterior import Draws
from sbvi.posteriors.whole import conditional, divergence, nodewise, sampled, whole
from sbvi.posteriors.whole import tried as tried_posterior
from sbvi.runs import Experiment, trial
from sbvi.runs.idle import check_idle
from sbvi.runs.trial import tried

pytestmark = pytest.mark.quick

FACTS = DataFacts((4,), True)
SIZES = {"layer_1": 2}


class BareModel:
    """A density of one parameter, as a package may have it."""

    facts, discrete = FACTS, True

    def init(self, seed, summary):
        return {"logit": jnp.zeros(4)}

    def numbers(self, examples):
        return {"bit_flip": np.float32(0.1), "dropout": 0}

    def log_prob(self, params, key, x):
        return LogProb((x * params["logit"][None]).sum(-1), "exact")


@spec
class Bare(NADE):
    builds = BareModel

    def build(self, facts, structure=None):
        return BareModel()


def test_what_gives_all_that_is_asked_for_is_taken():
    assert issubclass(BareModel, Density)
    model = BareModel()
    assert tried(model, Bare(), 100) is model


MODEL_FAULTS = [
    ("init", lambda self, seed, summary: None, r"BareModel.init gives None; it must give arrays, alone or in"),
    ("init", lambda self, seed, summary: {"w": "no"}, r"BareModel.init gives a dict of w; it must give arrays"),
    (
        "init",
        lambda self, seed, summary: {"logit": jnp.zeros(3)},
        r"BareModel.log_prob fails with the parameters that init gives \((Type|Value)Error: .*\)\.",
    ),
    (
        "numbers",
        lambda self, examples: None,
        r"BareModel.numbers gives None; it must give a dict from names to numbers",
    ),
    ("numbers", lambda self, examples: {"dropout": "no"}, r"BareModel.numbers gives a dict of dropout; it must"),
    (
        "log_prob",
        lambda self, params, key, x: None,
        r"BareModel.log_prob gives None; it must give a LogProb of shape \(3,\) for 3 examples\.",
    ),
    (
        "log_prob",
        lambda self, params, key, x: LogProb(x, "exact"),
        r"BareModel.log_prob gives an array of shape \(3, 4\); it must give a LogProb of shape \(3,\)",
    ),
]


@pytest.mark.parametrize(("name", "method", "said"), MODEL_FAULTS)
def test_a_model_s_fault_is_told(name, method, said, monkeypatch):
    monkeypatch.setattr(BareModel, name, method)
    with pytest.raises(UserError, match=f"^{said}"):
        tried(BareModel(), Bare(), 100)


def test_what_is_no_model_is_told():
    for made, said in [(None, "None"), (object(), "an object without facts, discrete, init, numbers")]:
        with pytest.raises(UserError, match=rf"^Bare.build gives {said}; it must give a model, which has facts,"):
            tried(made, Bare(), 100)


def test_models_of_sbvi_are_not_tried(monkeypatch):
    """They have tests of their own, and a start has no time for it."""
    model, asked = NADE(hidden=3).build(FACTS), []
    monkeypatch.setattr(trial, "_call", lambda *given: asked.append(given))
    assert tried(model, NADE(hidden=3), 100) is model
    assert asked == []


@spec
class Alike(Diagonal):
    """As a package may have it: a posterior of sbvi's with one function of its own."""

    def build(self, *given):
        return Diagonal.build(self, *given)


def test_a_posterior_of_a_package_has_its_model_tried(monkeypatch):
    model = dlgm((4,), posterior=Alike(), latents=(2,), hidden=(), recognition_hidden=())
    assert tried(model, model.spec, 100) is model
    monkeypatch.setattr(FactorisedGaussian, "sample", lambda *_: None)
    with pytest.raises(
        UserError, match=r"^FactorisedGaussian.sample gives None; it must give Draws of latents, values"
    ):
        tried(model, model.spec, 100)


def test_a_posterior_that_is_none_is_told_where_a_model_of_it_is_made(monkeypatch):
    monkeypatch.setattr(Alike, "build", lambda *_: None)
    with pytest.raises(
        UserError, match=r"^Alike.build gives None; it must give a posterior, which has nodes, init, giv"
    ):
        dlgm((4,), posterior=Alike(), latents=(2,))


Q = FactorisedGaussian({"layer_1": DiagonalGaussian(jnp.zeros((3, 2)), jnp.zeros((3, 2)))})
standard = PRIORS["standard"]().build
ZEROS = {"layer_1": jnp.zeros((5, 3, 2))}
GOOD = Draws(ZEROS, jnp.zeros((5, 3)), None)
OF_3 = jnp.zeros((3, 2))


def drawn(draws):
    return lambda: sampled(draws, Q, SIZES, 5, 3)


def by_node(found, function, *rows):
    return lambda: nodewise(found, Q, function, SIZES, rows)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            lambda: whole(Alike, Alike()),
            "Alike.build gives a type without nodes, init, given; it must give a posterior",
        ),
        (lambda: conditional({}, Alike()), "Alike.given gives a dict of nothing without sample, draw, "),
        (drawn(GOOD._replace(latents={"other": ZEROS})), "FactorisedGaussian.sample gives a dict of other; it must"),
        (
            drawn(GOOD._replace(latents={"layer_1": jnp.zeros(())})),
            r"FactorisedGaussian.sample gives an array of shape \(\); it must give latents of shape \(5, 3, 2\) at",
        ),
        (
            drawn(GOOD._replace(values=jnp.zeros((3,)))),
            r"FactorisedGaussian.sample gives an array of shape \(3,\); it must give values of shape \(5, 3\) for 5",
        ),
        (by_node(None, "moments", 3), "FactorisedGaussian.moments gives None; it must give a dict of layer_1"),
        (
            by_node({"layer_1": Moments(OF_3, OF_3, jnp.zeros(()))}, "moments", 3),
            r"FactorisedGaussian.moments gives an array of shape \(\); it must give error of shape \(3, 2\) at layer_1",
        ),
        (
            by_node({"layer_1": OF_3}, "kl", 3),
            r"FactorisedGaussian.kl gives an array of shape \(3, 2\); it must give an array of shape \(3,\) at layer_1",
        ),
    ],
)
def test_a_posterior_s_fault_is_told(asked, said):
    with pytest.raises(UserError, match=f"^{said}"):
        asked()


def test_a_posterior_that_gives_what_is_asked_for_is_taken(monkeypatch):
    assert drawn(GOOD)() is GOOD
    assert divergence(None, Q, None, SIZES, 3) is None  # has no closed form
    tried_posterior(Q, SIZES, 5, 3)
    monkeypatch.setattr(FactorisedGaussian, "rows", lambda self: {"layer_1": jnp.zeros((1, 2))})
    with pytest.raises(
        UserError, match=r"^FactorisedGaussian.rows gives an array of shape \(1, 2\); it must give arrays "
    ):
        tried_posterior(Q, SIZES, 5, 3)


class Other:
    """A prior of a package, whom a posterior of sbvi asks for its KL."""


@pytest.mark.parametrize(("prior", "whose"), [(Other(), "Other"), (standard(SIZES), "FactorisedGaussian")])
def test_whose_kl_it_is_is_told(prior, whose):
    with pytest.raises(
        UserError, match=rf"^{whose}.kl gives an array of shape \(3, 2\); it must give an array of shape"
    ):
        divergence({"layer_1": OF_3}, Q, prior, SIZES, 3)


@spec
class Bound(FreeEnergy):
    """An objective as a package may have it."""


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("numbers", None, "Bound.numbers gives None; it must give a dict from names to arrays of one number for each"),
        (
            "numbers",
            {"kl_weight": np.ones(())},
            r"Bound.numbers gives an array of shape \(\); it must give an array of ",
        ),
        ("numbers", {"kl_weight": 1.0}, r"Bound.numbers gives a float; it must give an array of shape \(3,\) as kl_w"),
        ("companion", "no", "Bound.companion gives a str; it must give None, or parameters: arrays"),
    ],
)
def test_an_objective_s_fault_is_told(name, given, said, monkeypatch):
    monkeypatch.setattr(Bound, name, lambda *_: given)
    with pytest.raises(UserError, match=f"^{said}"):
        GradientAscentSpec(objective=Bound()).build(BareModel(), 100)


@pytest.mark.parametrize("given", [None, {"no_field": "rule=x"}, {"rule": 1}])
def test_what_says_that_settings_are_idle_is_held_to_it(given, monkeypatch):
    monkeypatch.setattr(Bound, "idle", lambda _: given)
    with pytest.raises(UserError, match=r"^Bound.idle gives (None|a dict of \w+); it must give (a dict from )?fields "):
        check_idle(Bound(), "objective")


def test_settings_that_are_completed_to_none_are_told(monkeypatch):
    made = Experiment.from_overrides(["model=nade"])
    monkeypatch.setattr(Bare, "completed", lambda *_: None)
    with pytest.raises(UserError, match=r"^Bare.completed gives None; it must give settings, such as Bare\.$"):
        dataclasses.replace(made, model=Bare())
