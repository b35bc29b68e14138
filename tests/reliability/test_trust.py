"""A run directory or file from someone else: nothing in it is run, whatever it says."""

import hashlib
import json
import pickle
import shutil

import msgpack
import numpy as np
import pytest
from support.processes import run
from support.tiny_run import tree

import sbvi
from sbvi.core import UserError
from sbvi.training import checkpoint


class Evil:
    """Unpickled, it would make a file."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return open, (str(self.place), "w")


def change(folder, **keys):
    record = json.loads((folder / "run.json").read_text())
    for path, value in keys.items():
        *parents, last = path.split("__")
        target = record
        for parent in parents:
            target = target[parent]
        target[last] = value
    (folder / "run.json").write_text(json.dumps(record))


def planted(path):
    """A path, in a folder that earlier versions left."""
    path.parent.mkdir(exist_ok=True)
    return path


def hostile(name, folder, trap):
    """Plant one thing that must have no effect but a sentence, or none at all."""
    target = {"_target_": "os.system", "_args_": [f"touch {trap}"], "name": "digits"}
    evil = pickle.dumps(Evil(trap))
    plants = {
        "target in a group": lambda: change(folder, config__dataset=target),
        "target at the top": lambda: change(folder, config___target_="os.system"),
        "interpolation": lambda: change(folder, config__seed="${oc.env:HOME}"),
        "a path as a name": lambda: change(folder, config__model={"name": "../../evil"}),
        "a module as a name": lambda: change(folder, config__optimizer={"name": "os.system"}),
        "init_from elsewhere": lambda: change(folder, config__init_from="/etc"),
        "hydra's own files": lambda: planted(folder / ".hydra" / "config.yaml").write_text(
            f"_target_: os.system\nx: !!python/object/apply:os.system ['touch {trap}']\n"
        ),
        "a pickle as checkpoint": lambda: (folder / "checkpoints" / "best.safetensors").write_bytes(evil),
        "an extension type": lambda: plant_legacy(folder, [msgpack.ExtType(5, evil)]),
        "an object array": lambda: plant_tensor(folder, dtype="O"),
        "an object array of old": lambda: plant_legacy(folder, [old_leaf(evil, "object", [1])]),
        "a pickle as run.json": lambda: (folder / "run.json").write_bytes(evil),
        "deep JSON": lambda: (folder / "run.json").write_text("[" * 100_000),
        "a huge tensor": lambda: plant_tensor(folder, shape=[1 << 40], data_offsets=[0, 1 << 42]),
        "a huge leaf of old": lambda: plant_legacy(folder, [old_leaf(b"", "float32", [1 << 40])]),
        "deep metadata": lambda: rewrite(
            folder / "checkpoints" / "best.safetensors",
            lambda header: header["__metadata__"].update(metadata="[" * 100_000),
        ),
        "a module beside the run": lambda: [
            (folder / f"{n}.py").write_text(f"open({str(trap)!r}, 'w')") for n in ("jax", "sitecustomize", "sbvi")
        ],
        "another event shape": lambda: change(folder, data__event_shape=[1 << 30, 1 << 30]),
    }
    plants[name]()


def rewrite(path, change_header):
    """Change a checkpoint's header as someone would who knows the format: its digest fits again."""
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    change_header(header)
    header["__metadata__"]["sha256"] = "0" * 64
    text = json.dumps(header, separators=(",", ":")).encode()
    blank = len(text).to_bytes(8, "little") + text
    digest = hashlib.sha256(blank).hexdigest()
    path.write_bytes(blank.replace(b'"sha256":"' + b"0" * 64, f'"sha256":"{digest}'.encode()) + content[end:])


def plant_tensor(folder, **entry):
    """Another description of the first tensor."""
    path = folder / "checkpoints" / "best.safetensors"
    rewrite(path, lambda header: next(v for k, v in header.items() if k != "__metadata__").update(entry))


def old_leaf(data, dtype, shape):
    digest = hashlib.sha256(data).digest()
    return {"path": ".generative['x'].value", "dtype": dtype, "shape": shape, "sha256": digest, "data": data}


def plant_legacy(folder, leaves):
    """As a run of an earlier version, which has no other files."""
    (folder / "checkpoints" / "best.safetensors").unlink()
    content = msgpack.packb({"format": 1, "metadata": {}, "leaves": leaves})
    (folder / "checkpoints" / "best.msgpack").write_bytes(content)


