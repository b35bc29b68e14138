"""What `scripts/reproduce.py` can run: the rows and figures of the paper, and of its nearest follow-up."""

from dataclasses import dataclass
from typing import Any

TABLES = {
    "table1": "Table 1: test negative log-likelihood, statically binarised MNIST (nats)",
    "modern": "What came after the paper, statically binarised MNIST (nats; `paper`: the nearest published value)",
    "figure2c": "Figure 2(c): 100 latents, one deterministic layer of 300, by posterior family (nats)",
    "iwae": "Importance-weighted autoencoders, dynamically binarised MNIST (nats)",
    "dynamic": "What came after the paper, dynamically binarised MNIST (nats; `paper`: the nearest published value)",
    "caltech": "Caltech silhouettes (nats; `paper`: the best published value without autoregression)",
    "omniglot": "OMNIGLOT, dynamically binarised (nats; `paper`: the best importance-weighted autoencoder, K = 50)",
    "bihm": "Bidirectional Helmholtz machines: -log p* of the test set (nats); published values partly as recalled",
    "depth": "Depth, static MNIST: the first of the layers 300, 200, 100, 75, 50, 35, 30, 25, 20, 15, 10, 10 (nats)",
    "three_layers": "Static MNIST, three layers of 200 Bernoulli units, as many steps each (nats)",
    "sgmcmc": "Caltech silhouettes, Bernoulli layers (nats)",
    "small": "The first 1,000 training images of static MNIST, DLGM 784-200-200-50 (nats)",
    "circuits": "Circuits on MNIST, 8-bit values: bits a dimension, exact (`paper`: hidden Chow-Liu trees)",
    "figures": "Figures",
}
#: What is to be read with a table.
NOTES = {"caltech": "The aim is one for both rows: the better of them is to meet it."}


@dataclass(frozen=True)
class Work:
    """An evaluation of a row's run: a label, words for sbvi-evaluate, its picture among the run's
    evaluations, what the picture shows, and the kind of its file; picture: None where one number is all there is."""

    label: str
    words: tuple[str, ...]
    picture: str | None
    caption: str
    suffix: str = "png"


@dataclass(frozen=True)
class Aim:
    """nll: the greatest test negative log-likelihood wanted on two CPU cores, nats; minutes: of training there, where
    they are limited. accelerator: the greatest one wanted with an accelerator, by default the same."""

    nll: float
    accelerator: float | None = None
    minutes: int | None = None


@dataclass(frozen=True)
class Row:
    """experiment: the config that trains it, by default the row's own; words: what it is told beside.
    start: the row whose best parameters of the same seed its training starts from. members: how many runs, of this
    seed and the next ones, its works average over. of: the row that has the run and the works, where it is another's.
    work: the evaluation that holds `metric`, by default the final test. paper: the published value of it, nats;
    aim: what is wanted here.
    files: what must be at hand and may not be.
    beside: a file of docs/circuits, whose `says` is to be read with it."""

    title: str
    table: str
    paper: float | None = None
    aim: Aim | None = None
    experiment: str | None = None
    words: tuple[str, ...] = ()
    start: str | None = None
    members: int = 1
    of: str | None = None
    work: str | None = None
    works: tuple[Work, ...] = ()
    files: str = ""
    beside: str = ""
    metric: str = "test/nll"


def samples(what: str) -> Work:
    return Work("samples", ("task=samples",), "samples", f"{what}: means of 100 samples")


def labels(what: str) -> Work:
    return Work("classification", ("task=classification",), "classification", f"{what}: labels by guesses")


def imputation(what: str, name: str, *words: str, shown: str, iterations: int = 400, examples: int = 24) -> Work:
    length = (f"task.iterations={iterations}", f"task.warmup={iterations // 4}")
    words = ("task=imputation", *length, f"task.examples={examples}", *words)
    return Work(name, words, "imputation-test", f"{what}, {shown}: truth, what is left, and the chain")


