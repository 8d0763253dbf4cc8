from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip(
    "grpc_tools", reason="the scripted host compiles the protocol with grpcio-tools"
)

from .scripted_host import ROOT, ScriptedHost

Attach = Callable[..., ScriptedHost]


WORKER_PYTHON = os.environ.get("LINE_TEST_PYTHON", "")
"""Another interpreter for the workers, with the packages of the grpcio end."""


@pytest.fixture(params=["grpcio"] if WORKER_PYTHON else ["native", "grpcio"])
def line(request: pytest.FixtureRequest) -> str:
    """The worker's end: everything here is promised of both."""
    return str(request.param)


@pytest.fixture
def attach(line: str) -> Iterator[Attach]:
    """Starts a worker under a scripted host; it ends with its test, and nothing of it is left."""
    hosts: list[ScriptedHost] = []
    with tempfile.TemporaryDirectory(prefix="line") as folder:

        def attach(adapter: str = "adapter_of_line:Adapter", **settings: Any) -> ScriptedHost:
            settings.setdefault("max_message", 1 << 20)
            sys_path = [str(Path(__file__).parent), *sys.path[1:], str(ROOT / "python")]
            if WORKER_PYTHON:
                show = "import sys; print(*sys.path[1:], sep='\\n')"
                own = subprocess.check_output([WORKER_PYTHON, "-c", show], text=True).split()
                sys_path = [sys_path[0], *own, sys_path[-1]]
                settings["python"] = WORKER_PYTHON
            host = ScriptedHost(Path(folder), adapter, sys_path, line=line, **settings)
            hosts.append(host)
            return host

        yield attach
        for host in hosts:
            host.close()


@pytest.fixture
def host(attach: Attach) -> ScriptedHost:
    """A worker that is ready."""
    host = attach()
    ready = host.handshake()
    assert {tool.name: tool.streaming for tool in ready.tools}.items() >= {
        "echo": False,
        "count": True,
    }.items()
    return host
