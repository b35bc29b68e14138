#!/usr/bin/env python3
"""Recovery on MNIST by every method: rows 10 to 19 erased, and random projections beside Lasso.

    sbvi-train experiment=recover_mnist hydra.run.dir=outputs/reproduce/recover_mnist-0
    python scripts/recover_mnist.py outputs/reproduce/recover_mnist-0

Writes docs/recover/mnist.json, and mnist_rows.png and mnist_projections.png beside it. Seconds are wall time with
compilation, all methods in one process, one after the other.
"""

import argparse
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from scipy import fft
from sklearn.linear_model import Lasso

import sbvi
from sbvi.core.atomic import write_atomically
from sbvi.inference.ml_vamp.chains import Chain, hamiltonian, langevin
from sbvi.inference.ml_vamp.network import Network
from sbvi.inference.ml_vamp.problem import Problem
from sbvi.inference.ml_vamp.recovery import Recovery, recover
from sbvi.inference.ml_vamp.sensing import entries, network_of, projections
from sbvi.reporting.images import grid, save_png
from sbvi.tasks.data import run_dataset

METHODS = ("ml_vamp", "ml_vamp_map", "gradient", "langevin", "hamiltonian")
#: A chain is as long as this multiple of its first length, until it is the longest.
LENGTHS = (25, 50, 100, 200)
NOISE = 0.1


