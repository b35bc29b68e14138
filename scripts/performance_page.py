"""docs/performance.md and its figure, from what scripts/benchmark.py measured."""

import json
from pathlib import Path

import accelerator_section
import numpy as np
import time_to_nll_section
from measured import verdict

from sbvi.reporting.figures import new_figure, pixels
from sbvi.reporting.images import save_png
from sbvi.reporting.tables import markdown_table

TARGETS = {
    "NumPyro SVI": (1.10, 1.10, 1.05),
    "flax, jitted per step": (1.5, 1.3, 1.7),
    "PyTorch, fused Adam": (1.9, 2.1, 1.8),
    "bound": (0.75, 0.74, 0.80),
}
COLUMNS = [(100, 1), (1000, 1), (100, 50)]
COLD, WARM, MEMORY, RANK_ONE, BARE, EVALUATION = 4.0, 2.8, 700.0, 1.2, 0.97, 0.85


def _rows(record):
    for column in record["columns"]:
        place = COLUMNS.index((column["batch"], column["samples"]))
        title = f"batch {column['batch']}, K = {column['samples']}"
        for name, ratios in column["ratios"].items():
            target = TARGETS[name][place] if name in TARGETS else BARE
            median = float(np.median(ratios))
            yield title, name, median, min(ratios), max(ratios), target


def tables(record):
    """Markdown: rates, ratios with their targets, and the single numbers."""
    names = list(record["columns"][0]["rates"])
    header = ["program", *(f"batch {c['batch']}, K = {c['samples']}" for c in record["columns"])]
    rates = [[n, *(f"{np.median(c['rates'][n]):,.0f}" for c in record["columns"])] for n in names]
    ratios = [
        [title, name, f"{median:.2f}", f"{low:.2f} to {high:.2f}", f"{target:.2f}", verdict(median >= target)]
        for title, name, median, low, high, target in _rows(record)
    ]
    return "\n\n".join(
        [
            "Examples a second, medians:",
            markdown_table(header, rates),
            "`sbvi-train` over each, median of the ratios of each round:",
            markdown_table(["case", "over", "ratio", "range", "wanted", ""], ratios),
            markdown_table(["", "measured", "wanted", ""], list(_single(record))),
        ]
    )


def _single(record):
    """Rows of the numbers that stand alone, of those parts that were measured."""
    if "start" in record:
        for name, kind, most in (
            ("process start to first step, cold", "cold", COLD),
            ("the same with a warm compilation cache", "warm", WARM),
        ):
            seconds = float(np.median(record["start"][kind]))
            yield [name, f"{seconds:.1f} s", f"{most} s", verdict(seconds <= most)]
    if "memory" in record:
        most = record["memory"]
        yield ["peak memory on MNIST", f"{most:.0f} MB", f"{MEMORY:.0f} MB", verdict(most <= MEMORY)]
    if "rank_one" in record:
        ratio = float(np.median(record["rank_one"]))
        yield [
            "step with 200 latents, rank-one over diagonal",
            f"{ratio:.2f}",
            f"{RANK_ONE}",
            verdict(ratio <= RANK_ONE),
        ]
    if scored := record.get("evaluation"):
        name = f"final test, {scored['samples_per_second']:,.0f} importance samples/s: share of its bound"
        share = scored["fraction"]
        yield [name, f"{share:.2f}", f"{EVALUATION}", verdict(share >= EVALUATION)]


def _taken_apart(what, cases):
    """A table of parts, a column for each case."""
    names = list(cases[0]["parts"])
    rows = [[n, *(f"{1e3 * c['parts'][n]:.2f} ms, {c['parts'][n] / c['whole']:.0%}" for c in cases)] for n in names]
    rows.append(["the whole", *(f"{1e3 * c['whole']:.2f} ms" for c in cases)])
    if "products" not in names:
        shares = [f"{1e3 * c['products']:.2f} ms, {c['products'] / c['whole']:.0%}" for c in cases]
        rows.append(["its products alone", *shares])
    return markdown_table([f"part of {what}", *(c["title"] for c in cases)], rows)


