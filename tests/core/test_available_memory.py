"""What the control groups of a process leave it, on trees of files as the kernel shows them."""

import pytest

from sbvi.core import memory

pytestmark = pytest.mark.quick

V2 = ("memory.max", "memory.current", "")
V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_")


def group(folder, limit, taken, cache=None, names=V2):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{taken}\n")
    if cache is not None:
        stat = f"anon 7\n{names[2]}inactive_file {cache}\n{names[2]}active_file 1\n"
        (folder / "memory.stat").write_text(stat)


def left(tmp_path, lines):
    (tmp_path / "own").write_text(lines)
    return memory.left_to_groups(tmp_path / "own", tmp_path / "groups")


def test_every_group_above_counts_by_what_it_leaves(tmp_path):
    root = tmp_path / "groups"
    group(root / "a", 1000, 900)
    group(root / "a" / "b", "max", 500)
    group(root / "a" / "b" / "c", 800, 300)
    group(root / "other", 10, 10)
    assert sorted(left(tmp_path, "0::/a/b/c\n")) == [100, 500]
    assert left(tmp_path, "0::/a/gone\n") == [100]


def test_the_cache_of_files_can_be_had(tmp_path):
    group(tmp_path / "groups", 1000, 950, cache=600)
    assert left(tmp_path, "0::/\n") == [1000 - (950 - 601)]


def test_older_groups_are_found_by_their_controller(tmp_path):
    root = tmp_path / "groups"
    group(root / "memory" / "a", 1000, 700, cache=99, names=V1)
    group(root / "pids" / "b", 1, 1, names=V1)
    assert left(tmp_path, "9:pids:/b\n4:cpu,memory:/a\n0::/\n") == [400]


def test_in_a_container_the_root_is_its_own(tmp_path):
    group(tmp_path / "groups", 1000, 1200)
    assert left(tmp_path, "0::/docker/of/the/host\n") == [0]
    group(tmp_path / "groups" / "elsewhere", 1, 1)
    assert left(tmp_path, "0::/../elsewhere\n") == [0]


def test_a_limit_alone_is_one(tmp_path):
    group(tmp_path / "groups", 1000, "what?")
    assert left(tmp_path, "0::/\n") == [1000]


@pytest.mark.parametrize("lines", ["", "no such line\n", "0::/a\n"])
def test_what_cannot_be_read_has_no_limit(tmp_path, lines):
    (tmp_path / "groups" / "a").mkdir(parents=True)
    (tmp_path / "groups" / "a" / "memory.max").write_text("what?")
    assert left(tmp_path, lines) == []
    assert memory.left_to_groups(tmp_path / "nowhere", tmp_path / "nowhere") == []


def test_the_least_of_them_can_be_had(monkeypatch):
    monkeypatch.setattr(memory, "left_to_groups", lambda: [10**18, 12345])
    assert memory.available() == 12345
    monkeypatch.setattr(memory, "left_to_groups", list)
    assert memory.available() > 12345
