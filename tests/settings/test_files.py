"""Files: which ones count, and what is told of one that cannot be read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from snakepit import ConfigError, settings
from snakepit._settings import _files

from .conftest import Write


def test_the_nearest_folder_counts_and_those_above_do_not(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write('adapter = "far:C"\nsize = 7')
    near = write('[tool.snakepit]\nadapter = "near:C"', "a/pyproject.toml")
    write("[project]\nname = 'other'", "a/b/pyproject.toml")
    (tmp_path / "a/b/c").mkdir()
    monkeypatch.chdir(tmp_path / "a/b/c")
    told = settings()
    assert told.files == [str(near)]
    assert told.pool().values() == {"name": "default", "adapter": "near:C"}


def test_both_files_of_a_folder_count_and_the_own_one_more(write: Write) -> None:
    own = write("size = 2\n[heartbeat]\ninterval = 5")
    project = write(
        '[tool.snakepit]\nadapter = "m:C"\nsize = 1\nheartbeat = { interval = 1, missed = 3 }',
        "pyproject.toml",
    )
    told = settings()
    assert told.files == [str(own), str(project)]
    pool = told.pool()
    assert pool.values()["size"] == 2
    assert pool.values()["heartbeat"] == {"interval": 5, "missed": 3}
    assert str(pool.origin("heartbeat.interval")) == f"{own}:3"
    assert str(pool.origin("heartbeat.missed")) == f"{project}:4"
    assert pool.origin("timeout").kind == "default"


@pytest.mark.parametrize("by", ["argument", "variable"])
def test_a_file_that_is_named_counts_alone(
    write: Write, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    write("size = 1")
    other = write('adapter = "m:C"', "other.toml")
    if by == "variable":
        monkeypatch.setenv("SNAKEPIT_CONFIG", "other.toml")
    told = settings(other if by == "argument" else None)
    assert told.files == [str(other)]
    assert "size" not in told.pool().values()


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("size = 1\nsize = 2\n", 2, 9),
        ("a = 1\n\nb = [1,\n  c", 4, 3),
        ("size = \n", 1, 8),
        ("x", 1, 2),
        ("a = '''\nx", 2, 2),
        ("[a]\nb = {x = 1,\n}", 2, 12),
    ],
    ids=range(6),
)
def test_what_is_no_toml_is_told_with_line_and_column(
    write: Write, text: str, line: int, column: int
) -> None:
    path = write(text)
    with pytest.raises(ConfigError) as caught:
        settings()
    assert (caught.value.line, caught.value.column) == (line, column)
    assert f"{path}:{line}:{column}" in str(caught.value)
    assert caught.value.__suppress_context__


def test_bytes_that_are_no_utf8_are_told_with_their_place(write: Write) -> None:
    path = write("")
    path.write_bytes(b'size = 1\nname = "\xff"\n')
    with pytest.raises(ConfigError) as caught:
        settings()
    assert (caught.value.line, caught.value.column) == (2, 9)


def test_a_file_that_is_not_there_or_has_no_table(write: Write, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        settings(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="directory"):
        settings(tmp_path)
    project = write("[project]\nname = 'snakepit'", "pyproject.toml")
    with pytest.raises(ConfigError, match=r"no table \[tool.snakepit\]"):
        settings(project)
    assert settings().files == []  # Found, and not meant.


def test_a_project_of_somebody_else_may_be_wrong(write: Write) -> None:
    write("this is [ no toml", "pyproject.toml")
    assert settings().files == []


def test_a_file_above_that_belongs_to_another_user_is_refused(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write('adapter = "evil:C"')
    here = tmp_path / "mine"
    here.mkdir()
    monkeypatch.chdir(here)
    real = os.fstat

    class Of:
        def __init__(self, descriptor: int) -> None:
            self.st_uid, self._of = 666, real(descriptor)

        def __getattr__(self, name: str) -> object:
            return getattr(self._of, name)

    monkeypatch.setattr(_files.os, "fstat", Of)
    with pytest.raises(ConfigError, match="belongs to user 666") as caught:
        settings()
    assert caught.value.source == str(path)
    assert settings(path).pool().values()["adapter"] == "evil:C"  # Somebody says so.


def test_a_file_that_may_not_be_read(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("size = 1")

    def refuse(*_: object, **__: object) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ConfigError, match="Permission denied") as caught:
        settings()
    assert caught.value.source == str(path)


def test_a_working_directory_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert settings(adapter="m:C").pool().values()["adapter"] == "m:C"


def test_nothing_at_all_says_where_was_looked(tmp_path: Path) -> None:
    told = settings()
    assert not told.pools
    with pytest.raises(ConfigError, match="no pool is configured") as caught:
        told.pool()
    assert str(tmp_path) in str(caught.value)
