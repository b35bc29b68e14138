"""docs/performance.md and its figure, from what scripts/benchmark.py measured."""

import json
from pathlib import Path

import numpy as np

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
SWEEP, TO_BOUND = 4.0, 1.2  # one program over one by one; NumPyro's seconds over ours


def _verdict(good):
    return "pass" if good else "falls short"


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
        [title, name, f"{median:.2f}", f"{low:.2f} to {high:.2f}", f"{target:.2f}", _verdict(median >= target)]
        for title, name, median, low, high, target in _rows(record)
    ]
    cold, warm = (float(np.median(record["start"][n])) for n in ("cold", "warm"))
    rank_one = float(np.median(record["rank_one"]))
    scored = record["evaluation"]
    single = [
        ["process start to first step, cold", f"{cold:.1f} s", f"{COLD} s", _verdict(cold <= COLD)],
        ["the same with a warm compilation cache", f"{warm:.1f} s", f"{WARM} s", _verdict(warm <= WARM)],
        [
            "peak memory on MNIST",
            f"{record['memory']:.0f} MB",
            f"{MEMORY:.0f} MB",
            _verdict(record["memory"] <= MEMORY),
        ],
        [
            "step with 200 latents, rank-one over diagonal",
            f"{rank_one:.2f}",
            f"{RANK_ONE}",
            _verdict(rank_one <= RANK_ONE),
        ],
        [
            f"final test, {scored['samples_per_second']:,.0f} importance samples/s: share of its bound",
            f"{scored['fraction']:.2f}",
            f"{EVALUATION}",
            _verdict(scored["fraction"] >= EVALUATION),
        ],
    ]
    return "\n\n".join(
        [
            "Examples a second, medians:",
            markdown_table(header, rates),
            "`sbvi-train` over each, median of the ratios of each round:",
            markdown_table(["case", "over", "ratio", "range", "wanted", ""], ratios),
            markdown_table(["", "measured", "wanted", ""], single),
        ]
    )


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


def _steps(devices):
    """Steps on accelerators, as scripts/benchmark_steps.py measured them."""
    text = """
## On an accelerator

Milliseconds of a training step, by `scripts/benchmark_steps.py`: with a program for any number of steps, as a CPU has
it, whose loop waits for the host after every step, and with one for this number of steps, which is what `sbvi-train`
takes on an accelerator. `beside`: how many other programs used the device at the time.
"""
    for device, experiments in devices.items():
        rows = []
        for name, record in experiments.items():
            free, fixed = record["milliseconds"].values()
            rate = f"{1e3 * record['batch'] / fixed:,.0f}"
            rows.append([f"`{name}`", str(record["batch"]), str(record["beside"]), f"{free:.3f}", f"{fixed:.3f}", rate])
        header = ["experiment", "batch", "beside", "any number, ms", "this number, ms", "examples a second"]
        text += f"\n{device}:\n\n{markdown_table(header, rows)}\n"
    return text


def _accelerator(devices):
    """How well one accelerator is used, as scripts/benchmark_accelerator.py measured it."""
    text = """
By `scripts/benchmark_accelerator.py`, nothing else on the device: a step of `experiment=benchmark`, and its floor, the
step of the same program over a network of 8 units and a batch of 8, where what is left is the launching of its kernels.
"""
    for device, parts in devices.items():
        text += f"\n{device}:\n"
        if steps := parts.get("steps"):
            precisions = list(steps[0]["by_precision"])
            rows = []
            for record in steps:
                each = [f"{record['by_precision'][name]:.3f}" for name in precisions]
                share = record["floor"] / record["step"]
                shape = [f"{record['batch']:,}", str(record["samples"])]
                rows.append([*shape, f"{record['step']:.3f}", f"{record['floor']:.3f}", f"{share:.0%}", *each])
            header = ["batch", "K", "step, ms", "floor, ms", "floor's share", *(f"{p}, ms" for p in precisions)]
            text += f"\n{markdown_table(header, rows)}\n"
        if sweep := parts.get("sweep"):
            whole, alone = sweep["seconds"], sweep["training"]
            faster = {name: of["basic"] / of["vmap"] for name, of in (("whole", whole), ("alone", alone))}
            text += f"""
A sweep of {sweep["points"]} learning rates, {sweep["epochs"]} epochs each and a test, one run after another in one
process: {whole["basic"]:.0f} s; in one program (`hydra/launcher=sbvi`): {whole["vmap"]:.0f} s, {faster["whole"]:.1f}
times as fast, one round ({SWEEP:g} times wanted: {_verdict(faster["whole"] >= SWEEP)}). Of training alone, compilation
included: {alone["basic"]:.0f} and {alone["vmap"]:.0f} s, {faster["alone"]:.1f} times.
"""
        if columns := parts.get("columns"):
            rows = [
                [f"{column['batch']:,}", str(column["samples"]), name, f"{np.median(rates):,.0f}"]
                for column in columns
                for name, rates in column["rates"].items()
                if name != "bound"  # launched one by one, products bound nothing here
            ]
            text += "\n" + markdown_table(["batch", "K", "loop", "examples a second"], rows) + "\n"
        if precision := parts.get("precision"):
            rows = []
            for name, values in precision["nll"].items():
                error = np.std(values, ddof=1) / np.sqrt(len(values))
                rows.append([name, f"{np.mean(values):.2f} ± {error:.2f}", str(len(values))])
            text += f"\nTest NLL after `{precision['command']}`:\n\n"
            text += markdown_table(["products in training", "test NLL, nats", "seeds"], rows) + "\n"
    return text


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


