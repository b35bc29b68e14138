"""Rows of deep latent Gaussian models, of what came after them, and of the models that their tables show beside."""

from recipes.row import Aim, Row

ROWS = {
    "table1_mixture_10": Row("mixture of Bernoullis, 10 components; exact", "table1", 168.95),
    "table1_mixture_500": Row("mixture of Bernoullis, 500 components; exact", "table1", 137.64),
    "table1_nade": Row("NADE, 500 rectifiers, fixed order; exact", "table1", 88.33),
    "table1_factor_analysis": Row("factor analysis", "table1", 106.00),
    "table1_nlgbn": Row("non-linear Gaussian belief network", "table1", 95.80),
    "table1_wake_sleep": Row("wake-sleep, 100-500", "table1", 91.3, Aim(91.3)),
    "table1_reweighted_wake_sleep": Row("reweighted wake-sleep, 100-300 (not in the paper)", "table1"),
    "table1_diagonal": Row("DLGM, diagonal; bound over five samples", "table1", 87.30, Aim(87.3)),
    "table1_diagonal_fine": Row(
        "DLGM, diagonal; that, then fifty samples", "table1", 87.30, Aim(87.3), start="table1_diagonal"
    ),
    "table1_rank_one": Row("DLGM, rank-one; bound over five samples", "table1", 86.60, Aim(86.6)),
    "table1_rank_one_fine": Row(
        "DLGM, rank-one; that, then fifty samples", "table1", 86.60, Aim(86.6), start="table1_rank_one"
    ),
    "convolutional": Row("DLGM with convolutions, diagonal (not in the paper)", "table1"),
    "best_static": Row("convolutional, diagonal posterior, then five samples", "table1", start="convolutional"),
    "quick_mnist": Row("gated layers, prior a flow; the recipe to begin with", "modern", 85.57, Aim(85.0, minutes=25)),
    "wide_mnist": Row("the same, wider and longer, with dropout", "modern", 85.57),
    "flow_prior": Row("that, then five samples", "modern", 85.1, Aim(83.0, minutes=60), start="wide_mnist"),
    "vamp_prior": Row("gated layers, VampPrior", "modern", 85.57, Aim(85.6)),
    "planar_flow": Row("gated layers, planar flows for the posterior", "modern", 85.1, Aim(86.0)),
    "residual_flow": Row("residual convolutions, prior a flow", "modern", 79.84, Aim(81.0, accelerator=79.8)),
    "residual_flow_core": Row("residual convolutions, prior a flow, on one core", "modern", 79.84, Aim(81.0)),
    "residual_flow_core_fine": Row(
        "that, then five samples, on two cores", "modern", 79.84, Aim(81.0), start="residual_flow_core"
    ),
    "ladder": Row("three layers, top-down posterior", "modern", 79.24, Aim(82.0, accelerator=79.5)),
    "ladder_core": Row("the same, residual convolutions, prior a flow, for two cores", "modern", 79.24, Aim(82.0)),
    "ladder_core_fine": Row("that, then five samples, on two cores", "modern", 79.24, Aim(82.0), start="ladder_core"),
    "dense_ladder": Row("gated layers, two stochastic layers, a ladder for the posterior, prior a flow", "modern"),
    "pixel_decoder": Row("pixel decoder, prior a flow", "modern", 79.03, Aim(80.5, accelerator=79.4)),
    "pixel_decoder_core": Row("the same with fewer epochs, for two cores", "modern", 79.03, Aim(80.5)),
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
    "iwae_two_layers_k50": Row(
        "two stochastic layers, q of the noise, K = 50", "iwae", 82.90, Aim(84.5, accelerator=83.2)
    ),
    "iwae_two_layers_k5": Row("two stochastic layers, q of the activations, scales predicted, K = 5", "iwae", 83.89),
    "iwae_two_layers_fine": Row(
        "that, then K = 50", "iwae", 82.90, Aim(84.5, accelerator=83.2), start="iwae_two_layers_k5"
    ),
    "residual_flow_dynamic_core": Row(
        "residual convolutions, prior a flow, for two cores", "dynamic", 78.49, Aim(80.3)
    ),
    "residual_flow_dynamic_core_fine": Row(
        "that, then five samples, on two cores", "dynamic", 78.49, Aim(80.3), start="residual_flow_dynamic_core"
    ),
    "residual_flow_dynamic": Row("residual convolutions, prior a flow", "dynamic", 78.49, Aim(80.3, accelerator=78.5)),
    "caltech_residual_flow": Row("residual convolutions, prior a flow", "caltech", 97.6, Aim(100.0)),
    "caltech_pixel_decoder": Row("pixel decoder, prior a flow", "caltech", 97.6, Aim(100.0)),
    "omniglot": Row("gated layers, prior a flow", "omniglot", 103.38, files="chardata.mat of Burda et al. (2016)"),
}
