"""sbvi-convert: writes any data set as a directory of shards, which may then be streamed."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sbvi.cli import hydra_app
from sbvi.config import UserError


def main() -> None:
    """The entry point of `sbvi-convert`."""
    hydra_app.run(_task, "convert", known_keys)


def known_keys(group: str) -> Sequence[str]:
    """Config keys below a dotted path, for suggestions."""
    from sbvi.config import fields
    from sbvi.data import DATASETS

    if not group:
        return ["dataset", "output", "rows"]
    return sorted({key for entry in DATASETS.values() for key in fields(entry)}) if group == "dataset" else []


def _task(config: Any) -> None:
    from sbvi.config import build
    from sbvi.data import DATASETS, binarize
    from sbvi.data.shards import convert

    values = hydra_app.plain(config)
    rows, output = values.pop("rows"), values.pop("output")
    if not isinstance(rows, int) or isinstance(rows, bool) or rows < 1:
        raise UserError(f"rows={rows} must be a whole number of 1 or more.")
    spec: Any = build(DATASETS, "dataset", values.pop("dataset"))
    if spec.binarization == "auto":  # which is a likelihood's to choose, later
        spec = replace(spec, binarization="none")
    if spec.binarization == "dynamic":
        raise UserError("dataset.binarization=dynamic draws in training: convert with none, train with dynamic.")
    dataset = binarize(spec.load(), spec.binarization, getattr(spec, "split_seed", 0))
    info = convert(dataset, Path(str(output)), rows)
    print(f"{sum(entry['rows'] for entry in info['train'])} training examples in {len(info['train'])} shards: {output}")


if __name__ == "__main__":
    main()
