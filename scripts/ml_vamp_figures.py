"""Figures of ML-VAMP on random networks: error against measurements, against state evolution, and its variances.

    python scripts/ml_vamp_figures.py --output docs/recover

Writes ml_vamp.json and ml_vamp.png there; `--only` computes some of the figures and keeps the others' numbers.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from scipy import special

from sbvi.inference.ml_vamp.evolution import evolve
from sbvi.inference.ml_vamp.network import Network
from sbvi.inference.ml_vamp.precision import in_float64
from sbvi.inference.ml_vamp.problem import BinaryOutput, GaussianOutput, Problem
from sbvi.inference.ml_vamp.random_networks import random_network
from sbvi.inference.ml_vamp.solve import Settings, infer
from sbvi.inference.ml_vamp.trace import trace

REFERENCE = {10: (-1.4, -1.8, 9), 30: (-11.2, -10.9, 3), 50: (-19.3, -18.9, 2), 100: (-23.6, -24.3, 0)} | {
    200: (-27.1, -26.9, 0),
    300: (-28.9, -28.5, 0),
}
MEASUREMENTS = tuple(REFERENCE)


def decibel(ratio: Any) -> np.ndarray:
    return 10 * np.log10(np.asarray(ratio))


@in_float64
def activations(network: Network, z: np.ndarray) -> list[Any]:
    return list(network.activations(jax.numpy.asarray(z)))


def debiased(estimate: np.ndarray, z: np.ndarray) -> np.ndarray:
    """1 - <z^ z>^2 / (<z^2> <z^^2>) of every row, dB."""
    power = np.sum(z**2, 1) * np.sum(estimate**2, 1)
    return decibel(1 - np.sum(estimate * z, 1) ** 2 / np.maximum(power, 1e-300))


def measured(network: Network, ny: int, examples: int, seed: int, snr: float) -> tuple[Problem, np.ndarray]:
    """y = A x + w at `snr` dB, A_ij ~ N(0, 1 / outputs)."""
    generator = np.random.default_rng((seed, ny))
    z = generator.standard_normal((examples, network.inputs))
    operator = generator.standard_normal((ny, network.outputs)) / np.sqrt(network.outputs)
    clean = activations(network, z)[-1] @ operator.T
    noise = float(np.mean(clean**2) * 10 ** (-snr / 10))
    y = clean + np.sqrt(noise) * generator.standard_normal(clean.shape)
    return Problem(network, GaussianOutput(noise, operator), y), z


def random_figure(networks: int, examples: int) -> dict[str, Any]:
    """20-100-500-784 at 20 dB. Medians over all examples of all networks."""
    rows = {}
    settings = Settings(damping=((0.7, 80),), tolerance=1e-5)
    for ny in MEASUREMENTS:
        start, actual, claimed, ok, clips, by_network = time.time(), [], [], [], 0, []
        for seed in range(networks):
            problem, z = measured(random_network(seed, (20, 100, 500, 784)), ny, examples, seed, 20.0)
            found = infer(problem, settings)
            actual.append(debiased(found.means[0], z))
            by_network.append(decibel(np.mean(10 ** (actual[-1] / 10))))
            claimed.append(decibel(found.variances[0][:, 0] / np.mean(z**2)))
            ok.append(found.converged)
            clips += int(sum(values.sum() for values in found.clips.values()))
            assert np.isfinite(found.means[0]).all()
        rows[ny] = {
            "actual_db": round(float(np.median(actual)), 2),
            "predicted_db": round(float(np.median(claimed)), 2),
            "median_over_networks_of_mean_db": round(float(np.median(by_network)), 2),
            "reference_db": REFERENCE[ny][0],
            "reference_predicted_db": REFERENCE[ny][1],
            "reference_diverged": REFERENCE[ny][2],
            "diverged": int(sum(np.isnan(a).any() or not np.isfinite(a).all() for a in actual)),
            "converged_share": round(float(np.mean(ok)), 3),
            "guards_acted": clips,
            "seconds_per_network": round((time.time() - start) / networks, 2),
        }
        print(ny, rows[ny], flush=True)
    return {"sizes": [20, 100, 500, 784], "snr_db": 20, "networks": networks, "examples": examples, "rows": rows}


def evolution_figure(sizes: tuple[int, ...], examples: int, iterations: int) -> dict[str, Any]:
    """ReLU network, Gaussian outputs at 15 dB: the algorithm and its prediction at every half-iteration, z0."""
    network = random_network(0, sizes)
    generator = np.random.default_rng(1)
    z = generator.standard_normal((examples, sizes[0]))
    values = activations(network, z)
    noise = float(np.mean(values[-1] ** 2) * 10**-1.5)
    y = values[-1] + np.sqrt(noise) * generator.standard_normal(values[-1].shape)
    problem = Problem(network, GaussianOutput(noise), y)
    actual = trace(problem, values, iterations)
    predicted = evolve(problem.measured_layers, noise, iterations)
    lines = {}
    for name in ("forward", "backward"):
        for i in range(len(actual.power)):
            a, p = (decibel(getattr(x, name)[i] / x.power[i]) for x in (actual, predicted))
            lines[f"z{i}_{name}"] = {"actual_db": np.round(a, 3).tolist(), "predicted_db": np.round(p, 3).tolist()}
    apart = max(np.max(np.abs(np.subtract(v["actual_db"], v["predicted_db"]))) for v in lines.values())
    print("state evolution apart by at most", apart, lines["z0_backward"], flush=True)
    return {"sizes": list(sizes), "snr_db": 15, "examples": examples, "greatest_difference_db": apart, "lines": lines}


def posterior_figure(problems: int, draws: int) -> dict[str, Any]:
    """4 latents, 60 ReLU units, 80 bits through a probit: mean variance against importance sampling from the prior."""
    exact, found, means = [], [], []
    for seed in range(problems):
        network = random_network(seed, (4, 60, 80))
        generator = np.random.default_rng((7, seed))
        z = generator.standard_normal((1, 4))
        x = np.asarray(activations(network, z)[-1])
        y = (x + generator.standard_normal(x.shape) > 0).astype(float)
        result = infer(Problem(network, BinaryOutput("probit", 1.0), y), Settings(tolerance=1e-8))
        samples = generator.standard_normal((draws, 4))
        logs = np.concatenate(
            [
                special.log_ndtr((2 * y - 1) * np.asarray(activations(network, part)[-1])).sum(1)
                for part in np.array_split(samples, 40)
            ]
        )
        weights = np.exp(logs - logs.max())
        weights /= weights.sum()
        mean = weights @ samples
        exact.append(float(weights @ ((samples - mean) ** 2).mean(1)))
        found.append(float(result.variances[0][0, 0]))
        means.append(float(np.mean((mean - result.means[0]) ** 2)))
    ratio = np.mean(found) / np.mean(exact)
    print("posterior variance", np.mean(found), np.mean(exact), "ratio", ratio, means, flush=True)
    return {
        "sizes": [4, 60, 80],
        "draws": draws,
        "variance": found,
        "importance_sampling": exact,
        "ratio_of_means": float(ratio),
        "squared_difference_of_means": means,
    }


def draw(figures: dict[str, Any], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    picture, axes = pyplot.subplots(1, 2, figsize=(10, 3.6), constrained_layout=True)
    if "random" in figures:
        rows = {int(ny): row for ny, row in figures["random"]["rows"].items()}
        for key, style in (("actual_db", "o-"), ("predicted_db", "s--"), ("reference_db", "k:")):
            axes[0].plot(list(rows), [row[key] for row in rows.values()], style, label=key.removesuffix("_db"))
        axes[0].set(xlabel="measurements", ylabel="error of z0 (dB)", title="random network, 20 dB")
        axes[0].legend()
    if "evolution" in figures:
        for name, line in figures["evolution"]["lines"].items():
            if name.endswith("backward"):
                steps = np.arange(1, len(line["actual_db"]) + 1)
                (drawn,) = axes[1].plot(steps, line["actual_db"], "o", label=name.removesuffix("_backward"))
                axes[1].plot(steps, line["predicted_db"], color=drawn.get_color())
        axes[1].set(xlabel="iteration", ylabel="error (dB)", title="algorithm (dots), state evolution (lines)")
        axes[1].legend()
    picture.savefig(path, dpi=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("docs/recover"))
    parser.add_argument("--only", nargs="+", choices=("random", "evolution", "posterior"))
    parser.add_argument("--networks", type=int, default=20)
    parser.add_argument("--examples", type=int, default=10)
    parser.add_argument("--sizes", type=int, nargs="+", default=(1200, 3600, 2100))
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    path = arguments.output / "ml_vamp.json"
    figures: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    made = {
        "posterior": lambda: posterior_figure(5, 400_000),
        "evolution": lambda: evolution_figure(tuple(arguments.sizes), 4, 8),
        "random": lambda: random_figure(arguments.networks, arguments.examples),
    }
    for name, make in made.items():
        if arguments.only is None or name in arguments.only:
            figures[name] = make()
            path.write_text(json.dumps(figures, indent=1) + "\n")
    draw(figures, arguments.output / "ml_vamp.png")


if __name__ == "__main__":
    main()
