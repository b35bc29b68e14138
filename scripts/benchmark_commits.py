#!/usr/bin/env python3
"""Speed of sbvi-train's loop in this tree beside an earlier commit's, by scripts/benchmark's own columns.

    scripts/benchmark_commits.py COMMIT [--rounds 5] [--columns 0,1,2] [--steps 4500,1000,250]

Each measurement is a whole run in a process of its own, since a process is up to five per cent faster or slower than
the next one with the same code. A round runs both trees, in turns of order; the ratio is taken round by round. Both run
in this environment, so that the commit must work with the libraries of today. Nothing else may run meanwhile.
Writes nothing but a table of the rounds and, for each column, the median ratio with an interval for it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import scipy.stats

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = [(100, 1), (1000, 1), (100, 50)]
# Runs the columns of the tree that it stands in: the script's name has changed once.
CHILD = """
import importlib.util, logging, sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
scripts = Path(sys.argv[1]) / "scripts"
sys.path[:0] = [str(scripts), sys.argv[1]]
path = next(p for p in (scripts / "benchmark.py", scripts / "benchmark") if p.exists())
loader = SourceFileLoader("tree_benchmark", str(path))
module = importlib.util.module_from_spec(importlib.util.spec_from_loader("tree_benchmark", loader))
loader.exec_module(module)
logging.disable(logging.INFO)
import sbvi
assert Path(sbvi.__file__).is_relative_to(sys.argv[1]), sbvi.__file__
print("rate", module.run_ours(int(sys.argv[2]), *sys.argv[3:])[0])
"""


def rate(tree, steps, batch, samples):
    """Examples a second of one run of `tree` in a fresh process."""
    words = [f"trainer.batch_size={batch}", f"objective.num_samples={samples}"]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tree), str(steps), *words],
        env=os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{tree} could not run scripts/benchmark's column:\n{done.stderr[-2000:]}")
    return float(done.stdout.rsplit("rate", 1)[1])


def median_interval(ratios, level=0.95):
    """Order statistics between which the median lies with at least `level`, or all of them when they are too few."""
    ordered, n = sorted(ratios), len(ratios)
    below = int(scipy.stats.binom.ppf((1 - level) / 2, n, 0.5))
    return ordered[max(below - 1, 0)], ordered[min(n - below, n - 1)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--columns", default="0,1,2", help="which of " + ", ".join(map(str, COLUMNS)))
    parser.add_argument("--steps", default="4500,1000,250", help="of a run, for each column of all")
    given = parser.parse_args()
    steps = [int(word) for word in given.steps.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        before = Path(folder) / "before"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(before), given.commit], check=True)
        try:
            for number in map(int, given.columns.split(",")):
                batch, samples = COLUMNS[number]
                ratios = []
                for turn in range(given.rounds):
                    trees = [before, ROOT] if turn % 2 else [ROOT, before]
                    rates = {tree: rate(tree, steps[number], batch, samples) for tree in trees}
                    ratios.append(rates[ROOT] / rates[before])
                    print(f"batch {batch}, K {samples}: {rates[ROOT]:.0f} / {rates[before]:.0f} = {ratios[-1]:.3f}")
                low, high = median_interval(ratios)
                middle = float(np.median(ratios))
                print(f"batch {batch}, K {samples}: median {middle:.3f} of {len(ratios)} ({low:.3f} to {high:.3f})")
        finally:
            subprocess.run([*git, "remove", "--force", str(before)], check=True)


if __name__ == "__main__":
    main()
