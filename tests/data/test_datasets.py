"""The contract that every data set keeps."""

import functools
import logging

import numpy as np
import pytest
from support import official_files
from support.paths import needs_data

from sbvi.core import UserError, make
from sbvi.data import DATASETS, Dataset, Preprocessing, Split, binarize, own
from sbvi.data.convert import convert
from sbvi.data.sources.npz import Npz
from sbvi.data.sources.synthetic import Synthetic

pytestmark = pytest.mark.quick

SIZES = {
    "digits": (1297, 250, 250, (8, 8)),
    "mnist": (50_000, 10_000, 10_000, (28, 28)),
    "frey_faces": (1565, 200, 200, (28, 20)),
    "caltech_silhouettes": (4100, 2264, 2307, (28, 28)),
    "norb": (7, 2, 5, (96, 96)),
    "cifar10": (45, 5, 10, (32, 32, 3)),
    "svhn": (9, 3, 4, (32, 32, 3)),
    "stl10": (9, 3, 4, (96, 96, 3)),
    "omniglot": (8, 4, 6, (28, 28)),
    "uci_binary": (5000, 1414, 26147, (123,)),
    "debd": (16_181, 2157, 3236, (16,)),
    "synthetic": (2000, 500, 500, (32,)),
    "npz": (80, 10, 10, (3,)),
    "table": (80, 10, 10, (3,)),
    "shards": (20, 4, 5, (2, 3)),
}


@pytest.fixture
def arguments(tmp_path, monkeypatch):
    """What the data sets need: an own file, and tiny ones in the official formats of those too large to be at hand."""
    np.savez(tmp_path / "own.npz", x_train=np.random.default_rng(0).random((100, 3)))

    def official(name):
        monkeypatch.setenv("SBVI_DATA_DIR", str(tmp_path))
        return official_files.WRITERS[name](tmp_path, monkeypatch)

    def converted():
        splits = [Split(np.random.default_rng(0).integers(0, 9, (n, 2, 3)).astype(np.uint8)) for n in (20, 4, 5)]
        convert(Dataset("own", *splits, Preprocessing.whole((2, 3), 8)), tmp_path / "shards", 8)
        return {"path": str(tmp_path / "shards")}

    np.savetxt(tmp_path / "own.csv", np.random.default_rng(0).normal(5, 3, (100, 3)), delimiter=",")
    found = {"npz": lambda: {"path": str(tmp_path / "own.npz")}, "shards": converted}
    found["table"] = lambda: {"path": str(tmp_path / "own.csv")}
    return found | {name: functools.partial(official, name) for name in official_files.WRITERS}


REAL = ("mnist", "frey_faces", "caltech_silhouettes", "uci_binary", "debd")


@pytest.mark.parametrize("name", [pytest.param(n, marks=[needs_data] if n in REAL else []) for n in DATASETS])
def test_contract(name, arguments):
    options = arguments[name]() if name in arguments else {}
    dataset = DATASETS[name](**options).load()
    *sizes, shape = SIZES[name]
    assert [len(split) for split in dataset.splits.values()] == sizes
    assert dataset.event_shape == shape
    again = DATASETS[name](**options).load()
    assert dataset.digest() == again.digest()
    for split in dataset.splits.values():
        x = split.x[:]  # shards are read where they are asked for
        assert x.dtype == (np.uint8 if dataset.levels else np.float32)
        assert x.flags["C_CONTIGUOUS"]
        scaled = dataset.preprocessing.scaled(x)
        if name not in ("synthetic", "table"):
            assert scaled.min() >= 0
            assert scaled.max() <= 1
        if dataset.binary:
            assert set(np.unique(x)) <= {0, 1}
        if split.label is not None:
            assert split.label.shape == (len(split),)
    if name == "table":
        with pytest.raises(UserError, match="needs values with a range"):
            binarize(dataset, "static", 0)
        return
    how = "dynamic" if name == "shards" else "static"
    binary = binarize(dataset, how, 0)
    assert binary.binary
    assert binary.digest() == binarize(dataset, how, 0).digest()


