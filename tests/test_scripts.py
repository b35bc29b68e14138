"""Shell scripts, where they decide something."""

import os
import re
import shutil
import subprocess
import sys

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


#: Stands for Python: makes an environment of itself, has an index in pip's file, and writes down what uv is told.
PYTHON = """#!/bin/sh
case "$*" in
"-m venv --without-pip "*) mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
*"pip config get global.index-url") echo "https://file.example/simple" ;;
"-m uv pip install "*) echo "$UV_DEFAULT_INDEX" > "$TOLD" ;;
esac
"""


def made(folder, stand_in, extra="dev", **settings):
    """What a stand-in for Python was told, while an environment was made with it."""
    (folder / "scripts").mkdir(exist_ok=True)
    for name in ("scripts/environment", "scripts/accelerator", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder / name)
    python = folder / "python3"
    python.write_text(stand_in)
    python.chmod(0o755)
    env = {"PATH": "/usr/bin:/bin", "SBVI_ACCELERATOR": "none", "SBVI_PYTHON": str(python)}
    env["TOLD"] = str(folder / "told")
    script = ["/bin/bash", "-c", f"source {folder}/scripts/environment '{extra}'; compiled"]
    done = subprocess.run(script, capture_output=True, text=True, env=env | settings)
    assert done.returncode == 0, done.stderr
    return (folder / "told").read_text().strip()


@pytest.mark.parametrize(
    ("settings", "index"),
    [
        ({}, "https://file.example/simple"),
        ({"PIP_INDEX_URL": "https://pip.example/simple"}, "https://pip.example/simple"),
        ({"PIP_INDEX_URL": "https://pip.example/", "UV_DEFAULT_INDEX": "https://uv.example/"}, "https://uv.example/"),
    ],
    ids=["file", "pip", "uv"],
)
def test_an_environment_is_installed_from_the_users_index(tmp_path, settings, index):
    assert made(tmp_path, PYTHON, **settings) == index


def sourced(name, end, path, **variables):
    """What a function of scripts/environment prints, from the text that ends where another begins."""
    text = (ROOT / "scripts" / "environment").read_text()
    functions = text[text.index("# Whether it serves") : text.index(end)]
    script = ["/bin/bash", "-c", f"set -euo pipefail\n{functions}{name}"]
    return subprocess.run(script, capture_output=True, text=True, env={"PATH": path} | variables)


@pytest.mark.parametrize(
    ("seconds", "chosen"),
    [((0.0100, 0.0095), 0), ((0.0100, 0.0080), 1), ((None, 0.0300), 1), ((0.0100, None), 0)],
    ids=["alike", "faster", "the first does not serve", "the other does not"],
)
def test_the_newest_interpreter_is_taken_unless_another_is_faster(tmp_path, seconds, chosen):
    """Stand-ins, which say the seconds that they take for a loop. The environment's own is none of them, even where it
    is active: to make it anew begins by taking it away."""
    places = [tmp_path / "newest" / "python3.13", tmp_path / "other" / "python3.11", tmp_path / "bin" / "python3.12"]
    for place, value in zip(places, (*seconds, 0.0001), strict=True):
        place.parent.mkdir()
        place.write_text("#!/bin/sh\nexit 1\n" if value is None else f"#!/bin/sh\necho {value}\n")
        place.chmod(0o755)
    (tmp_path / "awk").symlink_to(shutil.which("awk"))
    path = ":".join(str(folder) for folder in (tmp_path / "bin", places[0].parent, places[1].parent, tmp_path))
    done = sourced("find_python", "# What an environment was made from", path, venv=str(tmp_path))
    assert (done.returncode, done.stdout) == (0, str(places[chosen])), done.stderr


