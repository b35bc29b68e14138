#!/usr/bin/env python3
"""docs/scale.md: what larger machines would give, worked out from what was measured on this one.

    scripts/scale_page.py

Reads docs/performance.json, devices.json, streaming.json and sweeps.json (each written by its benchmark)
and applies the arithmetic that the page shows. Rates of links and accelerators are assumptions, stated as such.
"""

import argparse
import json
from pathlib import Path

import jax
import numpy as np

from sbvi.models.values import DataFacts
from sbvi.reporting.tables import markdown_table
from sbvi.runs import Experiment
from sbvi.runs.memory import abstract_params

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PIXELS = 784
# Assumed, not measured: what a device sustains in float32, and bandwidth and latency between devices.
DEVICE = 10e12
LINKS = {
    "eight GPUs of one host (NVLink)": (8, 450e9, 3e-6),
    "a pod of 256, 50 GB/s each": (256, 50e9, 5e-6),
    "eight hosts on 10 Gbit Ethernet": (8, 1.25e9, 50e-6),
}
POINTS = 1000


def measured(name):
    path = DOCS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def step_time(batch, weights, devices, bandwidth, latency, speed):
    """Seconds of compute and of summing gradients in a ring, over `devices`."""
    compute = 6 * weights * batch / devices / speed
    exchange = 2 * (devices - 1) / devices * 4 * weights / bandwidth + 2 * (devices - 1) * latency
    return compute, exchange


def devices_section(performance, weights):
    column = next(c for c in performance["columns"] if (c["batch"], c["samples"]) == (1000, 1))
    rate = float(np.median(column["rates"]["sbvi-train"]))
    speed = 6 * weights * rate
    rows = []
    for name, (devices, bandwidth, latency) in LINKS.items():
        for batch in (1000, 8000, 64000):
            compute, exchange = step_time(batch, weights, devices, bandwidth, latency, DEVICE)
            alone = 6 * weights * batch / DEVICE
            rows.append(
                [
                    name,
                    f"{batch:,}",
                    f"{1e6 * alone:,.0f} µs",
                    f"{1e6 * compute:,.1f} µs",
                    f"{1e6 * exchange:,.1f} µs",
                    f"{alone / (compute + exchange):,.1f} of {devices}",
                ]
            )
    table = markdown_table(["over", "batch", "one device", "its share", "sum of gradients", "faster by"], rows)
    return _devices_page(weights, rate, speed, table)


def local_section(forced):
    """What forced devices cost, by batch."""

    def middle(rounds, name):
        return float(np.median([row[name] for row in rounds]))

    batches = sorted(forced["batches"], key=lambda record: record["batch"])

    rows = [
        [
            f"{record['batch']:,}",
            f"{1e3 * record['batch'] / middle(record['rounds'], 'one'):.1f} ms",
            f"{1e3 * record['batch'] / middle(record['rounds'], 'many'):.1f} ms",
            f"{record['ratio']:.2f}",
            f"{record['shares_ratio']:.2f}",
            f"{record['products_ratio']:.2f}",
        ]
        for record in batches
    ]
    many = forced["devices"]
    heads = ["batch", "a step on one", f"on {many}", "ratio of rates", "of shares in turn", "of products alone"]
    table = markdown_table(heads, rows)
    last = batches[-1]["rounds"]
    exchange, update, one = (1e3 * middle(last, name) for name in ("exchange", "update", "update_one"))
    return f"""Measured with `scripts/benchmark_devices.py`: {many} devices forced out of this machine's cores,
against one (a ratio of 1 would be free). Beside them stand two that exchange nothing: one device that takes the {many}
shares in turn, each a step of its own, and the step's matrix products alone, each device with its rows:

{table}

Whatever the batch, a step on {many} sums gradients ({exchange:.1f} ms by itself) and runs Adam on every device
({update:.1f} ms in place of {one:.1f}); {many} copies of parameters, gradients and moments compete for one cache, and
{many} threads for the cores. A larger batch spreads that over more examples.
"""


def _devices_page(weights, rate, speed, table):
    forced = measured("devices")
    local = local_section(forced) if forced else ""
    return f"""## One batch over many devices

The network of `experiment=benchmark` has W = {weights:,} weights. A step of batch B takes 6 W B operations (a
product forward, two back), and devices that share it exchange gradients of 4 W = {4 * weights / 1e6:.1f} MB. On the
machine of docs/performance.md `sbvi-train` reaches {rate:,.0f} examples a second at batch 1,000, which is
6 x {weights:,} x {rate:,.0f} = {speed / 1e9:,.0f} GFLOP/s: a step is {1e3 * 1000 / rate:.1f} ms.

Over D devices with bandwidth b and latency a between neighbours, a ring sums gradients in
2 (D - 1)/D x 4W/b + 2 (D - 1) a. Assumed, since no more than one accelerator was at hand:
{DEVICE / 1e12:.0f} TFLOP/s sustained by each device, and the links named below.

{table}

So this network is too small for many devices at the paper's batches of 200: latency, not arithmetic, sets the step.
Over a host's own links eight devices pay from a few thousand examples a batch; over a pod's ring or Ethernet not even
tens of thousands fill them. What pays at once is more
work a step that needs no exchange: importance samples (`objective.num_samples`), evaluation with thousands of
samples, wider networks, whose arithmetic grows with the square of the width as the exchange does while the
latency stays, and sweeps.

{local}"""


