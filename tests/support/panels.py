"""The grid of images within a panel that was saved as PNG."""

import numpy as np
from PIL import Image


def grid_within(path):
    """(H, W, 3) uint8: without the words around it, which stand on no ground."""
    with Image.open(path) as file:
        assert file.mode == "RGBA"
        pixels = np.asarray(file)
    opaque = pixels[..., 3] == 255
    rows, columns = (np.flatnonzero(opaque.mean(axis) > 0.6) for axis in (1, 0))
    return pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1, :3]


def words_around(path):
    """Numbers of pixels with ink at the left of the grid and above it."""
    with Image.open(path) as file:
        alpha = np.asarray(file)[..., 3]
    rows, columns = (np.flatnonzero((alpha == 255).mean(axis) > 0.6) for axis in (1, 0))
    return int((alpha[:, : columns[0]] > 0).sum()), int((alpha[: rows[0]] > 0).sum())
