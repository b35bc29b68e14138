"""Shell scripts, where they decide something."""

import os
import subprocess

import pytest
from support.paths import ROOT

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("driver", "variable", "extra"),
    [
        (None, "", ""),
        ("580.65.06", "", "cuda13"),
        ("535.104.05", "", "cuda12"),
        ("470.57.02", "", ""),
        ("NVIDIA-SMI has failed", "", ""),
        ("580.65.06", "none", ""),
        (None, "cuda12", "cuda12"),
    ],
)
def test_the_extra_of_an_accelerator(tmp_path, driver, variable, extra):
    """By a driver that a stand-in for nvidia-smi tells of."""
    if driver is not None:
        fake = tmp_path / "nvidia-smi"
        fake.write_text(f"#!/bin/sh\necho '{driver}'\n")
        fake.chmod(0o755)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SBVI_ACCELERATOR": variable}
    if os.path.exists("/usr/bin/nvidia-smi") and driver is None:
        env["PATH"] = str(tmp_path)
    script = ["/bin/bash", str(ROOT / "scripts" / "accelerator")]
    done = subprocess.run(script, capture_output=True, text=True, env=env)
    assert (done.returncode, done.stdout.strip()) == (0, extra), done.stderr


def test_an_accelerator_that_is_none_is_refused():
    script = ["/bin/bash", str(ROOT / "scripts" / "accelerator")]
    done = subprocess.run(script, capture_output=True, text=True, env={"SBVI_ACCELERATOR": "cuda11", "PATH": "/bin"})
    assert done.returncode == 1
    assert "allowed: cuda12, cuda13, tpu, none" in done.stderr
