"""What stands in for the files, runs and Python names that pages speak of, and what makes their commands small."""

import re
import shutil

import numpy as np
import pandas as pd
import safetensors.numpy

from support.runs import DIGITS, trained_once

#: Of a real run: a few steps, and a test by few samples.
_FEW = ("trainer.steps=2", "trainer.epochs=null", "trainer.examples=null", "evaluation.num_samples=2",
        "evaluation.validation_limit=20")  # fmt: skip
#: A pattern of a command, and what is appended where it is found. Of several words for one key the last one counts.
_SHORT = (
    (r"sbvi-train (?!.*(--help|--cfg|resume=))", _FEW),
    (r"resume=.* trainer.steps=12000", ("trainer.steps=4",)),
    (r"resume=.* trainer.steps=20000", ("trainer.steps=6",)),
    (r"resume=.* evaluation.num_samples", ("evaluation.num_samples=3",)),
    (r"n_trials=", ("hydra.sweeper.n_trials=2",)),
    (r"model=circuit|experiment=hidden_chow_liu", ("model.units=4",)),
    (r"model=parts|experiment=cifar10_parts", ("dataset.features=20",)),
    (r"task=likelihood (?!.*task.counts)|task=likelihood$", ("task.num_samples=4",)),
    (r"task=annealed", ("task.examples=2", "task.temperatures=3")),
    (r"task=imputation(?!.*csv)|numbers_gaps.csv", ("task.examples=2", "task.iterations=4", "task.warmup=1")),
    (r"task=imputation.*(outputs/(wine|table)|mine.csv)", ("task.samples=20",)),
    (r"task=recover(?!.*decoder)", ("task.examples=2",)),
)
_FIRST = ("trainer.steps=2", "evaluation.num_samples=2")
#: A page -> the runs that it takes for there: their words, by folder.
RUNS = {
    "README.md": {"outputs/2026-01-31/12-00-00-000000": _FIRST},
    "command_compare.md": {"outputs/first": _FIRST, "outputs/second": (*_FIRST, "posterior=rank_one", "seed=1")},
    "command_evaluate.md": {"outputs/first": _FIRST},
    "howto_numbers.md": {"outputs/first": _FIRST},
    "howto_resume.md": {"outputs/first": _FIRST},
    "circuits.md": {"outputs/.../RUN": _FIRST},
    "recover.md": {"DIR": (*DIGITS, "evaluation.num_samples=20")},
}
#: A page -> what has to be there after it has run.
LEFT = {
    "README.md": ["rates.png", "runs.html", "filled.npz", "shards"],
    "start.md": ["outputs/first/figures/traversals.pdf", "outputs/first/evaluations/samples-*.npz", "outputs/third"],
    "command_compare.md": ["compared.png", "compared.html"],
    "command_convert.md": ["shards/train-*.np?"],
    "howto_numbers.md": ["outputs/first/evaluations/annealed-*.json"],
    "howto_resume.md": ["outputs/tighter/result.json"],
    "howto_sweeps.md": ["rates.pdf", "rates.html", "outputs/sweeps/optuna"],
    "howto_table.md": ["scores.npz", "filled.csv", "filled.lower.csv", "filled.5.csv", "filled.npz"],
    "tables.md": ["filled.csv", "filled.upper.csv"],
    "circuits.md": ["circuit.json", "linear_features.json"],
    "walk.md": ["outputs/first/figures/samples.png", "compared.html", "filled.csv", "outputs/laplace/result.json"],
}


def shortened(words):
    """A command's words, and those that make it small."""
    text = " ".join(words)
    return [*words, *(word for pattern, more in _SHORT if re.search(pattern, text) for word in more)]


def files(folder):
    """mine.csv and others: tables and arrays of a reader's own."""
    generator = np.random.default_rng(0)
    height = generator.normal(170, 10, 40)
    rows = [f"{h:.1f},{0.9 * (h - 100):.1f},{h * 0.3:.2f},{'short' if h < 170 else 'tall'}" for h in height]
    header = "height,weight,waist,kind"
    gaps = [row if position % 3 else row.replace(row.split(",")[1], "", 1) for position, row in enumerate(rows)]
    for name, lines in {"mine": gaps, "new": rows[:9], "gaps": gaps[:9], "numbers": rows}.items():
        (folder / f"{name}.csv").write_text("\n".join([header, *lines]) + "\n")
    without = [line.rpartition(",")[0] for line in [header, *gaps[:9]]]
    (folder / "numbers_gaps.csv").write_text("\n".join(without) + "\n")
    np.savez(folder / "mine.npz", x_train=generator.integers(0, 256, (40, 8, 8), np.uint8))
    (folder / "mine" / "experiment").mkdir(parents=True)
    (folder / "mine" / "experiment" / "own.yaml").write_text("# @package _global_\nmodel: {latents: [3]}\n")
    layers = {"W0": (16, 4), "b0": (16,), "W1": (64, 16), "b1": (64,)}
    arrays = {name: generator.normal(size=size).astype(np.float32) for name, size in layers.items()}
    about = {"activations": "relu,identity"}
    safetensors.numpy.save_file(arrays, folder / "net.safetensors", metadata=about)


def runs(page, folder, factory):
    """The run directories that a page takes for there, each trained once for all pages."""
    for place, words in RUNS.get(page, {}).items():
        name = "-".join(["page", *re.findall(r"\w+", " ".join(words))])
        shutil.copytree(trained_once(factory, name, *words), folder / place)


def names(page, folder):
    """What the Python blocks of a page call by name and do not make themselves."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (40, 8, 8), np.uint8)
    if page == "README.md":
        return {"array": generator.normal(size=(40, 5)).astype(np.float32), "x": (images[:4] > 127).astype(np.uint8)}
    if page == "howto_images.md":
        return {"images": images, "labels": np.arange(40) % 3, "first": images / 255.0, "second": images[:9] / 255.0}
    if page == "recover.md":
        y = (images[:2] > 127).reshape(2, 64).astype(np.float32)
        return {"DIR": str(folder / "DIR"), "A": generator.normal(size=(64, 64)), "y": y}
    if page == "tables.md":
        frame = pd.DataFrame(generator.normal(size=(60, 4)), columns=list("abcd"))
        return {"frame": frame.mask(generator.random(frame.shape) < 0.2), "x": frame, "y": frame.sum(axis=1)}
    return {}
