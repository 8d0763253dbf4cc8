from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("grpc", reason="the scripted host serves the line through grpcio")

from snakepit.conformance.host import BOUND, ScriptedHost, until

from .ends import ADAPTER, OWN_ENDS, params, worker

Attach = Callable[..., ScriptedHost]


@pytest.fixture(params=params(OWN_ENDS))
def end(request: pytest.FixtureRequest) -> tuple[str, str]:
    """The end of the line that serves, and its interpreter."""
    return request.param


@pytest.fixture
def attach(end: tuple[str, str]) -> Iterator[Attach]:
    """Starts a worker under a scripted host; it ends with its test, and nothing of it is left."""
    hosts: list[ScriptedHost] = []
    with tempfile.TemporaryDirectory(prefix="line") as folder:

        def attach(target: str = ADAPTER, **settings: Any) -> ScriptedHost:
            host = ScriptedHost(worker(*end, target=target), Path(folder), **settings)
            hosts.append(host)
            return host

        yield attach
        left = [process for host in hosts for process in host.close()]
        assert left == []


@pytest.fixture
def host(attach: Attach) -> ScriptedHost:
    """A worker that is ready."""
    host = attach()
    ready = host.handshake()
    assert host.hello.control
    assert {tool.name: tool.streaming for tool in ready.tools}.items() >= {
        "echo": False,
        "count": True,
    }.items()
    return host


def appears(file: Path) -> None:
    """Waits for a file that a tool makes to say how far it is."""
    assert until(file.exists, BOUND), f"{file} did not appear"