def _faster(cases, ours, kind, bound):
    """Median of NumPyro's seconds to a bound over those of ours; None where a round did not reach it."""
    ours, theirs = ([row["seconds"][bound] for row in cases[name][kind]] for name in (ours, "numpyro"))
    return None if None in (*ours, *theirs) else float(np.median(theirs) / np.median(ours))


def time_to_nll(record):
    """Seconds to validation bounds, as scripts/benchmark_time_to_nll.py measured them."""
    bounds = [str(bound) for bound in record["bounds"]]
    rows = []
    for program, kinds in record["cases"].items():
        for kind, rounds in kinds.items():
            cells = [f"{program}, {kind}"]
            for bound in bounds:
                seconds = [row["seconds"][bound] for row in rounds]
                known = [value for value in seconds if value is not None]
                missed = f" ({len(seconds) - len(known)} of {len(seconds)} not)" if len(known) < len(seconds) else ""
                cells.append(f"{np.median(known):.1f}{missed}" if known else "not reached")
            rows.append([*cells, f"{max(row['best'] for row in rounds):.2f}"])
    heads = ["process", *(f"to -{float(bound):g}" for bound in bounds), "best bound met"]
    count = len(next(iter(record["cases"].values()))["cold"])
    sizes, how = "-".join(map(str, record["network"])), record["settings"]
    over = []
    for ours, kind in [(p, kind) for p in ("sbvi", "unaveraged") for kind in ("cold", "warm")]:
        if {ours, "numpyro"} <= set(record["cases"]):
            ratios = [_faster(record["cases"], ours, kind, bound) for bound in bounds]
            verdict = _verdict(all(ratio is not None and ratio >= TO_BOUND for ratio in ratios))
            over.append(
                [f"{ours}, {kind}", *("-" if r is None else f"{r:.2f}" for r in ratios), f"{TO_BOUND}", verdict]
            )
    compared = ["NumPyro's seconds over those of", *(f"to -{float(bound):g}" for bound in bounds), "wanted at each", ""]
    said = f"\n\n{markdown_table(compared, over)}" if over else ""
    return f"""
## Time to a number

Seconds from the start of a process to a validation bound on static MNIST, start included, medians over {count}
alternating rounds on {record["cores"]} cores (`{record["command"]}`). All programs train the network
{sizes} (ReLU) in batches of {how["batch"]} by AdamW with decay {how["weight_decay"]}, its rate a cosine from
{how["learning_rate"]} over {how["epochs"]} epochs,
with {how["dropout"]:.0%} of the inputs dropped and the KL term warmed up over
{how["warmup_epochs"]} epochs, and validate once an epoch. Cold: no compiled program is kept from before; warm: those of
the process before. A process ends with the last bound or its time. Bounds are of a moving average of the weights
with decay {how["average"]} where the library has one, `optimizer.average` of sbvi and AveragedModel of PyTorch;
`unaveraged` is sbvi without it.

{markdown_table(heads, rows)}{said}
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


def render(record, folder: Path):
    """Write performance.md and, where scaling was measured, performance.png."""
    others = np.median([share for column in record["columns"] for share in column["others"]])
    versions = ", ".join(f"{name} {number}" for name, number in record["versions"].items())
    rounds = " or ".join(map(str, sorted({len(column["others"]) for column in record["columns"]})))
    text = f"""# Performance

*Measured and rendered by `scripts/benchmark.py`. {record["processor"]}, {record["cores"]} cores, Python
{record["python"]}, {versions}. {rounds} interleaved rounds; other processes took {others:.0%} of the CPU
meanwhile (median).*

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
    if (folder / "profile.json").exists():
        text += _profile(json.loads((folder / "profile.json").read_text()))
    if (folder / "steps.json").exists():
        text += _steps(json.loads((folder / "steps.json").read_text()))
    if (folder / "accelerator.json").exists():
        text += _accelerator(json.loads((folder / "accelerator.json").read_text()))
    if (folder / "networks.json").exists():
        text += _networks(json.loads((folder / "networks.json").read_text()))
    if (folder / "time_to_nll.json").exists():
        text += time_to_nll(json.loads((folder / "time_to_nll.json").read_text()))
    notes = folder / "performance_notes.md"
    (folder / "performance.md").write_text(text + (notes.read_text() if notes.exists() else ""))
