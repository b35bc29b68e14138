#!/usr/bin/env python3
"""Recovery on MNIST by every method: rows 10 to 19 erased, and random projections beside Lasso.

    sbvi-train experiment=recover_mnist hydra.run.dir=outputs/reproduce/recover_mnist-0
    python scripts/recover_mnist.py outputs/reproduce/recover_mnist-0

Writes docs/recover/mnist.json after every part of it, mnist_rows.png and mnist_projections.png beside it, and the
tables of docs/recover.md. A part that is in the file is not computed again; `--again NAME ...` computes those whose
names begin so. Seconds are of the processor, of all threads together: on a machine with other work wall time says less.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from sklearn.linear_model import Lasso

import sbvi
from sbvi.core.atomic import write_atomically
from sbvi.inference.ml_vamp.chains import Chain, hamiltonian, langevin
from sbvi.inference.ml_vamp.network import Network
from sbvi.inference.ml_vamp.problem import Problem
from sbvi.inference.ml_vamp.recovery import recover
from sbvi.inference.ml_vamp.sensing import entries, network_of, projections
from sbvi.inference.ml_vamp.solve import Settings
from sbvi.reporting.images import grid, save_png
from sbvi.reporting.tables import markdown_table
from sbvi.tasks.data import run_dataset
from sbvi.tasks.recover import of_bits

METHODS = ("ml_vamp", "ml_vamp_map", "gradient", "langevin", "hamiltonian")
#: Draws of a Hamiltonian chain; of a Langevin chain ten times as many.
LENGTHS = (10, 25, 50, 100)
CHAINS = {"hamiltonian": (hamiltonian, 1), "langevin": (langevin, 10)}
MEASUREMENTS = (50, 100, 200, 400)
NOISE = 0.1
SHOWN = 8
#: Of message passing from projections, which converges on few images: more iterations leave its error as it is.
SETTINGS = Settings(damping=((0.6, 150), (0.7, 150)), tolerance=1e-5)
BEGIN, END = "<!-- mnist: rendered by scripts/recover_mnist.py -->\n", "<!-- end of mnist -->"

PROJECTIONS = """Of 50 images from random projections with noise of 0.1, the error of all pixels and seconds: message
passing through the decoder, the Lasso on pixels and on Haar wavelets (scikit-learn, its penalty the best on other
images), and descent from ten starts. The picture has the truth and what they found from 100 projections, in this order.