@needs_data
def test_mnist_forms_agree():
    """Larochelle's binary test images are draws from the grey ones, sorted by label."""
    grey = DATASETS["mnist"](binarization="dynamic").load()
    fixed = DATASETS["mnist"](binarization="static").load()
    order = np.argsort(grey.test.label, kind="stable")
    images = grey.test.x[order]
    assert (fixed.test.x[images == 255] == 1).all()
    assert (fixed.test.x[images == 0] == 0).all()
    assert np.bincount(grey.train.label).sum() == 50_000
    few = DATASETS["mnist"](binarization="dynamic", train_size=1000).load()
    np.testing.assert_array_equal(few.train.x, grey.train.x[:1000])
    np.testing.assert_array_equal(few.train.label, grey.train.label[:1000])
    assert len(few.test) == 10_000
    with pytest.raises(UserError, match="train_size=50001 must be at most 50000"):
        DATASETS["mnist"](binarization="dynamic", train_size=50_001).load()


@needs_data
def test_silhouettes_show_the_object_as_one():
    dataset = DATASETS["caltech_silhouettes"]().load()
    # Borders are mostly background.
    border = np.concatenate([dataset.train.x[:, 0].ravel(), dataset.train.x[:, -1].ravel()])
    assert border.mean() < 0.5 < dataset.train.x[:, 10:18, 10:18].mean()


def test_seeded_split_is_a_partition():
    first, other = DATASETS["digits"]().load(), DATASETS["digits"](split_seed=1).load()
    assert first.digest() != other.digest()
    whole = np.concatenate([s.x for s in first.splits.values()]).reshape(-1, 64)
    again = np.concatenate([s.x for s in other.splits.values()]).reshape(-1, 64)
    np.testing.assert_array_equal(np.sort(whole.sum(1)), np.sort(again.sum(1)))
    with pytest.raises(UserError, match="leave nothing to train on"):
        DATASETS["digits"](validation_size=1000, test_size=1000).load()


@pytest.mark.parametrize(
    ("given", "keys", "least"),
    [((), r"dataset\.validation_size and dataset\.test_size each", 6), (("validation",), r"dataset\.test_size", 4)],
)
def test_too_few_examples_for_the_defaults_are_told_how_many_are_needed(given, keys, least):
    sentence = (
        rf"^There are {least - 1} examples, of which by default {keys} split off at least 2; at least {least} are"
    )
    parts = {name: Split(np.zeros((3, 2))) for name in given}
    with pytest.raises(UserError, match=sentence):
        own.split(Npz(path="x.npy"), np.zeros((least - 1, 2)), None, parts)
    assert len(own.split(Npz(path="x.npy"), np.zeros((least, 2)), None, parts)[0]) == 2


def test_synthetic_likelihood_is_that_of_its_draws():
    """The mean exact log-likelihood of many draws is minus the entropy of the Gaussian."""
    spec = Synthetic(observation="gaussian", dimensions=6, latents=2, train_size=40_000)
    dataset = spec.load()
    true = spec.parameters()
    covariance = true["W"] @ true["W"].T + spec.noise**2 * np.eye(6)
    entropy = 0.5 * (6 * (1 + np.log(2 * np.pi)) + np.linalg.slogdet(covariance)[1])
    values = dataset.exact_log_likelihood(dataset.train.x)
    assert abs(values.mean() + entropy) < 4 * values.std() / np.sqrt(len(values))


def test_norb_cameras_and_blocks(arguments, caplog):
    caplog.set_level(logging.INFO)
    options = arguments["norb"]()
    left, both = (DATASETS["norb"](**options, cameras=which).load() for which in ("left", "both"))
    np.testing.assert_array_equal(both.test.x[::2], left.test.x)
    assert both.test.label.tolist() == left.test.label.repeat(2).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert caplog.text.count("most validation images have their pair's other that trains") == 1
    small = DATASETS["norb"](**options, downsample=3).load().test.x
    assert small.shape == (5, 32, 32)
    blocks = left.test.x[0, :3, :3].astype(float).mean()
    assert abs(small[0, 0, 0] - blocks) <= 0.5


