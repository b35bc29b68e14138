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
        "hydra's own files": lambda: (folder / ".hydra" / "config.yaml").write_text(
            f"_target_: os.system\nx: !!python/object/apply:os.system ['touch {trap}']\n"
        ),
        "a pickle as checkpoint": lambda: (folder / "checkpoints" / "best.msgpack").write_bytes(evil),
        "an extension type": lambda: (folder / "checkpoints" / "best.msgpack").write_bytes(
            msgpack.packb({"format": 1, "metadata": {}, "leaves": [msgpack.ExtType(5, evil)]})
        ),
        "an object array": lambda: plant_leaf(folder, evil),
        "a pickle as run.json": lambda: (folder / "run.json").write_bytes(evil),
        "deep JSON": lambda: (folder / "run.json").write_text("[" * 100_000),
        "a huge leaf": lambda: plant_leaf(folder, b"", shape=[1 << 40]),
        "a module beside the run": lambda: [
            (folder / f"{n}.py").write_text(f"open({str(trap)!r}, 'w')") for n in ("jax", "sitecustomize", "sbvi")
        ],
        "another event shape": lambda: change(folder, data__event_shape=[1 << 30, 1 << 30]),
    }
    plants[name]()


def plant_leaf(folder, data, shape=None):
    path = folder / "checkpoints" / "best.msgpack"
    document = msgpack.unpackb(path.read_bytes())
    body = msgpack.unpackb(document["body"])
    leaf = body["leaves"][0]
    leaf["dtype"] = "object" if data else leaf["dtype"]
    leaf["data"], leaf["shape"] = data or leaf["data"], shape or leaf["shape"]
    leaf["sha256"] = hashlib.sha256(leaf["data"]).digest()
    document["body"] = msgpack.packb(body)
    document["sha256"] = hashlib.sha256(document["body"]).digest()  # the sender knows the format
    path.write_bytes(msgpack.packb(document))


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
    "a pickle as run.json",
    "deep JSON",
    "a huge leaf",
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
        shutil.copyfile(folder / "checkpoints" / "best.msgpack", folder / "checkpoints" / "last.msgpack")
        (folder / "checkpoints" / "previous.msgpack").unlink(missing_ok=True)
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
    path = tmp_path / "x.msgpack"
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
    path = tmp_path / "x.msgpack"
    checkpoint.save(path, {"w": np.ones(3)}, {})
    document = msgpack.unpackb(path.read_bytes())
    for version in (0, checkpoint.FORMAT + 1, "one", None):
        path.write_bytes(msgpack.packb(document | {"format": version}))
        with pytest.raises(
            checkpoint.DamagedCheckpoint, match=f"has format {version}; this version of sbvi reads formats"
        ):
            checkpoint.read(path)
        tally(1)


def test_format_one_is_read(tmp_path):
    """As written before the body had a digest of its own."""
    path = tmp_path / "x.msgpack"
    checkpoint.save(path, {"w": np.arange(3.0)}, {"step": 4})
    body = msgpack.unpackb(msgpack.unpackb(path.read_bytes())["body"])
    path.write_bytes(msgpack.packb({"format": 1, **body}))
    found, metadata = checkpoint.load(path, {"w": np.zeros(3)})
    np.testing.assert_array_equal(found["w"], np.arange(3.0))
    assert metadata == {"step": 4}
