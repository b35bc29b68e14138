"""A tiny problem for commands, and what a run leaves that must not depend on its interruptions."""

import json

import numpy as np

from sbvi.training import checkpoint

#: Data and rhythm of any model's.
ANY = (
    "dataset=synthetic",
    "dataset.train_size=300",
    "dataset.test_size=60",
    "dataset.validation_size=60",
    "evaluation.num_samples=10",
    "trainer.batch_size=20",
    "trainer.checkpoint_minutes=0",
)
TINY = (*ANY, "model.latents=[3]", "model.hidden=[8]", "model.recognition_hidden=[8]")
#: The same of a Helmholtz machine, trained by its default algorithm.
TINY_HELMHOLTZ = (*ANY, "model=helmholtz", "model.layers=[8,4]", "evaluation.partition_samples=500")
_LENGTH = ("trainer.steps=1500", "trainer.log_every=50", "trainer.validate_every=100")
#: The runs that the fixtures `tiny_run` and `tiny_helmholtz_run` hold.
WORDS = (*TINY, *_LENGTH)
HELMHOLTZ_WORDS = (*TINY_HELMHOLTZ, *_LENGTH)


def numbers(folder):
    """Every log line without its timings, and every array of the two checkpoints."""
    timing = {"train/examples_per_second"}
    text = (folder / "metrics.jsonl").read_text()
    lines = [{k: v for k, v in json.loads(line).items() if k not in timing} for line in text.splitlines()]
    arrays = {n: checkpoint.read(folder / "checkpoints" / f"{n}.safetensors")[0] for n in ("last", "best")}
    return lines, arrays


def assert_same(a, b):
    (lines_a, arrays_a), (lines_b, arrays_b) = numbers(a), numbers(b)
    assert lines_a == lines_b
    for name in arrays_a:
        assert arrays_a[name].keys() == arrays_b[name].keys()
        for key in arrays_a[name]:
            np.testing.assert_array_equal(arrays_a[name][key], arrays_b[name][key], err_msg=f"{name} {key}")


def tree(folder):
    """Every file's content, the lock aside."""
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != ".lock"}
