"""The README's picture: samples and imputations of one stored run, out of its pictures in docs/results/figures."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results"
TARGET = ROOT / "docs" / "readme.png"
ROW = "figure3_mnist"
SIDE, LINE = 56, 2  # pixels of an image in a stored picture, and of the line around it
ROWS = 8  # of both halves
GAP = 24


def _record() -> dict[str, Any]:
    return json.loads((RESULTS / f"{ROW}-0.json").read_text())


def composed() -> np.ndarray:
    """(H, W) uint8: samples on the left; on the right test digits, what is left of them, and the chain."""
    made = _record()["evaluations"]
    samples, filled = (
        np.asarray(Image.open(RESULTS / "figures" / made[name]["picture"]).convert("L"))
        for name in ("samples", "missing80")
    )
    height = ROWS * (SIDE + LINE) + LINE
    return np.hstack([samples[:height, :height], np.full((height, GAP), 255, np.uint8), filled[:height]])


def stale() -> bool:
    """Whether the picture is another than the stored ones make."""
    return not TARGET.exists() or not np.array_equal(np.asarray(Image.open(TARGET).convert("L")), composed())


def write() -> None:
    """Puts it where the README looks."""
    Image.fromarray(composed()).save(TARGET, optimize=True)


def shown() -> str:
    """The picture with what it shows, and the numbers of its run."""
    record = _record()
    metrics, filled = record["metrics"], record["evaluations"]["missing80"]["metrics"]
    minutes, nll = record["train_seconds"] / 60, f"{metrics['test/nll']:.2f} ± {metrics['test/nll_stderr']:.2f}"
    missing, rmse, of_means = (filled[f"imputation/{name}"] for name in ("missing", "rmse", "rmse_of_means"))
    return f"""![Samples of the model, and digits filled in from a fifth of their pixels]({TARGET.relative_to(ROOT)})

*One run of `{record["command"]}`: {minutes:.0f} minutes of training on two cores, test NLL {nll} nats. Left: samples of
the model. Right: test digits, what is left of them with {missing:.0%} of the pixels missing at random, and the chain
that fills them in, from its first iterations to its last (root-mean-square error of the missing pixels {rmse:.3f}; of
each pixel's mean in their place {of_means:.3f}).*"""