def test_cifar_pixels_stand_where_the_format_puts_them(arguments):
    arguments["cifar10"]()
    dataset = DATASETS["cifar10"](validation_size=5).load()
    image, label = official_files.cifar_image(0)
    np.testing.assert_array_equal(dataset.train.x[0], image)
    assert dataset.train.label[0] == label
    patches = DATASETS["cifar10"](patch=8, patches_per_image=4).load()
    assert patches.train.x.shape == (180, 8, 8, 3)
    assert patches.train.label is None
    whole = np.lib.stride_tricks.sliding_window_view(dataset.train.x[0], (8, 8), axis=(0, 1)).transpose(0, 1, 3, 4, 2)
    first = patches.train.x[0]
    assert any((window == first).all() for window in whole.reshape(-1, 8, 8, 3))


@needs_data
def test_cifar_sheets():
    dataset = DATASETS["cifar10"](source="sheets").load()
    assert [len(split) for split in dataset.splits.values()] == [3200, 400, 400]
    # Neighbouring pixels of natural images are alike, along rows and columns both.
    x = dataset.train.x[..., 0].astype(float)
    for axis in (1, 2):
        assert np.abs(np.diff(x, axis=axis)).mean() < 0.3 * x.std()


def test_stl10_pixels_stand_where_the_format_puts_them(arguments, tmp_path):
    arguments["stl10"]()
    dataset = DATASETS["stl10"](validation_size=1).load()
    for place in (0, 3):
        image, label = official_files.stl10_image(12 + place)
        np.testing.assert_array_equal(dataset.test.x[place], image)
        assert dataset.test.label[place] == label
    assert len(dataset.classes) == 10
    content = (tmp_path / "stl10_binary" / "test_y.bin").read_bytes()
    (tmp_path / "stl10_binary" / "test_y.bin").write_bytes(content[:-1] + b"\x0b")
    with pytest.raises(UserError, match=r"does not hold stl10_binary/test_y\.bin: its content has MD5"):
        DATASETS["stl10"](validation_size=1).load()


def test_svhn_calls_ten_zero_and_omniglot_stands_upright(arguments):
    options = arguments["svhn"]()
    assert DATASETS["svhn"](**options).load().test.label.tolist() == [1, 9, 0, 2]
    options = arguments["omniglot"]()
    dataset = DATASETS["omniglot"](**options).load()
    assert (dataset.test.x[:, 3, :] == 1).all()  # the writer drew a horizontal bar
    assert dataset.test.x.sum() == 6 * 28


def test_official_files_that_are_not_so(arguments, tmp_path):
    options = arguments["norb"]()
    whole = (tmp_path / f"{official_files.NORB}-training-dat.mat.gz").read_bytes()
    (tmp_path / f"{official_files.NORB}-training-dat.mat.gz").write_bytes(whole[:-9])
    with pytest.raises(UserError, match="SHA-256"):
        DATASETS["norb"](**options).load()
    arguments["omniglot"]()
    with pytest.raises(UserError, match="must be less than 12"):
        DATASETS["omniglot"](validation_size=12).load()
    (tmp_path / "chardata.mat").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"does not hold chardata\.mat: its content has SHA-256"):
        DATASETS["omniglot"]().load()
    with pytest.raises(UserError, match="downsample=5 must divide 96"):
        make(DATASETS["norb"], {"downsample": 5}, "dataset")


#: Mean test log-likelihood of independent Bernoulli values with p = (n + 1) / (N + 2), nats; sizes; variables.
UCI = {
    "adult": (-25.77, (5000, 1414, 26147), 123),
    "connect4": (-35.34, (16000, 4000, 47557), 126),
    "dna": (-100.39, (1400, 600, 1186), 180),
    "mushrooms": (-34.23, (2000, 500, 5624), 112),
    "nips": (-294.80, (400, 100, 1240), 500),
    "ocr_letters": (-63.74, (32152, 10000, 10000), 128),
}


@needs_data
@pytest.mark.parametrize("name", list(UCI))
def test_uci_tables_have_their_check_values(name):
    wanted, sizes, columns = UCI[name]
    dataset = DATASETS["uci_binary"](set=name).load()
    assert tuple(len(split) for split in dataset.splits.values()) == sizes
    assert dataset.event_shape == (columns,)
    ones = (dataset.train.x.sum(0) + 1.0) / (sizes[0] + 2)
    test = dataset.test.x
    found = np.mean(np.sum(np.where(test == 1, np.log(ones), np.log1p(-ones)), 1))
    assert found == pytest.approx(wanted, abs=0.006)
