"""Whatever a config or a data file holds: a valid experiment or array, or one sentence; never a traceback."""

import gzip
import io
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.official_files import norb_matrix

from sbvi.core import UserError, fields
from sbvi.data.formats import decoders
from sbvi.data.sources.npz import Npz
from sbvi.models.values import DataFacts
from sbvi.runs import Experiment
from sbvi.runs.experiment import GROUPS, SETTINGS
from sbvi.runs.memory import blank, check_fits
from sbvi.tasks.files import read_array

FILES = ("mnist", "frey_faces", "caltech_silhouettes", "norb", "cifar10", "svhn", "stl10", "omniglot")


def outcome(function):
    """The result, or None after a sentence."""
    try:
        return function()
    except UserError as error:
        sentence = str(error)
        assert sentence
        assert "\n" not in sentence
        return None


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 5),
    st.sampled_from([10**9, 10**18, -1, 0, 0.5, 1e-30, 1e300, float("inf"), float("nan")]),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["auto", "static", "cpu", "relu", "full", "${seed}", "???", "../../etc", "_target_"]),
    st.lists(st.integers(-1, 4), max_size=3),
    st.dictionaries(st.sampled_from(["kind", "beta", "_target_", "name"]), st.integers(), max_size=2),
)


@st.composite
def configs(draw):
    """A valid experiment with up to three keys, of any depth, replaced or added."""
    config = {}
    for group, registry in GROUPS.items():
        names = [name for name, entry in registry.items() if name not in FILES]
        config[group] = {"name": draw(st.sampled_from(names))}
    if config["dataset"]["name"] in ("npz", "table", "shards"):
        config["dataset"]["path"] = "own.npz"
    config |= {group: {} for group in SETTINGS} | {"trainer": {"steps": 10}}
    for _ in range(draw(st.integers(0, 3))):
        group = draw(st.sampled_from([*config, "seed", "odd"]))
        known = group in GROUPS or group in SETTINGS
        if not known or not isinstance(config[group], dict) or draw(st.integers(0, 9)) == 0:
            config[group] = draw(values)
            continue
        entry = SETTINGS.get(group)
        if group in GROUPS and isinstance(config[group].get("name"), str):
            entry = GROUPS[group].get(config[group]["name"])
        keys = [*(fields(entry) if entry else []), "name", "_target_"]
        config[group][draw(st.sampled_from(keys))] = draw(values)
    return config


def sized(model):
    """A model of 8 x 8 images, its structure learned from images of nothing."""
    facts = DataFacts((8, 8), model.binary, 1)
    model.check(facts)  # as a run does before it builds
    return model.build(facts, model.learn_structure(blank(facts)))


@pytest.mark.promise(
    "Any config is a valid experiment, whose sizes are known before memory is taken, or one sentence", "configs"
)
def test_configs(tally):
    tried = [0, 0]

    @given(configs())
    def each(config):
        tried[0] += 1
        made = outcome(lambda: Experiment.from_config(config))
        if made is not None:
            tried[1] += 1
            assert Experiment.from_config(made.to_config()) == made or "nan" in repr(made)
            outcome(lambda: check_fits(made, sized(made.model)))

    each()
    assert tried[1] > tried[0] / 20  # some are valid, or nothing is tried beyond the first sentence
    tally(tried[0])


def npz_bytes(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def bomb():
    """An archive of a few kilobytes that announces far more than there is."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (1 << 45, 1)})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x_train.npy", header.getvalue() + bytes(1 << 20))
    return buffer.getvalue()


ROWS = np.random.default_rng(0).integers(0, 2, (4, 5)).astype(np.uint8)
AMAT = "".join(" ".join(map(str, row)) + "\n" for row in ROWS).encode()
IDX = b"\x00\x00\x08\x02\x00\x00\x00\x04\x00\x00\x00\x05" + ROWS.tobytes()
CSV = "\n".join(",".join(map(str, row)) for row in ROWS * 0.5).encode()

# kind -> (whole files, how they are read from a path)
KINDS = {
    "npz": (
        [npz_bytes(x_train=np.eye(20)), npz_bytes(x_train=np.array([{}], dtype=object)), bomb()],
        lambda path: Npz(path=str(path)).load(),
    ),
    "csv": ([CSV], lambda path: read_array(str(path.rename(path.with_suffix(".csv"))))),
    "npy": ([npz_bytes(x=ROWS)], lambda path: read_array(str(path.rename(path.with_suffix(".npz"))))),
    "idx": ([IDX], lambda path: decoders.idx(path.read_bytes(), "f")),
    "amat": ([AMAT], lambda path: decoders.amat(path.read_bytes(), "f", 5)),
    "NORB": (
        [norb_matrix(ROWS), gzip.compress(norb_matrix(ROWS))],
        lambda path: decoders.norb(path.read_bytes(), "f"),
    ),
}


@pytest.mark.promise(
    "Any npz, csv, idx, amat or NORB file is read, or refused in one sentence, and never changed", "files"
)
@pytest.mark.parametrize("kind", KINDS)
def test_files(kind, tmp_path, tally):
    whole, read = KINDS[kind]
    tried = [0]

    @given(st.data())
    def each(data):
        tried[0] += 1
        content = bytearray(data.draw(st.sampled_from(whole) | st.binary(max_size=80)))
        for _ in range(data.draw(st.integers(0, 4)) if content else 0):
            position = data.draw(st.integers(0, len(content) - 1))
            content[position] = data.draw(st.integers(0, 255))
        if data.draw(st.booleans()):
            content = content[: data.draw(st.integers(0, len(content)))]
        path = tmp_path / "file.npz"
        path.write_bytes(content)
        outcome(lambda: read(path))
        (left,) = tmp_path.iterdir()
        assert left.read_bytes() == content
        left.unlink()

    each()
    tally(tried[0])


def test_an_archive_that_unpacks_to_more_than_there_is(tmp_path):
    """The archive's own directory may lie about the size; the array's header is what numpy would believe."""
    path = tmp_path / "bomb.npz"
    path.write_bytes(bomb())
    with pytest.raises(UserError, match=r"bomb.npz"):
        Npz(path=str(path)).load()