@pytest.mark.parametrize(
    ("left", "found"), [("one-1.0", True), ("one-2.0", True), ("two-1.0", False)], ids=["same", "upgraded", "gone"]
)
def test_an_environment_whose_user_upgraded_a_package_is_sound(tmp_path, left, found):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    record = tmp_path / f"{left}.dist-info" / "METADATA"
    record.parent.mkdir()
    record.touch()
    (tmp_path / "stamp").write_text(f"made of\ndev\n{tmp_path}/one-1.0.dist-info/METADATA\n")
    variables = {"venv": str(tmp_path), "stamp": str(tmp_path / "stamp")}
    call = "wanted() { echo made of; }\nsound && echo yes"
    done = sourced(call, "# Whether what is asked for", os.environ["PATH"], **variables)
    assert (done.stdout == "yes\n") is found, done.stderr


#: No index of its has uv.
WITHOUT_UV = """#!/bin/sh
case "$*" in
"-m venv "*) for folder; do :; done; mkdir -p "$folder/bin" && cp "$0" "$folder/bin/python" ;;
*" uv") exit 1 ;;
"-m pip install "*) echo "$0 $*" > "$TOLD" ;;
esac
"""


def test_an_environment_is_installed_by_a_pip_of_its_own_where_uv_cannot_be_had(tmp_path):
    told = made(tmp_path, WITHOUT_UV)
    assert told.startswith(f"{tmp_path}/.venv/bin/python -m pip install ")
    assert told.endswith(f"--editable {tmp_path}[dev]")


#: Writes down what uv is told to install last.
INSTALLS = """#!/bin/sh
case "$*" in
"-m venv --without-pip "*) mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
*" pip") ;;
"-m uv pip install "*) echo "$*" > "$TOLD" ;;
esac
"""


def test_the_checks_add_their_extra_to_the_environment_that_is_there(tmp_path):
    """What else was installed in it stays; with other files, it is made anew."""
    assert made(tmp_path, INSTALLS, extra="").endswith(f"--editable {tmp_path}")
    own = tmp_path / ".venv" / "own-plugin"
    own.touch()
    assert made(tmp_path, INSTALLS).endswith(f"--editable {tmp_path}[dev]")
    (tmp_path / "told").write_text("nothing")
    assert made(tmp_path, INSTALLS) == made(tmp_path, INSTALLS, extra="") == "nothing"
    assert own.exists()
    made_of = (tmp_path / ".venv" / ".sbvi-installed").read_text()
    (tmp_path / ".venv" / ".sbvi-installed").write_text("of another" + made_of)
    assert made(tmp_path, INSTALLS).endswith(f"--editable {tmp_path}[dev]")
    assert not own.exists()


@pytest.fixture
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))


def test_programs_to_be_timed_are_refused_where_they_cannot_run(scripts, monkeypatch):
    import benchmark_time_to_nll

    monkeypatch.setitem(benchmark_time_to_nll.PROGRAMS, "torch", "no_such_package")
    for names, said in (
        ("sbvi,jags", "--programs jags is not known; allowed: sbvi, unaveraged, numpyro, torch."),
        ("sbvi,torch", "torch cannot be imported here: install what is missing, or give fewer --programs."),
    ):
        monkeypatch.setattr("sys.argv", ["benchmark_time_to_nll.py", "--programs", names])
        with pytest.raises(SystemExit, match=re.escape(said)):
            benchmark_time_to_nll.main()