def scores(found: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Root mean squared error and log-loss (nats an entry) of probabilities."""
    p = np.clip(found, 1e-6, 1 - 1e-6)
    loss = -np.mean(truth * np.log(p) + (1 - truth) * np.log1p(-p))
    return {"rmse": float(np.sqrt(np.mean((found - truth) ** 2))), "log_loss": float(loss)}


def chain_seconds(problem: Problem, truth: np.ndarray, erased: np.ndarray) -> dict[str, Any]:
    """By kind of chain: error by length, and the seconds of the shortest whose error, and that of every longer one, is
    within 5 % of the longest Hamiltonian chain's."""
    found: dict[str, Any] = {}
    kinds = {"hamiltonian": (hamiltonian, 1), "langevin": (langevin, 10)}
    for name, (sample, factor) in kinds.items():
        rows = []
        for length in LENGTHS:
            start = time.perf_counter()
            chain = Chain(samples=length * factor, warmup=max(50, length * factor // 2))
            signal = sample(problem, chain, 1)[2]
            seconds = time.perf_counter() - start
            rows.append({"draws": length * factor, "seconds": seconds, **scores(signal[:, erased], truth[:, erased])})
            print(name, rows[-1], flush=True)
        found[name] = rows
    goal = found["hamiltonian"][-1]["rmse"]
    for name, rows in list(found.items()):
        near = [abs(row["rmse"] - goal) <= 0.05 * goal for row in rows]
        first = next((i for i in range(len(rows)) if all(near[i:])), None)
        found[f"{name}_seconds_to_5_percent"] = None if first is None else rows[first]["seconds"]
    return found


def inpainting(network: Network, truth: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
    """Rows 10 to 19 erased, 504 bits observed."""
    erased = np.zeros((28, 28), bool)
    erased[10:20] = True
    erased = erased.ravel()
    problem = entries(network, truth, np.broadcast_to(erased, truth.shape), True, NOISE)
    rows: dict[str, Any] = {}
    shown = [truth, np.where(erased, 0.5, truth)]
    for method in METHODS:
        found: Recovery = recover(problem, method, 1)
        rows[method] = scores(found.signal[:, erased], truth[:, erased]) | {"seconds": found.seconds}
        means = {k: float(np.mean(v)) for k, v in found.diagnostics.items() if np.ndim(v) == 1}
        rows[method] |= {"diagnostics": means}
        if method == "hamiltonian":
            exact = found.signal
            for other, signal in zip(METHODS, shown[2:], strict=False):
                rows[other]["rms_from_hamiltonian"] = float(np.sqrt(np.mean((signal - exact)[:, erased] ** 2)))
        shown.append(found.signal)
        print(method, rows[method], flush=True)
    chains = chain_seconds(problem, truth, erased)
    again = recover(problem, "ml_vamp", 1).seconds
    fastest = [v for k, v in chains.items() if k.endswith("percent") and v is not None]
    ratio = min(fastest) / rows["ml_vamp"]["seconds"] if fastest else None
    about = {"chains": chains, "ml_vamp_seconds_compiled": again, "chain_over_ml_vamp": ratio}
    return {"methods": rows, **about}, np.stack([s[:8] for s in shown])


def basis(name: str) -> np.ndarray:
    """Orthonormal columns: pixels, or the two-dimensional cosine transform."""
    if name == "pixels":
        return np.eye(784)
    return np.stack([fft.idctn(unit.reshape(28, 28), norm="ortho").ravel() for unit in np.eye(784)], axis=1)


def lasso(y: np.ndarray, operator: np.ndarray, columns: np.ndarray, penalty: float) -> np.ndarray:
    design = operator @ columns
    fits = Lasso(alpha=penalty, max_iter=5000, tol=1e-3)
    return np.clip(np.stack([columns @ fits.fit(design, row).coef_ for row in y]), 0, 1)


def sensing(network: Network, truth: np.ndarray, tuning: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
    """y = A x + noise, A_ij ~ N(0, 1 / 784). Lasso's penalty is the best of a grid on `tuning`, other images."""
    rows: dict[str, Any] = {}
    pictures = [truth]
    for measurements in (50, 100, 200, 400):
        generator = np.random.default_rng(measurements)
        operator = generator.standard_normal((measurements, 784)) / 28
        y, held = (x @ operator.T + NOISE * generator.standard_normal((len(x), measurements)) for x in (truth, tuning))
        rows[str(measurements)] = row = {}
        problem = projections(network, y, operator, True, NOISE)
        for method in ("ml_vamp", "gradient"):
            found = recover(problem, method, 1)
            row[method] = {"rmse": scores(found.signal, truth)["rmse"], "seconds": found.seconds}
            if "converged" in found.diagnostics:
                row[method]["converged"] = float(np.mean(found.diagnostics["converged"]))
            if measurements == 100:
                pictures.append(found.signal)
        for name in ("pixels", "cosine"):
            columns = basis(name)
            grid_of = np.geomspace(1e-4, 1e-2, 5)
            errors = [scores(lasso(held, operator, columns, penalty), tuning)["rmse"] for penalty in grid_of]
            penalty, start = float(grid_of[int(np.argmin(errors))]), time.perf_counter()
            signal = lasso(y, operator, columns, penalty)
            seconds = time.perf_counter() - start
            row[f"lasso_{name}"] = {"rmse": scores(signal, truth)["rmse"], "seconds": seconds, "penalty": penalty}
            if measurements == 100:
                pictures.append(signal)
        print(measurements, row, flush=True)
    return rows, np.stack([p[:8] for p in pictures])


def save(path: Path, images: np.ndarray) -> None:
    """(kinds, examples, 784): a row of the picture for each kind."""
    kinds, count = images.shape[:2]
    save_png(path, grid(images.reshape(kinds * count, 28, 28), count))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--output", type=Path, default=Path("docs/recover"))
    parser.add_argument("--images", type=int, default=100)
    arguments = parser.parse_args()
    run = sbvi.load_run(arguments.run)
    network = network_of(run.model.layers(run.params))
    data = run_dataset(run)
    truth = data.seen("test", arguments.images).astype(np.float64)
    tuning = data.seen("validation", 20).astype(np.float64)
    inpainted, shown = inpainting(network, truth)
    save(arguments.output / "mnist_rows.png", shown)
    sensed, projected = sensing(network, truth[:50], tuning)
    save(arguments.output / "mnist_projections.png", projected)
    content = {
        "command": f"python scripts/recover_mnist.py {arguments.run} --images {arguments.images}",
        "device": jax.devices()[0].device_kind,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "images": arguments.images,
        "noise": NOISE,
        "inpainting": inpainted,
        "projections": sensed,
    }
    write_atomically(arguments.output / "mnist.json", (json.dumps(content, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
