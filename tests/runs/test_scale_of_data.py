"""What a run is begun with though its scale does not suit the model is told, or refused."""

import re

import numpy as np
import pandas as pd
import pytest

from sbvi.core import UserError
from sbvi.data.convert import convert
from sbvi.data.sources.table import Table
from sbvi.data.unscaled import _deviations
from sbvi.runs import Experiment
from sbvi.runs.assembly import Assembly, data_record, load_dataset
from sbvi.training import ResidentBatches, StreamedBatches

WIDE = ["dataset=npz", "dataset.maximum=65535"]


@pytest.fixture(params=[np.uint16, np.int64, np.float64])
def wide(request, tmp_path):
    x = np.random.default_rng(0).integers(0, 65536, (40, 3))
    np.save(tmp_path / "wide.npy", x.astype(request.param))
    return [*WIDE, f"dataset.path={tmp_path / 'wide.npy'}"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["likelihood=gaussian"],
            "noise is of levels, which span 255 at most; dataset.rescale=true takes them as real",
        ),
        (["model=mixture", "model.components=gaussian"], "noise is of levels, which span 255 at most; dataset.resc"),
        (
            ["likelihood=discretized_logistic", "likelihood.levels=65535"],
            "likelihood=discretized_logistic is of levels, which span 255 at most; likelihood=gaussian "
            "dataset.rescale=true takes them",
        ),
    ],
)
def test_whole_numbers_of_a_wide_range_have_no_levels(words, sentence, wide):
    with pytest.raises(UserError) as refused:
        load_dataset(Experiment.from_overrides([*wide, *words]))
    assert f"holds whole numbers of dataset.minimum=0 to dataset.maximum=65535, and {sentence}" in str(refused.value)


def test_they_are_real_numbers_where_that_is_asked_for(wide, caplog):
    words = [*wide, "likelihood=gaussian"]
    found = load_dataset(Experiment.from_overrides([*words, "dataset.rescale=true"]))
    assert found.levels is None
    assert found.train.x.max() <= 1
    assert "unscaled" not in caplog.text
    raw = load_dataset(Experiment.from_overrides([*words, "likelihood.dequantize=false"]))
    assert raw.train.x.max() > 255
    assert "they are taken as real numbers, unscaled; dataset.rescale=true moves them to [0, 1]" in caplog.text
    caplog.clear()
    begun = {"preprocessing": raw.preprocessing.to_config()}  # of a run that an earlier version began
    load_dataset(Experiment.from_overrides(words), begun)
    assert "unscaled" not in caplog.text


def test_real_numbers_of_a_wide_range_are_taken(tmp_path, caplog):
    np.save(tmp_path / "real.npy", 1000 * np.random.default_rng(0).random((40, 3)))
    words = ["dataset=npz", f"dataset.path={tmp_path / 'real.npy'}", "dataset.maximum=1000", "likelihood=gaussian"]
    load_dataset(Experiment.from_overrides(words))
    assert "unscaled" not in caplog.text


def test_columns_that_are_narrower_than_the_least_scale_are_named(tmp_path, caplog):
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"thin": 1e-4 * generator.normal(size=60), "wide": generator.normal(size=60), "n": generator.poisson(3, 60)}
    )
    frame.to_csv(tmp_path / "thin.csv", index=False)
    words = ["dataset=table", f"dataset.path={tmp_path / 'thin.csv'}", "likelihood=mixed"]
    load_dataset(Experiment.from_overrides([*words, "dataset.scale=none"]))
    assert re.search(
        r"The deviation of thin \([\d.]+e-05\) is below likelihood\.minimum_scale=0\.01, so that", caplog.text
    )
    caplog.clear()
    convert(Table(path=str(tmp_path / "thin.csv"), types="found", scale="none").load(), tmp_path / "shards", 20)
    load_dataset(Experiment.from_overrides(["dataset=shards", f"dataset.path={tmp_path / 'shards'}", words[-1]]))
    assert "The deviation of thin (" in caplog.text
    caplog.clear()
    for scale in ("deviation", "range"):
        load_dataset(Experiment.from_overrides([*words, f"dataset.scale={scale}"]))
    assert "minimum_scale" not in caplog.text


def test_directions_beyond_the_latents_are_refused_of_a_new_run():
    words = ["dataset=digits", "posterior=low_rank", "model.latents=[2]"]
    with pytest.raises(UserError, match=r"^posterior\.rank=50 is more than the 2 latents .* allowed: 1 to 4\.$"):
        Experiment.from_overrides([*words, "posterior.rank=50"])
    config = Experiment.from_overrides(words).to_config()  # the default is of small layers too
    config["model"]["posterior"]["rank"] = 50
    assert Experiment.from_config(config, recorded=True).model.posterior.rank == 50
    Experiment.from_overrides([*words, "model.latents=[2,50]", "posterior.rank=50"])


