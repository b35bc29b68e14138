"""Rows of Bernoulli layers whose parameters are drawn from their posterior, and of those that are learned."""

from typing import Any

from recipes.row import Row, Work
from recipes.works import CHAIN, likelihood, lower_half

#: Draws of a posterior whose logarithm counts ten times.
COLD = ("algorithm.posterior_temperature=0.1",)
#: Two layers in place of the one of the Caltech recipes.
TWO = ("model.layers=[200,100]",)
#: A chain half as long again, of twice the draws.
LONG = ("trainer.steps=45000",)
#: A core's share of an accelerator's batches of 500.
SMALL = ("trainer.batch_size=100", "trainer.validate_every=2500")
#: Small batches and few steps: of more, reweighted wake-sleep learns the training set of Caltech by heart.
START = ("trainer.steps=10000", "trainer.batch_size=100", "trainer.validate_every=1000", "evaluation.num_samples=5000")


def posterior(
    name: str, table: str, title: str, draws: tuple[int, ...], samples: int, *others: Work, **kinds: Any
) -> dict[str, Row]:
    """Two rows of one run that draws its parameters: the mean of the draws, and the average over them.

    draws: numbers of them that are compared, of both; samples: of each draw's recognition model, and of the means'.
    others: further works; kinds: what `Row` takes.
    """
    said = {
        "average": "average of p(x | draw)",
        "mean": "mean of the draws, each with a recognition model fitted to it",
    }
    curves = (
        likelihood(kind, text, draws, f"task.parameters={kind}", f"task.num_samples={samples}")
        for kind, text in said.items()
    )
    return {
        name: Row(f"{title}: their mean", table, works=(*curves, *others, CHAIN), **kinds),
        f"{name}_average": Row(f"{title}: average over them", table, of=name, work="average"),
    }


def caltech(suffix: str, layers: str, words: tuple[str, ...]) -> dict[str, Row]:
    rws, mcmc, draws = f"caltech_reweighted_wake_sleep{suffix}", f"caltech_sgmcmc{suffix}", (1, 5, 10, 20)
    own = {"experiment": "caltech_reweighted_wake_sleep"}
    title, cold = f"{layers}, posterior draws from there", f"{layers}, draws from there at temperature 0.1"
    slow = (*COLD, "algorithm.learning_rate=0.0006")  # noise of mini-batches counts ten times too
    chain = {"experiment": "caltech_sgmcmc", "start": f"{rws}_start"}
    return {
        rws: Row(f"{layers}, reweighted wake-sleep; published of four layers", "sgmcmc", 113.3, words=words, **own),
        f"{rws}_start": Row(
            f"{layers}, reweighted wake-sleep with small batches: where the chain starts",
            "sgmcmc",
            words=(*words, *START),
            **own,
        ),
        **posterior(mcmc, "sgmcmc", title, draws, 1000, words=words, **chain),
        **posterior(f"{mcmc}_cold", "sgmcmc", cold, draws, 1000, words=(*words, *slow), **chain),
    }


def small(name: str, title: str, *words: str) -> dict[str, Row]:
    kinds = {"experiment": "small_mnist_sgmcmc", "words": words, "start": "small_mnist_gradient_ascent"}
    return posterior(name, "small", title, (1, 5, 10, 25), 1000, lower_half("task.parameters=average"), **kinds)


