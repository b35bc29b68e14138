"""Files are found, downloaded from a real server, checked, and refused when wrong."""

import functools
import gzip
import hashlib
import http.server
import os
import tempfile
import threading
from pathlib import Path

import pytest

from sbvi.core import UserError
from sbvi.data.files import RemoteFile, Unavailable, cache_folder, fetch

pytestmark = pytest.mark.quick

CONTENT = b"the content of a data file" * 100


@pytest.fixture
def server(tmp_path):
    """A server on loopback; yields (folder it serves, its address)."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    handler.log_message = lambda *a: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{found.server_port}"
        found.shutdown()


@pytest.fixture
def places(tmp_path, monkeypatch):
    monkeypatch.setenv("SBVI_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("SBVI_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    return tmp_path


def remote(*urls):
    return RemoteFile("file.bin", hashlib.sha256(CONTENT).hexdigest(), urls)


@pytest.mark.promise("Downloads fall through dead and wrong mirrors to a good one", "mirrors")
def test_download_falls_through_mirrors_and_is_cached(server, places, tally):
    folder, address = server
    (folder / "wrong.bin").write_bytes(b"something else")
    (folder / "file.bin.gz").write_bytes(gzip.compress(CONTENT))
    urls = (f"{address}/absent.bin", f"{address}/wrong.bin", f"{address}/file.bin.gz")
    assert fetch(remote(*urls)) == CONTENT
    (folder / "file.bin.gz").unlink()
    assert fetch(remote(*urls)) == CONTENT
    assert [p.name for p in (places / "cache" / "data").iterdir()] == ["file.bin.gz"]
    tally(3)


@pytest.mark.promise("A download of another content is refused and not kept", "downloads")
def test_a_download_with_another_hash_is_refused_and_not_kept(server, places, tally):
    folder, address = server
    (folder / "file.bin").write_bytes(CONTENT[:-1])
    with pytest.raises(UserError, match=r"does not hold file.bin.*set SBVI_DATA_DIR"):
        fetch(remote(f"{address}/file.bin"))
    assert list((places / "cache" / "data").iterdir()) == []
    tally(1)


def test_the_users_folder_comes_first(places):
    (places / "data" / "file.bin").write_bytes(CONTENT)
    assert fetch(remote()) == CONTENT
    (places / "data" / "file.bin").write_bytes(CONTENT + b"x")
    with pytest.raises(UserError, match=r"file.bin does not hold file.bin: its content has SHA-256"):
        fetch(remote())
    assert (places / "data" / "file.bin").read_bytes() == CONTENT + b"x"


def test_damaged_gzip_is_named(places):
    (places / "data" / "file.bin.gz").write_bytes(gzip.compress(CONTENT)[:-20])
    with pytest.raises(UserError, match=r"file.bin.gz (cannot be read|is damaged)") as caught:
        fetch(remote())
    assert not isinstance(caught.value, Unavailable)


def test_nowhere_says_where_it_looked(places):
    with pytest.raises(Unavailable, match=r"file.bin is not in .*data.*SBVI_DATA_DIR"):
        fetch(remote())


def test_a_user_without_a_home_has_a_cache(monkeypatch):
    """A container's user without an entry in passwd, and no HOME."""

    def nowhere():
        raise RuntimeError("Could not determine home directory.")

    for name in ("SBVI_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", nowhere)
    assert cache_folder() == Path(tempfile.gettempdir()) / f"sbvi-cache-{os.getuid()}"


def test_a_cache_that_cannot_be_written_is_told(server, places):
    """Not as a download that failed: the address is fine."""
    folder, address = server
    (folder / "file.bin").write_bytes(CONTENT)
    (places / "cache").write_text("")
    with pytest.raises(Unavailable, match=r"cache/data, where it is kept .* \(Not a directory\); set SBVI_CACHE_DIR"):
        fetch(remote(f"{address}/file.bin"))
