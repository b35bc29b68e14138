"""What `scripts/reproduce.py` can run: the rows and figures of the paper, and of what came after it.

A new row is one line of the module of its models, its config among configs/experiment, and a table of these.
"""

from recipes import figures, gaussian, helmholtz, mcmc

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
NOTES = {
    "table1": "An aim of the DLGMs is one for both stages: the better of them is to meet it.",
    "caltech": "The aim is one for both rows: the better of them is to meet it.",
}

ROWS = gaussian.ROWS | helmholtz.ROWS | mcmc.ROWS | figures.ROWS

#: Rows that the README leads with, and what each is to be seen beside: published values, nats.
HEADLINE = {
    "quick_mnist": "85.57, VampPrior (Tomczak & Welling 2018)",
    "wide_mnist": "85.57, VampPrior (Tomczak & Welling 2018)",
    "flow_prior": "85.10, planar flows (Rezende & Mohamed 2015)",
    "residual_flow_core": "79.84, residual convolutions, prior a flow (Xu et al. 2019)",
    "residual_flow_core_fine": "79.84, residual convolutions, prior a flow (Xu et al. 2019)",
    "pixel_decoder": "79.03, autoregressive decoder (Chen et al. 2017)",
    "pixel_decoder_core": "79.03, autoregressive decoder (Chen et al. 2017)",
    "best_static": "86.60, DLGM (Rezende et al. 2014)",
    "table1_diagonal": "87.30, DLGM with diagonal covariance (Rezende et al. 2014)",
    "table1_rank_one_fine": "86.60, DLGM with rank-one covariance (Rezende et al. 2014)",
    "table1_nade": "88.33, NADE (Larochelle & Murray 2011)",
    "table1_mixture_500": "137.64, the same model (as quoted by the paper)",
}