NAMES = [
    "target in a group",
    "target at the top",
    "interpolation",
    "a path as a name",
    "a module as a name",
    "init_from elsewhere",
    "hydra's own files",
    "a pickle as checkpoint",
    "an extension type",
    "an object array",
    "an object array of old",
    "a pickle as run.json",
    "deep JSON",
    "a huge tensor",
    "a huge leaf of old",
    "deep metadata",
    "a module beside the run",
    "another event shape",
]
HARMLESS = {"hydra's own files", "a module beside the run", "init_from elsewhere"}


@pytest.mark.promise("A run directory from someone else can be evaluated: nothing planted in it is run", "plants")
@pytest.mark.parametrize("name", NAMES)
def test_hostile_run_directories(name, tiny_run, tmp_path, monkeypatch, tally):
    folder, trap = tmp_path / "run", tmp_path / "trap"
    shutil.copytree(tiny_run, folder)
    hostile(name, folder, trap)
    before = tree(folder)
    monkeypatch.chdir(folder)
    x = np.zeros((2, 32))
    if name in HARMLESS:
        assert np.isfinite(sbvi.load_run(folder).log_likelihood(x, 5)).all()
    else:
        with pytest.raises(UserError) as error:
            sbvi.load_run(folder).log_likelihood(x, 5)
        assert "\n" not in str(error.value)
    assert not trap.exists()
    assert tree(folder) == before
    tally(1)


@pytest.mark.promise("A hostile run directory cannot be resumed or evaluated from the command line either", "plants")
def test_hostile_from_the_command_line(tiny_run, tmp_path, tally):
    for number, name in enumerate(("target in a group", "a pickle as checkpoint")):
        folder, trap = tmp_path / str(number), tmp_path / "trap"
        shutil.copytree(tiny_run, folder)
        hostile(name, folder, trap)
        shutil.copyfile(folder / "checkpoints" / "best.safetensors", folder / "checkpoints" / "last.safetensors")
        (folder / "checkpoints" / "previous.safetensors").unlink(missing_ok=True)
        (folder / "result.json").unlink()  # so that there is something to go on with
        for command, words in (("evaluate", [f"run={folder}", "task=likelihood"]), ("train", [f"resume={folder}"])):
            code, output = run(*words, cwd=tmp_path, name=command)
            assert code == 1, output
            assert "Traceback" not in output
            assert not trap.exists()
            tally(1)


@pytest.mark.promise("Every altered, cut, empty, missing or foreign checkpoint is noticed, and named", "files altered")
def test_checkpoints_notice_damage(tmp_path, tally):
    generator = np.random.default_rng(0)
    tree_ = {"w": generator.normal(size=(20, 5)), "step": np.int32(7), "empty": np.zeros((0, 2), np.float32)}
    path = tmp_path / "x.safetensors"
    checkpoint.save(path, tree_, {"step": 7})
    content = path.read_bytes()
    damaged = []
    for position in generator.integers(0, len(content), 400):
        flipped = bytearray(content)
        flipped[position] ^= 1 << int(generator.integers(0, 8))
        damaged.append(bytes(flipped))
    damaged += [content[: int(cut)] for cut in generator.integers(0, len(content), 100)]
    damaged += [b"", b"\x80", pickle.dumps(tree_), b"PK\x03\x04", content + b"more"]
    for altered in damaged:
        path.write_bytes(altered)
        try:
            found, metadata = checkpoint.load(path, tree_)
        except checkpoint.DamagedCheckpoint as error:
            assert str(path) in str(error)
            assert "\n" not in str(error)
            continue
        raise AssertionError(f"altered bytes were taken: {metadata} {found}")
    path.unlink()
    with pytest.raises(checkpoint.DamagedCheckpoint, match="cannot be read"):
        checkpoint.load(path, tree_)
    tally(len(damaged) + 1)


@pytest.mark.promise("A checkpoint of another format version is loaded or says why not", "versions")
def test_format_versions(tmp_path, tally):
    path = tmp_path / "x.safetensors"
    checkpoint.save(path, {"w": np.ones(3)}, {})
    for version in ("2", str(checkpoint.FORMAT + 1), "one", ""):
        rewrite(path, lambda header, v=version: header["__metadata__"].update(format=v))
        with pytest.raises(
            checkpoint.DamagedCheckpoint, match=f"has format {version}; this version of sbvi reads format"
        ):
            checkpoint.read(path)
        tally(1)