def _profile(profile):
    """Where time goes, as scripts/profile_step.py measured it."""
    return f"""
## Where the time goes

Taken apart by `scripts/profile_step.py`: each part is the time of a compiled loop of the project's own functions,
or the difference of two such; one can come out at or below zero within the noise of a shared machine. The products
are those of the bound in the tables above, each at its best rate.

{_taken_apart("a step", profile["steps"])}

{_taken_apart("a chunk of the final test", profile["test"])}
"""


def _networks(record):
    """Steps of every kind of network, as scripts/benchmark_networks.py measured them."""
    rows = []
    for name, of in record["networks"].items():
        step, bound = (float(np.median(of[key])) for key in ("step_ms", "products_ms"))
        share = np.median(np.array(of["products_ms"]) / np.array(of["step_ms"]))
        rows.append([name, f"{step:.2f}", f"{bound:.2f}", f"{share:.0%}"])
    header = ["network", "step, ms", "its products, ms", "products' share"]
    return f"""
## Kinds of networks

By `scripts/benchmark_networks.py`, medians of {record["rounds"]} rounds on {record["cores"]} cores
({record["processor"]}): a training step on static MNIST, batch 100, K = 1, maps of three layers of 300 both ways around
50 latents, silu, and the matrix products of the network's weights by themselves (a convolution as the product of its
patches).

{markdown_table(header, rows)}
"""


def _draw(record):
    figure = new_figure(9, 5)
    for place, (name, points) in enumerate(record["scaling"].items()):
        axes = figure.add_subplot(3, 3, place + 1)
        x = [float(v) for v in points]
        axes.loglog(x, [p["examples_per_second"] for p in points.values()], "o-", markersize=3)
        axes.set_title(name, fontsize=8)
        axes.set_xticks(x, [f"{v:g}" for v in x])
        axes.minorticks_off()
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.3)
    return pixels(figure)


def _conditions(record):
    """Where and how the columns of a record were measured."""
    others = np.median([share for column in record["columns"] for share in column["others"]])
    versions = ", ".join(f"{name} {number}" for name, number in record["versions"].items())
    rounds = " or ".join(map(str, sorted({len(column["others"]) for column in record["columns"]})))
    return f"""{record["processor"]}, {record["cores"]} cores, Python
{record["python"]}, {versions}. {rounds} interleaved rounds; other processes took {others:.0%} of the CPU
meanwhile (median)."""


def render(record, folder: Path):
    """Write performance.md and, where scaling was measured, performance.png."""
    text = f"""# Performance

*Measured and rendered by `scripts/benchmark.py`. {_conditions(record)}*

The network is that of `experiment=benchmark`: 784-200-200-(50, 50) and 50-200-200-784, tanh, Bernoulli, Adam,
images binarized anew at each use. The rate of `sbvi-train` is that of a whole run between its first log
point and its last, with logging, TensorBoard, metrics and checkpoints; the others are the bare loops of
`scripts/reference_loops.py`. The bound is a step's matrix products alone, each at its best measured rate.

{tables(record)}
"""
    if record.get("scaling"):
        save_png(folder / "performance.png", _draw(record))
        text += """
## Scaling

![Examples a second as one number grows](performance.png)

*Examples a second of `sbvi-train` as one number grows, the rest as in `experiment=benchmark`.*
"""
    for other in record.get("elsewhere", {}).values():
        if other.get("columns"):
            text += f"""
## On another processor

*{_conditions(other)}*

{tables(other)}
"""
    if (folder / "profile.json").exists():
        text += _profile(json.loads((folder / "profile.json").read_text()))
    if (folder / "steps.json").exists():
        text += accelerator_section.steps(json.loads((folder / "steps.json").read_text()))
    if (folder / "accelerator.json").exists():
        text += accelerator_section.use(json.loads((folder / "accelerator.json").read_text()))
    if (folder / "networks.json").exists():
        text += _networks(json.loads((folder / "networks.json").read_text()))
    if (folder / "time_to_nll.json").exists():
        text += time_to_nll_section.section(json.loads((folder / "time_to_nll.json").read_text()))
    notes = folder / "performance_notes.md"
    (folder / "performance.md").write_text(text + (notes.read_text() if notes.exists() else ""))
