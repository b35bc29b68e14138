"""The section of docs/performance.md on accelerators."""

import numpy as np
from measured import verdict

from sbvi.reporting.tables import markdown_table

SWEEP = 4.0  # one program over one by one


def steps(devices):
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


def use(devices):
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
times as fast, one round ({SWEEP:g} times wanted: {verdict(faster["whole"] >= SWEEP)}). Of training alone, compilation
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
