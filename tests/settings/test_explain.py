"""Every value and where it comes from; the command that shows it."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys

import pytest

import snakepit
from snakepit import __main__ as command
from snakepit import settings
from snakepit._settings import explain

from .conftest import Write

TEXT = """
adapter = "m:C"
timeout_profile = "batch"
adapter_args = { api_key = "s3cret", depth = 2 }
[heartbeat]
interval = "1s"
[pools.a]
size = 2
[pools.b]
recycle = { calls = 5 }
heartbeat = "none"
"""


def test_every_parameter_is_told_with_its_default() -> None:
    rows = {row.key: row for row in explain(settings(adapter="m:C"), "default")}
    parameters = inspect.signature(snakepit.Pool.__init__).parameters
    told = {key.partition(".")[0] for key in rows}
    assert told | {"name", "self"} == parameters.keys()
    for key, row in rows.items():
        if key in parameters and key not in ("adapter", "size"):
            default = parameters[key].default
            assert row.value == (list(default) if isinstance(default, tuple) else default), key
    assert rows["size"].value == 1
    assert rows["heartbeat.interval"].value == snakepit.Heartbeat().interval
    assert {row.origin.kind for row in rows.values()} == {"default", "code"}


def test_origins(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(TEXT)
    monkeypatch.setenv("SNAKEPIT_POOLS__B__RECYCLE__AGE", "1h")
    rows = {(row.pool, row.key): row for row in explain(settings(size=9))}

    def told(pool: str, key: str) -> tuple[object, str]:
        row = rows[pool, key]
        return row.value, str(row.origin)

    assert told("a", "size") == (9, "code")
    assert told("a", "timeout") == (3600, "timeout_profile batch")
    assert told("a", "heartbeat.interval") == (1, f"{path}:6")
    assert told("a", "heartbeat.missed") == (1, "default")
    assert told("a", "recycle") == (None, "default")
    assert told("b", "recycle.calls") == (5, f"{path}:10")
    assert told("b", "recycle.age") == (3600, "SNAKEPIT_POOLS__B__RECYCLE__AGE")
    assert told("b", "heartbeat") == (None, f"{path}:11")
    assert ("b", "heartbeat.interval") not in rows
    assert told("b", "adapter_args") == ({"api_key": "…", "depth": 2}, f"{path}:4")


def test_the_command(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(TEXT)  # Texts tell what is here from here, JSON in full.
    assert command.main(["config", "--pool", "a"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["POOL", "KEY", "VALUE", "FROM"]
    assert ["a", "size", "2", "snakepit.toml:8"] in [line.split() for line in lines]
    assert "max_queue" not in str(lines)
    assert "s3cret" not in str(lines)
    assert command.main(["config", "--explain", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["key"] for row in rows} > {"size", "max_queue", "pooling_enabled"}
    (size,) = (row for row in rows if (row["pool"], row["key"]) == ("a", "size"))
    assert size["value"] == 2
    assert (size["kind"], size["file"], size["line"]) == ("file", str(path), 8)


def test_the_command_tells_what_is_wrong(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    path = write("size = 'x'")
    assert command.main(["config"]) == 1
    said = capsys.readouterr()
    assert f"{path}:1" in said.err
    assert not said.out
    assert command.main(["config", "--path", "/nowhere.toml"]) == 1


def test_a_pipe_that_closes_is_no_error(write: Write) -> None:
    write(TEXT)
    read, wrote = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "snakepit", "config", "--explain"],
        stdout=wrote,
        stderr=subprocess.PIPE,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    os.close(wrote)
    assert (done.returncode, done.stderr) == (0, b"")