def test_the_page_tells_medians_of_the_times_and_what_was_not_reached(scripts):
    import time_to_nll_section

    def row(fast, slow, best):
        return {"seconds": {"105.0": fast, "97.0": slow}, "best": best, "epochs": 9}

    cold = [row(10.0, 50.0, -96.5), row(14.0, None, -97.4), row(12.0, 40.0, -96.9)]
    record = {"bounds": [105.0, 97.0], "cores": 2, "command": "c", "network": [784, 5, 784], "processor": "p"}
    settings = {
        "batch": 100,
        "learning_rate": 0.002,
        "warmup_epochs": 10,
        "epochs": 60,
        "dropout": 0.1,
        "weight_decay": 0.05,
    }
    record |= {"settings": settings | {"average": 0.998}}
    record |= {"cases": {"sbvi": {"cold": cold, "warm": [row(9.0, None, -99.0)] * 3}}}
    assert "NumPyro's seconds" not in time_to_nll_section.section(record)
    record["cases"]["numpyro"] = {"cold": cold, "warm": [row(18.0, 90.0, -96.9), row(27.0, 90.0, -96.9)]}
    text = time_to_nll_section.section(record)
    assert "| sbvi, cold | 12.0 | 45.0 (1 of 3 not) | -96.50 |" in text
    assert "| sbvi, warm | 9.0 | not reached | -99.00 |" in text
    assert "p, 2 cores, 3 alternating rounds (`c`):" in text
    assert "| NumPyro's seconds over those of | to -105 | to -97 | wanted at each |" in text
    assert "| sbvi, cold | 1.00 | - | 1.2 | falls short |" in text
    assert "| sbvi, warm | 2.50 | - | 1.2 | falls short |" in text  # NumPyro reached the bound that ours did not
    record["cases"]["numpyro"]["warm"] = [row(18.0, None, -99.0), row(27.0, None, -99.0)]
    assert "| sbvi, warm | 2.50 | - | 1.2 | not known at each |" in time_to_nll_section.section(record)
    other = record | {"processor": "q", "cores": 4}
    assert "q, 4 cores, 3 alternating rounds" in time_to_nll_section.section(record | {"elsewhere": {"q": other}})
    for changed in ({"network": [784, 7, 784]}, {"settings": record["settings"] | {"batch": 50}}):
        with pytest.raises(ValueError, match=r"^q trained another network or with other settings"):
            time_to_nll_section.section(record | {"elsewhere": {"q": other | changed}})


def test_measurements_of_another_processor_stand_beside_the_first_ones(scripts):
    from measured import of_processor

    kept = {}
    of_processor(kept, "first")["start"] = 1
    of_processor(kept, "second")["start"] = 2
    of_processor(kept, "first")["memory"] = 3
    assert kept == {"processor": "first", "start": 1, "memory": 3, "elsewhere": {"second": {"start": 2}}}


def test_the_products_of_networks(scripts):
    """Each matrix three times but the first, whose input is data; blocks and gates have two."""
    import benchmark_networks as networks
    import reference_loops

    encoder = reference_loops.chain_products(100, [784, 300, 300, 300, 100], data=True)
    decoder = reference_loops.chain_products(100, [50, 300, 300, 300, 784], data=False)
    assert sorted(networks.products("dense", "")) == sorted(encoder + decoder)
    square = 100 * 300 * 300  # multiplications of a layer whose width stays, of which there are four
    work = {name: sum(r * i * c for r, i, c in networks.products(name, "")) for name in ("dense", "gated", "residual")}
    assert work["residual"] - work["dense"] == 3 * 4 * square
    first = 100 * 300 * (2 * 784 + 3 * 50)
    assert work["gated"] - work["dense"] == 3 * 4 * square + first
    pixels = networks.products("dense", "residual")
    assert (100 * 14**2, 9 * 4, 24) in pixels
    assert (100 * 7**2, 9 * 32, 32) in pixels


def test_the_interval_of_a_median(scripts):
    """Of eleven values the second and the tenth: less lies outside with a chance of 12 / 2048 on each side."""
    import benchmark_commits

    assert benchmark_commits.median_interval([float(v) for v in range(11, 0, -1)]) == (2.0, 10.0)
    assert benchmark_commits.median_interval([3.0, 1.0, 2.0]) == (1.0, 3.0)


def test_reproduce_finds_the_environment_that_is_not_active(tmp_path):
    """By a Python without packages: it goes on in .venv, or says in a sentence what to do."""
    script = tmp_path / "scripts" / "reproduce.py"
    script.parent.mkdir()
    shutil.copy(ROOT / "scripts" / "reproduce.py", script)
    bare = [sys.executable, "-I", "-S", script, "--list"]
    done = subprocess.run(bare, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        f"{sys.executable} has no sbvi; scripts/train makes an environment that has, or activate your own.\n"
    )
    stand_in = tmp_path / ".venv" / "bin" / "python"
    stand_in.parent.mkdir(parents=True)
    stand_in.write_text('#!/bin/sh\necho "$@"\n')
    stand_in.chmod(0o755)
    done = subprocess.run(bare, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"{script} --list\n"), done.stderr
