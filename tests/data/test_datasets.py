"""The contract that every data set keeps."""

import numpy as np
import pytest
from conftest import DATA, NO_DATA, needs_data

from sbvi.config import UserError
from sbvi.data import DATASETS, binarize
from sbvi.data.synthetic import Synthetic

SIZES = {
    "digits": (1297, 250, 250, (8, 8)),
    "mnist": (50_000, 10_000, 10_000, (28, 28)),
    "frey_faces": (1565, 200, 200, (28, 20)),
    "caltech_silhouettes": (4100, 2264, 2307, (28, 28)),
    "synthetic": (2000, 500, 500, (32,)),
    "npz": (80, 10, 10, (3,)),
}


@pytest.fixture
def arguments(tmp_path):
    np.savez(tmp_path / "own.npz", x_train=np.random.default_rng(0).random((100, 3)))
    return {"npz": {"path": str(tmp_path / "own.npz")}}


@pytest.mark.parametrize("name", DATASETS)
def test_contract(name, arguments):
    if name in ("mnist", "frey_faces", "caltech_silhouettes") and not DATA:
        pytest.skip(NO_DATA)
    dataset = DATASETS[name](**arguments.get(name, {})).load()
    *sizes, shape = SIZES[name]
    assert [len(split) for split in dataset.splits.values()] == sizes
    assert dataset.event_shape == shape
    again = DATASETS[name](**arguments.get(name, {})).load()
    assert dataset.digest() == again.digest()
    for split in dataset.splits.values():
        assert split.x.dtype == (np.uint8 if dataset.levels else np.float32)
        assert split.x.flags["C_CONTIGUOUS"]
        scaled = dataset.scaled(split.x)
        if name != "synthetic":
            assert scaled.min() >= 0
            assert scaled.max() <= 1
        if dataset.binary:
            assert set(np.unique(split.x)) <= {0, 1}
        if split.label is not None:
            assert split.label.shape == (len(split),)
    binary = binarize(dataset, "static", 0)
    assert binary.binary
    assert binary.digest() == binarize(dataset, "static", 0).digest()


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


def test_synthetic_likelihood_is_that_of_its_draws():
    """The mean exact log-likelihood of many draws is minus the entropy of the Gaussian."""
    spec = Synthetic(observation="gaussian", dimensions=6, latents=2, train_size=40_000)
    dataset = spec.load()
    true = spec.parameters()
    covariance = true["W"] @ true["W"].T + spec.noise**2 * np.eye(6)
    entropy = 0.5 * (6 * (1 + np.log(2 * np.pi)) + np.linalg.slogdet(covariance)[1])
    values = dataset.exact_log_likelihood(dataset.train.x)
    assert abs(values.mean() + entropy) < 4 * values.std() / np.sqrt(len(values))