![100 projections](recover/mnist_projections.png)"""

#: What a part found: numbers, and the first images for the picture.
Part = tuple[dict[str, Any], np.ndarray | None]


def inpainted(problem: Problem, truth: np.ndarray, erased: np.ndarray, method: str) -> Part:
    start = time.process_time()
    recovery = recover(problem, method, 1)
    seconds = time.process_time() - start
    row = {"seconds": seconds, "wall_seconds": recovery.seconds} | of_bits(recovery.signal[:, erased], truth[:, erased])
    about = {name: np.asarray(value) for name, value in recovery.diagnostics.items()}
    row |= {"diagnostics": {name: float(value.mean()) for name, value in about.items() if value.ndim == 1}}
    if "converged" in about:
        row |= {"most_iterations": int(about["iterations"].max())}
        start = time.process_time()
        recover(problem, method, 1)
        row |= {"seconds_compiled": time.process_time() - start}
    return row, recovery.signal


def chain(problem: Problem, truth: np.ndarray, erased: np.ndarray, name: str, draws: int) -> Part:
    """A chain of so many draws after half as many of warm-up, 50 at least. Its compiling takes what a chain of one draw
    takes."""
    sample, factor = CHAINS[name]

    def timed(options: Chain) -> tuple[float, np.ndarray]:
        start = time.process_time()
        signal = sample(problem, options, 1)[2]
        return time.process_time() - start, signal

    seconds, signal = timed(Chain(samples=draws * factor, warmup=max(50, draws * factor // 2)))
    compiling, _ = timed(Chain(samples=1, warmup=1))
    row = {"draws": draws * factor, "seconds": seconds, "seconds_compiled": seconds - compiling}
    return row | of_bits(signal[:, erased], truth[:, erased]), None


def haar() -> np.ndarray:
    """Orthonormal columns: images of the two-dimensional Haar wavelets of two levels (28 = 4 x 7)."""

    def split(size: int) -> np.ndarray:
        pair = np.eye(size // 2)
        return np.concatenate([np.kron(pair, [1.0, 1.0]), np.kron(pair, [1.0, -1.0])]) / np.sqrt(2)

    again = np.eye(28)
    again[:14, :14] = split(14)
    line = again @ split(28)
    return np.kron(line, line).T


def by_lasso(y: np.ndarray, operator: np.ndarray, columns: np.ndarray, penalty: float) -> np.ndarray:
    fits = Lasso(alpha=penalty, max_iter=5000, tol=1e-3)
    design = operator @ columns
    return np.clip(np.stack([columns @ fits.fit(design, row).coef_ for row in y]), 0, 1)


def root_mean_square(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def sensed(network: Network, truth: np.ndarray, tuning: np.ndarray, measurements: int, method: str) -> Part:
    """y = A x + noise, A_ij ~ N(0, 1 / 784). Lasso's penalty is the best of a grid on `tuning`, other images."""
    generator = np.random.default_rng(measurements)
    operator = generator.standard_normal((measurements, 784)) / 28
    y, held = (x @ operator.T + NOISE * generator.standard_normal((len(x), measurements)) for x in (truth, tuning))
    row: dict[str, Any] = {}
    start = time.process_time()
    if not method.startswith("lasso"):
        how = SETTINGS if method == "ml_vamp" else method
        recovery = recover(projections(network, y, operator, True, NOISE), how, 1)
        signal = recovery.signal
        if "converged" in recovery.diagnostics:
            row = {name: float(np.mean(recovery.diagnostics[name])) for name in ("converged", "iterations")}
    else:
        columns = np.eye(784) if method == "lasso_pixels" else haar()
        grid_of = np.geomspace(1e-4, 1e-2, 5)
        errors = [root_mean_square(by_lasso(held, operator, columns, penalty) - tuning) for penalty in grid_of]
        row = {"penalty": float(grid_of[int(np.argmin(errors))])}
        start = time.process_time()
        signal = by_lasso(y, operator, columns, row["penalty"])
    seconds = time.process_time() - start
    return {"rmse": root_mean_square(signal - truth), "seconds": seconds} | row, signal


def parts(network: Network, truth: np.ndarray, tuning: np.ndarray) -> dict[str, Callable[[], Part]]:
    """Everything that is computed, by name, in order."""
    erased = np.zeros((28, 28), bool)
    erased[10:20] = True
    hole = erased.ravel()
    problem = entries(network, truth, np.broadcast_to(hole, truth.shape), True, NOISE)
    made: dict[str, Callable[[], Part]] = {
        f"rows/{method}": partial(inpainted, problem, truth, hole, method) for method in METHODS
    }
    for name in CHAINS:
        made |= {f"chains/{name}/{n}": partial(chain, problem, truth, hole, name, n) for n in LENGTHS}
    for method in ("ml_vamp", "lasso_pixels", "lasso_haar", "gradient"):
        for count in MEASUREMENTS:
            made[f"projections/{method}/{count}"] = partial(sensed, network, truth[:50], tuning, count, method)
    return made


