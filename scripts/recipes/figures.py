"""Rows of figures: pictures of a run, and circuits that classify images."""

from recipes.row import Row, Work
from recipes.works import POSTERIOR, labels, samples, three_imputations

ROWS = {
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
