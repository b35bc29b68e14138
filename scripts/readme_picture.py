#!/usr/bin/env python3
"""Puts the README's picture together from a run's figures: scripts/readme_picture.py RUN_DIRECTORY."""

import sys
from pathlib import Path

from PIL import Image

run, target = Path(sys.argv[1]), Path(__file__).resolve().parents[1] / "docs" / "digits.png"
parts = [Image.open(run / "figures" / f"{name}.png") for name in ("reconstructions", "samples")]
height = max(part.height for part in parts)
canvas = Image.new("L", (sum(part.width for part in parts) + 24, height), 255)
left = 0
for part in parts:
    canvas.paste(part, (left, (height - part.height) // 2))
    left += part.width + 24
canvas.save(target, optimize=True)
print(target)
