"""Environments that are not as usual: a closed stream, a directory that is gone, bytes that are no text, JAX set to
other numbers."""

import os
import sys

import jax
import pytest

from sbvi.cli.folders import unusable
from sbvi.cli.hydra_app import answered
from sbvi.core import UserError
from sbvi.core.errors import of_jax
from sbvi.core.unknown import strange_letter
from sbvi.reporting.tensorboard import TensorBoard
from sbvi.runs import runtime

pytestmark = pytest.mark.quick


def test_a_command_whose_error_stream_is_closed_goes_on(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    with answered():
        sys.stderr.write("told to nobody\n")
    with sys.stderr, pytest.raises(SystemExit), answered():
        raise UserError("told to nobody")


def test_a_current_directory_that_is_gone_is_told(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(FileNotFoundError) as error:
        os.getcwd()
    assert unusable(error.value, []) == "The current directory is gone: change to one that is there."
    monkeypatch.chdir(tmp_path)
    assert unusable(error.value, []) == "A file cannot be used (No such file or directory)."


def test_bytes_that_are_no_text():
    word = os.fsdecode(b"hydra.run.dir=k\xe4se")
    assert str(strange_letter(word)) == "hydra.run.dir=k\udce4se is not UTF-8 text; give a name that is."
    assert strange_letter("hydra.run.dir=käse") is None


def test_tensorboard_is_told_a_folder_whose_name_is_no_text(tmp_path):
    writer = TensorBoard(tmp_path)
    writer.start_session({"dataset.path": "d\udce4/a.npz", "seed": 1}, "d\udce4")
    writer.close()
    assert any(b"d\xef\xbf\xbd/a.npz" in file.read_bytes() for file in tmp_path.iterdir())


@pytest.mark.parametrize(
    ("within", "said"),
    [
        (lambda: jax.default_prng_impl("rbg"), "JAX_DEFAULT_PRNG_IMPL=rbg makes other random numbers"),
        (lambda: jax.threefry_partitionable(False), "JAX_THREEFRY_PARTITIONABLE=False makes other random numbers"),
    ],
)
def test_other_random_numbers_are_refused(within, said):
    with within(), pytest.raises(UserError, match=said):
        runtime.apply(runtime.Runtime(compilation_cache=False))
    runtime.apply(runtime.Runtime(compilation_cache=False))


def test_a_setting_that_jax_does_not_know_is_told():
    error = ValueError('Invalid value "banana" for JAX flag jax_default_matmul_precision')
    assert str(of_jax(error)).startswith("JAX_DEFAULT_MATMUL_PRECISION=banana is no value that JAX knows;")
    assert of_jax(ValueError("another")) is None
