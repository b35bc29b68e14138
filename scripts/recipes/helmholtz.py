"""Rows of bidirectional Helmholtz machines, and of their depth beside reweighted wake-sleep's."""

from recipes.row import Row
from recipes.works import GEOMETRIC, imputation

#: Sizes of the layers of the authors' best model.
LAYERS = (300, 200, 100, 75, 50, 35, 30, 25, 20, 15, 10, 10)
DEPTHS = (1, 2, 3, 5, 8, 12)


def helmholtz(title: str, paper: float) -> Row:
    return Row(title, "bihm", paper, metric="test/nll_geometric")


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


ROWS = {
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
}
