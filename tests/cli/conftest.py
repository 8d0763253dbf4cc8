"""Commands in this process, where that shows enough, and as programs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from pool.conftest import Host, host, nothing_left

__all__ = ["Host", "host", "nothing_left"]

# The tests of the face put a fake in its place where it was never built; that has no file.
try:
    from snakepit import _core

    if not os.path.exists(_core.__file__):
        collect_ignore_glob = ["test_*.py"]
except ImportError:
    collect_ignore_glob = ["test_*.py"]


class Ended(NamedTuple):
    status: int
    out: str
    err: str


Command = Callable[..., Ended]


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each test is in a folder of its own, without variables that decide how output looks."""
    for name in [*os.environ]:
        if name.startswith("SNAKEPIT_") or name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in this process; what its workers print is caught as well."""
    from snakepit.__main__ import main

    def run(*arguments: str) -> Ended:
        capfd.readouterr()
        try:
            status = main(arguments)
        except SystemExit as ended:
            status = int(str(ended.code))
        return Ended(status, *capfd.readouterr())

    return run
