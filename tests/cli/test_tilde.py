"""The home folder in a word's value, which Hydra's own parser then takes for what it is."""

import pickle
import signal
import sys
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from sbvi.cli import train
from sbvi.cli.tilde import expanded
from sbvi.core import UserError
from sbvi.core.interrupts import Interrupted

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


def resumed(monkeypatch, capsys, *words):
    monkeypatch.setattr("sys.argv", ["sbvi-train", *words])
    monkeypatch.setattr("logging.basicConfig", lambda **options: None)  # which would stay for other tests
    monkeypatch.setattr("sbvi.cli.hydra_app.at_once", sys.exit)
    with pytest.raises(SystemExit) as ended:
        train.main()
    return ended.value.code, capsys.readouterr().err


def test_a_run_in_the_home_folder_is_resumed(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "Ann B"))
    code, told = resumed(monkeypatch, capsys, "resume=~/mine")
    assert (code, told) == (1, f"{tmp_path}/Ann B/mine is not a run: it is not a directory.\n")


def test_a_resumed_run_must_be_named(monkeypatch, capsys):
    said = "resume= names no run: give resume=DIR, the directory of one.\n"
    assert resumed(monkeypatch, capsys, "resume=") == (1, said)


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (KeyboardInterrupt(), 130, ""),
        (pickle.loads(pickle.dumps(Interrupted(signal.SIGTERM))), 143, ""),  # as from a worker of joblib
        (OSError(28, "No space left on device", "run/x"), 1, "run/x cannot be used (No space left on device).\n"),
    ],
)
def test_what_ends_a_resumed_run_is_told_as_of_any_other(monkeypatch, capsys, raised, code, said):
    def fails(words):
        raise raised

    monkeypatch.setattr(train, "_resume", fails)
    assert resumed(monkeypatch, capsys, "resume=run") == (code, said)


def test_a_traceback_of_a_resumed_run_is_shown_to_who_asks(monkeypatch, tmp_path):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.setattr("sys.argv", ["sbvi-train", f"resume={tmp_path}"])
    with pytest.raises(UserError, match="is not a run"):
        train.main()
