"""What `scripts/reproduce.py` can run: the rows and figures of the paper, and of its nearest follow-up."""

from dataclasses import dataclass

TABLES = {
    "table1": "Table 1: test negative log-likelihood, statically binarised MNIST (nats)",
    "modern": "What came after the paper, statically binarised MNIST (nats; `paper`: the nearest published value)",
    "figure2c": "Figure 2(c): 100 latents, one deterministic layer of 300, by posterior family (nats)",
    "iwae": "Importance-weighted autoencoders, dynamically binarised MNIST (nats)",
    "dynamic": "What came after the paper, dynamically binarised MNIST (nats; `paper`: the nearest published value)",
    "caltech": "Caltech silhouettes (nats; `paper`: the best published value without autoregression)",
    "bihm": "Bidirectional Helmholtz machines: -log p* of the test set (nats); published values partly as recalled",
    "sgmcmc": "Caltech silhouettes, one layer of 200 Bernoulli units, 6,000 steps each (nats)",
    "small": "The first 1,000 training images of static MNIST, DLGM 784-200-200-50 (nats)",
    "circuits": "Circuits on MNIST, 8-bit values: bits a dimension, exact (`paper`: hidden Chow-Liu trees)",
    "figures": "Figures",
}


@dataclass(frozen=True)
class Work:
    """An evaluation of a row's run: a label, words for sbvi-evaluate, its picture among the run's
    evaluations, and what the picture shows."""

    label: str
    words: tuple[str, ...]
    picture: str
    caption: str


@dataclass(frozen=True)
class Row:
    """experiment: the config that trains it, by default the row's own. start: the row whose best parameters of
    the same seed its training starts from. paper: the published value of `metric`, nats. files: what must be at hand
    and may not be. note: a sentence that its number needs. beside: a file of docs/circuits, whose `says` is to be
    read with it."""

    title: str
    table: str
    paper: float | None = None
    experiment: str | None = None
    start: str | None = None
    works: tuple[Work, ...] = ()
    files: str = ""
    note: str = ""
    beside: str = ""
    metric: str = "test/nll"


def samples(what: str) -> Work:
    return Work("samples", ("task=samples",), "samples", f"{what}: means of 100 samples")


def imputation(what: str, name: str, *words: str, shown: str, iterations: int = 400) -> Work:
    length = (f"task.iterations={iterations}", f"task.warmup={iterations // 4}")
    words = ("task=imputation", *length, "task.examples=24", *words)
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

WARM_UP = (
    "trained before the doubly reparameterised gradient was right at KL weights c other than 1 (the factor on a path "
    "was v in place of v + (1 - c) (1 - v)), so the ten warm-up epochs followed a biased gradient; the other 390 are "
    "not touched by this"
)

DRAWS = ("task=likelihood", "task.num_samples=200", "task.examples=300", "task.draws=[1,5,10,20,50]")


LOWER_HALF = Work(
    "lower_half",
    ("task=imputation", "task.missing=lower_half", "task.iterations=120", "task.warmup=20"),
    "imputation-test",
    "the lower half missing",
)


def draws(parameters: str, said: str) -> Work:
    words = (*DRAWS, f"task.parameters={parameters}")
    return Work(parameters, words, "likelihood-test-draws", f"{said}, by the number of draws; 300 test images")


