from __future__ import annotations

import faulthandler
import importlib
import itertools
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .fake_core import Host

Start = Callable[..., Host]
_numbers = itertools.count()


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Writes a module that can be imported, and returns its name."""

    def write(source: str, name: str | None = None) -> str:
        name = name or f"adapter_{next(_numbers)}"
        path = tmp_path / f"{name.replace('.', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source))
        importlib.invalidate_caches()
        return name

    monkeypatch.syspath_prepend(str(tmp_path))
    return write


@pytest.fixture
def start(module: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts a worker for an adapter in a thread; every worker ends with its test."""
    hosts: list[Host] = []
    modules, argv, path = dict(sys.modules), list(sys.argv), list(sys.path)

    def start(
        source: str = "",
        qualname: str = "Adapter",
        *,
        kind: str = "module",
        location: str | None = None,
        **fields: Any,
    ) -> Host:
        where = module(source) if location is None else location
        hosts.append(Host(kind, where, qualname, **fields))
        return hosts[-1]

    yield start
    for host in hosts:
        host.drain()
    for name in set(sys.modules) - set(modules):
        if name.startswith(("adapter_", "package_", "__snakepit")):
            del sys.modules[name]
    sys.modules["__main__"] = modules["__main__"]
    sys.argv[:], sys.path[:] = argv, path
    faulthandler.enable(file=sys.__stderr__)
    left = [t.name for t in threading.enumerate() if t.name in ("fake-worker", "snakepit-loop")]
    assert left == [], "a worker left threads behind"
