#!/usr/bin/env python3
"""A linear classifier on the features that a run of parts was trained on: logistic regression of scikit-learn.

    scripts/linear_features.py RUN [--strengths 1e-4,3e-4,1e-3,3e-3]

Features are standardised by the training split. The strength C is the one of the best accuracy on the validation split;
its accuracy on the test split goes to docs/circuits/linear_features.json, which docs/results.md tells beside the run's.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from sbvi.core.atomic import write_atomically
from sbvi.runs.directory import RunDirectory
from sbvi.runs.experiment import Experiment

FILE = Path(__file__).resolve().parents[1] / "docs" / "circuits" / "linear_features.json"
TURNS = 200  # of L-BFGS at most


def standardised(split, mean, spread):
    x = split.x.reshape(len(split), -1).astype(np.float32)
    x -= mean
    x /= spread
    return x


def moments(x):
    """Mean and standard deviation of every column, at least one level, a block of columns at a time."""
    flat = x.reshape(len(x), -1)
    blocks = [flat[:, i : i + 400].astype(np.float32) for i in range(0, flat.shape[1], 400)]
    spread = np.concatenate([block.std(0) for block in blocks])
    return np.concatenate([block.mean(0) for block in blocks]), np.maximum(spread, 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", metavar="RUN")
    parser.add_argument(
        "--strengths", default="1e-4,3e-4,1e-3,3e-3", help="inverse L2 strengths C (default: %(default)s)"
    )
    parser.add_argument("--output", type=Path, default=FILE, help="default: %(default)s")
    given = parser.parse_args()
    config = RunDirectory(given.run).read_run()["config"]
    data = Experiment.from_config(config).dataset.load()
    mean, spread = moments(data.train.x)
    train, validation, test = (standardised(split, mean, spread) for split in data.splits.values())
    tried, best, model = {}, -1.0, None
    for strength in given.strengths.split(","):
        began = time.monotonic()
        fitted = LogisticRegression(C=float(strength), max_iter=TURNS, tol=1e-3).fit(train, data.train.label)
        tried[strength] = float(fitted.score(validation, data.validation.label))
        print(f"C={strength}: validation accuracy {tried[strength]:.4f}; {time.monotonic() - began:.0f} s", flush=True)
        if tried[strength] > best:
            best, chosen, model = tried[strength], strength, fitted
    accuracy = float(model.score(test, data.test.label))
    places = " x ".join(map(str, data.event_shape))
    record = {
        "command": f"scripts/linear_features.py {given.run}",
        "dataset": config["dataset"],
        "validation_accuracy": tried,
        "chosen": chosen,
        "test_accuracy": accuracy,
        "says": f"A linear classifier on the same {places} features (`python scripts/linear_features.py`: logistic "
        f"regression, C = {chosen} by validation): test accuracy {accuracy:.4f}, validation {best:.4f}.",
    }
    write_atomically(given.output, (json.dumps(record, indent=1) + "\n").encode())
    print(record["says"])


if __name__ == "__main__":
    main()