def three_imputations(what: str, iterations: int = 400) -> tuple[Work, ...]:
    """iterations: of chains, as many as it takes them to meet."""
    places = {
        "missing60": (("task.fraction=0.6",), "60 % missing at random"),
        "missing80": (("task.fraction=0.8",), "80 % missing at random"),
        "square": (("task.missing=square", "task.fraction=0.2"), "a square missing"),
    }
    return tuple(
        imputation(what, name, *words, shown=shown, iterations=iterations) for name, (words, shown) in places.items()
    )


def helmholtz(title: str, paper: float) -> Row:
    return Row(title, "bihm", paper, metric="test/nll_geometric")


POSTERIOR = Work(
    "posterior",
    ("task=posterior", "task.examples=200", "task.drawn=4"),
    "posterior-test",
    "four of 200 test digits: image, the plane, and the closer look",
)


#: Sizes of the layers of the authors' best model.
LAYERS = (300, 200, 100, 75, 50, 35, 30, 25, 20, 15, 10, 10)
DEPTHS = (1, 2, 3, 5, 8, 12)


def depth(algorithm: str, title: str, layers: int) -> Row:
    sizes = ",".join(str(size) for size in LAYERS[:layers])
    geometric = algorithm == "bihm"
    return Row(
        f"{title}, {layers} layer{'s' if layers > 1 else ''}",
        "depth",
        experiment=f"depth_{algorithm}",
        words=(f"model.layers=[{sizes}]",),
        works=GEOMETRIC if geometric and layers == max(DEPTHS) else (),
        metric="test/nll_geometric" if geometric else "test/nll",
    )


def likelihood(label: str, said: str, draws: tuple[int, ...], *words: str) -> Work:
    """By the number of draws or runs; the numbers of all that are compared have as many samples of each image."""
    counts = ",".join(str(count) for count in draws)
    words = ("task=likelihood", f"task.draws=[{counts}]", *words)
    curve = "likelihood-test-draws" if len(draws) > 1 else None
    return Work(label, words, curve, f"{said}, by the number of {'runs' if label == 'ensemble' else 'draws'}")


def lower_half(*words: str) -> Work:
    length = ("task.iterations=400", "task.warmup=100")
    told = ("task=imputation", "task.missing=lower_half", *length, *words)
    return Work("lower_half", told, "imputation-test", "the lower half missing: truth, what is left, and the chain")


