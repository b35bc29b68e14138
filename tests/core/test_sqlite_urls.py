"""A file's URL is of that file, whatever its name has."""

import contextlib
import sqlite3
from pathlib import Path

import pytest

from sbvi.cli.hydra_app import study
from sbvi.core.sqlite_urls import file_of, url_of
from sbvi.sweeps.pruning import opened

NAMES = ["what?1", "?uri=true", "a#b", "a%20b", "a%(x)s", "a@b:c", "a b", "né", "{x}", "{SCHEMA_VERSION}", "a\\"]


@pytest.mark.parametrize("name", NAMES)
def test_optuna_finds_the_file(name, tmp_path):
    """By the URL that a search's config has, and that its trials read."""
    optuna = pytest.importorskip("optuna")
    url = study(str(tmp_path / name))
    assert file_of(url) == tmp_path / name / "optuna-study.db"
    optuna.create_study(study_name="sbvi", storage=url)._storage._backend.engine.dispose()
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.db")] == [f"{name}/optuna-study.db"]
    assert [path.name for path in tmp_path.iterdir()] == [name]
    kept = opened(url)
    assert [found.study_name for found in kept.get_all_study_summaries()] == ["sbvi"]
    kept.engine.dispose()


@pytest.mark.parametrize("name", NAMES)
def test_sqlite_reads_the_quoted_name(name, tmp_path):
    """Its own parser of such names is the oracle."""
    file = tmp_path / name
    given, *options = url_of(file).removeprefix("sqlite:///").split("?")
    assert options == (["uri=true"] if {*"?{}"} & {*name} else [])
    with contextlib.closing(sqlite3.connect(given, uri=bool(options))) as database:
        database.execute("create table t (x)")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_way_over_a_link_is_the_system_s(tmp_path):
    (tmp_path / "far" / "down").mkdir(parents=True)
    (tmp_path / "near").symlink_to(tmp_path / "far" / "down")
    assert url_of(tmp_path / "near" / ".." / "s.db") == f"sqlite:///{tmp_path / 'far' / 's.db'}"


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:///a.db", "a.db"),
        ("sqlite+pysqlite:////b/a.db?timeout=3", "/b/a.db"),
        ("sqlite:///file:a%3F.db?mode=rw&uri=true", "a?.db"),
        ("sqlite:///file:///b/a.db?uri=true", "/b/a.db"),
        ("sqlite:///file:a%3F.db", "file:a%3F.db"),
        ("sqlite://", None),
        ("sqlite:///:memory:", None),
        ("sqlite:///file:x?mode=memory&uri=true", None),
        ("postgresql://me@host/a.db", None),
        (None, None),
    ],
)
def test_the_file_of_a_url(url, file):
    assert file_of(url) == (None if file is None else Path(file))
