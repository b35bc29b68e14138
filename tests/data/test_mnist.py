"""What stands in for MNIST: only for files that are not to be had, and under another name."""

import numpy as np
import pytest

from sbvi.core import UserError
from sbvi.data.files import Unavailable
from sbvi.data.sources import mnist
from sbvi.data.sources.mnist import Mnist

pytestmark = pytest.mark.quick

STAND_IN = {"binarization": "dynamic", "when_absent": "synthetic"}


def absent(error, monkeypatch):
    def fetch(remote):
        raise error(f"{remote.name} cannot be had.")

    monkeypatch.setattr(mnist, "fetch", fetch)


def test_random_images_have_another_name(monkeypatch, caplog):
    absent(Unavailable, monkeypatch)
    found = Mnist(**STAND_IN, validation_size=5000).load()
    assert found.name == "random_images"
    assert [len(split) for split in found.splits.values()] == [55_000, 5000, 10_000]
    assert (found.event_shape, found.levels) == ((28, 28), 255)
    assert 0.15 < np.mean(found.test.x > 0) < 0.25
    assert "Random images stand in for MNIST: train-images-idx3-ubyte cannot be had." in caplog.text
    with pytest.raises(UserError, match=r"dataset.validation_size=60000 must be less than 60000"):
        Mnist(**STAND_IN, validation_size=60_000).load()
    with pytest.raises(Unavailable):
        Mnist(binarization="dynamic").load()


def test_a_damaged_file_is_told_and_nothing_stands_in(monkeypatch):
    absent(UserError, monkeypatch)
    with pytest.raises(UserError, match="cannot be had"):
        Mnist(**STAND_IN).load()


def test_a_mistake_in_the_settings_is_told_and_nothing_stands_in(monkeypatch):
    monkeypatch.setattr(mnist, "fetch", lambda remote: b"")
    monkeypatch.setattr(mnist.decoders, "idx", lambda content, name: np.zeros((20, 28, 28), np.uint8))
    with pytest.raises(UserError, match=r"dataset.validation_size=30 must be less than 20"):
        Mnist(**STAND_IN, validation_size=30).load()
