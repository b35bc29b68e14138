"""Kills of runs that draw parameters: in burn-in, while draws are written, and between a draw and its state."""

import pytest
from support.processes import kill_when, run, start
from support.tiny_run import assert_same

from sbvi.training import checkpoint

WORDS = (
    "dataset=synthetic",
    "dataset.train_size=300",
    "dataset.test_size=60",
    "dataset.validation_size=60",
    "model=helmholtz",
    "model.layers=[4]",
    "algorithm=sgmcmc",
    "algorithm.chains=2",
    "algorithm.burn_in=200",
    "algorithm.thinning=20",
    "algorithm.num_samples=3",
    "algorithm.tuning_epochs=1",
    "evaluation.test=false",
    "trainer.batch_size=20",
    "trainer.checkpoint_minutes=0",
    "trainer.steps=400",
    "trainer.log_every=50",
    "trainer.validate_every=100",
)


def draws(folder):
    return sorted((folder / "checkpoints" / "draws").glob("step_*.safetensors"))


def stack(folder):
    """Every draw's arrays and notes by the name of its file."""
    return {path.name: checkpoint.read(path) for path in draws(folder)}


def logged(folder):
    path = folder / "metrics.jsonl"
    return path.read_text().count("\n") if path.exists() else 0


MOMENTS = {
    "burn-in": lambda folder: logged(folder) >= 1,
    # The first chain's draw is there, and the second's, or the state that both came from, is not.
    "between two chains' draws": lambda folder: len(draws(folder)) % 2 == 1,
}


@pytest.mark.promise(
    "SIGKILL of a run that draws parameters, in burn-in and in sampling: no draw is lost, none is there twice, and all "
    "are those of an undisturbed run to the bit",
    "kills",
)
@pytest.mark.slow  # in one process, by exceptions in place of kills: tests/runs/test_sgmcmc_runs.py
def test_killed_in_burn_in_and_in_sampling(tmp_path, tally):
    code, output = run(*WORDS, "hydra.run.dir=whole", cwd=tmp_path)
    assert code == 0, output
    kills = 0
    for seen in MOMENTS.values():
        process = start(*WORDS, "hydra.run.dir=run", cwd=tmp_path)
        kills += kill_when(process, lambda s=seen: s(tmp_path / "run"))
        process.stdout.close()
    code, output = run(*WORDS, "hydra.run.dir=run", cwd=tmp_path)
    assert code == 0, output
    assert_same(tmp_path / "whole", tmp_path / "run")
    expected, found = stack(tmp_path / "whole"), stack(tmp_path / "run")
    assert len(expected) == 2 * 10
    assert expected.keys() == found.keys()
    for name, (arrays, notes) in expected.items():
        assert notes == found[name][1]
        assert all((found[name][0][key] == value).all() for key, value in arrays.items()), name
    assert not list((tmp_path / "run").glob("**/.*.tmp"))
    assert kills == 2
    tally(kills)