def to_5_percent(numbers: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """The chain of the least seconds whose error, and that of every longer one of its kind, is within 5 % of the
    Hamiltonian chain's of 500 draws."""
    goal = numbers["rows/hamiltonian"]["rmse"]
    candidates = []
    for name in CHAINS:
        rows = [numbers[f"chains/{name}/{n}"] for n in LENGTHS]
        near = [abs(row["rmse"] - goal) <= 0.05 * goal for row in rows]
        candidates += [(name, row) for i, row in enumerate(rows) if all(near[i:])]
    return min(candidates, key=lambda pair: pair[1]["seconds_compiled"], default=None)


def table(numbers: dict[str, Any]) -> str:
    """Markdown of what is there."""
    lines: list[str] = []
    heads = ["method", "rmse", "log-loss, nats", "calibration error", "seconds", "without compilation"]
    rows = []
    for method in METHODS:
        row = numbers.get(f"rows/{method}")
        if row:
            scores = [f"{row[name]:.4f}" for name in ("rmse", "log_loss", "calibration_error")]
            after = f"{row['seconds_compiled']:.1f}" if "seconds_compiled" in row else ""
            rows.append([f"`{method}`", *scores, f"{row['seconds']:.1f}", after])
    lines += [markdown_table(heads, rows), ""]
    if all(f"chains/{name}/{n}" in numbers for name in CHAINS for n in LENGTHS) and len(rows) == len(METHODS):
        fastest, own = to_5_percent(numbers), numbers["rows/ml_vamp"]
        about = own["diagnostics"]
        lines += [
            f"`ml_vamp` converged on {about['converged']:.0%} of the images, in {about['iterations']:.0f} iterations "
            "on average."
        ]
        if fastest is not None:
            name, row = fastest
            ratio = row["seconds_compiled"] / own["seconds_compiled"]
            lines += [
                f"The fastest chain whose error is within 5 % of that of 500 Hamiltonian draws is `{name}` with "
                f"{row['draws']} draws: {row['seconds_compiled']:.1f} s without compilation, {ratio:.1f} times what "
                "`ml_vamp` takes."
            ]
        lines += [""]
    names = ("ml_vamp", "lasso_pixels", "lasso_haar", "gradient")
    rows = []
    for count in MEASUREMENTS:
        here = [numbers.get(f"projections/{name}/{count}") for name in names]
        if any(here):
            rows.append([str(count), *(f"{r['rmse']:.4f} ({r['seconds']:.0f} s)" if r else "" for r in here)])
    if rows:
        lines += [PROJECTIONS, "", markdown_table(["measurements", *(f"`{name}`" for name in names)], rows)]
    return "\n".join(lines)


def render(numbers: dict[str, Any], page: Path) -> None:
    before, _, rest = page.read_text().partition(BEGIN)
    page.write_text(f"{before}{BEGIN}\n{table(numbers)}\n\n{END}{rest.partition(END)[2]}")


def save(path: Path, images: list[np.ndarray]) -> None:
    """A row of the picture for each kind."""
    save_png(path, grid(np.stack(images).reshape(-1, 28, 28), SHOWN))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--output", type=Path, default=Path("docs/recover"))
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--again", nargs="*", default=[], help="beginnings of names of parts to compute again")
    parser.add_argument("--render", action="store_true", help="compute nothing; tables and pictures of what is there")
    arguments = parser.parse_args()
    run = sbvi.load_run(arguments.run)
    network = network_of(run.model.layers(run.params))
    data = run_dataset(run)
    truth = data.seen("test", arguments.images).astype(np.float64)
    tuning = data.seen("validation", 20).astype(np.float64)
    path, kept = arguments.output / "mnist.json", arguments.run / "recovered.npz"
    numbers: dict[str, Any] = json.loads(path.read_text())["parts"] if path.exists() else {}
    images: dict[str, np.ndarray] = dict(np.load(kept)) if kept.exists() else {}
    about = {
        "command": f"python scripts/recover_mnist.py {arguments.run} --images {arguments.images}",
        "device": jax.devices()[0].device_kind,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "images": arguments.images,
        "noise": NOISE,
    }
    made = parts(network, truth, tuning)
    for name, make in made.items():
        known = name in numbers and not any(name.startswith(again) for again in arguments.again)
        if known or arguments.render:
            continue
        numbers[name], signal = make()
        print(name, numbers[name], flush=True)
        if signal is not None:
            images[name] = signal[:SHOWN]
            np.savez(kept, **images)
        ordered = {name: numbers[name] for name in made if name in numbers}
        write_atomically(path, (json.dumps(about | {"parts": ordered}, indent=1) + "\n").encode())
    holes = truth[:SHOWN].reshape(-1, 28, 28).copy()
    holes[:, 10:20] = 0.5
    rows = [images[name] for name in made if name.startswith("rows/") and name in images]
    save(arguments.output / "mnist_rows.png", [truth[:SHOWN], holes.reshape(SHOWN, -1), *rows])
    shown = [
        images[name] for name in made if name.startswith("projections/") and name.endswith("/100") and name in images
    ]
    save(arguments.output / "mnist_projections.png", [truth[:SHOWN], *shown])
    if (page := arguments.output.parent / "recover.md").exists():
        render(numbers, page)


if __name__ == "__main__":
    main()