ROWS = {
    "rws_mnist_200x3": Row("reweighted wake-sleep", "three_layers", 90.1),
    "rws_mnist_200x3_start": Row(
        "reweighted wake-sleep, a quarter of the steps: where the chain starts",
        "three_layers",
        experiment="rws_mnist_200x3",
        words=("trainer.steps=15000",),
    ),
    **posterior(
        "sgmcmc_mnist_200x3",
        "three_layers",
        "posterior draws in the other three quarters",
        (1, 5, 10, 20, 50, 100),
        1000,
        start="rws_mnist_200x3_start",
    ),
    "rws_mnist_200x3_core": Row(
        "batches of 100, on one core: reweighted wake-sleep",
        "three_layers",
        90.1,
        experiment="rws_mnist_200x3",
        words=("trainer.steps=75000", *SMALL),
    ),
    "rws_mnist_200x3_core_start": Row(
        "batches of 100, on one core: reweighted wake-sleep at a constant rate, two thirds of the steps",
        "three_layers",
        experiment="rws_mnist_200x3",
        words=("trainer.steps=50000", "optimizer.schedule.kind=constant", "evaluation.num_samples=1000", *SMALL),
    ),
    **posterior(
        "sgmcmc_mnist_200x3_core",
        "three_layers",
        "batches of 100, on one core: draws at temperature 0.3 in the last third",
        (1, 10, 50),
        200,
        experiment="sgmcmc_mnist_200x3",
        words=(
            "trainer.steps=20000",
            "algorithm.posterior_temperature=0.3",
            "algorithm.learning_rate=0.005",
            "algorithm.burn_in=5000",
            "algorithm.tuning_epochs=10",
            *SMALL,
        ),
        start="rws_mnist_200x3_core_start",
    ),
    **caltech("", "one layer", ()),
    "caltech_gradient_ascent": Row(
        "one layer, gradient ascent on the importance-weighted bound (vimco), small batches", "sgmcmc"
    ),
    "caltech_map": Row(
        "the same with a Gaussian prior on the parameters (MAP)",
        "sgmcmc",
        experiment="caltech_gradient_ascent",
        words=("model.weight_prior_variance=0.5",),  # of 0.03, 0.1 and 0.5, by validation
    ),
    "caltech_ensemble": Row(
        "one layer, 5 runs of reweighted wake-sleep with small batches: average of p(x | run)",
        "sgmcmc",
        experiment="caltech_reweighted_wake_sleep",
        words=(*START, "evaluation.test=false"),
        members=5,
        work="ensemble",
        works=(likelihood("ensemble", "average of p(x | run)", (1, 2, 5), "task.num_samples=1000"),),
    ),
    **caltech("_two", "two layers", TWO),
    **posterior(
        "caltech_sgmcmc_two_long",
        "sgmcmc",
        "two layers, a longer chain from there, S = 5,000 for each of its draws",
        (10, 20, 40),
        5000,
        experiment="caltech_sgmcmc",
        words=(*TWO, *LONG),
        start="caltech_reweighted_wake_sleep_two_start",
    ),
    "caltech_sgmcmc_long": Row(
        "one layer, a longer chain from there: the mean of its draws",
        "sgmcmc",
        experiment="caltech_sgmcmc",
        words=LONG,
        start="caltech_reweighted_wake_sleep_start",
        works=(
            likelihood("mean", "mean of the draws", (40,), "task.parameters=mean", "task.num_samples=20000"),
            CHAIN,
        ),
    ),
    "small_mnist_gradient_ascent": Row("gradient ascent, early stopping", "small", works=(lower_half(),)),
    "small_mnist_map": Row(
        "the same with a Gaussian prior on the weights (MAP)",
        "small",
        experiment="small_mnist_gradient_ascent",
        words=("model.weight_prior_variance=0.05",),  # of 0.01, 0.02, 0.03, 0.05, 0.1, 0.3 and 1, by validation
    ),
    "small_mnist_reweighted_wake_sleep": Row(
        "reweighted wake-sleep, early stopping",
        "small",
        experiment="small_mnist_gradient_ascent",
        words=("algorithm=reweighted_wake_sleep", "objective=auto", "objective.num_samples=null"),
    ),
    "small_mnist_ensemble": Row(
        "25 runs of gradient ascent: average of p(x | run)",
        "small",
        experiment="small_mnist_gradient_ascent",
        words=("evaluation.test=false",),  # the average is what is tested
        members=25,
        work="ensemble",
        works=(likelihood("ensemble", "average of p(x | run)", (1, 5, 10, 25), "task.num_samples=1000"),),
    ),
    **small("small_mnist_sgmcmc", "posterior draws from its end"),
    **small("small_mnist_sgmcmc_cold", "draws at temperature 0.1", *COLD),
}
