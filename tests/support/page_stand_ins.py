"""What stands in for the files, runs and Python names that pages speak of, and what makes their commands small."""

import re
import shutil

import numpy as np
import pandas as pd
import safetensors.numpy

from support.processes import command
from support.runs import DIGITS, trained_once
from support.tiny_run import WORDS

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
    (r"task=imputation(?!.*input=)", ("task.examples=2",)),
    (r"^(?!.*outputs/(wine|table)).*task=imputation", ("task.iterations=8", "task.warmup=2")),
    (r"outputs/(wine|table).*task=imputation", ("task.samples=20",)),
    (r"task=recover(?!.*decoder)", ("task.examples=2",)),
    (r"task.first_row=10", ("task.first_row=2", "task.rows=3")),  # of 8, where the page's images have 28
)
_FIRST = ("trainer.steps=2", "evaluation.num_samples=2")
#: Runs that other tests look at too, as the fixtures of support/runs.py name them.
_DIGITS = (*DIGITS, "evaluation.num_samples=20")
_NAMED = {_DIGITS: "digits", WORDS: "tiny"}
#: A page -> the runs that it takes for there: their words, by folder.
RUNS = {
    "README.md": {
        "outputs/2026-01-31/12-00-00-000000": (
            *_FIRST,
            "dataset=table",
            "dataset.path=whole.csv",
            "likelihood=gaussian",
        )
    },
    "command_compare.md": {"outputs/first": WORDS, "outputs/second": _DIGITS},
    "command_evaluate.md": {"outputs/first": _FIRST},
    "howto_numbers.md": {"outputs/first": _FIRST},
    "howto_resume.md": {"outputs/first": _FIRST},
    "circuits.md": {"outputs/.../RUN": _FIRST},
    "recover.md": {"DIR": _DIGITS},
}
#: A page -> what has to be there after it has run.
LEFT = {
    "README.md": ["rates.png", "runs.html", "filled.npz"],
    "start.md": ["outputs/first/figures/traversals.pdf", "outputs/first/evaluations/samples-*.npz", "outputs/third"],
    "command_compare.md": ["compared.png", "compared.html"],
    "command_convert.md": ["shards/train-*.np?"],
    "howto_numbers.md": ["outputs/first/evaluations/annealed-*.json"],
    "howto_resume.md": ["outputs/tighter/result.json"],
    "howto_sweeps.md": ["rates.pdf", "rates.html", "outputs/sweeps/optuna"],
    "howto_table.md": ["scores.npz", "filled.csv", "filled.lower.csv", "filled.5.csv", "filled.npz"],
    "tables.md": ["filled.csv", "filled.upper.csv"],
    "circuits.md": ["circuit.json", "linear_features.json"],
    "walk.md": [
        "outputs/first/figures/samples.png",
        "outputs/compared.html",
        "outputs/filled.upper.csv",
        "outputs/laplace/result.json",
    ],
}


def shortened(words):
    """A command's words, and those that make it small."""
    text = " ".join(words)
    return [*words, *(word for pattern, more in _SHORT if re.search(pattern, text) for word in more)]


def files(page, folder):
    """mine.csv and others: tables and arrays of a reader's own."""
    generator = np.random.default_rng(0)
    height = generator.normal(170, 10, 40)
    numbers = pd.DataFrame({"height": height, "weight": 0.9 * height - 90, "waist": 0.5 * height}).round(1)
    words = numbers.assign(kind=np.where(height < 170, "short", "tall"))
    labelled = numbers.assign(kind=(height < 170).astype(int))
    mine = numbers if page == "README.md" else words  # there filled by a Gaussian run too
    for name, table in {"mine": mine, "gaps": words[:9], "numbers_gaps": labelled[:9]}.items():
        table.mask((np.arange(len(table)) % 3 == 0)[:, None] & (table.columns == "weight")).to_csv(
            folder / f"{name}.csv", index=False
        )
    split = words.assign(part=np.repeat(["train", "validation", "test"], [24, 8, 8]))
    for name, table in {"new": words[:9], "numbers": labelled, "whole": numbers, "split": split}.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    np.savez(folder / "mine.npz", x_train=generator.integers(0, 256, (40, 8, 8), np.uint8))
    (folder / "mine" / "experiment").mkdir(parents=True)
    (folder / "mine" / "experiment" / "own.yaml").write_text("# @package _global_\nmodel: {latents: [3]}\n")
    layers = {"W0": (16, 4), "b0": (16,), "W1": (64, 16), "b1": (64,)}
    arrays = {name: generator.normal(size=size).astype(np.float32) for name, size in layers.items()}
    about = {"activations": "relu,identity"}
    safetensors.numpy.save_file(arrays, folder / "net.safetensors", metadata=about)


def runs(page, folder, factory):
    """The run directories and shards that a page takes for there; runs on shipped data are trained once for all."""
    for place, words in RUNS.get(page, {}).items():
        if any(word.startswith("dataset.path=") for word in words):
            done = command("train", *words, f"hydra.run.dir={place}", cwd=folder, timeout=3600)
            assert done.returncode == 0, done.stderr
        else:
            name = _NAMED.get(words) or "-".join(["page", *re.findall(r"\w+", " ".join(words))])
            shutil.copytree(trained_once(factory, name, *words), folder / place)
    if page == "README.md":
        done = command("convert", "dataset=digits", "output=shards", "rows=500", cwd=folder, timeout=3600)
        assert done.returncode == 0, done.stderr


def names(page, folder):
    """What the Python blocks of a page call by name and do not make themselves."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (40, 8, 8), np.uint8)
    if page == "README.md":
        return {
            "array": generator.random((40, 5), np.float32),
            "x": pd.read_csv("whole.csv").to_numpy()[:4],
        }
    if page == "howto_images.md":
        return {"images": images, "labels": np.arange(40) % 3, "first": images / 255.0, "second": images[:9] / 255.0}
    if page == "recover.md":
        y = (images[:2] > 127).reshape(2, 64).astype(np.float32)
        return {"DIR": str(folder / "DIR"), "A": generator.normal(size=(64, 64)), "y": y}
    if page == "tables.md":
        frame = pd.DataFrame(generator.normal(size=(60, 4)), columns=list("abcd"))
        return {"frame": frame.mask(generator.random(frame.shape) < 0.2), "x": frame, "y": frame.sum(axis=1)}
    return {}