#: Draws of p*, on their way too.
GEOMETRIC = (
    Work("samples", ("task=samples", "task.method=resampling"), "samples", "100 draws of p* by resampling"),
    Work(
        "gibbs",
        ("task=samples", "task.method=gibbs", "task.iterations=250", "task.frames=50", "task.num=25", "task.columns=5"),
        "samples",
        "Gibbs chains on p*, 250 sweeps from draws of p, every fifth",
        suffix="gif",
    ),
)
CHAIN = Work("chain", ("task=chain",), "chain", "the chain's traces")


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
    "table1_mixture_10": Row("mixture of Bernoullis, 10 components; exact", "table1", 168.95),
    "table1_mixture_500": Row("mixture of Bernoullis, 500 components; exact", "table1", 137.64),
    "table1_nade": Row("NADE, 500 rectifiers, fixed order; exact", "table1", 88.33),
    "table1_factor_analysis": Row("factor analysis", "table1", 106.00),
    "table1_nlgbn": Row("non-linear Gaussian belief network", "table1", 95.80),
    "table1_wake_sleep": Row("wake-sleep, 100-500", "table1", 91.3, Aim(91.3)),
    "table1_reweighted_wake_sleep": Row("reweighted wake-sleep, 100-300 (not in the paper)", "table1"),
    "table1_diagonal": Row("DLGM, diagonal; bound over five samples", "table1", 87.30, Aim(87.3)),
    "table1_rank_one": Row("DLGM, rank-one; bound over five samples", "table1", 86.60, Aim(86.6)),
    "convolutional": Row("DLGM with convolutions, diagonal (not in the paper)", "table1"),
    "best_static": Row("convolutional, diagonal posterior, then five samples", "table1", start="convolutional"),
    "quick_mnist": Row("gated layers, prior a flow; the recipe to begin with", "modern", 85.57, Aim(85.0, minutes=25)),
    "wide_mnist": Row("the same, wider and longer, with dropout", "modern", 85.57),
    "flow_prior": Row("that, then five samples", "modern", 85.1, Aim(83.0, minutes=60), start="wide_mnist"),
    "vamp_prior": Row("gated layers, VampPrior", "modern", 85.57, Aim(85.6)),
    "planar_flow": Row("gated layers, planar flows for the posterior", "modern", 85.1, Aim(86.0)),
    "residual_flow": Row("residual convolutions, prior a flow", "modern", 79.84, Aim(81.0, accelerator=79.8)),
    "residual_flow_core": Row("residual convolutions, prior a flow, on one core", "modern", 79.84, Aim(81.0)),
    "ladder": Row("three layers, top-down posterior", "modern", 79.24, Aim(82.0, accelerator=79.5)),
    "dense_ladder": Row("gated layers, two stochastic layers, a ladder for the posterior, prior a flow", "modern"),
    "pixel_decoder": Row("pixel decoder, prior a flow", "modern", 79.03, Aim(80.5, accelerator=79.4)),
    "circuit_static_mnist": Row("circuit: hidden Chow-Liu tree, 256 states; exact (not published)", "modern"),
    "circuit_mnist_8bit": Row("hidden Chow-Liu tree, 256 states", "circuits", 1.20, metric="test/bits_per_dimension"),
    "circuit_mnist_8bit_small": Row(
        "hidden Chow-Liu tree, 32 states, for two cores", "circuits", 1.20, metric="test/bits_per_dimension"
    ),
    "figure2c_factor_analysis": Row("factor analysis", "figure2c"),
    "figure2c_wake_sleep": Row("wake-sleep", "figure2c"),
    "figure2c_diagonal": Row("diagonal", "figure2c"),
    "figure2c_rank_one": Row("rank-one", "figure2c"),
    "iwae_full_k1": Row("K = 1, 1,000 epochs", "iwae", 86.76, Aim(86.76)),
    "iwae_full_k5": Row("K = 5, 1,000 epochs", "iwae", 85.54, Aim(85.54)),
    "iwae_full_k50": Row("K = 50, 800 epochs", "iwae", 84.78, Aim(85.2, accelerator=84.78)),
    "iwae_two_layers_k50": Row("two stochastic layers, K = 50", "iwae", 82.90, Aim(84.5, accelerator=83.2)),
    "residual_flow_dynamic": Row("residual convolutions, prior a flow", "dynamic", 78.49, Aim(80.3, accelerator=78.5)),
    "caltech_residual_flow": Row("residual convolutions, prior a flow", "caltech", 97.6, Aim(100.0)),
    "caltech_pixel_decoder": Row("pixel decoder, prior a flow", "caltech", 97.6, Aim(100.0)),
    "omniglot": Row("gated layers, prior a flow", "omniglot", 103.38, files="chardata.mat of Burda et al. (2016)"),
    "circuit_mnist": Row(
        "random circuit on p(label | x), MNIST",
        "figures",
        works=(labels("a random circuit trained on p(label | x) (RAT-SPN, Peharz et al. 2019: 98.2 %)"),),
    ),
    "cifar10_parts": Row(
        "image circuit of parts on p(label | x), CIFAR-10's lossy files, 400 words of patches",
        "figures",
        works=(
            labels(
                "parts that slide over a grid of features (Gens & Domingos 2012: 84.0 % of the lossless images, with "
                "more words)"
            ),
        ),
        files="cifar10/cifar10_jpeg.tar.xz",
        beside="linear_features.json",
    ),
    "bihm_mnist": helmholtz("static MNIST, 12 layers, K = 10", 84.8),
    "bihm_mnist_fine": Row(
        "the same, then K = 100",
        "bihm",
        84.8,
        start="bihm_mnist",
        works=GEOMETRIC,
        metric="test/nll_geometric",
    ),
    "bihm_mnist_core_start": Row(
        "static MNIST, 12 layers on one core, K = 10: where the next row starts",
        "bihm",
        84.8,
        experiment="bihm_mnist",
        words=("optimizer.average=0.999", "evaluation.num_samples=1000", "evaluation.partition_samples=100000"),
        metric="test/nll_geometric",
    ),
    "bihm_mnist_core": Row(
        "static MNIST, 12 layers on one core, then K = 50 for 20 epochs",
        "bihm",
        84.8,
        experiment="bihm_mnist_fine",
        words=(
            "algorithm.num_samples=50",
            "trainer.epochs=20",
            "optimizer.average=0.999",
            "evaluation.num_samples=5000",
        ),
        start="bihm_mnist_core_start",
        works=(
            imputation(
                "Gibbs chains on p*",
                "missing60",
                "task.method=gibbs",
                "task.fraction=0.6",
                shown="60 % missing at random",
                iterations=24_000,  # of 8,000 a quarter of the chains had not met
                examples=8,
            ),
        ),
        metric="test/nll_geometric",
    ),
    "bihm_adult": helmholtz("adult", 13.82),
    "bihm_connect4": helmholtz("connect4", 12.31),
    "bihm_dna": helmholtz("dna", 86.5),
    "bihm_mushrooms": helmholtz("mushrooms", 9.4),
    "bihm_nips": helmholtz("nips", 272.66),
    "bihm_ocr_letters": helmholtz("ocr_letters", 27.1),
    **{f"depth_bihm_{n}": depth("bihm", "bidirectional Helmholtz machine, -log p*", n) for n in DEPTHS},
    **{
        f"depth_reweighted_wake_sleep_{n}": depth("reweighted_wake_sleep", "reweighted wake-sleep, -log p", n)
        for n in DEPTHS
    },
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
    "figure2_diagonal": Row("figure 2(a), diagonal", "figures", works=(POSTERIOR,)),
    "figure2_rank_one": Row("figure 2(b), rank-one", "figures", works=(POSTERIOR,)),
    "figure3_mnist": Row(
        "figures 3(a) and 5, MNIST",
        "figures",
        experiment="quick_mnist",
        works=(samples("MNIST"), *three_imputations("MNIST")),
    ),
    "figure3_embedding": Row(
        "figure 3(b), embedding",
        "figures",
        works=(Work("embedding", ("task=embedding",), "embedding-test", "test digits in two latents, by class"),),
    ),
    "figure3_frey": Row(
        "figures 3 and 5, Frey faces",
        "figures",
        works=(samples("Frey faces"), *three_imputations("Frey faces", 36_000)),
    ),
    "figure3_cifar_patches": Row("figure 3, CIFAR-10 patches", "figures", works=(samples("CIFAR-10 patches"),)),
    "figure3_norb": Row("figure 3, NORB", "figures", works=(samples("NORB"),), files="the official small NORB files"),
    "figure5_svhn": Row(
        "figure 5, SVHN", "figures", works=three_imputations("SVHN"), files="train_32x32.mat and test_32x32.mat"
    ),
}

#: Rows that the README leads with, and what each is to be seen beside: published values, nats.
HEADLINE = {
    "quick_mnist": "85.57, VampPrior (Tomczak & Welling 2018)",
    "wide_mnist": "85.57, VampPrior (Tomczak & Welling 2018)",
    "flow_prior": "85.10, planar flows (Rezende & Mohamed 2015)",
    "residual_flow_core": "79.84, residual convolutions, prior a flow (Xu et al. 2019)",
    "pixel_decoder": "79.03, autoregressive decoder (Chen et al. 2017)",
    "best_static": "86.60, DLGM (Rezende et al. 2014)",
    "table1_diagonal": "87.30, DLGM with diagonal covariance (Rezende et al. 2014)",
    "table1_nade": "88.33, NADE (Larochelle & Murray 2011)",
    "table1_mixture_500": "137.64, the same model (as quoted by the paper)",
}
