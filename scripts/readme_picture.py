#!/usr/bin/env python3
"""Puts the README's picture together from a run's figures: scripts/readme_picture.py RUN_DIRECTORY."""

import argparse
from pathlib import Path

from PIL import Image

TARGET = Path(__file__).resolve().parents[1] / "docs" / "digits.png"
GAP = 24


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, metavar="RUN_DIRECTORY")
    figures = parser.parse_args().run / "figures"
    parts = [Image.open(figures / f"{name}.png") for name in ("reconstructions", "samples")]
    height = max(part.height for part in parts)
    canvas = Image.new("L", (sum(part.width + GAP for part in parts) - GAP, height), 255)
    left = 0
    for part in parts:
        canvas.paste(part, (left, (height - part.height) // 2))
        left += part.width + GAP
    canvas.save(TARGET, optimize=True)
    print(TARGET)


if __name__ == "__main__":
    main()
