"""A config file of the user's with a name that is taken is refused, since Hydra would read the other."""

import shutil

import pytest

from sbvi.cli.help import help_text
from sbvi.cli.mistakes import check_arguments
from sbvi.cli.train import COMMAND
from sbvi.core import UserError
from sbvi.core.configs import config_folder
from sbvi.runs.compose import composed


def own(folder, name, text="seed: 77\n"):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder


@pytest.mark.quick
@pytest.mark.parametrize("name", ["experiment/quick_mnist.yaml", "model/dlgm.yaml", "train.yaml"])
def test_a_name_of_ours_is_refused_wherever_the_folder_is_named(tmp_path, monkeypatch, name):
    own(tmp_path / "c", name)
    monkeypatch.chdir(tmp_path)
    said = rf"^c/{name} has the name of one of sbvi's own, which would be read in its place; name it otherwise\.$"
    for words in (["--config-dir", "c"], ["seed=1", "--config-dir=c"], ["-cd", "c"], ["hydra.searchpath=[c]"]):
        with pytest.raises(UserError, match=said):
            check_arguments(words, COMMAND)
    with pytest.raises(UserError, match=said):
        help_text(COMMAND, ["--config-dir", "c", "model"])
    with pytest.raises(UserError, match=rf"^{tmp_path}/c/{name} has the name"):
        composed([f"hydra.searchpath=[pkg://sbvi,'file://{tmp_path}/c']"])


@pytest.mark.quick
def test_what_changes_nothing_passes(tmp_path):
    folder = own(tmp_path, "experiment/mine.yaml")
    check_arguments(["--config-dir", str(config_folder())], COMMAND)
    shutil.copytree(config_folder() / "model", folder / "model")
    check_arguments(["--config-dir", str(folder), "experiment=mine"], COMMAND)
    (folder / "model" / "dlgm.yaml").write_text("name: dlgm\n")
    check_arguments(["--config-path", str(folder), "--config-dir", str(folder)], COMMAND)  # in the place of ours
    check_arguments(["hydra.searchpath=[pkg://mine]"], COMMAND)
