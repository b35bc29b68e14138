"""experiment=omniglot on a file of the official form, which cannot be shipped."""

import json

import pytest
from support.official_files import write_omniglot

from sbvi.core import UserError
from sbvi.data.sources import omniglot
from sbvi.runs import Experiment
from sbvi.runs.context import RunContext
from sbvi.runs.train import train

WORDS = ("experiment=omniglot", "trainer.epochs=null", "trainer.steps=3", "trainer.batch_size=4",
         "trainer.validate_every=3", "trainer.log_every=1", "evaluation.num_samples=4")  # fmt: skip


@pytest.mark.slow  # file and recipe are each tested by themselves
def test_the_recipe_trains_on_the_official_file(tmp_path, monkeypatch):
    monkeypatch.setenv("SBVI_DATA_DIR", str(tmp_path))
    options = write_omniglot(tmp_path, monkeypatch)
    made = Experiment.from_overrides([*WORDS, *(f"dataset.{key}={value}" for key, value in options.items())])
    assert made.dataset.binarization == "dynamic"
    train(made, tmp_path / "run", None, RunContext())
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert (result["status"], result["steps"]) == ("completed", 3)
    assert 0 < result["metrics"]["test/nll"] < 784


def test_without_the_file_it_says_where_it_is_to_be_put(tmp_path, monkeypatch):
    monkeypatch.setenv("SBVI_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SBVI_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(omniglot, "_FILE", omniglot.RemoteFile("chardata.mat", "0" * 32, algorithm="md5"))
    with pytest.raises(UserError, match=r"chardata\.mat is not in .*; put the file in a folder and set SBVI_DATA_DIR"):
        Experiment.from_overrides(list(WORDS)).dataset.load()
