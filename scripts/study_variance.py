#!/usr/bin/env python3
"""Variance of the gradient for one mean against the number of latents (the paper's appendix D).

f(xi) = sum_i xi_i^2 / 2 under N(mu, sigma^2 I): the pathwise rules see one term, the score function all
of them. Writes docs/gradient_variance.json and docs/gradient_variance.png.
"""

import argparse
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sbvi.gradients import RULES
from sbvi.posteriors import POSTERIORS

MEAN, SIGMA, DRAWS = 0.5, 1.0, 20_000
SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256]
LINES = {
    "score function": RULES["score_function"](baseline=False),
    "score function, baseline": RULES["score_function"](baseline=True),
    "reparameterised": RULES["reparameterised"](),
    "price_hutchinson": RULES["price_hutchinson"](),
}


def variance(rule, size):
    """Of the derivative with respect to the first mean, over independent draws (two samples each)."""
    family = POSTERIORS["diagonal"]()

    def slope(key):
        def value(first):
            mean = jnp.full((1, size), MEAN).at[0, 0].set(first)
            outputs = jnp.concatenate([mean, jnp.full((1, size), jnp.log(SIGMA))], -1)
            q = {"layer_1": family.distribution(outputs, size)}
            return jnp.mean(rule(key, q, lambda p: jnp.sum(p["layer_1"] ** 2, -1) / 2, 2)[1])

        return jax.grad(value)(jnp.float32(MEAN))

    keys = jax.random.split(jax.random.key(size), DRAWS)
    return float(np.var(jax.jit(lambda k: jax.lax.map(slope, k, batch_size=500))(keys)))


def main():
    argparse.ArgumentParser(description=__doc__).parse_args()
    docs = Path(__file__).resolve().parents[1] / "docs"
    variances = {name: [variance(rule, size) for size in SIZES] for name, rule in LINES.items()}
    record = {"mean": MEAN, "sigma": SIGMA, "draws": DRAWS, "samples": 2, "sizes": SIZES, "variance": variances}
    (docs / "gradient_variance.json").write_text(json.dumps(record, indent=1) + "\n")
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for name, values in variances.items():
        axes.loglog(SIZES, values, "o-", label=name, markersize=3)
    axes.set_xlabel("latents K")
    axes.set_ylabel("variance of a mean's gradient")
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    figure.savefig(docs / "gradient_variance.png", dpi=110)
    for name, values in variances.items():
        print(name, [round(v, 3) for v in values])


if __name__ == "__main__":
    main()
