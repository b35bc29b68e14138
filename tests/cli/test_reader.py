"""What is printed where no more can be written, as into a file on a full disk."""

import contextlib
import sys
from pathlib import Path

import pytest

from sbvi.cli import compare, evaluate, train
from sbvi.cli.reader import collected, printing, tell
from sbvi.core import UserError

pytestmark = [pytest.mark.quick, pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")]

SAID = "The output cannot be written (No space left on device)"
RESULT = {"status": "completed", "metrics": {}, "train_seconds": 1.0, "wall_seconds": 2.0, "directory": "out"}


@contextlib.contextmanager
def full():
    with open("/dev/full", "w") as stream, contextlib.redirect_stdout(stream):
        yield


def helped():
    print("help")
    sys.exit(0)


def held():
    with collected():
        print("x" * 100_000)


def ended():
    print("x")
    sys.exit(143)


@pytest.mark.parametrize("how", [lambda: tell("x"), lambda: print("x"), helped, held])
def test_output_that_cannot_be_written_is_told_once(how):
    with full():
        with pytest.raises(UserError) as error, printing():
            how()
        tell("nothing more is said of it")
    assert str(error.value) == f"{SAID}."


def test_what_ends_a_command_otherwise_is_told_first():
    with full(), pytest.raises(SystemExit) as left, printing():
        ended()
    assert left.value.code == 143
    with full(), pytest.raises(OSError, match="run/x"), printing():
        raise OSError(28, "No space left on device", "run/x")


@pytest.mark.parametrize("word", ["--help", "--version"])
def test_help_of_a_command_without_hydra(monkeypatch, capsys, word):
    monkeypatch.setattr(sys, "argv", ["sbvi-compare", word])
    with full(), pytest.raises(SystemExit) as ended:
        compare.main()
    assert (ended.value.code, capsys.readouterr().err) == (1, f"{SAID}.\n")


@pytest.mark.parametrize(("status", "code"), [("completed", 1), ("stopped", 143)])
def test_a_run_is_what_it_is_though_nobody_can_be_told(monkeypatch, capsys, status, code):
    monkeypatch.setattr("sbvi.cli.summary.summary", lambda *_: "numbers")
    with full(), pytest.raises(SystemExit) as ended:
        train._report(RESULT | {"status": status, "reason": "SIGTERM"}, several=False)
    said = f"{SAID}; the run is {status}, and its result.json in out has what it reached.\n"
    assert (ended.value.code, capsys.readouterr().err) == (code, said)


def test_a_sweep_goes_on_where_nobody_can_be_told(monkeypatch, capsys):
    monkeypatch.setattr("sbvi.cli.summary.summary", lambda *_: "numbers")
    with full():
        train._report(RESULT, several=True)
    assert capsys.readouterr().err.startswith(f"{SAID}; the run is completed")


def test_what_an_evaluation_cannot_write_is_told_by_its_place():
    said = r"^found/samples cannot be written \(No space left on device\)\.$"
    with pytest.raises(UserError, match=said), evaluate._taken(Path("found/samples")):
        raise OSError(28, "No space left on device")