WORDS = {"colour": ["red", "green", "blue", "green"] * 20, "visits": [3, 0, 5, 1] * 20}
HEIGHTS = {"height": np.random.default_rng(1).normal(170, 8, 80)}
NOT_BY_COLUMN = {
    "model=circuit": "model=circuit",
    "model=circuit model.leaf=categorical": "model=circuit",
    "model=mixture": "model=mixture",
    "model=helmholtz model.data_units=gaussian": "model=helmholtz",
    "model=nade": "model=nade",
    "model=parts": "model=parts",
    "likelihood=gaussian": "model=dlgm likelihood=gaussian",
}


@pytest.mark.parametrize("given", NOT_BY_COLUMN)
@pytest.mark.parametrize("frame", [WORDS | HEIGHTS, HEIGHTS, WORDS | {"gaps": [0.5, np.nan, 1.25, 2.0] * 20}])
def test_columns_by_kind_need_a_law_for_each(given, frame, tmp_path):
    """A density over codes of categories is no probability; one of columns in standardised units, as a model of all
    numbers has it, is not in the units of `test/nll_independent`."""
    pd.DataFrame(frame).to_csv(tmp_path / "x.csv", index=False)
    table = ["dataset=table", "dataset.types=found", f"dataset.path={tmp_path / 'x.csv'}"]
    convert(Table(path=str(tmp_path / "x.csv"), types="found").load(), tmp_path / "shards", 40)
    shards = ["dataset=shards", f"dataset.path={tmp_path / 'shards'}"]
    for words, held, instead in (
        (table, "dataset.types=found makes", "dataset.types=numbers"),
        (shards, f"{tmp_path / 'shards'} holds", "converted with dataset.types=numbers"),
    ):
        with pytest.raises(UserError) as refused:
            load_dataset(Experiment.from_overrides([*words, *given.split()]))
        assert str(refused.value) == (
            f"{held} columns by kind, which {NOT_BY_COLUMN[given]} cannot take; allowed: complete columns of numbers "
            f"({instead}), or model=dlgm likelihood=mixed."
        )


def test_a_run_that_was_begun_on_columns_by_kind_goes_on(tmp_path):
    pd.DataFrame(WORDS).to_csv(tmp_path / "x.csv", index=False)
    table = ["dataset=table", "dataset.types=found", f"dataset.path={tmp_path / 'x.csv'}"]
    experiment = Experiment.from_overrides([*table, "model=mixture"])
    begun = {"preprocessing": Table(path=str(tmp_path / "x.csv"), types="found").load().preprocessing.to_config()}
    assert load_dataset(experiment, begun).preprocessing.table is not None
    Assembly.build(experiment, recorded=begun)
    with pytest.raises(UserError, match="columns by kind, which model=mixture cannot take"):
        Assembly.build(experiment)


def test_deviations_by_parts_are_those_of_the_whole(monkeypatch):
    """Of columns far from 0, with gaps, or without any value."""
    x = np.random.default_rng(0).normal([1e6, 0.0, 5.0], [0.5, 1.0, 1e-3], (500, 3)).astype(np.float32)
    x[::3, 1] = np.nan
    x[:200, 2] = np.nan
    monkeypatch.setattr("sbvi.data.rows.BLOCK", 7 * 12)
    np.testing.assert_allclose(_deviations(x), np.nanstd(x.astype(np.float64), 0), rtol=1e-10)
    x[:, 1] = np.nan
    assert _deviations(x)[1] == 0


def test_a_table_by_kind_comes_through_shards(tmp_path):
    """The same values, columns and gaps, and what parameters start from; streamed or not."""
    pd.DataFrame(WORDS | HEIGHTS | {"gaps": [0.5, np.nan, 1.25, 2.0] * 20}).to_csv(tmp_path / "x.csv", index=False)
    convert(Table(path=str(tmp_path / "x.csv"), types="found").load(), tmp_path / "shards", 20)
    shards = ["dataset=shards", f"dataset.path={tmp_path / 'shards'}"]
    table = ["dataset=table", f"dataset.path={tmp_path / 'x.csv'}"]
    model = ["likelihood=mixed", "model.latents=[2]", "model.hidden=[8]", "trainer.batch_size=10"]
    held, read, streamed = (
        Assembly.build(Experiment.from_overrides([*words, *model]))
        for words in (table, shards, [*shards, "dataset.stream=true"])
    )
    assert isinstance(read.batches(), ResidentBatches)
    assert isinstance(streamed.batches(), StreamedBatches)
    for each in (read, streamed):
        there, here = data_record(each.dataset), data_record(held.dataset)
        assert there.pop("digest") != here.pop("digest")  # of shards it is of their files
        assert there == here
        assert there["missing"] == pytest.approx(np.isnan(held.dataset.train.x).mean(), rel=1e-12)
        for name, split in held.dataset.splits.items():
            np.testing.assert_array_equal(each.dataset.split(name).x[:], split.x)
        for field in ("mean", "spread"):
            np.testing.assert_array_equal(getattr(each.summary, field), getattr(held.summary, field))
