"""Points, labels and thumbnails in the files that TensorBoard's projector reads."""

from pathlib import Path

import numpy as np

from sbvi.reporting.images import save_png

SPRITE = 8192  # greatest side of a thumbnail sheet that browsers take


def write_projector(
    folder: Path, name: str, points: np.ndarray, label: np.ndarray | None, images: np.ndarray | None
) -> None:
    """points (N, K), label (N,) or None, images (N, H, W[, C]) in [0, 1] or None, into folder/."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savetxt(folder / "points.tsv", points, delimiter="\t", fmt="%.6g")
    lines = ["embeddings {", f'  tensor_name: "{name}"', '  tensor_path: "points.tsv"']
    if label is not None:
        (folder / "labels.tsv").write_text("".join(f"{value}\n" for value in label))
        lines.append('  metadata_path: "labels.tsv"')
    if images is not None:
        side = int(np.ceil(np.sqrt(len(images))))
        height, width = images.shape[1:3]
        if side * max(height, width) <= SPRITE:
            save_png(folder / "images.png", _sheet(images, side))
            size = f"    single_image_dim: {width}\n    single_image_dim: {height}"
            lines += ["  sprite {", '    image_path: "images.png"', size, "  }"]
    (folder / "projector_config.pbtxt").write_text("\n".join([*lines, "}"]) + "\n")


def _sheet(images: np.ndarray, side: int) -> np.ndarray:
    count, height, width = images.shape[:3]
    sheet = np.zeros((side * height, side * width, *images.shape[3:]))
    for position in range(count):
        top, left = (position // side) * height, (position % side) * width
        sheet[top : top + height, left : left + width] = images[position]
    whole = (np.clip(sheet, 0, 1) * 255).round().astype(np.uint8)
    return whole[..., 0] if whole.ndim == 3 and whole.shape[-1] == 1 else whole
