"""sbvi-convert: writes any data set as a directory of shards, or describes one of your own, to be streamed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from sbvi.cli import hydra_app, resolved
from sbvi.cli.catalogue import check
from sbvi.cli.help import Command
from sbvi.cli.reader import tell
from sbvi.core import UserError
from sbvi.core.configs import spelled

COMMAND = Command(
    name="sbvi-convert",
    sentence="sbvi-convert dataset=NAME output=DIR, or input=DIR: data as shards, to be streamed by dataset=shards.",
    groups=("dataset",),
    own={
        "output=DIR": "the directory to write the data set to; new or empty",
        "rows=N": "training examples in a shard (default 10000)",
        "input=DIR": "or a directory of your own, described in place: train*, validation*, test* as .npy, or as .npz "
        "with x and label",
        "maximum=N": "of whole numbers in input=DIR the greatest there can be (default 255; 1 where none exceeds it)",
    },
    keys=("output", "rows", "input", "maximum"),
    examples={
        "sbvi-convert dataset=mnist output=shards": "any data set",
        "sbvi-convert input=mine": "your own files",
        "sbvi-convert input=mine maximum=16": "such as of 16 levels above black",
    },
)


def main() -> None:
    """The entry point of `sbvi-convert`."""
    hydra_app.run(_task, "convert", COMMAND)


def _task(config: Any) -> None:
    values = resolved.plain(config)
    check(values, COMMAND.groups, COMMAND.keys)
    dataset, output, folder = values.get("dataset"), values["output"], values["input"]
    if folder is not None and dataset is None and output is None:
        from sbvi.data.convert import describe

        most = values["maximum"]
        if most is not None and not (type(most) is int and 1 <= most <= 255):
            raise UserError(f"maximum={spelled(most)} must be a whole number of 1 to 255.")
        info, where = describe(Path(str(folder)), Path(str(folder)).absolute().name, most), folder
    elif folder is None and dataset is not None and output is not None:
        if values["maximum"] is not None:
            raise UserError("maximum=N is of input=DIR; of a data set give dataset.maximum=N where it has one.")
        info, where = _written(dataset, Path(str(output)), values["rows"]), output
    else:
        raise UserError("Give dataset=NAME and output=DIR to write shards, or input=DIR to describe your own.")
    rows = sum(entry["rows"] for entry in info["train"])
    tell(f"{rows} training examples in {len(info['train'])} shards: {where}")


def _written(config: Any, output: Path, rows: Any) -> dict[str, Any]:
    from sbvi.core import build
    from sbvi.data import DATASETS, binarize
    from sbvi.data.convert import convert

    if not isinstance(rows, int) or isinstance(rows, bool) or rows < 1:
        raise UserError(f"rows={spelled(rows)} must be a whole number of 1 or more.")
    spec: Any = build(DATASETS, "dataset", config)
    if spec.binarization == "auto":  # which is a likelihood's to choose, later
        spec = replace(spec, binarization="none")
    if spec.binarization == "dynamic":
        raise UserError("dataset.binarization=dynamic draws in training: convert with none, train with dynamic.")
    return convert(binarize(spec.load(), spec.binarization, getattr(spec, "split_seed", 0)), output, rows)


if __name__ == "__main__":
    main()