ROWS = {
    "table1_mixture_10": Row("mixture of Bernoullis, 10 components; exact", "table1", 168.95),
    "table1_mixture_500": Row("mixture of Bernoullis, 500 components; exact", "table1", 137.64),
    "table1_nade": Row("NADE, 500 rectifiers, fixed order; exact", "table1", 88.33),
    "table1_factor_analysis": Row("factor analysis", "table1", 106.00),
    "table1_nlgbn": Row("non-linear Gaussian belief network", "table1", 95.80),
    "table1_wake_sleep": Row("wake-sleep, 100-500", "table1", 91.3),
    "table1_reweighted_wake_sleep": Row("reweighted wake-sleep, 100-300 (not in the paper)", "table1"),
    "table1_diagonal": Row("DLGM, diagonal; bound over five samples", "table1", 87.30, note=WARM_UP),
    "table1_rank_one": Row("DLGM, rank-one; bound over five samples", "table1", 86.60, note=WARM_UP),
    "convolutional": Row("DLGM with convolutions, diagonal (not in the paper)", "table1"),
    "best_static": Row("best recipe of ours: convolutional, then five samples", "table1", start="convolutional"),
    "quick_mnist": Row("gated layers, prior a flow; the recipe to begin with", "modern"),
    "flow_prior": Row("the same, then five samples", "modern", start="quick_mnist"),
    "vamp_prior": Row("gated layers, VampPrior", "modern", 85.57),
    "planar_flow": Row("gated layers, planar flows for the posterior", "modern", 85.1),
    "residual_flow": Row("residual convolutions, prior a flow", "modern", 79.84),
    "ladder": Row("three layers, top-down posterior", "modern", 79.24),
    "pixel_decoder": Row("pixel decoder, prior a flow", "modern", 79.0),
    "circuit_static_mnist": Row("circuit: hidden Chow-Liu tree, 256 states; exact (not published)", "modern"),
    "circuit_mnist_8bit": Row("hidden Chow-Liu tree, 256 states", "circuits", 1.20, metric="test/bits_per_dimension"),
    "circuit_mnist_8bit_small": Row(
        "hidden Chow-Liu tree, 32 states, for two cores", "circuits", 1.20, metric="test/bits_per_dimension"
    ),
    "figure2c_factor_analysis": Row("factor analysis", "figure2c"),
    "figure2c_wake_sleep": Row("wake-sleep", "figure2c"),
    "figure2c_diagonal": Row("diagonal", "figure2c"),
    "figure2c_rank_one": Row("rank-one", "figure2c"),
    "iwae_k1": Row("K = 1", "iwae", 86.76),
    "iwae_k5": Row("K = 5", "iwae", 85.54),
    "iwae_k50": Row("K = 50", "iwae", 84.78),
    "iwae_full_k1": Row("K = 1, 2,730 epochs", "iwae", 86.76),
    "iwae_full_k5": Row("K = 5, 2,730 epochs", "iwae", 85.54),
    "iwae_full_k50": Row("K = 50, 2,730 epochs", "iwae", 84.78),
    "iwae_two_layers_k50": Row("two stochastic layers, K = 50", "iwae", 82.90),
    "residual_flow_dynamic": Row("residual convolutions, prior a flow", "dynamic", 78.49),
    "caltech_residual_flow": Row("residual convolutions, prior a flow", "caltech", 97.6),
    "caltech_pixel_decoder": Row("pixel decoder, prior a flow", "caltech", 97.6),
    "circuit_mnist": Row(
        "random circuit on p(label | x), MNIST",
        "figures",
        works=(
            Work(
                "classification",
                ("task=classification",),
                "classification",
                "a random circuit trained on p(label | x) (RAT-SPN, Peharz et al. 2019: 98.2 %): labels by guesses",
            ),
        ),
    ),
    "cifar10_parts": Row(
        "image circuit of parts on p(label | x), CIFAR-10's lossy files, 400 words of patches",
        "figures",
        works=(
            Work(
                "classification",
                ("task=classification",),
                "classification",
                "parts that slide over a grid of features (Gens & Domingos 2012: 84.0 % of the lossless images, with "
                "more words): labels by guesses",
            ),
        ),
        files="cifar10/cifar10_jpeg.tar.xz",
        beside="linear_features.json",
    ),
    "bihm_mnist": helmholtz("static MNIST, 12 layers", 84.8),
    "bihm_adult": helmholtz("adult", 13.82),
    "bihm_connect4": helmholtz("connect4", 12.31),
    "bihm_dna": helmholtz("dna", 86.5),
    "bihm_mushrooms": helmholtz("mushrooms", 9.4),
    "bihm_nips": helmholtz("nips", 272.66),
    "bihm_ocr_letters": helmholtz("ocr_letters", 27.1),
    "caltech_reweighted_wake_sleep": Row("reweighted wake-sleep; published of deeper models", "sgmcmc", 113.3),
    "caltech_sgmcmc": Row(
        "posterior draws: their mean (not in the paper)",
        "sgmcmc",
        works=(
            draws("average", "average of p(x | draw)"),
            Work("chain", ("task=chain",), "chain", "the chain's traces"),
        ),
    ),
    "small_mnist_gradient_ascent": Row("gradient ascent, early stopping", "small", works=(LOWER_HALF,)),
    "small_mnist_sgmcmc": Row(
        "posterior draws from its end: their mean",
        "small",
        start="small_mnist_gradient_ascent",
        works=(
            Work(
                "average",
                (*DRAWS[:-1], "task.draws=[1,5,10,25]", "task.parameters=average"),
                "likelihood-test-draws",
                "average of p(x | draw), by the number of draws; 300 test images",
            ),
            LOWER_HALF,
            Work("chain", ("task=chain",), "chain", "the chain's traces"),
        ),
    ),
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
        works=(samples("Frey faces"), *three_imputations("Frey faces", 12_000)),
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
    "flow_prior": "85.10, planar flows (Rezende & Mohamed 2015)",
    "best_static": "86.60, DLGM (Rezende et al. 2014)",
    "table1_nade": "88.33, NADE (Larochelle & Murray 2011)",
    "table1_mixture_500": "137.64, the same model (as quoted by the paper)",
}