#: Sweep -> the way that workers are compared with, and how many times as fast they are wanted.
WANTED = {"digits": ("fresh", 2.5), "mnist": ("basic", 1.4)}


def sweep_section(sweeps):
    rows, compared = [], []
    for part, (way, wanted) in WANTED.items():
        if part in sweeps:
            ratio = sweeps[part]["ratios"][f"{way} / workers"]
            bound = sweeps[part]["ratios"][f"{way} / products"]
            verdict = "pass" if ratio >= wanted else "falls short"
            compared.append([f"{part}: {way} / workers", f"{ratio:.2f}", f"{bound:.2f}", f"{wanted}", verdict])
    for part, record in sweeps.items():
        for way, seconds in record["seconds"].items():
            each = float(np.median(seconds)) / record["points"]
            hours = POINTS * each / 3600
            needed = record["cores"] if way in ("workers", "products") else 1
            shown = "their matrix products alone" if way == "products" else way
            rows.append(
                [
                    part,
                    shown,
                    f"{each:.1f} s",
                    f"{hours:.1f} h",
                    f"{hours * record['cores']:.0f} core hours",
                    f"{needed}",
                ]
            )
    table = markdown_table(["sweep", "way", "a point", f"{POINTS:,} points here", "in all", "jobs at a time"], rows)
    return f"""## A sweep of {POINTS:,} points

Median seconds of `scripts/benchmark_sweeps.py` on this machine, a point's share of a sweep, and {POINTS:,} times that:

{table}

{markdown_table(["seconds over seconds", "measured", "of its products", "wanted", ""], compared)}

No way of running a sweep takes less than its matrix products, one point a core.
Points need nothing of one another, so N machines divide the time by N until one of three ends it: the longest point
(no sweep is shorter than that), the queue's overhead for each job (`search=slurm` submits an array; give each job
minutes, not seconds), and the file system: a point writes about thirty files, so {POINTS:,} points write
{30 * POINTS:,}, which one shared disk takes and a thousand writers at a time may not.
"""


def data_section(streaming, performance):
    column = next(c for c in performance["columns"] if (c["batch"], c["samples"]) == (1000, 1))
    rate = float(np.median(column["rates"]["sbvi-train"]))
    speeds = [[f"{s['batch']:,}", f"{s['ratio']:.2f}"] for s in streaming["speed"]]
    memory = [
        [f"{m['times']}", f"{m['bytes'] / 1e6:,.0f} MB", f"{m['peak'] / 1e6:,.0f} MB"] for m in streaming["memory"]
    ]
    fast = DEVICE / (6 * 420_000)
    return f"""## Data larger than memory

`scripts/benchmark_streaming.py`, random images of MNIST's shape. Streamed over resident speed, ten times MNIST:

{markdown_table(["batch", "ratio"], speeds)}

Greatest private memory of a streamed run as the set grows:

{markdown_table(["times MNIST", "training set", "memory"], memory)}

A streamed run reads {PIXELS} bytes an example: {rate:,.0f} examples a second are {PIXELS * rate / 1e6:.0f} MB/s, which
any disk gives. An accelerator that sustained {DEVICE / 1e12:.0f} TFLOP/s would ask for
{fast / 1e6:.1f} million examples, or {PIXELS * fast / 1e9:.1f} GB a second: one NVMe disk, and more than one reading
thread copies; keep the set resident there (`dataset.stream=false`) as long as it fits.
"""


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    performance = measured("performance")
    model = Experiment.from_overrides(["experiment=benchmark"]).model.build(DataFacts((PIXELS,), binary=True))
    leaves = jax.tree.leaves(abstract_params(model))
    weights = sum(leaf.size for leaf in leaves if leaf.ndim == 2)  # of the matrix products
    parts = [
        "# Scale\n\n*Rendered by `scripts/scale_page.py` from what the benchmarks measured; assumptions are named.*\n",
        devices_section(performance, weights),
    ]
    if sweeps := measured("sweeps"):
        parts.append(sweep_section(sweeps))
    if streaming := measured("streaming"):
        parts.append(data_section(streaming, performance))
    notes = DOCS / "scale_notes.md"
    if notes.exists():
        parts.append(notes.read_text())
    (DOCS / "scale.md").write_text("\n".join(parts))


if __name__ == "__main__":
    main()
