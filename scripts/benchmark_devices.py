#!/usr/bin/env python3
"""What dividing a batch costs: eight devices forced out of this machine's cores, against one.

    scripts/benchmark_devices.py [--devices 8] [--batches 1000,8000] [--rounds 3] [--steps 250]

The same cores do the same work, so that a ratio of 1 is the best there can be; with real devices give
--real, which compares one of them with all. Beside the runs stand two that exchange nothing: one device that takes
the devices' shares in turn, each a batch of its own; and a step's matrix products alone, each device with its rows.
Then the seconds a step that summing gradients takes, and Adam on all devices at once and on one; these do not grow
with the batch.
Prints and writes docs/devices.json. Without MNIST's files random images of its shape stand in.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]


def surroundings(there, given):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    if not given.real:
        environment |= {"XLA_FLAGS": f"--xla_force_host_platform_device_count={there}", "JAX_PLATFORMS": "cpu"}
    return environment


def reference(call, there, given):
    """What a function of scripts/reference_loops.py finds in a process with devices of its own."""
    environment = surroundings(there, given)
    environment["PYTHONPATH"] = str(ROOT / "scripts")
    words = [sys.executable, "-c", f"import json, reference_loops; print(json.dumps(reference_loops.{call}))"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr[-500:])
    return json.loads(done.stdout)


def products(devices, there, batch, given):
    """Examples a second of the step's matrix products alone, divided over `devices` and never summed."""
    return reference(f"divided_products({devices}, {batch})", there, given)


def speed(devices, there, batch, given):
    """Steady examples a second of a run over `devices` of `there`."""
    environment = surroundings(there, given)
    with tempfile.TemporaryDirectory() as folder:
        words = ["experiment=benchmark", f"trainer.batch_size={batch}", f"runtime.devices={devices}"]
        words += [f"trainer.steps={given.steps}", "trainer.log_every=25", "hydra.run.dir=run"]
        command = [sys.executable, "-m", "sbvi.cli.train", *words]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr[-500:])
        return json.loads((Path(folder) / "run" / "result.json").read_text())["examples_per_second"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=8)
    parser.add_argument("--batches", default="1000,8000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--real", action="store_true")
    given = parser.parse_args()
    batches = []
    for batch in (int(word) for word in given.batches.split(",")):
        rows = []
        for number in range(given.rounds):
            row = {"shares": speed(1, 1, batch // given.devices, given)}
            for name, measure in (("", speed), ("products_", products)):
                row[f"{name}one"] = measure(1, 1, batch, given)
                row[f"{name}many"] = measure(given.devices, given.devices, batch, given)
            row |= reference(f"divided_costs({given.devices})", given.devices, given)
            row["update_one"] = reference("divided_costs(1)", 1, given)["update"]
            rows.append(row)
            shown = ", ".join(f"{name} {rate:,.6g}" for name, rate in row.items())
            print(f"batch {batch}, round {number + 1}: {shown}", flush=True)
        pairs = {"": ("many", "one"), "products_": ("products_many", "products_one"), "shares_": ("shares", "one")}
        ratios = {
            f"{name}ratio": float(np.median([row[above] / row[below] for row in rows]))
            for name, (above, below) in pairs.items()
        }
        batches.append({"batch": batch, "rounds": rows} | ratios)
        print(f"batch {batch}: " + ", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items()))
    content = {"devices": given.devices, "real": given.real, "batches": batches}
    (ROOT / "docs" / "devices.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
