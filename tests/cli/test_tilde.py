"""The home folder in a word's value, which Hydra's own parser then takes for what it is."""

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from sbvi.cli.tilde import expanded

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("home", ["/home/ann", "/home/Zoë Ann", '/home/a=b,"c"'])
def test_the_home_folder_reaches_the_config(monkeypatch, home):
    monkeypatch.setenv("HOME", home)
    words = ["dataset.path=~/x.csv", "run=~", "task.output='~/my file.npz'", 'hydra.run.dir="~/runs/a=b"', "+new=~/y"]
    values = {o.key_or_group: o.value() for o in OverridesParser.create().parse_overrides(expanded(words))}
    assert values == {
        "dataset.path": f"{home}/x.csv",
        "run": home,
        "task.output": f"{home}/my file.npz",
        "hydra.run.dir": f"{home}/runs/a=b",
        "new": f"{home}/y",
    }


def test_other_words_are_left_alone(monkeypatch):
    words = ["--multirun", "~dataset", "dataset.path=a~b", "seed=0,1", "dataset.path='x y'", "dataset.path=x~/y"]
    assert expanded(words) == words

    def none(self):
        raise RuntimeError("no home")

    monkeypatch.setattr(Path, "expanduser", none)
    assert expanded(["run=~/x"]) == ["run=~/x"]
