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
ACROSS = 9  # images in a row of imputations: the truth, what is left of it, and seven of the chain's
GAP = 24


def _record() -> dict[str, Any]:
    return json.loads((RESULTS / f"{ROW}-0.json").read_text())


def _grid(name: str) -> np.ndarray:
    """The images of a stored picture, (H, W, 3) uint8; of one with words around it, which stand on no ground, without
    these, and at SIDE pixels an image again."""
    with Image.open(RESULTS / "figures" / _record()["evaluations"][name]["picture"]) as file:
        if file.mode != "RGBA":
            return np.asarray(file.convert("RGB"))
        whole = np.asarray(file)
    opaque = whole[..., 3] == 255
    rows, columns = (np.flatnonzero(opaque.mean(axis) > 0.6) for axis in (1, 0))
    found = whole[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1, :3]
    times = next(t for t in range(1, found.shape[1]) if found.shape[1] == t * (ACROSS * (SIDE + LINE) + LINE))
    return found[::times, ::times]


def composed() -> np.ndarray:
    """(H, W, 3) uint8: samples on the left; on the right test digits, what is left of them, and the chain."""
    height = ROWS * (SIDE + LINE) + LINE
    samples, filled = _grid("samples")[:height, :height], _grid("missing80")[:height]
    return np.hstack([samples, np.full((height, GAP, 3), 255, np.uint8), filled])


def stale() -> bool:
    """Whether the picture is another than the stored ones make."""
    return not TARGET.exists() or not np.array_equal(np.asarray(Image.open(TARGET).convert("RGB")), composed())


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
