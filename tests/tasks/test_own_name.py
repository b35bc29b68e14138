"""Names of evaluations: each has its own, whatever else is being written, and tells what was read."""

import pytest

from sbvi.core import UserError
from sbvi.tasks.files import own_name

pytestmark = pytest.mark.quick

SETTINGS = {"name": "recover", "output": "found.npz"}


def test_two_at_the_same_time_have_two_names(tmp_path):
    with own_name(tmp_path, "recover", SETTINGS) as first, own_name(tmp_path, "recover", SETTINGS) as second:
        assert second == f"{first}-2"
        (tmp_path / f"{first}.json").touch()
    with own_name(tmp_path, "recover", SETTINGS) as third:  # of the second nothing was written
        assert third == second
    assert [path.name for path in tmp_path.iterdir()] == [f"{first}.json"]


def test_a_failure_gives_the_name_back(tmp_path):
    with pytest.raises(ZeroDivisionError), own_name(tmp_path, "recover", SETTINGS) as first:
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
    with own_name(tmp_path, "recover", SETTINGS) as again:
        assert again == first


def test_another_decoder_of_the_same_name_is_another_evaluation(tmp_path):
    decoder, names = tmp_path / "net.npz", []
    for content in (b"a", b"b", b"a"):
        decoder.write_bytes(content)
        with own_name(tmp_path, "recover", SETTINGS, str(decoder)) as name:
            names.append(name)
            (tmp_path / f"{name}.json").touch()
    assert len({*names}) == 3
    assert names[2] == f"{names[0]}-2"
    decoder.unlink()
    with pytest.raises(UserError, match=r"^decoder=.*net\.npz cannot be read \(No such file"):
        own_name(tmp_path, "recover", SETTINGS, str(decoder)).__enter__()
